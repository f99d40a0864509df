"""`classify` and `moderate`: one line, whatever the rows come in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from enum import Enum
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from extract import POLICIES, Client, ConfigError, Emulator, classify, moderate

TEXTS = ["a bug in the app", "my bill is wrong", "no"]
LABELS = ["bug", "bill"]


class Topic(Enum):
    BUG = "bug"
    BILL = "bill"


def asking(*answers: str) -> tuple[Emulator, Client]:
    emulator = Emulator(answers=list(answers)) if answers else Emulator()
    return emulator, Client("key", transport=emulator.transport)


KINDS: dict[str, Callable[[], Any]] = {
    "a list": lambda: TEXTS,
    "an iterator": lambda: iter(TEXTS),
    "a Polars frame": lambda: pl.DataFrame({"text": TEXTS, "n": [1, 2, 3]}),
    "a lazy frame": lambda: pl.LazyFrame({"text": TEXTS}),
    "a Polars series": lambda: pl.Series("text", TEXTS),
    "a pandas frame": lambda: pd.DataFrame({"text": TEXTS, "n": [1, 2, 3]}),
    "a pandas series": lambda: pd.Series(TEXTS),
    "an Arrow table": lambda: pa.table({"text": TEXTS}),
    "an Arrow column": lambda: pa.chunked_array([TEXTS]),
    "a DuckDB relation": lambda: duckdb.sql(
        "select * from (values ('a bug in the app'), ('my bill is wrong'), ('no')) t(text)"
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_is_chosen_for_every_row_of(kind: str) -> None:
    run = classify(KINDS[kind](), labels=LABELS, offline=True)
    assert run.frame.schema["label"] == pl.Enum(LABELS)
    assert run.frame["text"].to_list() == TEXTS
    assert run.frame["label"].to_list()[:2] == LABELS


@pytest.mark.parametrize("labels", [LABELS, dict.fromkeys(LABELS, "what it means"), Topic, (name for name in LABELS)])
def test_labels_are_a_list_a_mapping_or_an_enum(labels: Any) -> None:
    assert classify(TEXTS[:2], labels, offline=True).frame["label"].to_list() == LABELS


def test_what_labels_mean_and_examples_are_said_in_the_request() -> None:
    emulator, client = asking('{"label": "bug"}')
    classify(["it hangs"], {"bug": "does not work", "bill": "money"}, examples=[("crash", "bug")], client=client)
    (request,) = emulator.requests
    assert "bug: does not work" in str(request.body["response_format"])
    assert [step["type"] for step in request.body["input"]] == ["user_input", "model_output", "user_input"]
    assert "crash" in str(request.body["input"][0])


def test_several_labels_are_a_list_and_none_stands_twice() -> None:
    _, client = asking('{"labels": ["bug", "bill", "bug"]}')
    run = classify(["both"], LABELS, multiple=True, client=client)
    assert run.frame.schema["labels"] == pl.List(pl.Enum(LABELS))
    assert run.frame["labels"].to_list() == [["bug", "bill"]]


def test_the_column_is_named_where_there_are_several() -> None:
    frame = pl.DataFrame({"title": ["no"], "body": ["a bug"]})
    with pytest.raises(ConfigError, match=r"column=: one of \['title', 'body'\]"):
        classify(frame, LABELS, offline=True)
    assert classify(frame, LABELS, column="body", offline=True).frame["label"].to_list() == ["bug"]
    assert classify(frame, LABELS, prompt="{title}: {body}", offline=True).frame["label"].to_list() == ["bug"]


@pytest.mark.parametrize(
    ("data", "labels", "told"),
    [
        (TEXTS, [], "at least one"),
        (TEXTS, "bug", "in a list"),
        (TEXTS, ["bug", "bug"], "twice"),
        (TEXTS, ["bug", " Bug"], "' Bug' is named twice, once as 'bug'"),
        (TEXTS, ["bug", " "], "not blank"),
        (TEXTS, [1], "a text"),
        (TEXTS, {"bug": 1}, "a text"),
        (3, LABELS, "cannot be read as input"),
        (pl.DataFrame({"n": [1]}), LABELS, "which column"),
        (pl.DataFrame({"a{b": ["x"]}), LABELS, "rename it"),
        (pl.DataFrame({"label": ["x"]}), LABELS, "already columns"),
        (pd.DataFrame({"a": [object()]}), LABELS, "cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(data: Any, labels: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        classify(data, labels, offline=True)
    assert "\n" not in str(refused.value)


def test_what_says_nothing_is_not_asked_about() -> None:
    emulator, client = asking()
    with client:
        found = classify(["a bug", None, " \n", "", "a bill"], LABELS, client=client)
    assert len(emulator.requests) == 2
    assert found.frame["label"].to_list() == ["bug", None, None, None, "bill"]
    assert found.errors.select("row_id", "code").rows() == [(row, "bad_record") for row in (1, 2, 3)]
    assert set(found.errors["message"]) == {"there is nothing to ask about: no text in 'text'"}


def test_a_pandas_frame_gets_its_index_back() -> None:
    rows = pd.DataFrame({"text": TEXTS}, index=[30, 10, 20])
    found = classify(rows, LABELS, offline=True).to_pandas()
    assert list(found.index) == [30, 10, 20]
    assert found.index.name is None
    assert list(found.columns) == ["text", "label"]
    rows["label"] = found["label"]
    assert list(rows["label"])[:2] == LABELS
    assert str(found["label"].dtype) == "category"


@pytest.mark.parametrize(
    "index", [range(2, -1, -1), range(1, 4), ["x", "y", "z"], pd.MultiIndex.from_tuples([(1, 2)] * 3)]
)
def test_any_index_comes_back(index: Any) -> None:
    rows = pd.DataFrame({"text": TEXTS}, index=index)
    assert list(classify(rows, LABELS, offline=True, column="text").to_pandas().index) == list(rows.index)


def test_a_run_is_an_arrow_stream() -> None:
    run = classify(TEXTS, LABELS, offline=True)
    assert pa.table(run).column_names == ["text", "label"]
    assert run.to_arrow()["label"].to_pylist() == run.frame["label"].to_list()
    assert duckdb.sql("select count(*) from run").fetchall() == [(3,)]


WITHOUT_PYARROW = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")

sys.meta_path.insert(0, Missing())
import pandas as pd
from extract import ConfigError, classify
when = pd.to_datetime(["2026-01-02", None])
rows = pd.DataFrame({"text": ["a bug", None], "n": [1.5, None], "when": when}, index=[7, 3])
run = classify(rows, ["bug", "bill"], offline=True)
print(run.frame.drop("label").rows())
try:
    run.to_pandas()
except ConfigError as error:
    print(error)
"""


def test_pandas_without_pyarrow_goes_in_and_the_way_out_says_what_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_PYARROW], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines() == [
        "[(7, 'a bug', 1.5, datetime.datetime(2026, 1, 2, 0, 0)), (3, None, None, None)]",
        "pyarrow is not installed: pip install pandas pyarrow",
    ], done.stderr


def test_moderation_flags_what_breaks_a_policy_and_cannot_contradict_itself() -> None:
    _, client = asking(
        '{"categories": ["hate", "spam", "hate"], "reason": "insults and sells"}', '{"categories": [], "reason": null}'
    )
    run = moderate(["one", "two"], client=client)
    assert run.frame.select("categories", "reason", "flagged").rows() == [
        (["hate", "spam"], "insults and sells", True),
        ([], None, False),
    ]
    assert run.frame.schema["categories"] == pl.List(pl.Enum(list(POLICIES)))


def test_policies_of_ones_own_take_the_place_of_the_built_in_ones() -> None:
    emulator, client = asking('{"categories": ["politics"], "reason": "votes"}')
    run = moderate(["vote!"], {"politics": "talks about elections"}, client=client)
    assert run.frame["flagged"].to_list() == [True]
    assert "politics: talks about elections" in str(emulator.requests[0].body)
    assert "harassment" not in str(emulator.requests[0].body)
    with pytest.raises(ConfigError, match="at least one policy"):
        moderate(["x"], [], offline=True)


def test_a_frame_says_the_same_from_its_own_side() -> None:
    frame = pl.DataFrame({"text": TEXTS})
    assert frame.extract.classify(LABELS, offline=True).frame["label"].to_list()[:2] == LABELS
    assert "flagged" in frame.extract.moderate(offline=True).frame.columns
