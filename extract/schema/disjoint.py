"""Whether alternatives exclude each other, as far as their types and fixed values tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from extract.json_types import JsonObject
from extract.schema.keywords import types_of

__all__ = ["disjoint", "member_node"]


def disjoint(branches: Sequence[JsonObject], resolve: Callable[[JsonObject], JsonObject | None]) -> bool:
    """Whether it is certain that no value fits two of the branches; False where that is not easy to see."""
    nodes = []
    for branch in branches:
        if (node := resolve(branch)) is None:
            return False
        nodes.append(_Alternative.of(node))
    # Mostly one look tells: all have fixed values, or one member of all has, and no value occurs twice. Else pairs.
    return _all_apart(nodes) or all(_are_disjoint(a, b) for a, b in combinations(nodes, 2))


def member_node(node: JsonObject, name: str) -> JsonObject:
    """Return the node that applies to the member `name`, declared or additional."""
    declared = node.get("properties", {}).get(name)
    member: JsonObject = node.get("additionalProperties", {}) if declared is None else declared
    return member


@dataclass(frozen=True, slots=True)
class _Alternative:
    """What tells an alternative from others: its types, its values if they are fixed, those of required members."""

    types: frozenset[str]
    values: list[Any] | None
    fixed: dict[str, list[Any]]

    @classmethod
    def of(cls, node: JsonObject) -> _Alternative:
        # 5 and 5.0 are one value in JSON: integer and number overlap.
        types = frozenset("number" if name == "integer" else name for name in types_of(node))
        members = {name: member_node(node, name).get("enum") for name in node.get("required", ())}
        return cls(types, node.get("enum"), {name: values for name, values in members.items() if values})

    @property
    def is_object(self) -> bool:
        return self.types == {"object"}


def _all_apart(nodes: Sequence[_Alternative]) -> bool:
    if all(node.is_object for node in nodes):
        shared = set.intersection(*(set(node.fixed) for node in nodes)) if nodes else set()
        return any(_is_unique(node.fixed[name] for node in nodes) for name in shared)
    return not any(node.is_object for node in nodes) and _is_unique(node.values for node in nodes)


def _is_unique(lists: Iterable[list[Any] | None]) -> bool:
    """Whether no value stands in two of the lists; False where one is missing, or has values without a hash."""
    seen: set[Any] = set()
    for values in lists:
        try:
            known = set(values or ())
        except TypeError:
            return False
        if values is None or known & seen:
            return False
        seen |= known
    return True


def _are_disjoint(first: _Alternative, second: _Alternative) -> bool:
    if first.types and second.types and not first.types & second.types:
        return True
    if not (first.is_object and second.is_object):
        return first.values is not None and second.values is not None and not _overlap(first.values, second.values)
    # Objects are apart if some required member has different fixed values in each, as a discriminator has.
    return any(not _overlap(first.fixed[name], second.fixed[name]) for name in first.fixed.keys() & second.fixed.keys())


def _overlap(first: list[Any], second: list[Any]) -> bool:
    return any(value in second for value in first)
