"""What other SDKs call the fields of a request, so that an error can say what they are called here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from functools import wraps
from typing import Any, TypeVar

__all__ = ["GENERATION_WORDS", "REQUEST_WORDS", "unknown_field", "with_hints"]

T = TypeVar("T")

_GENERATION = "generation=Generation({}=...)"
#: The word of an SDK -> how that is written here.
REQUEST_WORDS: Mapping[str, str] = {
    "agent_id": "agent=...",
    "config": "the fields of the config as fields of Request",
    "contents": "input=...",
    "frequency_penalty": "nothing: the API has no penalties",
    "generation_config": "generation=Generation(...)",
    "instructions": "system=...",
    "max_tokens": _GENERATION.format("max_output_tokens"),
    "messages": "input=...",
    "previous_response_id": "previous_interaction_id=...",
    "prompt": "input=...",
    "response_format": "schema=Model, or formats=(ImageFormat(),)",
    "response_json_schema": "schema=...",
    "response_mime_type": "nothing: schema= stands for it",
    "response_modalities": "formats=(TextFormat(), ImageFormat())",
    "response_model": "schema=Model",
    "response_schema": "schema=Model",
    "stream": "client.stream(request)",
    "system_instruction": "system=...",
    "thinking_config": _GENERATION.format("thinking_level"),
    "turns": "input=...",
    **{
        name: _GENERATION.format(name)
        for name in (
            *("max_output_tokens", "seed", "speech_config", "stop_sequences", "temperature", "thinking_level"),
            *("thinking_summaries", "tool_choice", "top_p"),
        )
    },
}
GENERATION_WORDS: Mapping[str, str] = {
    "candidate_count": "samples= of run: the API gives one answer",
    "image_config": "formats=(ImageFormat(...),) of the request",
    "max_completion_tokens": "max_output_tokens=...",
    "max_tokens": "max_output_tokens=...",
    "response_mime_type": "nothing: schema= of the request stands for it",
    "response_schema": "schema= of the request",
    "stop": "stop_sequences=(...)",
    "system_instruction": "system= of the request",
    "thinking_budget": "thinking_level=...",
    "thinking_config": "thinking_level=...",
}


def unknown_field(owner: type, name: str, words: Mapping[str, str]) -> str:
    """Return what to write in place of a field that a dataclass does not have."""
    head = f"{owner.__name__} has no {name}="
    known = [one.name for one in fields(owner)]
    near = name if name in words else next(iter(get_close_matches(name, [*known, *words], 1)), None)
    if near is None:
        return f"{head}; it has {', '.join(known)}"
    return f"{head}: write {words[near]}" if near in words else f"{head}. Did you mean {near}=?"


def with_hints(words: Mapping[str, str]) -> Callable[[type[T]], type[T]]:
    """Return a decorator of dataclasses: an unknown field is a TypeError that says what to write."""

    def decorate(made: type[T]) -> type[T]:
        create = made.__init__

        @wraps(create)
        def checked(self: T, *args: Any, **given: Any) -> None:
            known = made.__dataclass_fields__  # type: ignore[attr-defined]  # a dataclass has them
            if unknown := [name for name in given if name not in known]:
                raise TypeError(unknown_field(made, unknown[0], words))
            create(self, *args, **given)

        type.__setattr__(made, "__init__", checked)
        return made

    return decorate
