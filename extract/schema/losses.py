"""`Loss`: a constraint that the wire form cannot carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Loss"]


@dataclass(frozen=True, slots=True)
class Loss:
    """A constraint that the service will not enforce; it is checked locally instead.

    `path` is the JSON path of the values, `keyword` and `value` are those of the schema. One kind is no constraint:
    `additionalProperties` with the value None, where a JSON Schema says nothing of members that it does not name. Such
    members are allowed, and no column holds them, unless `Extractor(extra="keep")` asks for one.

    >>> from extract import compile_schema
    >>> schema = {"type": "object", "properties": {"code": {"type": "string", "pattern": "^[A-Z]{3}$"}}}
    >>> for loss in compile_schema(schema).losses:
    ...     print(loss)
    Loss(path='$.code', keyword='pattern', value='^[A-Z]{3}$')
    Loss(path='$', keyword='additionalProperties', value=None)
    """

    path: str
    keyword: str
    value: Any

    @property
    def drops_unnamed(self) -> bool:
        """True where members that the schema does not name have no column."""
        return self.keyword == "additionalProperties" and self.value is None
