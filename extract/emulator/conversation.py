"""A create request parsed: its turns, the examples among them, the record, and its size in tokens."""

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
    "Examples",
    "InputPrefix",
    "Kind",
    "ParsedRequest",
    "Turn",
    "count_tokens",
    "is_action",
    "is_turn",
    "kind_of",
    "mapping",
    "objects",
    "parse_request",
    "read_prefix",
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


class Turn(NamedTuple):
    """One turn of the user or the model: its text and how many files of each kind are beside it."""

    role: Literal["user", "model"]
    text: str
    media: Mapping[str, int] = NO_MEDIA


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRequest:
    """A create request as the reader gets it: `text` is the record, `input_tokens` is by modality."""

    kind: Kind
    schema: JsonObject | None
    system: str
    text: str
    examples: Examples
    input_tokens: Mapping[str, int]
    thinking_level: str | None = None
    max_output_tokens: int | None = None


def count_tokens(text: str) -> int:
    """Return the tokens of a text: one per four characters, rounded up. No tokeniser of a model is like it."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def requested_schema(body: JsonObject, *, legacy: bool) -> Any:
    """Return the JSON Schema that the answer must fit, None where plain text is requested."""
    wanted = body.get("response_format")
    if legacy:
        return wanted
    for entry in wanted if isinstance(wanted, list) else [wanted]:
        if isinstance(entry, dict) and entry.get("type") == "text" and entry.get("mime_type") == "application/json":
            return entry.get("schema", {})
    return None


class InputPrefix(NamedTuple):
    """The items of an input before the last: their turns, the examples among them, their tokens by modality.

    `has_actions` tells whether there are thoughts, calls or results among them.
    """

    turns: tuple[Turn, ...] = ()
    examples: Examples = ()
    tokens: Mapping[str, int] = NO_MEDIA
    has_actions: bool = False


def split_input(given: Any) -> tuple[list[Any], Any]:
    """Return the steps or turns of an input before the last, and an input of the last alone.

    Where the last item is no turn (a content beside others, a tool's result) the input stays whole.
    """
    if isinstance(given, list) and given and is_turn(given[-1]):
        return given[:-1], given[-1:]
    return [], given


def read_prefix(items: list[Any]) -> InputPrefix:
    """Return `items`, the beginning of an input, as a prefix."""
    turns = tuple(turns_in(items))
    return InputPrefix(turns, tuple(pairs_of(turns)), tokens_of(turns, {}), any(map(is_action, items)))


def is_action(one: Any) -> bool:
    """Return whether an item is a thought, a tool call or a result, or a role turn that contains one."""
    if not isinstance(one, dict):
        return False
    if "role" not in one:
        return "content" not in one and one.get("type") not in (*MEDIA_KINDS, "text")
    content = one.get("content")
    return isinstance(content, list) and any(map(is_action, content))


def parse_request(
    body: JsonObject,
    opening: InputPrefix,
    schema: JsonObject | None,
    *,
    schema_tokens: int = 0,
    history: tuple[Turn, ...] = (),
) -> ParsedRequest:
    """Return `body` parsed. `history` are the turns of earlier, stored interactions, oldest first.

    The record is the last turn of the user that is not a repair; pairs of a user's and a model's turn before it are its
    examples. The turns of stored interactions are no examples: the user's words in them belong to the text.
    """
    newest = tuple(turns_of(split_input(body.get("input"))[1]))
    turns = (*opening.turns, *newest)
    record = next((index for index in reversed(range(len(turns))) if is_record(turns[index])), 0)
    texts = [turn.text for turn in (*history, *turns[record : record + 1]) if turn.role == "user"]
    generation = mapping(body.get("generation_config"))
    level, limit = generation.get("thinking_level"), generation.get("max_output_tokens")
    tokens = tokens_of((*history, *newest), dict(opening.tokens))
    tokens["text"] += schema_tokens + instruction_tokens(body)
    return ParsedRequest(
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
    """Return whether `body` continues an answer, requests a correction of one, or requests a new one."""
    if body.get("continuation_token"):
        return "continue"
    newest = turns_of(split_input(body.get("input"))[1])
    return "repair" if any(map(is_repair, newest)) else "ask"


def is_repair(turn: Turn) -> bool:
    """Return whether a turn shows the model what was wrong with its answer."""
    return turn.role == "user" and turn.text.startswith(REPAIR_OPENING)


def is_record(turn: Turn) -> bool:
    """Return whether a turn is the user's and requests an answer; one that only brings results does not."""
    return turn.role == "user" and bool(turn.text or turn.media) and not is_repair(turn)


def pairs_of(turns: Sequence[Turn]) -> Iterator[tuple[str, str]]:
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


def tokens_of(turns: Iterable[Turn], counted: dict[str, int]) -> dict[str, int]:
    """Return the tokens of `turns` by modality, added to those already `counted`."""
    tokens = {"text": 0} | counted
    for turn in turns:
        tokens["text"] += count_tokens(turn.text)
        for kind, number in turn.media.items():
            tokens[kind] = tokens.get(kind, 0) + number * MEDIA_TOKENS
    return tokens


def turns_of(given: Any) -> Iterator[Turn]:
    """Yield the turns of an `input`, in either dialect, without what is neither text nor a known file."""
    if isinstance(given, list) and any(map(is_turn, given)):
        yield from turns_in(given)
    elif given is not None:
        yield make_turn("user", [given] if isinstance(given, dict) else given)


def turns_in(items: list[Any]) -> Iterator[Turn]:
    """Yield the turns among steps or role turns."""
    for one in items:
        if isinstance(one, dict) and (role := role_of(one)):
            yield make_turn(role, one.get("content"))


def is_turn(one: Any) -> bool:
    """Return whether an item is a step or a role turn, not a bare content."""
    return isinstance(one, dict) and ("role" in one or "content" in one)


def role_of(one: JsonObject) -> Literal["user", "model"] | None:
    """Return whose step or turn this is, None for thoughts, tool calls and results."""
    if one.get("type") == "user_input" or one.get("role") == "user":
        return "user"
    return "model" if one.get("type") == "model_output" or one.get("role") == "model" else None


def make_turn(role: Literal["user", "model"], content: Any) -> Turn:
    """Return one turn from its content: a string or a list of contents."""
    if isinstance(content, str):
        return Turn(role, content)
    # Most turns are one piece of text, and a few-shot request has hundreds of them.
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        text = content[0].get("text")
        if isinstance(text, str):
            return Turn(role, text)
    contents = [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []
    texts = [one["text"] for one in contents if one.get("type") == "text" and isinstance(one.get("text"), str)]
    media = Counter(one["type"] for one in contents if one.get("type") in MEDIA_KINDS)
    return Turn(role, "\n".join(texts), media)


def mapping(value: Any) -> JsonObject:
    """Return `value` where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[JsonObject]:
    """Return the objects in `value` where it is a list, else none."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
