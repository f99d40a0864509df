"""Labels that stand in the message and not in the schema: put back where the schema says that they are listed."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import from_json

from extract.extractor.candidates import CANDIDATES_OPENING, LISTED
from extract.json_types import JsonObject

__all__ = ["with_candidates"]


def with_candidates(schema: JsonObject, text: str) -> tuple[JsonObject, str]:
    """Return the schema with the labels that a text lists at its end, and the text without them."""
    record, opening, listed = text.rpartition(f"\n\n{CANDIDATES_OPENING}\n")
    properties = schema.get("properties")
    if not opening or not isinstance(properties, dict):
        return schema, text
    labels = dict(entry(line) for line in listed.splitlines() if line.startswith("- "))
    return {**schema, "properties": {key: labelled(node, labels) for key, node in properties.items()}}, record


def entry(line: str) -> tuple[str, str]:
    """Return the label of a line and what it means, "" where the line does not say it."""
    name, _, meaning = line.removeprefix("- ").partition(": ")
    try:
        return str(from_json(name)) if name.startswith('"') else name, meaning
    except ValueError:
        return name, meaning


def labelled(node: object, labels: Mapping[str, str]) -> object:
    """Return a field with its labels, where it says that they are listed."""
    if not isinstance(node, dict) or LISTED not in str(node.get("description")):
        return node
    one = {"type": "string", "enum": list(labels)}
    described = "\n".join(f"{label}: {meaning}" for label, meaning in labels.items() if meaning)
    return {**node, **({"items": one} if node.get("type") == "array" else one), "description": described}
