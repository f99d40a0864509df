"""What can go wrong with the answer to several rows, beside what can go wrong with any answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from pydantic_core import from_json

from extract.emulator.responses import Reply
from extract.json_types import JsonObject

__all__ = ["PACK_FAULTS"]

Items = list[Any]


def _altering(change: Callable[[Items, Random], Items]) -> Callable[[Reply, JsonObject | None], Reply]:
    """Return an `alter` of the items of an answer to several rows; any other answer stays as it is."""

    def alter(reply: Reply, schema: JsonObject | None) -> Reply:  # noqa: ARG001 - every alter has this signature
        items = _items(reply)
        if items is None:
            return reply
        changed = change(items, Random(reply.text))  # noqa: S311 - the same answer goes wrong in the same way
        return replace(reply, text=json.dumps({"rows": changed}, ensure_ascii=False))

    return alter


def _items(reply: Reply) -> Items | None:
    try:
        value = from_json(reply.text)
    except ValueError:
        return None
    rows = value.get("rows") if isinstance(value, dict) else None
    is_pack = isinstance(rows, list) and rows and all(isinstance(row, dict) and "tag" in row for row in rows)
    return rows if is_pack else None


def _missing(items: Items, random: Random) -> Items:
    left_out = random.randrange(len(items))
    return [item for place, item in enumerate(items) if place != left_out and random.random() > 0.2]


def _double(items: Items, random: Random) -> Items:
    """Answer a row twice, the second time with what belongs to another."""
    twice, other = random.choice(items), random.choice(items)
    return [*items, {**twice, "answer": other["answer"]}]


def _swap(items: Items, random: Random) -> Items:
    return random.sample(items, len(items))


def _alien(items: Items, random: Random) -> Items:
    return [{**item, "tag": f"{random.getrandbits(24):06x}"} for item in items]


def _extra(items: Items, random: Random) -> Items:
    first = items[0]
    numbers: list[Any] = [0, -1, len(items) + 1, 10**6, 1.5, None, "two"]
    return random.sample(
        [*items, *({**first, "n": number, "tag": "none"} for number in numbers), None, 7], len(items) + 9
    )


def _cut(reply: Reply, schema: JsonObject | None) -> Reply:  # noqa: ARG001 - as above
    if _items(reply) is None:
        return reply
    return replace(reply, status="incomplete", text=reply.text[: len(reply.text) * 2 // 3])


PACK_FAULTS: dict[str, tuple[str, Callable[[Reply, JsonObject | None], Reply]]] = {
    "pack_missing": ("several rows: some of them have no answer", _altering(_missing)),
    "pack_double": ("several rows: one has two answers, the second that of another row", _altering(_double)),
    "pack_swap": ("several rows: in another order, each under its own tag", _altering(_swap)),
    "pack_alien": ("several rows: the answer of another request", _altering(_alien)),
    "pack_extra": ("several rows: items for rows that there are not", _altering(_extra)),
    "pack_cut": ("several rows: cut at the output limit", _cut),
}
