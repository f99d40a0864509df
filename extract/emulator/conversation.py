"""What a create request says: its turns, the examples among them, the record, and how many tokens all that counts as."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from extract.prompts import REPAIR_OPENING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from extract.types import JsonObject

__all__ = ["Ask", "ExampleCache", "Examples", "Kind", "Said", "count_tokens", "kind_of", "read_ask", "requested_schema", "turns_of"]

Kind: TypeAlias = Literal["ask", "repair", "continue"]
Examples: TypeAlias = tuple[tuple[str, str], ...]

MEDIA_TOKENS = 258
"""Tokens of one image, page, or other file, whatever its size."""
KEPT_EXAMPLE_SETS = 64


@dataclass(frozen=True, slots=True)
class Said:
    """One side's turn: its text and how many files of each kind stood beside it."""

    role: Literal["user", "model"]
    text: str
    media: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A create request as the emulator understood it. `input_tokens` is by modality."""

    kind: Kind
    schema: JsonObject | None
    system: str
    text: str
    examples: Examples
    input_tokens: Mapping[str, int]
    thinking_level: str | None = None
    max_output_tokens: int | None = None


def count_tokens(text: str) -> int:
    """Return a deterministic stand-in for a tokeniser: a token per four characters begun."""
    return -(-len(text) // 4)


def requested_schema(body: JsonObject, *, legacy: bool) -> Any:
    """Return the JSON Schema that the answer must fit, None where plain text was asked for."""
    wanted = body.get("response_format")
    if legacy:
        return wanted
    for entry in wanted if isinstance(wanted, list) else [wanted]:
        if isinstance(entry, dict) and entry.get("type") == "text" and entry.get("mime_type") == "application/json":
            return entry.get("schema", {})
    return None


def read_ask(body: JsonObject, *, legacy: bool, history: Iterable[Said] = ()) -> Ask:
    """Return what `body` asks for. `history` are the turns of earlier, stored interactions, oldest first.

    Pairs of a user's and a model's turn before the record are its examples; the record is the last user's turn that is
    not a repair. Earlier stored turns are no examples: what users said there belongs to the text.
    """
    turns = list(turns_of(body.get("input")))
    schema = requested_schema(body, legacy=legacy)
    earlier = list(history)
    asked = [index for index, turn in enumerate(turns) if turn.role == "user" and not is_repair(turn)]
    record = asked[-1] if asked else 0
    texts = [turn.text for turn in earlier if turn.role == "user"]
    texts += [turn.text for turn in turns[record : record + 1] if turn.role == "user"]
    generation = mapping(body.get("generation_config"))
    level, limit = generation.get("thinking_level"), generation.get("max_output_tokens")
    return Ask(
        kind=kind_of(body),
        schema=schema if isinstance(schema, dict) else None,
        system=system_text(body),
        text="\n\n".join(texts),
        examples=tuple(pairs_of(turns[:record])),
        input_tokens=tokens_of(body, schema, earlier + turns),
        thinking_level=level if isinstance(level, str) else None,
        max_output_tokens=limit if isinstance(limit, int) else None,
    )


def kind_of(body: JsonObject) -> Kind:
    """Return whether `body` goes on with an answer, asks for one to be corrected, or asks anew."""
    if body.get("continuation_token"):
        return "continue"
    given = body.get("input")
    newest = turns_of(given[-1:] if isinstance(given, list) else given)
    return "repair" if any(map(is_repair, newest)) else "ask"


def is_repair(turn: Said) -> bool:
    """Tell a turn that shows the model what was wrong with its answer."""
    return turn.role == "user" and turn.text.startswith(REPAIR_OPENING)


def pairs_of(turns: list[Said]) -> Iterator[tuple[str, str]]:
    """Yield each user's turn that the model answered, with that answer."""
    for one, after in zip(turns, turns[1:], strict=False):
        if one.role == "user" and after.role == "model":
            yield one.text, after.text


def system_text(body: JsonObject) -> str:
    """Return the system instruction, "" where there is none."""
    system = body.get("system_instruction")
    return system if isinstance(system, str) else ""


def tokens_of(body: JsonObject, schema: Any, turns: Iterable[Said]) -> dict[str, int]:
    """Return the input tokens by modality: system text, schema, tools and every turn."""
    tokens: Counter[str] = Counter(text=count_tokens(system_text(body)))
    tokens["text"] += sum(count_tokens(json.dumps(extra)) for extra in (schema, body.get("tools")) if extra)
    for turn in turns:
        tokens["text"] += -(-len(turn.text) // 4)
        for kind, number in turn.media.items():
            tokens[kind] += number * MEDIA_TOKENS
    return dict(tokens)


def turns_of(given: Any) -> Iterator[Said]:
    """Yield the turns of an `input`, in either dialect. What is neither text nor a known file is passed over."""
    if isinstance(given, list) and any(isinstance(one, dict) and is_turn(one) for one in given):
        for one in given:
            if isinstance(one, dict) and (role := role_of(one)):
                yield said(role, one.get("content"))
    else:
        yield said("user", [given] if isinstance(given, dict) else given)


def is_turn(one: JsonObject) -> bool:
    """Tell a step or a role turn from a bare content."""
    return "role" in one or "content" in one


def role_of(one: JsonObject) -> Literal["user", "model"] | None:
    """Return who said this step or turn, None where nobody did: thoughts, tool calls, results."""
    if one.get("type") == "user_input" or one.get("role") == "user":
        return "user"
    return "model" if one.get("type") == "model_output" or one.get("role") == "model" else None


def said(role: Literal["user", "model"], content: Any) -> Said:
    """Return one turn from its content: a string or a list of contents."""
    if isinstance(content, str):
        return Said(role, content)
    contents = [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []
    if len(contents) == 1 and isinstance(text := contents[0].get("text"), str):
        return Said(role, text)
    texts = [one["text"] for one in contents if one.get("type") == "text" and isinstance(one.get("text"), str)]
    media = Counter(one["type"] for one in contents if one.get("type") in ("image", "audio", "video", "document"))
    return Said(role, "\n".join(texts), media)


def mapping(value: Any) -> JsonObject:
    """Return `value` where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


class ExampleCache:
    """Returns the same tuple for equal examples, so that the reader's index of them is found again by a cheap key."""

    def __init__(self) -> None:
        self._known: dict[Examples, Examples] = {}

    def intern(self, examples: Examples) -> Examples:
        """Return the first tuple seen that equals `examples`."""
        if len(self._known) >= KEPT_EXAMPLE_SETS and examples not in self._known:
            self._known.clear()
        return self._known.setdefault(examples, examples)
