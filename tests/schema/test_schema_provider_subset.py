"""The table of provider keywords, compared with the emulator's own, which stands for the service."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from extract.emulator.schema_gate import SchemaGate
from extract.schema import compile_schema, provider_subset
from extract.schema.drafts import LATEST
from extract.schema.keywords import subschemas
from extract.schema.provider_subset import PROVIDER_FORMATS, PROVIDER_KEYWORDS, ProviderKeyword

#: Read by the service, never sent: titles cost tokens, and oneOf is sent as anyOf.
NOT_SENT = {"title", "oneOf"}


class Node(BaseModel):
    kind: Literal["leaf", "branch"] = Field(description="what it is")
    position: tuple[int, int]
    weights: dict[str, float]
    depth: int = Field(ge=0, le=9)
    on: str = Field(json_schema_extra={"format": "date"})
    label: str | float
    children: list[Node]


def _keywords(node: Any) -> set[str]:
    if not isinstance(node, dict):
        return set()
    return set(node) | {keyword for inner in subschemas(node) for keyword in _keywords(inner)}


def _is_ignored(keyword: str, value: Any) -> bool:
    return keyword in SchemaGate().check({"type": "object", keyword: value}, "schema").ignored


def test_the_emulator_reads_each_keyword_that_is_sent() -> None:
    wire = compile_schema(Node).wire
    assert _keywords(wire) == set(PROVIDER_KEYWORDS)
    assert not SchemaGate().check(wire, "schema").ignored


#: A valid value for each keyword of JSON Schema that asserts something and is not sent.
VALUES: dict[str, Any] = {
    "allOf": [{}],
    "const": 1,
    "contains": {},
    "dependentRequired": {},
    "dependentSchemas": {},
    "discriminator": {"propertyName": "kind"},
    "else": {},
    "exclusiveMaximum": 1,
    "exclusiveMinimum": 1,
    "if": {},
    "maxContains": 1,
    "maxLength": 1,
    "maxProperties": 1,
    "minContains": 1,
    "minLength": 1,
    "minProperties": 1,
    "multipleOf": 1,
    "not": {},
    "pattern": "a",
    "patternProperties": {},
    "propertyNames": {},
    "then": {},
    "unevaluatedItems": {},
    "unevaluatedProperties": {},
    "uniqueItems": True,
}


@pytest.mark.parametrize("keyword", sorted(VALUES))
def test_the_emulator_ignores_each_keyword_that_is_not_sent(keyword: str) -> None:
    assert _is_ignored(keyword, VALUES[keyword])


def test_no_keyword_is_forgotten_in_this_comparison() -> None:
    known = {keyword for keyword in (*LATEST.keywords, *PROVIDER_KEYWORDS) if not keyword.startswith(("$", "x-"))}
    assert known - set(PROVIDER_KEYWORDS) == set(VALUES) | NOT_SENT


def test_a_copied_keyword_needs_one_row_on_our_side(monkeypatch: pytest.MonkeyPatch) -> None:
    code = {"type": "string", "pattern": "^[A-Z]+$"}
    source = {"type": "object", "properties": {"code": code}, "additionalProperties": False}
    assert [loss.keyword for loss in compile_schema(source).losses] == ["pattern"]
    table = {**PROVIDER_KEYWORDS, "pattern": ProviderKeyword(copied=True)}
    monkeypatch.setattr(provider_subset, "PROVIDER_KEYWORDS", table)
    compiled = compile_schema(source)
    assert compiled.wire["properties"]["code"] == {"type": "string", "pattern": "^[A-Z]+$"}
    assert not compiled.losses


@pytest.mark.parametrize("name", sorted(PROVIDER_FORMATS))
def test_formats_that_the_service_enforces_are_sent(name: str) -> None:
    compiled = compile_schema({"type": "object", "properties": {"at": {"type": "string", "format": name}}})
    assert compiled.wire["properties"]["at"]["format"] == name
