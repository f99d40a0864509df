"""What a row's question was made of: the columns of its prompt and its documents, as pipeline or manifest say."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from extract.errors import ConfigError
from extract.extractor.extractor import Extractor
from extract.extractor.prompts import Template
from extract.json_types import JsonObject

__all__ = ["QuestionColumns"]

_OF_A_FOLDER = ("path", "name", "mime_type")


@dataclass(frozen=True, slots=True)
class QuestionColumns:
    """Input columns: `columns` the question was made of, those first in which values are searched; `media` name files.

    `grounding` are those in which the spans of an output count, the first that has a text.
    """

    columns: tuple[str, ...]
    media: tuple[str, ...]
    grounding: tuple[str, ...]

    @classmethod
    def of(cls, inputs: Collection[str], manifest: JsonObject, extractor: Extractor | None = None) -> QuestionColumns:
        """Return what is known of a table with these inputs; where nothing is, all of them were asked about."""
        if extractor is None:
            grounding, columns = _texts(manifest.get("grounding")), _texts(manifest.get("columns"))
            media = _media(manifest, columns, inputs)
        else:
            grounding, media = list(extractor.grounding), list(extractor.media)
            columns = [*media, *Template.parse(extractor.prompt).columns]
        known = [name for name in dict.fromkeys((*grounding, *columns)) if name in inputs]
        # Of a folder of documents the names say nothing more than the documents.
        rest = [name for name in inputs if name not in _OF_A_FOLDER or not media]
        return cls(
            tuple(known or [*(name for name in media if name in inputs), *rest]),
            tuple(name for name in media if name in inputs),
            tuple(name for name in grounding if name in inputs),
        )


def _media(manifest: JsonObject, columns: Collection[str], inputs: Collection[str]) -> list[str]:
    if isinstance(manifest.get("media"), list):
        return _texts(manifest["media"])
    if columns and isinstance(manifest.get("prompt"), str):  # an output of before manifests named them
        with suppress(ConfigError):
            prompt = Template.parse(manifest["prompt"]).columns
            return [name for name in columns if name not in prompt]
    return ["path"] if set(_OF_A_FOLDER) <= set(inputs) else []


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
