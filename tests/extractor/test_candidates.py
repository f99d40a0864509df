"""Thousands of labels: each record is shown some, all stay valid, and none of them leads to the next."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from pydantic import BaseModel, Field

from extract import (
    Candidates,
    Client,
    ConfigError,
    Emulator,
    Extractor,
    Nearest,
    ResponseCache,
    Run,
    Windows,
    candidate_recall,
    classify,
    compile_schema,
    estimate,
    run,
)
from extract.extractor.plan import schema_of
from extract.testing import record_text

LABELS = [
    f"{thing} {state}" for thing in ("card", "top up", "transfer", "account") for state in ("late", "lost", "new")
]
OPENING = "\n\nLabels to choose from:\n"


class Asking:
    """A service that answers from a list, or always the same, and keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.bodies: list[dict[str, Any]] = []
        self._answers = list(answers)
        self.emulator = Emulator(answers=self._answer)

    def _answer(self, body: dict[str, Any]) -> Any:
        self.bodies.append(body)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def run(self, rows: Any, extractor: Extractor, **options: Any) -> Run:
        with Client("key", transport=self.emulator.transport) as client:
            return run(rows, extractor, client=client, **options)

    def shown(self) -> list[list[str]]:
        """Return the labels that each request showed."""
        texts = [record_text(body).partition(OPENING)[2] for body in self.bodies]
        return [[line.removeprefix("- ") for line in text.splitlines()] for text in texts]


def asked(k: int = 3, rounds: int = 2, schema: Any = LABELS, **options: Any) -> Extractor:
    return Extractor(schema, "{text}", candidates=Candidates(k, rounds), **options)


def test_a_request_holds_only_the_candidates_and_its_beginning_is_the_same_for_all_rows() -> None:
    service = Asking({"value": "card lost"})
    service.run(["my card is lost", "where is my transfer"], asked())
    first, second = service.shown()
    assert "card lost" in first
    assert len(first) == 3
    assert "transfer late" in second
    formats = [json.dumps(body["response_format"]) for body in service.bodies]
    assert formats[0] == formats[1]
    assert "account" not in formats[0]


def test_the_size_of_a_request_does_not_grow_with_the_labels() -> None:
    many = [f"label {number} of a long list" for number in range(5_000)]
    few, all_of_them = (estimate(["x"], asked(k=8, schema=labels)).input_tokens for labels in (many[:50], many))
    assert abs(all_of_them - few) < 20
    assert estimate(["x"], Extractor(many, "{text}")).input_tokens > 50 * few


def test_a_label_that_was_not_shown_is_valid_and_one_that_does_not_exist_is_asked_again() -> None:
    service = Asking({"value": "no such label"}, {"value": "account new"})
    result = service.run(["my card is lost"], asked())
    assert result.frame["value"].to_list() == ["account new"]
    assert "account new" not in service.shown()[0]
    assert isinstance(result.frame.schema["value"], pl.Enum)
    assert result.frame.schema["value"] == pl.Enum(LABELS)


def test_none_of_these_leads_to_the_next_candidates() -> None:
    service = Asking({"value": "none of these"}, {"value": "None of these."}, {"value": "card new"})
    result = service.run(["my card is lost"], asked(rounds=3))
    first, second, third = service.shown()
    assert len({*first, *second, *third}) == 9
    assert result.frame["value"].to_list() == ["card new"]


def test_a_record_that_no_label_fits_is_rejected_after_the_last_round_with_its_reason() -> None:
    service = Asking({"value": "none of these"})
    result = service.run(["my card is lost"], asked())
    assert len(service.bodies) == 2
    (error,) = result.errors.to_dicts()
    assert error["code"] == "invalid_answer"
    assert "none of the 6 labels that were shown fits, of 12" in error["message"]


class Perhaps(BaseModel):
    topic: Literal["card", "transfer", "account"] | None
    why: str


class Topic(Enum):
    CARD = "card"
    TRANSFER = "transfer"
    ACCOUNT = "account"


class Several(BaseModel):
    topics: list[Topic] = Field(description="What it is about.\ncard: plastic\ntransfer: money on its way")


def test_where_null_is_allowed_it_is_the_answer_that_no_label_fits() -> None:
    service = Asking({"topic": "none of these", "why": "-"})
    assert service.run(["x"], asked(1, 2, Perhaps)).frame["topic"].to_list() == [None]


def test_several_labels_are_chosen_from_candidates_with_what_they_mean() -> None:
    service = Asking({"topics": []}, {"topics": ["card", "account"]})
    result = service.run(["my card of plastic"], asked(2, 2, Several))
    assert result.frame["topics"].to_list() == [["card", "account"]]
    assert service.shown()[0][0] == "card: plastic"
    sent = json.dumps(service.bodies[0]["response_format"])
    assert "What it is about." in sent
    assert "plastic" not in sent
    assert "ACCOUNT" not in sent
    assert '"account"' not in sent


def test_gold_finds_labels_whose_words_do_not_occur() -> None:
    gold = [{"text": "the machine swallowed it", "value": "card lost"}, {"text": "pay day", "value": "transfer new"}]
    service = Asking({"value": "card lost"})
    candidates = Candidates(1, gold=Nearest(gold))
    service.run(["it was swallowed by a machine"], Extractor(LABELS, "{text}", candidates=candidates))
    service.run(["it was swallowed by a machine"], asked(1, examples=Nearest(gold, 1)))
    assert service.shown() == [["card lost"], ["card lost"]]


def test_every_round_has_a_content_key_and_a_second_run_asks_nothing(tmp_path: Path) -> None:
    service = Asking({"value": "none of these"}, {"value": "card new"})
    with ResponseCache(tmp_path / "answers") as cache:
        for _ in range(2):
            assert service.run(["my card is lost"], asked(), cache=cache).frame["value"].to_list() == ["card new"]
    assert len(service.bodies) == 2


def test_samples_vote_over_rounds_of_their_own() -> None:
    service = Asking({"value": "none of these"}, {"value": "none of these"}, {"value": "card new"})
    assert service.run(["my card is lost"], asked(), samples=2).frame["value"].to_list() == ["card new"]
    assert len(service.bodies) == 4


def test_a_label_with_a_line_break_stays_one_line() -> None:
    service = Asking({"value": "a\nb"})
    assert service.run(["a b"], asked(2, 1, ["a\nb", "c"])).frame["value"].to_list() == ["a\nb"]
    assert service.shown() == [['"a\\nb"', "c"]]


def test_the_offline_reader_chooses_among_the_candidates() -> None:
    labels = LABELS + [f"number {number}" for number in range(2_000)]
    result = run(["my card is lost", "a new account please"], asked(4, schema=labels), offline=True)
    assert result.frame["value"].to_list() == ["card lost", "account new"]


def test_classify_takes_candidates() -> None:
    meanings = {label: f"when a {label} is meant" for label in LABELS}
    assert classify(["my card is lost"], meanings, candidates=2, offline=True).frame["label"].to_list() == ["card lost"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidates": 0}, "whole number from 1"),
        ({"candidates": "many"}, "a number of labels"),
        ({"candidates": Candidates(field="nothing")}, "'nothing' is no label"),
        ({"candidates": 2, "windows": Windows()}, "leave out windows"),
    ],
)
def test_candidates_that_cannot_be_are_refused_before_anything_is_sent(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(["x"], Extractor(LABELS, "{text}", **options), offline=True)


def test_a_schema_without_labels_has_no_candidates() -> None:
    with pytest.raises(ConfigError, match="candidates are labels"):
        run(["x"], asked(schema=str), offline=True)
    with pytest.raises(ConfigError, match="give it another name"):
        run(["x"], asked(schema=["none of these", "a"]), offline=True)


def test_recall_is_told_from_gold_and_no_row_finds_its_own_label() -> None:
    gold = [
        {"text": "the machine swallowed it", "label": "account new"},
        {"text": "my card is late", "label": "card late"},
    ]
    recall = candidate_recall(asked(1, examples=Nearest(gold, 1, answer="label")), gold, answer="label")
    assert recall.hits == (1, 1)
    assert "1 of 12 labels, round 1, for 50.0%" in str(recall)
    with pytest.raises(ConfigError, match="give it candidates"):
        candidate_recall(Extractor(LABELS, "{text}"), gold, answer="label")


def test_what_is_checked_here_only_is_named() -> None:
    (loss,) = schema_of(asked()).losses
    assert (loss.path, loss.keyword, loss.value) == ("$.value", "enum", "12 labels")
    assert not schema_of(asked(schema=[f"label {n}" for n in range(2_000)])).complexity.warnings
    assert compile_schema(LABELS).losses == ()
