"""The objects that a run validated, given back from its rows."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypedDict, get_type_hints

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, computed_field

from extract import Client, ConfigError, Emulator, Extractor, InvalidAnswer, Run, compile_schema, run
from extract.extractor.extractor import ExtractorOptions
from extract.results import models


class Part(BaseModel):
    name: str
    price: Decimal = Field(decimal_places=2, max_digits=20)


class Bill(BaseModel):
    model_config = ConfigDict(extra="allow")

    number: str | None = None
    kind: Literal["invoice", "receipt"] | None = None
    day: date | None = None
    at: AwareDatetime | None = None
    wait: timedelta | None = None
    parts: list[Part] = []
    codes: set[int] = set()
    notes: dict[str, float] = {}
    mixed: int | str | None = None

    @computed_field
    @property
    def count(self) -> int:
        return len(self.parts)


BILLS = st.builds(
    Bill,
    number=st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    kind=st.sampled_from([None, "invoice", "receipt"]),
    day=st.none() | st.dates(),
    at=st.none() | st.datetimes(timezones=st.just(UTC)),
    wait=st.none() | st.timedeltas(timedelta(-9999), timedelta(9999)),
    parts=st.lists(st.builds(Part, name=st.text("ab", max_size=3), price=st.decimals(0, 10**9, places=2)), max_size=2),
    codes=st.sets(st.integers(-9, 9), max_size=3),
    notes=st.dictionaries(st.text("ab", max_size=2), st.floats(-1e9, 1e9), max_size=2),
    mixed=st.none() | st.integers(-9, 9) | st.text("12ab", max_size=3),
)


def asked(schema: Any, texts: list[str], **options: Any) -> Run[Any]:
    remaining = list(texts)
    emulator = Emulator(answers=lambda _: remaining.pop(0))
    rows = [{"text": f"row {number}"} for number in range(len(texts))]
    client = Client("a-key-for-tests", transport=emulator.transport)
    return run(rows, Extractor(schema, "{text}", repairs=0), client=client, **options)


@settings(max_examples=25, deadline=None)
@given(bills=st.lists(BILLS, min_size=1, max_size=4))
@pytest.mark.parametrize("ending", [None, "parquet", "csv", "jsonl"])
def test_a_run_gives_back_the_objects_that_it_validated(
    ending: str | None, bills: list[Bill], tmp_path_factory: pytest.TempPathFactory
) -> None:
    schema = compile_schema(Bill)
    texts = [schema.to_json(bill) for bill in bills]
    folder = tmp_path_factory.mktemp("run")
    output = {} if ending is None else {"output": folder / f"out.{ending}"}
    result = asked(Bill, texts, **output)
    assert list(result.models()) == [schema.validate(text) for text in texts]


def test_a_rejected_row_is_none_and_one_of_nothing_but_defaults_is_an_object() -> None:
    texts = ["{}", "no json", '{"number": "7"}']
    expected = [Bill(), None, Bill(number="7")]
    assert list(asked(Bill, texts).models()) == expected
    assert list(asked(Bill, texts, errors="split").models()) == [Bill(), Bill(number="7")]
    assert list(asked(Bill, texts, prefix="new_").models()) == expected


def test_rows_that_were_not_run_are_none(tmp_path: Path) -> None:
    result = asked(["a", "b"], ['{"value": "b"}'] * 3)
    assert list(result.models()) == ["b"] * 3
    stopped = replace(result, details=replace(result.details, failed_places=pl.Series([1, 2])))
    assert list(stopped.models()) == ["b", None, None]


def test_rows_asked_again_are_objects_too() -> None:
    texts = ["no json", '{"number": "7"}', '{"number": "8"}']
    remaining = list(texts)
    client = Client("a-key-for-tests", transport=Emulator(answers=lambda _: remaining.pop(0)).transport)
    result = run([{"text": "one"}, {"text": "two"}], Extractor(Bill, "{text}", repairs=0), client=client)
    assert list(result.models()) == [None, Bill(number="7")]
    assert list(result.retry_rejected().models()) == [Bill(number="8"), Bill(number="7")]


def test_models_are_made_as_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted(BaseModel):
        n: int

        def model_post_init(self, _: Any) -> None:
            made.append(self.n)

    made: list[int] = []
    monkeypatch.setattr(models, "_BATCH", 2)
    result = asked(Counted, [json.dumps({"n": n}) for n in range(7)], output=tmp_path / "out.parquet")
    made.clear()
    iterator = result.models()
    assert made == []
    assert next(iterator) == Counted(n=0)
    assert made == [0, 0]  # the one of the run, and the one to compare with
    assert len(list(iterator)) == 6


def test_a_json_schema_gives_back_json_values() -> None:
    schema = {"type": "object", "properties": {"at": {"type": "string", "format": "date-time"}, "n": {}}}
    result = asked(schema, ['{"at": "2024-05-01T09:30:00+02:00", "n": [1]}', "{}"])
    assert list(result.models()) == [{"at": "2024-05-01T07:30:00Z", "n": [1]}, {}]
    assert result.frame["at"].to_list() == [datetime(2024, 5, 1, 7, 30, tzinfo=UTC), None]


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"dependentRequired": {"a": ["z"]}}, '{"a": "x", "z": 1}'),
        ({"anyOf": [{"required": ["z"]}, {"required": ["y"]}]}, '{"a": "x", "z": 1}'),
        ({"minProperties": 2}, '{"a": "x", "z": 1}'),
        ({"if": {"required": ["a"]}, "then": {"required": ["z"]}}, '{"a": "x", "z": 1}'),
    ],
)
@pytest.mark.parametrize("extra", ["drop", "keep"])
def test_a_schema_that_asks_for_members_without_naming_them_gives_back_what_columns_hold(
    keywords: dict[str, Any], text: str, extra: Literal["drop", "keep"]
) -> None:
    schema = compile_schema({"type": "object", "properties": {"a": {"type": "string"}}, **keywords}, extra=extra)
    result = asked(schema, [text, text])
    assert result.totals.valid == 2
    assert list(result.models()) == [{"a": "x"} if extra == "drop" else json.loads(text)] * 2


def test_a_row_that_was_changed_is_no_object_any_more() -> None:
    schema = compile_schema({"type": "object", "properties": {"a": {"type": "string", "maxLength": 2}}})
    with pytest.raises(InvalidAnswer, match="at most 2 characters"):
        schema.models(pl.DataFrame({"a": ["xyz"]}))


def test_a_run_from_a_pickle_says_how_its_objects_are_made() -> None:
    again: Run[Bill] = pickle.loads(pickle.dumps(asked(Bill, ['{"number": "7"}'])))
    with pytest.raises(ConfigError, match="compile_schema"):
        again.models()
    assert compile_schema(Bill).models(again.frame) == [Bill(number="7")]


def test_a_pickle_from_before_a_field_existed_gets_its_default() -> None:
    result = asked(Bill, ['{"number": "7"}'])
    totals = result.totals
    _, state = totals.__reduce_ex__(2)[2]  # type: ignore[index,misc]
    assert isinstance(state, dict)
    earlier = {name: value for name, value in state.items() if name != "unnamed"}
    again = type(totals)()
    again.rows = 99
    again.__setstate__((None, earlier))
    assert again == totals


def test_type_checkers_are_told_of_every_keyword_of_an_extractor() -> None:
    own = {name for name in Extractor.__dataclass_fields__ if name not in ("schema", "prompt")}
    assert set(get_type_hints(ExtractorOptions)) == own


class Shape(TypedDict):
    n: int


def test_the_classes_are_generic_for_annotations_only() -> None:
    extractor: Extractor[Bill] = Extractor(Bill, "{text}")
    assert Extractor[Bill](Bill, "{text}") == extractor
    assert pickle.loads(pickle.dumps(extractor)) == extractor
