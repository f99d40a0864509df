from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract import BadRecord, ConfigError, Example, Issue
from extract.extractor.prompts import Template, check_columns, repair_text, value_text


def test_columns_are_named_in_the_order_of_their_first_use() -> None:
    assert Template.parse("{b} and {a} and {b}").columns == ("b", "a")


def test_a_name_is_only_looked_up_never_followed() -> None:
    template = Template.parse("{a.__class__} {a[0]} {a!r} {a:>9}")
    assert template.columns == ("a.__class__", "a[0]", "a!r", "a:>9")


def test_double_braces_stand_for_single_ones() -> None:
    assert Template.parse('{{"x": {x}}}').render({"x": 1}) == '{"x": 1}'


@given(st.text())
def test_a_value_with_braces_stays_as_it_is(value: str) -> None:
    assert Template.parse("<{body}>").render({"body": value}) == f"<{value}>"


@given(st.text())
def test_any_text_survives_escaping(text: str) -> None:
    assert Template.parse(text.replace("{", "{{").replace("}", "}}")).render({}) == text


@pytest.mark.parametrize("prompt", ["{", "}", "a } b", "{a", "{}", "{a{b}}"])
def test_a_lone_brace_is_refused_with_its_place(prompt: str) -> None:
    with pytest.raises(ConfigError, match="lone"):
        Template.parse(prompt)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (3, "3"),
        (2.5, "2.5"),
        (Decimal("1.50"), "1.50"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "2026-01-02T03:04:00+00:00"),
        (["ä", 1], '["ä", 1]'),
        ({"day": date(2026, 1, 2)}, '{"day": "2026-01-02"}'),
    ],
)
def test_a_cell_reads_as_a_person_would_write_it(value: Any, text: str) -> None:
    assert value_text(value) == text


def test_bytes_have_no_text_form() -> None:
    with pytest.raises(BadRecord, match="media="):
        Template.parse("{scan}").render({"scan": b"\x00"})


def test_unknown_columns_are_named_together_with_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"\['nope'\].*\['body'\]"):
        check_columns(["body", "nope"], ["body"])


def test_examples_come_from_rows() -> None:
    rows = [{"text": "hi", "label": "greeting", "why": "short"}]
    assert Example.from_rows(rows, answer="label")[0] == Example({"text": "hi", "why": "short"}, "greeting")
    assert Example.from_rows(rows, answer=["label", "why"])[0].answer == {"label": "greeting", "why": "short"}


def test_a_repair_does_not_grow_with_the_number_of_issues() -> None:
    issues = [Issue(f"$.items[{number}]", "is wrong " * 100) for number in range(1000)]
    assert len(repair_text(issues)) < 3_000
