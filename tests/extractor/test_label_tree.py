"""A tree of labels, asked about level by level: each level is a request of its own, a leaf ends it at any depth."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from pydantic import BaseModel

from extract import Client, ConfigError, Emulator, Extractor, LabelTree, ResponseCache, Run, classify, estimate, run
from extract.testing import record_text

BRANCHES = {
    "card": {"late": ["card late by post", "card late abroad"], "card lost": "it is gone"},
    "transfer": ["transfer fee", "transfer delay"],
    "other": None,
}
TREE = LabelTree(BRANCHES)
OPENING = "\n\nLabels to choose from:\n"


class Asking:
    """A service that answers by what it is shown, and keeps it."""

    def __init__(self, answer: Callable[[list[str]], Any]) -> None:
        self.shown: list[list[str]] = []
        self.formats: set[str] = set()
        self._choose = answer
        self.emulator = Emulator(answers=self._answer)

    def _answer(self, body: dict[str, Any]) -> Any:
        lines = record_text(body).partition(OPENING)[2].splitlines()
        self.shown.append([line.removeprefix("- ") for line in lines])
        self.formats.add(json.dumps(body["response_format"]))
        return self._choose([line.partition(": ")[0] for line in self.shown[-1]])

    def run(self, rows: Any, extractor: Extractor, **options: Any) -> Run:
        with Client("key", transport=self.emulator.transport) as client:
            return run(rows, extractor, client=client, **options)


def last(names: list[str]) -> dict[str, str]:
    return {"value": names[-1]}


def first(names: list[str]) -> dict[str, str]:
    return {"value": names[0]}


def test_each_level_is_a_request_that_shows_one_branch_and_what_is_in_it() -> None:
    service = Asking(first)
    result = service.run(["x"], Extractor(TREE, "{text}"))
    assert result.frame["value"].to_list() == ["card late by post"]
    assert service.shown == [
        ["card: late, card lost", "transfer: transfer fee, transfer delay", "other"],
        ["late: card late by post, card late abroad", "card lost: it is gone"],
        ["card late by post", "card late abroad"],
    ]
    assert len(service.formats) == 1
    assert result.frame.schema["value"] == pl.Enum(TREE.labels)


def test_a_leaf_ends_the_way_at_any_depth_also_one_of_another_branch() -> None:
    assert Asking(last).run(["x"], Extractor(TREE, "{text}")).frame["value"].to_list() == ["other"]
    jump = Asking(lambda names: {"value": "card" if "card" in names else "transfer fee"})
    assert jump.run(["x"], Extractor(TREE, "{text}")).frame["value"].to_list() == ["transfer fee"]
    assert len(jump.shown) == 2


def test_every_level_has_a_content_key_and_a_second_run_asks_nothing(tmp_path: Path) -> None:
    service = Asking(first)
    with ResponseCache(tmp_path / "answers") as cache:
        for _ in range(2):
            service.run(["x", "y"], Extractor(TREE, "{text}"), cache=cache)
            assert len(service.shown) == 6


def test_a_branch_of_another_level_is_no_answer_and_is_asked_again() -> None:
    answers = iter([{"value": "late"}, {"value": "other"}])
    service = Asking(lambda _: next(answers))
    assert service.run(["x"], Extractor(TREE, "{text}")).frame["value"].to_list() == ["other"]


def test_a_record_that_nothing_fits_is_rejected_with_its_reason() -> None:
    result = Asking(lambda _: {"value": "none of these"}).run(["x"], Extractor(TREE, "{text}"))
    (error,) = result.errors.to_dicts()
    assert error["code"] == "invalid_answer"
    assert "none of the labels that were shown fits" in error["message"]


def test_an_estimate_counts_a_request_for_each_level(tmp_path: Path) -> None:
    extractor = Extractor(TREE, "{text}")
    assert estimate(["x", "y"], extractor).requests == 6
    service = Asking(last)
    with ResponseCache(tmp_path / "answers") as cache, Client("key", transport=service.emulator.transport) as client:
        run(["x"], extractor, client=client, cache=cache)
        known = estimate(["x", "y"], extractor, endpoint=client.endpoint, cache=cache)
    assert (known.requests, known.cached) == (4, 1)


class Message(BaseModel):
    topic: Literal[TREE.labels]  # type: ignore[name-defined]
    urgent: bool


def test_a_label_among_other_fields_can_be_a_tree() -> None:
    service = Asking(lambda names: {"topic": names[0], "urgent": True})
    result = service.run(["x"], Extractor(Message, "{text}", candidates=TREE))
    assert result.frame.select("topic", "urgent").rows() == [("card late by post", True)]


def test_classify_takes_a_tree_and_the_offline_reader_walks_it() -> None:
    rows = ["my card is lost", "the delay of a transfer"]
    assert classify(rows, BRANCHES, offline=True).frame["label"].to_list() == ["card lost", "transfer delay"]
    assert classify(rows, TREE, offline=True).frame.schema["label"] == pl.Enum(TREE.labels)
    with pytest.raises(ConfigError, match="leave out multiple"):
        classify(rows, TREE, multiple=True, offline=True)


def test_a_table_with_a_parent_column_is_a_tree() -> None:
    rows = [("card", None), ("transfer", None), ("card lost", "card"), ("late", "card"), ("by post", "late")]
    tree = LabelTree.from_rows(pl.DataFrame(rows, schema=["label", "parent"], orient="row"))
    assert (tree.labels, tree.depth) == (("card lost", "by post", "transfer"), 3)
    assert tree.mean_depth == 2.0


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        ({}, "holds at least one"),
        ({"a": []}, "a mapping or a list"),
        ({"a": ["x"], "b": ["x"]}, "'x' stands in the tree twice"),
        (["x", "x"], "stands twice under 'the root'"),
        ({"a": 5}, "a mapping or a list"),
        ({"none of these": None}, "not 'none of these'"),
        ({" ": None}, "not blank"),
    ],
)
def test_what_is_no_tree_is_refused_in_one_line(branches: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        LabelTree(branches)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "b"), ("b", "a"), ("c", None)], "stand under themselves"),
        ([("a", "z"), ("c", None)], "the parent 'z' is no row"),
        ([("a", None), ("a", None)], "a name twice"),
    ],
)
def test_a_table_that_is_no_tree_is_refused(rows: list[tuple[str, str | None]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LabelTree.from_rows([{"label": label, "parent": parent} for label, parent in rows])


def test_a_tree_and_a_schema_of_other_labels_are_refused() -> None:
    with pytest.raises(ConfigError, match="are not those of the LabelTree"):
        run(["x"], Extractor(["a", "b"], "{text}", candidates=TREE), offline=True)
    with pytest.raises(ConfigError, match="leave out candidates"):
        Extractor(TREE, "{text}", candidates=3)


def test_a_tree_travels_to_another_process() -> None:
    extractor = pickle.loads(pickle.dumps(Extractor(TREE, "{text}")))
    assert Asking(last).run(["x"], extractor).frame["value"].to_list() == ["other"]
