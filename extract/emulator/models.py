"""The list of models, and what the emulator does not have of the Gemini API beside interactions."""

from __future__ import annotations

import re
from http import HTTPStatus

from extract.emulator.messages import Refusal, refusal
from extract.json_types import JsonObject

__all__ = ["check_known", "model", "models", "nothing_there"]

#: Models that take text, as of November 2026. Any other name of the right form is answered as well.
_NAMES = (
    *("gemini-4-argon", "gemini-4-carbon", "gemini-4-hydrogen", "gemini-4-neon"),
    *("gemini-3.8-flash", "gemini-3.7-flash", "gemini-3.6-flash", "gemini-3.5-flash", "gemini-3.5-flash-lite"),
    *("gemini-3.1-flash-lite", "gemini-3.1-pro-preview", "gemini-3-pro-image", "gemini-3-flash-preview"),
    *("gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite", "gemma-4-31b-it", "gemma-4-26b-a4b-it"),
)
_HAS = "it has interactions, decisions, files, models and models/MODEL:countTokens"
_METHOD = re.compile(r"/v1(?:beta)?/(?:models|tunedModels)/[^/:]+:(?P<method>\w+)")
#: Resources of the Gemini API, by the last word of their path that is no id.
_ELSEWHERE = re.compile(
    r"(?:/upload)?/v1(?:alpha|beta)?/(?:interactions/(?:[^/]+/)?)?(?P<resource>agents|auth_tokens|batches|cachedContents"
    r"|corpora|dynamic|environments|fileSearchStores|generatedFiles|live|openai|operations|tunedModels|webhooks)\b.*"
)


def models() -> JsonObject:
    """Return the list of models, as one page."""
    return {"models": [model(name) for name in _NAMES]}


def model(name: str) -> JsonObject:
    """Return what is known of a model. Refusal where no model has such a name."""
    check_known(name)
    return {
        "name": f"models/{name}",
        "version": "emulated",
        "displayName": name,
        "description": "emulated: a rule reader answers, no language model",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["countTokens"],
    }


def check_known(name: str) -> None:
    """Raise Refusal where a model does not exist: there is no closed list, any name of the right form does."""
    if "unknown" in name or "no-such" in name or not name.startswith(("gemini-", "gemma-")):
        raise refusal(f"{name!r} is not found or not supported.", status=HTTPStatus.NOT_FOUND, code="model_not_found")


def nothing_there(path: str) -> Refusal:
    """Return the refusal of a path: of one that only the service has it says so."""
    method, elsewhere = _METHOD.fullmatch(path), _ELSEWHERE.fullmatch(path)
    if method is not None or elsewhere is not None:
        missing = next(filter(None, (one and one[1] for one in (method, elsewhere))))
        message = f"The emulator has no {missing}; {_HAS}."
        return refusal(message, status=HTTPStatus.NOT_IMPLEMENTED, code="unimplemented")
    return refusal(
        f"Path not found: {path}. The emulator serves /v1 and /v1beta; {_HAS}.",
        status=HTTPStatus.NOT_FOUND,
        code="not_found",
    )
