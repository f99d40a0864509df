"""Requests that ask about several rows: each row is answered as if it had come alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json

from extract.emulator.conversation import mapping, objects
from extract.json_types import JsonObject

__all__ = ["PackedRow", "answer_schema", "answers_of", "single_body", "whole_answer", "with_examples_apart"]

_BLOCK = re.compile(r"^<row (\d+) (\S+)>\n(.*?)\n</row \2>$", re.MULTILINE | re.DOTALL)
_MEMBERS = {"n", "tag", "answer"}
_VALUE = "value"


_OWN_EXAMPLES = re.compile(r"Examples like this row:\n\n(.*)\n\nThis row:\n(.*)", re.DOTALL)
_EXAMPLE = re.compile(r"(.*?)\nAnswer: ([^\n]*)(?:\n\n|$)", re.DOTALL)


class PackedRow(NamedTuple):
    """A row of a request: its number and tag, its text, and the examples that stand before it."""

    n: int
    tag: str
    text: str
    examples: tuple[tuple[str, str], ...] = ()


def answer_schema(schema: JsonObject | None) -> JsonObject | None:
    """Return the schema of the answer to one row, None where the schema is not one of several rows.

    A row's answer that is no object is the member `value` of one.
    """
    item = mapping(mapping(mapping(mapping(schema).get("properties")).get("rows")).get("items"))
    members = mapping(item.get("properties"))
    if members.keys() != _MEMBERS:
        return None
    answer = mapping(members["answer"])
    definitions = {"$defs": mapping(schema)["$defs"]} if "$defs" in mapping(schema) else {}
    if answer.get("type") == "object" or "properties" in answer:
        return answer | definitions
    return {"type": "object", "properties": {_VALUE: answer}, "required": [_VALUE], **definitions}


def rows_in(text: str) -> list[PackedRow]:
    """Return the rows of a text in their order."""
    return [_row(int(number), tag, block) for number, tag, block in _BLOCK.findall(text)]


def _row(number: int, tag: str, block: str) -> PackedRow:
    own = _OWN_EXAMPLES.fullmatch(block)
    if own is None:
        return PackedRow(number, tag, block)
    pairs = [(prompt, answer) for prompt, answer in _EXAMPLE.findall(own[1])]
    return PackedRow(number, tag, own[2], tuple(pairs))


def whole_answer(text: str, schema: JsonObject, read: Callable[[PackedRow], str]) -> str:
    """Return the answer to all rows of a text; `read` gives the JSON text for one."""
    inner = _is_inner(schema)
    items = [{"n": row.n, "tag": row.tag, "answer": _unwrapped(_value(read(row)), inner)} for row in rows_in(text)]
    return json.dumps({"rows": items}, ensure_ascii=False)


def with_examples_apart(examples: Sequence[tuple[str, str]], schema: JsonObject) -> tuple[tuple[str, str], ...]:
    """Return examples one by one, also those that stand in one turn."""
    return tuple(pair for user, answer in examples for pair in _apart(user, answer, inner=_is_inner(schema)))


def _apart(user: str, answer: str, *, inner: bool) -> Iterator[tuple[str, str]]:
    items = objects(mapping(_value(answer)).get("rows"))
    answers = {item.get("tag"): item.get("answer") for item in items}
    for row in rows_in(user):
        if row.tag in answers:
            value = answers[row.tag]
            yield row.text, json.dumps({_VALUE: value} if inner else value, ensure_ascii=False)


def single_body(body: JsonObject, row: PackedRow) -> JsonObject:
    """Return a request about one row alone, for a scripted answer: its last turn is the row's text."""
    given = body.get("input")
    *before, last = given if isinstance(given, list) else [given]
    content = [{"type": "text", "text": row.text}]
    turn = {**last, "content": content} if isinstance(last, dict) and "content" in last else {"content": content}
    return {**body, "input": [*before, turn]}


def answers_of(body: JsonObject, schema: JsonObject, text: str, answer: Callable[[JsonObject], Any]) -> Any:
    """Return the scripted answer to all rows; one that is no JSON, such as a fault, answers the whole request."""
    given = {row: answer(single_body(body, row)) for row in rows_in(text)}
    other = next((one for one in given.values() if not isinstance(one, str | dict | list)), None)
    if other is not None:
        return other
    return whole_answer(text, schema, lambda row: _as_text(given[row]))


def _as_text(answer: Any) -> str:
    return answer if isinstance(answer, str) else json.dumps(answer)


def _is_inner(schema: JsonObject) -> bool:
    """True where a row's answer is the value of the member `value`, without the object around it."""
    item = schema["properties"]["rows"]["items"]["properties"]["answer"]
    return not (mapping(item).get("type") == "object" or "properties" in mapping(item))


def _unwrapped(value: Any, inner: bool) -> Any:
    return value[_VALUE] if inner and isinstance(value, dict) and value.keys() == {_VALUE} else value


def _value(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return text
