"""`Loss`: a constraint that the wire form cannot carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Loss"]


@dataclass(frozen=True, slots=True)
class Loss:
    """A constraint that the service will not enforce; it is checked locally instead.

    `path` is the JSON path of the values, `keyword` and `value` are those of the schema.

    >>> from extract import compile_schema
    >>> schema = {"type": "object", "properties": {"code": {"type": "string", "pattern": "^[A-Z]{3}$"}}}
    >>> compile_schema(schema).losses
    (Loss(path='$.code', keyword='pattern', value='^[A-Z]{3}$'),)
    """

    path: str
    keyword: str
    value: Any
