"""The form of an answer, as data: a tree of fields that a page can draw without knowing JSON Schema."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from extract.json_types import JsonObject

__all__ = ["Choice", "Form", "FormNode", "Kind", "Label"]

Kind: TypeAlias = Literal[
    "label", "labels", "boolean", "integer", "number", "decimal", "date", "datetime", "time", "duration", "text",
    "object", "tuple", "list", "union", "map", "json", "ref",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Label:
    """One of the values that a field may have. `value` is its name in the form, `json` what it is in an answer."""

    value: str
    json: Any
    text: str
    description: str | None = None

    def as_json(self) -> JsonObject:
        """Return the label as the page gets it."""
        return {"value": self.value, "text": self.text, "description": self.description}


@dataclass(frozen=True, slots=True)
class Choice:
    """One alternative of a union, by a tag of its own. `fixed` is what the discriminator is then in an answer."""

    tag: str
    node: FormNode
    fixed: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormNode:
    """One field of a form, with all that its kind needs.

    `step` is what it adds to its parent's JSON path, `[]` for an item of a list. `as_text`: a number that stands in an
    answer as text. `extra` is the field of members that the schema allows without naming them, `to` the definition that
    a `ref` stands for. `discriminator` is the member that says which of the `choices` an object is; no choice has it as
    a field.
    """

    kind: Kind
    name: str = ""
    title: str = ""
    step: str = ""
    required: bool = True
    nullable: bool = False
    description: str | None = None
    constraints: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[Label, ...] = ()
    members: tuple[FormNode, ...] = ()
    item: FormNode | None = None
    value: FormNode | None = None
    key: Mapping[str, Any] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    discriminator: str | None = None
    extra: FormNode | None = None
    to: str | None = None
    as_text: bool = False

    def as_json(self) -> JsonObject:
        """Return the field as the page gets it."""
        common = ("kind", "name", "title", "step", "required", "nullable", "description")
        return {name: getattr(self, name) for name in common} | {"constraints": dict(self.constraints), **self._own()}

    def _own(self) -> JsonObject:
        if self.kind in ("label", "labels"):
            return {"labels": [label.as_json() for label in self.labels]}
        if self.kind == "object":
            extra = None if self.extra is None else self.extra.as_json()
            return {"members": [one.as_json() for one in self.members], "extra": extra}
        if self.kind == "tuple":
            return {"members": [one.as_json() for one in self.members]}
        if self.kind == "union":
            choices = [{"tag": one.tag, "title": one.tag, "node": one.node.as_json()} for one in self.choices]
            return {"choices": choices, "discriminator": self.discriminator}
        inner = {"list": ("item", self.item), "map": ("value", self.value)}.get(self.kind)
        if inner is not None and inner[1] is not None:
            return {inner[0]: inner[1].as_json()} | ({"key": dict(self.key)} if self.kind == "map" else {})
        return {"to": self.to} if self.kind == "ref" else {}


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of an answer: the root, an object, and the definitions that `ref` fields stand for."""

    root: FormNode
    definitions: Mapping[str, FormNode]

    def resolved(self, node: FormNode) -> FormNode:
        """Return the field that a `ref` stands for; any other as it is."""
        return self.definitions[node.to] if node.kind == "ref" and node.to is not None else node

    def as_json(self) -> JsonObject:
        """Return the form as the page gets it."""
        return {
            "root": self.root.as_json(),
            "definitions": {name: node.as_json() for name, node in self.definitions.items()},
        }

    def only(self, names: Collection[str]) -> Form:
        """Return the form with these members of the root alone; itself where they are all."""
        members = tuple(one for one in self.root.members if one.name in names)
        if len(members) == len(self.root.members):
            return self
        return Form(replace(self.root, members=members, extra=None), self.definitions)
