"""The scalar values (leaves) of an answer that a text can contain, with their JSON paths, grouped by object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any, TypeAlias

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from extract.documents.grounding.amount_names import names_amount
from extract.documents.grounding.labels import Labels, Node, is_label, is_machine_written, is_number
from extract.schema.keywords import element, member

__all__ = ["Group", "Leaf", "Quotable", "groups_of"]

#: The types that a text can contain; a datetime is a date.
Quotable: TypeAlias = str | int | float | Decimal | date | time


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value that a text can contain; `name` is the field's, "" at the root, `order` the index among all leaves.

    It is an `amount` where the field's type or name asks for a number, whatever the value is written as.
    """

    path: str
    name: str
    value: Quotable
    order: int
    amount: bool = False


@dataclass(slots=True, eq=False)
class Group:
    """The leaves of one object or list element; `parent` contains it, `previous` is the list element before it."""

    parent: Group | None = None
    previous: Group | None = None
    listed: bool = False
    leaves: list[Leaf] = field(default_factory=list)


def groups_of(value: Any, labels: Labels) -> list[Group]:
    """Return the leaves of a value by object, outer objects first, list elements in order.

    Booleans, nulls, labels, durations, bytes, blank texts and numbers that are not finite are left out.
    """
    walk = _Walk(labels)
    root = walk.open(None)
    walk.visit(value, "$", "", labels.top, root)
    return walk.groups


class _Walk:
    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.groups: list[Group] = []
        self.count = 0

    def open(self, parent: Group | None, previous: Group | None = None, *, listed: bool = False) -> Group:
        group = Group(parent, previous, listed)
        self.groups.append(group)
        return group

    def visit(self, value: Any, path: str, name: str, nodes: tuple[Node, ...], group: Group) -> None:
        value = _plain(value)
        if isinstance(value, Mapping):
            self.visit_members(value, path, nodes, group)
        elif isinstance(value, list | tuple):
            self.visit_elements(value, path, name, nodes, group)
        elif _can_stand(value) and not is_label(value, nodes) and not is_machine_written(nodes):
            amount = is_number(nodes) or names_amount(name)
            group.leaves.append(Leaf(path, name, value, self.count, amount))
            self.count += 1

    def visit_members(self, value: Mapping[Any, Any], path: str, nodes: tuple[Node, ...], group: Group) -> None:
        for key, item in value.items():
            below = self.labels.below(nodes, str(key))
            inner = self.open(group, listed=group.listed) if _has_members(item) else group
            self.visit(item, member(path, str(key)), str(key), below, inner)

    def visit_elements(
        self, value: list[Any] | tuple[Any, ...], path: str, name: str, nodes: tuple[Node, ...], group: Group
    ) -> None:
        previous: Group | None = None
        for index, item in enumerate(value):
            previous = self.open(group, previous, listed=True)
            self.visit(item, element(path, index), name, self.labels.below(nodes, index), previous)


def _has_members(item: Any) -> bool:
    return isinstance(item, Mapping | BaseModel)


def _plain(value: Any) -> Any:
    """Return texts, numbers and dates unchanged, containers as a mapping or list, all else as plain JSON."""
    if value is None or isinstance(value, Enum):
        return None
    if isinstance(value, str | int | float | Decimal | date | time | Mapping | list | tuple):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True)
    if isinstance(value, set | frozenset):
        return list(value)
    return to_jsonable_python(value, fallback=str)


def _can_stand(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return False
    if isinstance(value, str):
        return bool(value.strip())
    return isfinite(value) if isinstance(value, float | Decimal) else True
