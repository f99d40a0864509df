"""What a create request says: its turns, the examples among them, the record, and its size in tokens."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from extract.extractor.prompts import REPAIR_OPENING
from extract.json_types import JsonObject

__all__ = [
    "CHARACTERS_PER_TOKEN",
    "Ask",
    "Examples",
    "Kind",
    "Opening",
    "Said",
    "acts",
    "count_tokens",
    "is_turn",
    "kind_of",
    "mapping",
    "objects",
    "read_ask",
    "read_opening",
    "requested_schema",
    "split_input",
    "turns_of",
]

Kind: TypeAlias = Literal["ask", "repair", "continue"]
Examples: TypeAlias = tuple[tuple[str, str], ...]

CHARACTERS_PER_TOKEN = 4
MEDIA_TOKENS = 258
"""Tokens of one image, page, or other file, whatever its size."""


MEDIA_KINDS = ("image", "audio", "video", "document")
NO_MEDIA: Mapping[str, int] = MappingProxyType({})


class Said(NamedTuple):
    """One side's turn: its text and how many files of each kind stood beside it."""

    role: Literal["user", "model"]
    text: str
    media: Mapping[str, int] = NO_MEDIA


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
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def requested_schema(body: JsonObject, *, legacy: bool) -> Any:
    """Return the JSON Schema that the answer must fit, None where plain text was asked for."""
    wanted = body.get("response_format")
    if legacy:
        return wanted
    for entry in wanted if isinstance(wanted, list) else [wanted]:
        if isinstance(entry, dict) and entry.get("type") == "text" and entry.get("mime_type") == "application/json":
            return entry.get("schema", {})
    return None


class Opening(NamedTuple):
    """What stands before the last item of an input: its turns, the examples among them, their tokens by modality.

    `acted` tells whether there are thoughts, calls or results among them.
    """

    turns: tuple[Said, ...] = ()
    examples: Examples = ()
    tokens: Mapping[str, int] = NO_MEDIA
    acted: bool = False


def split_input(given: Any) -> tuple[list[Any], Any]:
    """Return the steps or turns of an input but the last, and the last as an input of its own.

    Where the last item is no turn (a content beside others, a tool's result) nothing is split off.
    """
    if isinstance(given, list) and given and is_turn(given[-1]):
        return given[:-1], given[-1:]
    return [], given


def read_opening(items: list[Any]) -> Opening:
    """Return what `items`, the beginning of an input, say."""
    turns = tuple(turns_in(items))
    return Opening(turns, tuple(pairs_of(turns)), tokens_of(turns, {}), any(map(acts, items)))


def acts(one: Any) -> bool:
    """Tell a step that nobody said, or a role turn that holds one: thoughts, tool calls, results."""
    if not isinstance(one, dict):
        return False
    if "role" not in one:
        return "content" not in one and one.get("type") not in (*MEDIA_KINDS, "text")
    content = one.get("content")
    return isinstance(content, list) and any(map(acts, content))


def read_ask(
    body: JsonObject,
    opening: Opening,
    schema: JsonObject | None,
    *,
    schema_tokens: int = 0,
    history: tuple[Said, ...] = (),
) -> Ask:
    """Return what `body` asks for. `history` are the turns of earlier, stored interactions, oldest first.

    Pairs of a user's and a model's turn before the record are its examples; the record is the last user's turn that is
    not a repair. Earlier stored turns are no examples: what users said there belongs to the text.
    """
    newest = tuple(turns_of(split_input(body.get("input"))[1]))
    turns = (*opening.turns, *newest)
    record = next((index for index in reversed(range(len(turns))) if is_record(turns[index])), 0)
    texts = [turn.text for turn in (*history, *turns[record : record + 1]) if turn.role == "user"]
    generation = mapping(body.get("generation_config"))
    level, limit = generation.get("thinking_level"), generation.get("max_output_tokens")
    tokens = tokens_of((*history, *newest), dict(opening.tokens))
    tokens["text"] += schema_tokens + instruction_tokens(body)
    return Ask(
        kind=kind_of(body),
        schema=schema,
        system=system_text(body),
        text="\n\n".join(texts),
        examples=opening.examples if record == len(opening.turns) else tuple(pairs_of(turns[:record])),
        input_tokens=tokens,
        thinking_level=level if isinstance(level, str) else None,
        max_output_tokens=limit if isinstance(limit, int) else None,
    )


def kind_of(body: JsonObject) -> Kind:
    """Return whether `body` goes on with an answer, asks for one to be corrected, or asks anew."""
    if body.get("continuation_token"):
        return "continue"
    newest = turns_of(split_input(body.get("input"))[1])
    return "repair" if any(map(is_repair, newest)) else "ask"


def is_repair(turn: Said) -> bool:
    """Tell a turn that shows the model what was wrong with its answer."""
    return turn.role == "user" and turn.text.startswith(REPAIR_OPENING)


def is_record(turn: Said) -> bool:
    """Tell a user's turn that asks for an answer of its own; one that only brings results does not."""
    return turn.role == "user" and bool(turn.text or turn.media) and not is_repair(turn)


def pairs_of(turns: Sequence[Said]) -> Iterator[tuple[str, str]]:
    """Yield each user's turn that the model answered, with that answer."""
    for one, after in pairwise(turns):
        if one.role == "user" and after.role == "model" and after.text:
            yield one.text, after.text


def system_text(body: JsonObject) -> str:
    """Return the system instruction, "" where there is none."""
    system = body.get("system_instruction")
    return system if isinstance(system, str) else ""


def instruction_tokens(body: JsonObject) -> int:
    """Return the tokens of the system instruction and the tools."""
    tools = body.get("tools")
    return count_tokens(system_text(body)) + (count_tokens(json.dumps(tools)) if tools else 0)


def tokens_of(turns: Iterable[Said], counted: dict[str, int]) -> dict[str, int]:
    """Return the tokens of `turns` by modality, added to those already `counted`."""
    tokens = {"text": 0} | counted
    for turn in turns:
        tokens["text"] += count_tokens(turn.text)
        for kind, number in turn.media.items():
            tokens[kind] = tokens.get(kind, 0) + number * MEDIA_TOKENS
    return tokens


def turns_of(given: Any) -> Iterator[Said]:
    """Yield the turns of an `input`, in either dialect. What is neither text nor a known file is passed over."""
    if isinstance(given, list) and any(map(is_turn, given)):
        yield from turns_in(given)
    elif given is not None:
        yield said("user", [given] if isinstance(given, dict) else given)


def turns_in(items: list[Any]) -> Iterator[Said]:
    """Yield the turns among steps or role turns."""
    for one in items:
        if isinstance(one, dict) and (role := role_of(one)):
            yield said(role, one.get("content"))


def is_turn(one: Any) -> bool:
    """Tell a step or a role turn from a bare content."""
    return isinstance(one, dict) and ("role" in one or "content" in one)


def role_of(one: JsonObject) -> Literal["user", "model"] | None:
    """Return who said this step or turn, None where nobody did: thoughts, tool calls, results."""
    if one.get("type") == "user_input" or one.get("role") == "user":
        return "user"
    return "model" if one.get("type") == "model_output" or one.get("role") == "model" else None


def said(role: Literal["user", "model"], content: Any) -> Said:
    """Return one turn from its content: a string or a list of contents."""
    if isinstance(content, str):
        return Said(role, content)
    # Most turns are one piece of text, and a few-shot request has hundreds of them.
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        text = content[0].get("text")
        if isinstance(text, str):
            return Said(role, text)
    contents = [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []
    texts = [one["text"] for one in contents if one.get("type") == "text" and isinstance(one.get("text"), str)]
    media = Counter(one["type"] for one in contents if one.get("type") in MEDIA_KINDS)
    return Said(role, "\n".join(texts), media)


def mapping(value: Any) -> JsonObject:
    """Return `value` where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[JsonObject]:
    """Return the objects in `value` where it is a list, else none."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
