"""One interaction out of several: an answer that came in parts, and the tokens of all of them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from extract.interactions.interaction import Interaction
from extract.json_types import JsonObject

__all__ = ["merge"]


def merge(first: Interaction, then: Interaction) -> Interaction:
    """Join an interaction with its continuation: steps one after the other, usage added up, the rest from the later."""
    usage = first.usage + then.usage if first.usage and then.usage else None
    raw = then.raw | {"steps": [*first.steps, *then.steps]}
    raw.pop("usage", None)  # unknown for one hop is unknown for both: a sum of the rest would pass for the whole
    if usage is not None:
        counted = {f"total_{item.name}": getattr(usage, item.name) for item in fields(usage)}
        raw["usage"] = counted | _further_counts(*(_object(hop.raw.get("usage")) for hop in (first, then)))
    return replace(then, steps=(*first.steps, *then.steps), usage=usage, raw=raw, body=b"")


def _further_counts(first: JsonObject, then: JsonObject) -> JsonObject:
    """Add up what a usage counts besides the tokens that are billed. A total is known only where both have one."""
    totals = [usage.get("total_tokens") for usage in (first, then)]
    further: JsonObject = {"total_tokens": sum(totals)} if all(type(number) is int for number in totals) else {}
    for name in dict.fromkeys((*first, *then)):
        if name.endswith("_tokens_by_modality"):
            further[name] = _by_kind("modality", "tokens", first.get(name), then.get(name))
        elif name == "grounding_tool_count":
            further[name] = _by_kind("type", "count", first.get(name), then.get(name))
    return further


def _by_kind(kind: str, number: str, *lists: Any) -> list[JsonObject]:
    """Add up the numbers of each kind over lists of objects."""
    sums: dict[str, int] = {}
    for item in (item for some in lists if isinstance(some, list) for item in map(_object, some)):
        if isinstance(item.get(kind), str) and type(item.get(number)) is int:
            sums[item[kind]] = sums.get(item[kind], 0) + item[number]
    return [{kind: name, number: total} for name, total in sums.items()]


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}
