"""The rule reader: what it reads, and that its answer always fits the schema it was asked under."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from extract.emulator.reader import RuleReader

DATA = Path(__file__).parents[1] / ".." / "shared" / "data"
READER = RuleReader()
TEXT = {"type": ["string", "null"]}
NUMBER = {"type": ["number", "null"]}
DATE = {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def read(schema: dict[str, Any], text: str, examples: Any = (), **options: Any) -> Any:
    return json.loads(READER.read(schema, text, examples, **options))


def field(name: str, schema: dict[str, Any], text: str) -> Any:
    return read(obj(**{name: schema}), text)[name]


def is_valid(schema: dict[str, Any], answer: Any) -> bool:
    return Draft202012Validator(schema, format_checker=FormatChecker()).is_valid(answer)


# Schemas that admit a drawn value, so that an answer exists by construction -------------------------------------------

WORDS = st.sampled_from(
    ["total", "invoice_date", "email", "confidence", "tags", "vendor", "isUrgent", "reason", "x", "unit price", ""]
)
DATES = st.sampled_from(["2024-02-29", "1999-12-31", "2018-12-25"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-1000, 1000)
    | st.floats(-1000, 1000, allow_nan=False)
    | st.text(max_size=12)
    | DATES
    | DATES.map(lambda day: day + "T08:30:00Z")
    | st.just("08:30:00Z")
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=8
)
KIND = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
RECORDS = st.text(max_size=200) | st.sampled_from(
    [
        "Invoice No: 17\nDate: 25/12/2018\nTotal: RM 1,234.50\nE-mail: a@example.org\nTags: a, b and c",
        "urgent! the app is broken, not spam\n\n- one 2 3.00 6.00\n- two 1 4.50 4.50",
        "Confidence: 7\nTotal: 99999999\nReason: none\nIs urgent: yes\nVendor:\nAcme Ltd\nx = 5 y = 6",
    ]
)


class SchemaDrawer:
    """Draws schemas; named parts go to `defs`."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.defs: dict[str, Any] = {}

    def admitting(self, value: Any, depth: int = 3) -> Any:
        """Return a schema that `value` is valid under."""
        forms = ["typed", "typed", "typed", "any", "enum"] + (["ref", "union", "union"] if depth else [])
        form = self.draw(st.sampled_from(forms))
        if form == "any":
            return self.draw(st.sampled_from([True, {}, {"description": "anything at all"}]))
        if form == "enum":
            return {"enum": self.draw(st.permutations([value, *self.draw(st.lists(SCALARS, max_size=3))]))}
        if form == "ref":
            return self.reference(value, depth)
        return self.typed(value, depth) | (self.union(value, depth) if form == "union" else {})

    def reference(self, value: Any, depth: int) -> dict[str, Any]:
        name = f"Part{len(self.defs)}"
        self.defs[name] = True
        self.defs[name] = self.admitting(value, depth - 1)
        beside = self.typed(value, 0) if self.draw(st.booleans()) else {"description": "a part"}
        return {"$ref": f"#/$defs/{name}"} | beside

    def union(self, value: Any, depth: int) -> dict[str, Any]:
        others = [self.admitting(other, depth - 1) for other in self.draw(st.lists(VALUES, max_size=2))]
        return {"anyOf": self.draw(st.permutations([self.admitting(value, depth - 1), *others]))}

    def typed(self, value: Any, depth: int) -> dict[str, Any]:
        kind = KIND[type(value)]
        told = self.draw(st.sampled_from([{}, {"type": kind}, {"type": [kind, "null"]}, {"type": ["boolean", kind]}]))
        return told | getattr(self, kind, lambda *_: {})(value, depth)

    def number(self, value: float, _: int) -> dict[str, Any]:
        low, high = self.draw(st.sampled_from([0, 0.5, 3])), self.draw(st.sampled_from([0, 0.25, 2]))
        return self.draw(
            st.sampled_from([{}, {"minimum": value - low}, {"minimum": value - low, "maximum": value + high}])
        )

    integer = number

    def string(self, value: str, _: int) -> dict[str, Any]:
        fitting = [{}] + [
            {"format": form} for form in ("date", "date-time", "time") if is_valid({"format": form}, value)
        ]
        return self.draw(st.sampled_from(fitting))

    def array(self, value: list[Any], depth: int) -> dict[str, Any]:
        split = self.draw(st.integers(0, len(value)))
        schema: dict[str, Any] = (
            {"prefixItems": [self.admitting(item, depth - 1) for item in value[:split]]} if split and depth else {}
        )
        if depth and len(set(map(repr, value[split:]))) == 1:
            schema["items"] = self.admitting(value[split], depth - 1)
        elif depth and not value[split:]:
            schema["items"] = self.draw(st.sampled_from([False, {"type": "string"}]))
        bounds = {"minItems": len(value), "maxItems": len(value) + self.draw(st.integers(0, 1))}
        return schema | {key: bounds[key] for key in self.draw(st.sets(st.sampled_from(sorted(bounds))))}

    def object(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        if not depth:
            return {"required": self.draw(st.lists(st.sampled_from(sorted(value)), unique=True))} if value else {}
        named = {name: self.admitting(item, depth - 1) for name, item in value.items() if self.draw(st.booleans())}
        others = {
            name: self.admitting(item, depth - 1)
            for name, item in self.draw(st.dictionaries(WORDS, VALUES, max_size=2)).items()
            if name not in value
        }
        schema: dict[str, Any] = {"properties": named | others} if named or others else {}
        required = [name for name in value if self.draw(st.booleans())]
        open_ended = (
            {} if len(named) < len(value) else self.draw(st.sampled_from([{}, {"additionalProperties": False}]))
        )
        return schema | ({"required": required} if required else {}) | open_ended


@st.composite
def satisfiable_schemas(draw: st.DrawFn) -> dict[str, Any]:
    drawer = SchemaDrawer(draw)
    schema = drawer.admitting(draw(VALUES))
    return (schema if isinstance(schema, dict) else {}) | {"$defs": drawer.defs}


@settings(max_examples=300, deadline=None)
@given(
    schema=satisfiable_schemas(), text=RECORDS, shown=st.lists(st.tuples(RECORDS, VALUES.map(json.dumps)), max_size=3)
)
def test_every_answer_is_valid_under_its_schema(
    schema: dict[str, Any], text: str, shown: list[tuple[str, str]]
) -> None:
    answer = READER.read(schema, text, shown)
    assert is_valid(schema, json.loads(answer)), answer
