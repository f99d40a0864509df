"""OpenAPI's way to allow null, in JSON Schema."""

from __future__ import annotations

from typing import Any

from extract.schema.keywords import map_subschemas

__all__ = ["allow_null"]


def allow_null(schema: Any) -> Any:
    """Return `schema` with OpenAPI's `nullable: true` spelled in JSON Schema, at every depth."""
    if not isinstance(schema, dict):
        return schema
    node = map_subschemas(schema, lambda item, _keyword, _name: allow_null(item))
    if node.pop("nullable", False) is not True:
        return node
    if "$ref" in node or "type" not in node:  # no list of types to add null to
        return {"anyOf": [node, {"type": "null"}]}
    types = [node["type"]] if isinstance(node["type"], str) else list(node["type"])
    node["type"] = types if "null" in types else [*types, "null"]
    if "enum" in node and None not in node["enum"]:
        node["enum"] = [*node["enum"], None]
    return node
