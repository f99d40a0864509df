"""Nested unions and recursion: the reader's work grows with the schema, and never stops the loop of its client."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from clocks import cpu_bound
from jsonschema import Draft202012Validator

from extract import AsyncClient, Emulator, Request
from extract.emulator.reader import RuleReader
from extract.testing import running_server

TEXT = "Name: Acme Ltd\nLeaf: green\nTotal: 12.50 EUR\n"
OBJECT = {"type": "object"}


def object_of(title: str = "", **properties: Any) -> dict[str, Any]:
    return {**OBJECT, "title": title, "properties": properties, "required": list(properties)}


def shared(depth: int, branches: int) -> dict[str, Any]:
    """Unions in unions, each level defined once: the ways through them multiply."""
    levels = {"N0": object_of(leaf={"type": "string"})}
    for level in range(1, depth + 1):
        below = {"$ref": f"#/$defs/N{level - 1}"}
        levels[f"N{level}"] = object_of(p={"anyOf": [object_of(f"T{n}", q=below) for n in range(branches)]})
    return {"$ref": f"#/$defs/N{depth}", "$defs": levels}


def written_out(depth: int, branches: int) -> dict[str, Any]:
    node = object_of(leaf={"type": "string"})
    for _ in range(depth):
        node = object_of(
            kind={"anyOf": [object_of(f"B{n}", name={"type": "string"}, next=node) for n in range(branches)]}
        )
    return node


def bare(depth: int, branches: int) -> dict[str, Any]:
    node: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        node = {
            "anyOf": [node, *(object_of(f"O{n}", x=node if n == 1 else {"type": "string"}) for n in range(1, branches))]
        }
    return object_of(v=node)


def expressions(operators: int) -> dict[str, Any]:
    """A union of operators whose operands are the union again."""
    either = {"$ref": "#/$defs/E"}
    each = {f"O{n}": object_of(left=either, right=either) for n in range(operators)}
    union = {"anyOf": [{"type": "number"}, *({"$ref": f"#/$defs/{name}"} for name in each)]}
    return {"$ref": "#/$defs/E", "$defs": {"E": union, **each}}


def mutual(count: int) -> dict[str, Any]:
    """Objects that may each contain all others: the orders in which they can be nested multiply."""
    members = {f"m{n}": {"$ref": f"#/$defs/M{n}"} for n in range(count)}
    nodes = {f"M{n}": {**OBJECT, "properties": {"leaf": {"type": "string"}, **members}} for n in range(count)}
    return {"$ref": "#/$defs/M0", "$defs": nodes}


def doubled(depth: int) -> dict[str, Any]:
    nodes: dict[str, Any] = {f"M{depth}": {"type": "string"}}
    for level in range(depth):
        below = {"$ref": f"#/$defs/M{level + 1}"}
        nodes[f"M{level}"] = {**OBJECT, "properties": {"p": below, "q": below}}
    return {"$ref": "#/$defs/M0", "$defs": nodes}


def several(unions: int) -> dict[str, Any]:
    """A value that must fit a branch of each of several unions: their combinations multiply."""
    each = [
        {"anyOf": [{**OBJECT, "properties": {f"x{n}_{m}": {"type": "string"}}} for m in range(4)]}
        for n in range(unions)
    ]
    return object_of(v={"allOf": each})


SCHEMAS = {
    "unions defined once": shared(8, 8),
    "many unions defined once": shared(30, 8),
    "unions written out": written_out(6, 3),
    "bare unions": bare(8, 8),
    "expressions": expressions(12),
    "mutual": mutual(12),
    "doubled": doubled(40),
    "several unions": several(10),
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_nested_choices_are_read_in_no_time(name: str) -> None:
    schema = SCHEMAS[name]
    with cpu_bound(10):  # most take hundredths of a second, the longest half of one; each took minutes or years
        answer = json.loads(RuleReader().read(schema, TEXT))
    assert answer is None or Draft202012Validator(schema).is_valid(answer)


def test_the_branch_that_the_record_supports_is_taken_at_every_level() -> None:
    leaf = {"anyOf": [object_of("Car", plate={"type": "string"}), object_of("Boat", sail={"type": "string"})]}
    schema = object_of(a={"anyOf": [object_of("X", nothing={"type": "string"}), object_of("Y", vehicle=leaf)]})
    answer = json.loads(RuleReader().read(schema, "Sail: red\n"))
    assert answer == {"a": {"vehicle": {"sail": "red"}}}


class PatientReader:
    """A reader that answers only once the loop of its client has gone on."""

    def __init__(self) -> None:
        self.began, self.released = threading.Event(), threading.Event()

    def read(self, schema: Any, text: str, examples: Sequence[tuple[str, str]] = (), *, system: str = "") -> str:
        self.began.set()
        assert self.released.wait(20), "the loop stood still while the record was read"
        return '{"name": "Acme"}'


SCHEMA = object_of(name={"type": "string"})
LONG = Request(model="gemini-3.5-flash-lite", input="word " * 5_000, schema=SCHEMA)


async def test_a_long_record_is_read_beside_the_loop() -> None:
    reader = PatientReader()
    async with AsyncClient("key", transport=Emulator(reader=reader).transport) as client:
        asking = asyncio.create_task(client.create(LONG))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(reader.released.set)
        assert (await asking).text == '{"name": "Acme"}'


async def test_a_request_that_is_given_up_is_in_flight_until_its_reading_ends() -> None:
    reader = PatientReader()
    emulator = Emulator(reader=reader)
    async with AsyncClient("key", transport=emulator.transport) as client:
        asking = asyncio.create_task(client.create(LONG))
        await asyncio.to_thread(reader.began.wait, 20)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert emulator.stats()["in_flight"] == 1
        reader.released.set()
        for _ in range(100_000):
            if not emulator.stats()["in_flight"]:
                return
            await asyncio.sleep(0)
        pytest.fail("the request is still in flight")


def test_a_server_answers_others_while_it_reads() -> None:
    reader = PatientReader()
    with running_server(Emulator(reader=reader)) as url:
        done = threading.Thread(target=lambda: post(url, "word " * 5_000))
        done.start()
        assert reader.began.wait(20)
        assert httpx.get(f"{url}/stats").json()["in_flight"] == 1
        reader.released.set()
        done.join()


def post(url: str, text: str) -> None:
    form = [{"type": "text", "mime_type": "application/json", "schema": SCHEMA}]
    body = {"model": "gemini-3.5-flash-lite", "input": text, "response_format": form}
    headers = {"x-goog-api-key": "key", "api-revision": "2026-05-20"}
    assert httpx.post(f"{url}/v1beta/interactions", json=body, headers=headers).status_code == 200
