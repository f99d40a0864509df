"""Answers to the values of a form and back: nothing is rounded, and every fault has the JSON path of its field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, Final

from extract.errors import InvalidAnswer, Issue
from extract.json_types import json_text
from extract.review.form_nodes import Choice, Form, FormNode
from extract.schema.keywords import element, member
from extract.schema.validate import parse

__all__ = ["answer_text", "form_values"]

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_DIGITS: Final = re.compile(r"[+-]?[0-9]*\.?[0-9]+")
_MAX_STEPS: Final = 200_000
"""Of reading one answer: the alternatives of a union are tried, and may hold unions."""
_MAX_DIGITS: Final = 1_000
_MAX_ISSUES: Final = 100
_ABSENT: Final = object()


class _Unfit(Exception):
    """A value has no place in the form."""


def form_values(form: Form, answer: Any) -> Any:
    """Return an answer as the values of its form; what does not fit the form, as in a rejected answer, is left out."""
    return _Reader(form).lenient(form.root, answer)


def answer_text(form: Form, values: Any) -> str:
    """Return the JSON text of the answer that a form's values say: numbers as they were written.

    Raises InvalidAnswer for values that are none of this form. Whether the answer is valid is for the schema to say.
    """
    writer = _Writer(form)
    text = writer.text(form.root, values, "$")
    if writer.issues or text is None:
        raise InvalidAnswer(tuple(writer.issues[:_MAX_ISSUES]) or (Issue("$", "no answer"),))
    return text


@dataclass(slots=True)
class _Reader:
    """Reads answers. In a union the alternative is taken that can hold the value, and declares most of its members."""

    form: Form
    steps: int = 0

    def lenient(self, node: FormNode, value: Any) -> Any:
        """Return the values of an object without the members that do not fit; None where there is no object."""
        node = self.form.resolved(node)
        if node.kind != "object" or not isinstance(value, Mapping):
            return None
        values: dict[str, Any] = {}
        members = {one.name: one for one in node.members}
        for name, inner in value.items():
            if (known := members.get(name, node.extra)) is None:
                continue
            try:
                values[name] = self.read(known, inner)
            except _Unfit:
                part = self.lenient(known, inner)
                values |= {} if part is None else {name: part}
        return values

    def read(self, node: FormNode, value: Any) -> Any:
        """Return the form's value. Raises _Unfit."""
        self.steps += 1
        if self.steps > _MAX_STEPS:
            raise _Unfit
        if value is None and node.nullable:
            return None
        node = self.form.resolved(node)
        if value is None and not node.nullable and node.kind != "json":
            raise _Unfit
        return _READ[node.kind](self, node, value)

    def _label(self, node: FormNode, value: Any) -> str:
        text = json_text(value)
        return str(_first(label.value for label in node.labels if json_text(label.json) == text))

    def _labels(self, node: FormNode, value: Any) -> list[str]:
        names = {json_text(label.json): label.value for label in node.labels}
        return [_known(names, json_text(one)) for one in _of_type(value, list)]

    def _boolean(self, _: FormNode, value: Any) -> bool:
        return bool(_of_type(value, bool))

    def _number(self, node: FormNode, value: Any) -> str:
        if node.as_text and isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
            return value.strip()
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _Unfit
        return json_text(value)

    def _text(self, _: FormNode, value: Any) -> str:
        return str(_of_type(value, str))

    def _object(self, node: FormNode, value: Any) -> dict[str, Any]:
        members = {one.name: one for one in node.members}
        values: dict[str, Any] = {}
        for name, inner in _of_type(value, Mapping).items():
            if (known := members.get(name, node.extra)) is not None:
                values[name] = self.read(known, inner)
        if any(one.required and one.name not in value for one in node.members):
            raise _Unfit
        return values

    def _tuple(self, node: FormNode, value: Any) -> list[Any]:
        if len(_of_type(value, list)) != len(node.members):
            raise _Unfit
        return [self.read(one, inner) for one, inner in zip(node.members, value, strict=True)]

    def _list(self, node: FormNode, value: Any) -> list[Any]:
        return [self.read(_there(node.item), inner) for inner in _of_type(value, list)]

    def _map(self, node: FormNode, value: Any) -> list[list[Any]]:
        return [[key, self.read(_there(node.value), inner)] for key, inner in _of_type(value, Mapping).items()]

    def _union(self, node: FormNode, value: Any) -> dict[str, Any]:
        if node.discriminator is not None:
            if node.discriminator not in _of_type(value, Mapping):
                raise _Unfit
            given = json_text(value[node.discriminator])
            choice = _first(one for one in node.choices if json_text(one.fixed) == given)
            rest = {name: one for name, one in value.items() if name != node.discriminator}
            return {"tag": choice.tag, "value": self.read(choice.node, rest)}
        return self._fitting(node, value)

    def _fitting(self, node: FormNode, value: Any) -> dict[str, Any]:
        fitting: list[tuple[int, Choice, Any]] = []
        for choice in node.choices:
            try:
                fitting.append((self._named(choice.node, value), choice, self.read(choice.node, value)))
            except _Unfit:
                continue
        if not fitting:
            raise _Unfit
        _, choice, read = max(fitting, key=lambda one: one[0])  # of equals the first
        return {"tag": choice.tag, "value": read}

    def _named(self, node: FormNode, value: Any) -> int:
        node = self.form.resolved(node)
        return sum(one.name in value for one in node.members) if isinstance(value, Mapping) else 0

    def _json(self, _: FormNode, value: Any) -> str:
        return json_text(value)


def _first(values: Any) -> Any:
    first = next(iter(values), _ABSENT)
    if first is _ABSENT:
        raise _Unfit
    return first


def _known(names: Mapping[str, str], text: str) -> str:
    if text not in names:
        raise _Unfit
    return names[text]


def _of_type(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise _Unfit
    return value


def _there(node: FormNode | None) -> FormNode:
    if node is None:
        raise _Unfit
    return node


_READ: Final[Mapping[str, Callable[[_Reader, FormNode, Any], Any]]] = {
    "label": _Reader._label,
    "labels": _Reader._labels,
    "boolean": _Reader._boolean,
    **dict.fromkeys(("integer", "number", "decimal"), _Reader._number),
    **dict.fromkeys(("date", "datetime", "time", "duration", "text"), _Reader._text),
    "object": _Reader._object,
    "tuple": _Reader._tuple,
    "list": _Reader._list,
    "map": _Reader._map,
    "union": _Reader._union,
    "json": _Reader._json,
}


@dataclass(slots=True)
class _Writer:
    """Writes answers as JSON text. Faults are collected; None stands for a text that has one."""

    form: Form
    issues: list[Issue] = field(default_factory=list)

    def text(self, node: FormNode, value: Any, path: str) -> str | None:
        """Return the JSON text of one field."""
        if value is None and node.nullable:
            return "null"
        node = self.form.resolved(node)
        if value is None:
            return "null" if node.nullable else self._fault(path, "a value is needed here")
        return _WRITE[node.kind](self, node, value, path)

    def _fault(self, path: str, message: str) -> str | None:
        if len(self.issues) < _MAX_ISSUES:
            self.issues.append(Issue(path, message))
        return None

    def _label(self, node: FormNode, value: Any, path: str) -> str | None:
        label = next((one for one in node.labels if one.value == value), None)
        return self._fault(path, "choose one of the labels") if label is None else json_text(label.json)

    def _labels(self, node: FormNode, value: Any, path: str) -> str | None:
        if not isinstance(value, list):
            return self._fault(path, "a list of labels is needed")
        known = {one.value: json_text(one.json) for one in node.labels}
        if not all(isinstance(one, str) and one in known for one in value):
            return self._fault(path, "choose some of the labels")
        return f"[{','.join(known[one] for one in value)}]"

    def _boolean(self, _: FormNode, value: Any, path: str) -> str | None:
        return json_text(value) if isinstance(value, bool) else self._fault(path, "must be true or false")

    def _number(self, node: FormNode, value: Any, path: str) -> str | None:
        written = value.strip() if isinstance(value, str) else None
        if written is None or len(written) > _MAX_DIGITS:
            return self._fault(path, "a number is needed, as text")
        if node.as_text:
            is_number = _DIGITS.fullmatch(written) is not None
            return json_text(written) if is_number else self._fault(path, "must be a number such as 1234.50")
        if _NUMBER.fullmatch(written) is None:
            return self._fault(path, "must be a number such as 1234.5, without commas or units")
        if node.kind == "integer" and not written.lstrip("-").isdigit():
            return self._fault(path, "must be a whole number")
        return written

    def _text(self, _: FormNode, value: Any, path: str) -> str | None:
        if not isinstance(value, str):
            return self._fault(path, "must be a text")
        return json_text(value)

    def _moment(self, node: FormNode, value: Any, path: str) -> str | None:
        if not isinstance(value, str) or not value.strip():
            return self._fault(path, f"must be a {node.kind}")
        fault = _fault_of_moment(node, value.strip())
        return json_text(value.strip()) if fault is None else self._fault(path, fault)

    def _object(self, node: FormNode, value: Any, path: str) -> str | None:
        if not isinstance(value, Mapping):
            return self._fault(path, "must have fields")
        members = {one.name: one for one in node.members}
        texts = []
        for name, inner in value.items():
            known = members.get(name, node.extra)
            if known is None:
                self._fault(member(path, name), "there is no such field")
            else:
                texts.append((name, self.text(known, inner, member(path, name))))
        for one in node.members:
            if one.required and one.name not in value:
                self._fault(path + one.step, "a value is needed here")
        return self._joined(texts)

    def _joined(self, texts: list[tuple[str, str | None]]) -> str:
        return "{" + ",".join(f"{json_text(name)}:{text}" for name, text in texts) + "}"

    def _tuple(self, node: FormNode, value: Any, path: str) -> str | None:
        if not isinstance(value, list) or len(value) != len(node.members):
            return self._fault(path, f"must have {len(node.members)} parts")
        parts = enumerate(zip(node.members, value, strict=True))
        return f"[{','.join(str(self.text(one, inner, element(path, i))) for i, (one, inner) in parts)}]"

    def _list(self, node: FormNode, value: Any, path: str) -> str | None:
        if not isinstance(value, list) or node.item is None:
            return self._fault(path, "must be a list")
        item = node.item
        return f"[{','.join(str(self.text(item, inner, element(path, i))) for i, inner in enumerate(value))}]"

    def _map(self, node: FormNode, value: Any, path: str) -> str | None:
        pairs: list[Any] = value if isinstance(value, list) else [()]
        if node.value is None or not all(isinstance(one, list) and len(one) == 2 for one in pairs):
            return self._fault(path, "must be pairs of a key and a value")
        texts: dict[str, str | None] = {}
        for key, inner in pairs:
            if not isinstance(key, str):
                return self._fault(path, "a key is a text")
            if key in texts:
                return self._fault(path, f"the key {key!r} stands there twice")
            texts[key] = self.text(node.value, inner, member(path, key))
        return self._joined(list(texts.items()))

    def _union(self, node: FormNode, value: Any, path: str) -> str | None:
        tag = value.get("tag") if isinstance(value, Mapping) else None
        choice = next((one for one in node.choices if one.tag == tag), None)
        if choice is None or "value" not in value:
            return self._fault(path, f"choose one of {', '.join(one.tag for one in node.choices)}")
        text = self.text(choice.node, value["value"], path)
        if text is None or node.discriminator is None or not text.startswith("{"):
            return text
        first = f"{json_text(node.discriminator)}:{json_text(choice.fixed)}"
        return "{" + first + ("" if text == "{}" else ",") + text[1:]

    def _json(self, _: FormNode, value: Any, path: str) -> str | None:
        if not isinstance(value, str):
            return self._fault(path, "must be JSON, as text")
        try:
            parse(value)
        except InvalidAnswer as error:
            return self._fault(path, error.issues[0].message)
        return value


def _fault_of_moment(node: FormNode, text: str) -> str | None:
    """Return what is wrong with a date or time, None where nothing is. Durations are left to the schema."""
    try:
        if node.kind == "date":
            date.fromisoformat(text)
        elif node.kind in ("datetime", "time"):
            read = datetime.fromisoformat(text) if node.kind == "datetime" else time.fromisoformat(text)
            zoned = node.constraints.get("zoned")
            if zoned is not None and (read.tzinfo is not None) != zoned:
                return "must have a zone, such as Z or +02:00" if zoned else "must have no zone"
    except ValueError:
        return f"must be a {node.kind} such as {_EXAMPLES[node.kind]}"
    return None


_EXAMPLES: Final = {"date": "2024-05-01", "datetime": "2024-05-01T09:30:00", "time": "09:30:00"}
_WRITE: Final[Mapping[str, Callable[[_Writer, FormNode, Any, str], str | None]]] = {
    "label": _Writer._label,
    "labels": _Writer._labels,
    "boolean": _Writer._boolean,
    **dict.fromkeys(("integer", "number", "decimal"), _Writer._number),
    **dict.fromkeys(("date", "datetime", "time", "duration"), _Writer._moment),
    "text": _Writer._text,
    "object": _Writer._object,
    "tuple": _Writer._tuple,
    "list": _Writer._list,
    "map": _Writer._map,
    "union": _Writer._union,
    "json": _Writer._json,
}
