"""Members that a JSON Schema allows without naming them, and that no column holds: where, and in which values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from extract.json_types import JsonObject
from extract.schema.keywords import LOST

__all__ = ["COUNTS_MEMBERS", "Unnamed", "in_any", "in_items", "in_members", "in_parts", "in_record", "is_closed"]

#: Keywords by which members that are not named may make a value valid; without them it may not be.
COUNTS_MEMBERS: Final = frozenset({
    "anyOf", "oneOf", "not", "if", "dependencies", "dependentRequired", "dependentSchemas", "minProperties",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unnamed:
    """The JSON paths of objects whose unnamed members are dropped, and the check whether a value has such members."""

    paths: tuple[str, ...]
    found_in: Callable[[Any], bool]


def in_record(
    names: Collection[str], members: Sequence[tuple[str, Unnamed | None]], dropped_at: str | None
) -> Unnamed | None:
    """Return the unnamed members of an object: its own, if `dropped_at` is its path, and those of its members."""
    inner = [(name, unnamed) for name, unnamed in members if unnamed is not None]
    if dropped_at is None and not inner:
        return None
    known, checks = frozenset(names), [(name, unnamed.found_in) for name, unnamed in inner]
    is_open = dropped_at is not None

    def found_in(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        if is_open and not value.keys() <= known:
            return True
        return any(check(value.get(name)) for name, check in checks)

    own = () if dropped_at is None else (dropped_at,)
    return Unnamed(_joined(own, *(unnamed.paths for _, unnamed in inner)), found_in)


def in_items(item: Unnamed | None) -> Unnamed | None:
    """Return the unnamed members of the items of a list."""
    if item is None:
        return None
    check = item.found_in
    return Unnamed(item.paths, lambda value: isinstance(value, list) and any(map(check, value)))


def in_members(member: Unnamed | None) -> Unnamed | None:
    """Return the unnamed members of the values of an object of any members."""
    if member is None:
        return None
    check = member.found_in
    return Unnamed(member.paths, lambda value: isinstance(value, dict) and any(map(check, value.values())))


def in_any(alternatives: Sequence[Unnamed | None], choose: Callable[[Any], int]) -> Unnamed | None:
    """Return the unnamed members of the alternative that `choose` gives for a value."""
    if not any(alternatives):
        return None
    paths = _joined(*(one.paths for one in alternatives if one is not None))

    def found_in(value: Any) -> bool:
        one = None if value is None else alternatives[choose(value)]
        return one is not None and one.found_in(value)

    return Unnamed(paths, found_in)


def in_parts(parts: Sequence[Unnamed | None]) -> Unnamed | None:
    """Return the unnamed members of the parts of a list of fixed length."""
    if not any(parts):
        return None
    checks = [(place, part.found_in) for place, part in enumerate(parts) if part is not None]
    paths = _joined(*(part.paths for part in parts if part is not None))
    return Unnamed(paths, lambda value: isinstance(value, list) and any(check(value[place]) for place, check in checks))


def is_closed(node: JsonObject) -> bool:
    """Whether `unevaluatedProperties` forbids all members that the node itself does not name."""
    judged_elsewhere = any(keyword in node for keyword in (LOST, "if", "dependentSchemas"))
    return node.get("unevaluatedProperties") == {"not": {}} and not judged_elsewhere


def _joined(*paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for some in paths for path in some))
