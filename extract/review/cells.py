"""The cells of a row as the JSON of an answer, where only the JSON Schema of the answers is known.

The class that wrote them may be gone: what a cell is then follows from the form, which knows schema and column types.
"""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

from pydantic_core import to_jsonable_python

from extract.json_types import JsonObject
from extract.review.form_nodes import Choice, Form, FormNode

__all__ = ["answer_of_cells"]

_EXTRA: Final = "_extra"
_TEXTS: Final = frozenset({"text", "date", "datetime", "time", "duration"})


def answer_of_cells(form: Form, cells: Mapping[str, Any], names: Mapping[str, str]) -> JsonObject:
    """Return the answer whose cells these are, by the names of fields; `names` has those of keys that differ."""
    return _object(form, form.root, cells, names)


def _object(form: Form, node: FormNode, cells: Mapping[str, Any], names: Mapping[str, str]) -> JsonObject:
    answer: JsonObject = {}
    for one in node.members:
        cell = cells.get(names.get(one.name, one.name), cells.get(one.name))
        if cell is not None or one.nullable:
            answer[one.name] = _json(form, one, cell, names)
    extra = cells.get(_EXTRA)
    if isinstance(extra, str) and node.extra is not None:
        answer |= {name: value for name, value in _parsed(extra).items() if name not in answer}
    return answer


def _parsed(text: str) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    return {}


def _json(form: Form, node: FormNode, cell: Any, names: Mapping[str, str]) -> Any:
    node = form.resolved(node)
    if cell is None:
        return None
    if isinstance(cell, str) and not _is_text(form, node):
        with suppress(ValueError, RecursionError):
            return json.loads(cell)
        return cell
    if node.kind == "object" and isinstance(cell, Mapping):
        return _object(form, node, cell, names)
    if node.kind == "union" and isinstance(cell, Mapping):
        return _alternative(form, node, cell, names)
    if node.kind == "tuple" and isinstance(cell, Mapping):
        return [_json(form, one, part, names) for one, part in zip(node.members, cell.values(), strict=False)]
    if node.kind == "map" and isinstance(cell, list) and node.value is not None:
        return {pair["key"]: _json(form, node.value, pair["value"], names) for pair in cell}
    if node.kind == "list" and isinstance(cell, list) and node.item is not None:
        return [_json(form, node.item, one, names) for one in cell]
    return _plain(node, cell)


def _is_text(form: Form, node: FormNode) -> bool:
    """Whether a text cell of this field is the value, and not JSON that holds it."""
    if node.kind == "label":
        return all(isinstance(label.json, str) for label in node.labels)
    if node.kind == "union":
        return all(_is_text(form, form.resolved(choice.node)) for choice in node.choices)
    return node.kind in _TEXTS or node.as_text


def _alternative(form: Form, node: FormNode, cell: Mapping[str, Any], names: Mapping[str, str]) -> Any:
    known = None if node.discriminator is None else names.get(node.discriminator, node.discriminator)
    if known is not None and known in cell:
        choice = next((one for one in node.choices if one.fixed == cell[known]), node.choices[0])
        return {node.discriminator: choice.fixed, **_object(form, choice.node, cell, names)}
    return _json(form, _tagged(form, node.choices, cell).node, cell, names)


def _tagged(form: Form, choices: Sequence[Choice], cell: Mapping[str, Any]) -> Choice:
    """Return the alternative that a tag names, else the first that has a member for every cell that is not null."""
    values = {value for value in cell.values() if isinstance(value, str)}
    fields = {name for name, value in cell.items() if value is not None}

    def rank(choice: Choice) -> tuple[bool, int]:
        node = form.resolved(choice.node)
        return choice.tag not in values, len(fields - {one.name for one in node.members})

    return min(choices, key=rank)


def _plain(node: FormNode, cell: Any) -> Any:
    if isinstance(cell, Decimal):
        text = format(cell, "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return text if node.as_text else float(text)
    if isinstance(cell, bytes):
        return _bytes_text(node, cell)
    if isinstance(cell, datetime | time):
        return cell.isoformat().replace("+00:00", "Z")
    if isinstance(cell, date):
        return cell.isoformat()
    return to_jsonable_python(cell)


def _bytes_text(node: FormNode, cell: bytes) -> str:
    if node.constraints.get("format") == "base64url":
        return urlsafe_b64encode(cell).decode()
    if node.constraints.get("format") == "hex":
        return cell.hex()
    with suppress(UnicodeDecodeError):
        return cell.decode()
    return b64encode(cell).decode()
