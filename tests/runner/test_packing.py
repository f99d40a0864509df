"""Many rows in one request: each is still a row of its own, whatever becomes of the request."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from pydantic import BaseModel, Field

from extract import (
    Budget,
    Client,
    ConfigError,
    Emulator,
    Extractor,
    Generation,
    Limits,
    Nearest,
    OutputError,
    Pack,
    ResponseCache,
    classify,
    estimate,
    extract_one,
    moderate,
    run,
)
from extract.emulator import Fault
from extract.interactions.usage import Usage
from extract.runner.run import ask_all

ROWS = [f"row number {n}" for n in range(600)]


def text_of(body: dict[str, Any]) -> str:
    """Return the text of the newest turn."""
    return str(body["input"][-1]["content"][-1]["text"])


def number_in(body: dict[str, Any]) -> int:
    found = re.search(r"row number (\d+)", str(body["input"]))
    assert found is not None, "a row of these tests"
    return int(found[1])


def parity(body: dict[str, Any]) -> Any:
    return {"value": "even" if number_in(body) % 2 == 0 else "odd"}


def parities(pack: Any = 16, **options: Any) -> Extractor:
    return Extractor(["even", "odd"], "Is it even or odd?\n{text}", pack=pack, **options)


def client_of(emulator: Emulator) -> Client:
    return Client("key", transport=emulator.transport)


def bodies(emulator: Emulator) -> list[dict[str, Any]]:
    return [one.body for one in emulator.requests]


def wrong(frame: pl.DataFrame, start: int = 0) -> list[int]:
    """Return the places of rows that have another row's answer."""
    values = frame["value"].cast(pl.String).to_list()
    right = ("even", "odd")
    return [n for n, value in enumerate(values, start) if value is not None and value != right[n % 2]]


def test_rows_share_requests_and_the_table_is_the_same() -> None:
    packed, alone = Emulator(answers=parity), Emulator(answers=parity)
    together = run(ROWS, parities(), client=client_of(packed))
    single = run(ROWS, parities(pack=None), client=client_of(alone))
    assert together.frame.equals(single.frame)
    assert together.totals.requests == packed.stats()["requests"] <= 42
    assert alone.stats()["requests"] == 600
    assert together.totals.usage.input_tokens < single.totals.usage.input_tokens


FAULTS = [
    "pack_missing",
    "pack_double",
    "pack_swap",
    "pack_alien",
    "pack_extra",
    "pack_cut",
    "malformed",
    "429",
    "reset",
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_whatever_goes_wrong_with_a_request_no_row_is_lost_or_gets_anothers_answer(fault: str, rate: float) -> None:
    emulator = Emulator(answers=parity, faults=f"{fault}={rate}", seed=3)
    result = run(ROWS, parities(), client=client_of(emulator))
    assert result.totals.rows == result.frame.height == 600
    assert wrong(result.frame) == []
    assert result.totals.rejected <= 600 * rate**3
    assert set(result.errors["code"]) <= {"invalid_answer", "incomplete"}


def test_the_shares_of_the_rows_add_up_to_the_bill(tmp_path: Path) -> None:
    faults = "pack_missing=0.05,pack_cut=0.05,pack_alien=0.05,malformed=0.05,mismatch=0.05,cut=0.05"
    emulator = Emulator(answers=parity, faults=faults, seed=5)
    with ResponseCache(tmp_path / "c") as cache:
        result = run(ROWS, parities(), client=client_of(emulator), cache=cache, provenance=True)
        entries = cache.spent()
    stats = emulator.stats()
    assert result.totals.requests == stats["requests"]
    billed = sum((one.usage for one in entries), Usage())
    assert result.totals.usage == billed
    assert result.totals.cost == sum((one.cost or Decimal(0) for one in entries), Decimal(0))
    shares = result.frame["_extract"].struct.unnest()
    assert shares["input_tokens"].sum() == billed.input_tokens
    assert shares["output_tokens"].sum() == billed.output_tokens
    assert shares["cost_usd"].sum() == pytest.approx(float(result.totals.cost or 0))
    assert shares["pack"].max() == 16


def test_another_size_finds_all_answers_in_the_cache(tmp_path: Path) -> None:
    emulator = Emulator(answers=parity)
    first = run(ROWS, parities(16), client=client_of(emulator), cache=tmp_path / "c")
    again = run(ROWS, parities(8), client=client_of(emulator), cache=tmp_path / "c")
    assert again.frame.equals(first.frame)
    assert (again.totals.requests, again.totals.cached) == (0, 600)
    alone = run(ROWS[:5], parities(None), client=client_of(emulator), cache=tmp_path / "c")
    assert alone.totals.requests == 5  # an answer beside others is not one alone


def test_a_row_that_the_service_blocks_costs_its_neighbours_nothing() -> None:
    def answer(body: dict[str, Any]) -> Any:
        return Fault("blocked_failed") if number_in(body) == 77 else parity(body)

    result = run(ROWS[:160], parities(), client=client_of(Emulator(answers=answer)))
    assert result.errors["row_id"].to_list() == [77]
    assert result.errors["code"].to_list() == ["blocked"]
    assert wrong(result.frame) == []


def test_where_many_requests_are_refused_fewer_rows_are_asked_at_once(caplog: pytest.LogCaptureFixture) -> None:
    def answer(body: dict[str, Any]) -> Any:
        return Fault("blocked_failed") if number_in(body) % 10 == 0 else parity(body)

    emulator = Emulator(answers=answer)
    result = run(ROWS, parities(), client=client_of(emulator))
    assert result.errors["code"].unique().to_list() == ["blocked"]
    assert result.errors.height == 60
    assert "at most 8 rows each" in caplog.text
    assert emulator.stats()["requests"] < 600


def test_a_few_bad_rows_do_not_make_requests_smaller(caplog: pytest.LogCaptureFixture) -> None:
    def answer(body: dict[str, Any]) -> Any:
        return Fault("blocked_failed") if number_in(body) % 400 == 7 else parity(body)

    rows = [f"row number {n}" for n in range(2400)]
    emulator = Emulator(answers=answer)
    result = run(rows, parities(), client=client_of(emulator))
    assert result.totals.rejected == 6
    assert "refused" not in caplog.text
    assert emulator.stats()["requests"] <= 1.1 * (2400 / 16 + 6 * 9)  # for each bad row its way by halving


def test_rows_of_one_value_stand_together_and_no_others() -> None:
    seen: list[set[str]] = []
    emulator = Emulator(answers=parity)
    frame = pl.DataFrame({"text": ROWS, "who": [f"customer {n % 7}" for n in range(600)]})
    extractor = Extractor(["even", "odd"], "{who}: {text}", pack=Pack(rows=16, by="who"))
    result = run(frame, extractor, client=client_of(emulator))
    for body in bodies(emulator):
        text = text_of(body)
        seen.append({f"customer {n}" for n in range(7) if f"customer {n}:" in text})
    assert all(len(group) == 1 for group in seen)
    assert wrong(result.frame) == []
    assert result.totals.requests < 120


def test_a_long_row_goes_alone_in_its_own_form() -> None:
    emulator = Emulator(answers=lambda body: {"value": "even"})
    result = run(["short", "x" * 5_000, "also short"], parities(), client=client_of(emulator), provenance=True)
    assert result.frame["_extract"].struct.field("pack").to_list() == [2, None, 2]
    assert sum("<row " in text_of(body) for body in bodies(emulator)) == 1


def test_the_beginning_of_every_request_is_the_same() -> None:
    emulator = Emulator(answers=parity)
    example = {"examples": Extractor(["even"], "{text}").examples}
    run(ROWS, parities(**example), client=client_of(emulator))
    constants = {str(body["input"][-1]["content"][0]) for body in bodies(emulator)}
    assert len(constants) == 1
    assert len({str({**body, "input": None}) for body in bodies(emulator)}) == 1


class Order(BaseModel):
    number: int = Field(ge=0, le=1_000)
    kind: Literal["even", "odd"]


def test_a_wrong_answer_is_repaired_with_the_paths_inside_of_its_row() -> None:
    repaired: Counter[int] = Counter()
    lock = threading.Lock()

    def answer(body: dict[str, Any]) -> Any:
        text = text_of(body)
        n = int(text.split("row number ")[1].split()[0])
        right = {"number": n, "kind": ("even", "odd")[n % 2]}
        if n % 20 == 0 and "Your last answer" not in text:
            return right | {"number": -5}
        if "Your last answer" in text:
            assert "$.number" in text
            with lock:
                repaired[n] += 1
        return right

    result = run(ROWS, Extractor(Order, "{text}", pack=16), client=client_of(Emulator(answers=answer)))
    assert result.totals.valid == 600
    assert result.frame["number"].to_list() == list(range(600))
    assert sorted(repaired) == list(range(0, 600, 20))
    assert result.totals.repairs == 30


def test_rejected_rows_are_asked_again_on_request(tmp_path: Path) -> None:
    is_broken = True

    def answer(body: dict[str, Any]) -> Any:
        return {"value": "neither"} if is_broken and number_in(body) % 50 == 0 else parity(body)

    client = client_of(Emulator(answers=answer))
    extractor = Extractor(["even", "odd"], "{text}", pack=16, repairs=0)
    first = run(ROWS, extractor, client=client, cache=tmp_path / "c")
    assert first.totals.rejected == 12
    is_broken = False
    again = run(ROWS, extractor, client=client, cache=tmp_path / "c", retry_rejected=True)
    assert (again.totals.valid, again.totals.cached) == (600, 588)
    assert again.totals.requests <= 2


def test_samples_of_one_row_never_stand_in_one_request() -> None:
    emulator = Emulator(answers=parity)
    result = run(ROWS[:60], parities(), client=client_of(emulator), samples=3)
    assert result.totals.valid == 60
    for body in bodies(emulator):
        numbers = [line for line in text_of(body).splitlines() if line.startswith("row number")]
        assert len(numbers) == len(set(numbers))


def test_the_order_of_the_input_is_not_that_of_a_request() -> None:
    emulator = Emulator(answers=parity)
    run(ROWS, parities(), client=client_of(emulator), limits=Limits(concurrency=4))
    orders = [
        [int(line.rsplit(maxsplit=1)[-1]) for line in text_of(body).splitlines() if line.startswith("row number")]
        for body in bodies(emulator)
    ]
    assert sum(order == sorted(order) for order in orders) <= 2
    assert sorted(n for order in orders for n in order) == list(range(600))


def test_a_budget_is_never_passed() -> None:
    emulator = Emulator(answers=parity)
    spent: list[Decimal] = []
    result = run(
        ROWS,
        parities(),
        client=client_of(emulator),
        budget=Budget(dollars=Decimal("0.005")),
        on_event=lambda now: spent.append(now.totals.cost or Decimal(0)),
    )
    assert result.stopped is not None
    assert result.stopped.code == "not_run" or "budget" in str(result.stopped)
    assert max(spent) <= Decimal("0.005")
    assert 0 < result.totals.valid < 600
    assert result.totals.rows == 600


def test_an_output_limit_of_a_row_holds_for_each_row() -> None:
    emulator = Emulator(answers=parity)
    extractor = parities(generation=Generation(max_output_tokens=40))
    result = run(ROWS[:64], extractor, client=client_of(emulator))
    assert result.totals.valid == 64
    assert {body["generation_config"]["max_output_tokens"] for body in bodies(emulator)} == {16 * (40 + 32)}


def test_values_are_looked_for_in_their_own_row() -> None:
    rows = [f"Total: {n}.50 EUR" for n in range(1, 40)]

    class Bill(BaseModel):
        total: Decimal

    result = run(rows, Extractor(Bill, "{text}", grounding=("text",), pack=8), offline=True, require_grounding=True)
    assert result.totals.valid == 39
    assert result.frame["total"].to_list() == [Decimal(f"{n}.50") for n in range(1, 40)]
    assert result.frame["_spans"].list.first().struct.field("status").is_in(["exact", "normalised"]).all()


def test_the_reader_reads_each_row_as_if_it_had_come_alone() -> None:
    rows = [f"{'A billing error' if n % 2 else 'The app has a bug'}, says customer {n}" for n in range(50)]
    for options in ({}, {"examples": [("the invoice is wrong", "billing"), ("it crashes", "bug")]}):
        alone = classify(rows, ["billing", "bug"], offline=True, **options)
        packed = classify(rows, ["billing", "bug"], offline=True, pack=16, **options)
        assert packed.frame.equals(alone.frame)


def test_a_row_alone_has_no_pack() -> None:
    assert extract_one({"text": "row number 4"}, parities(), client=client_of(Emulator(answers=parity))).pack is None


def test_moderation_is_not_packed_on_a_guess() -> None:
    with pytest.raises(ConfigError, match="trusted=True"):
        moderate(["you idiot"], pack="auto", offline=True)
    assert moderate(["you idiot", "see you at noon"], pack=2, offline=True).totals.requests == 1


def test_an_estimate_shows_what_more_rows_in_a_request_would_change() -> None:
    sizes = {one.rows: one for one in estimate(ROWS, parities(None)).packs}
    assert [sizes[size].requests for size in (1, 4, 8, 16, 32)] == [600, 150, 75, 38, 19]
    assert sizes[16].input_tokens < sizes[1].input_tokens
    assert all(one.cost_without_schema < one.cost for one in sizes.values())  # type: ignore[operator]
    assert sizes[8].minutes(rpd=10) == 7 * 24 * 60


def test_an_estimate_shows_the_size_that_is_asked_for() -> None:
    shown = {one.rows: one.requests for one in estimate(ROWS[:100], parities(10)).packs}
    assert shown == {1: 100, 4: 25, 8: 13, 10: 10, 16: 7, 32: 4}


def test_the_estimate_of_requests_is_what_a_run_sends() -> None:
    expected = {one.rows: one.input_tokens for one in estimate(ROWS, parities(None)).packs}[16]
    result = run(ROWS, parities(16), client=client_of(Emulator(answers=parity)))
    assert result.totals.usage.input_tokens <= expected


def test_auto_needs_an_input_that_can_be_read_twice() -> None:
    with pytest.raises(ConfigError, match="read only once"):
        run(({"text": row} for row in ROWS), parities("auto"), offline=True)


def test_auto_makes_no_trial_that_costs_more_than_a_tenth(caplog: pytest.LogCaptureFixture) -> None:
    result = run(ROWS, parities("auto"), client=client_of(Emulator(answers=parity)))
    assert result.totals.requests == 600
    assert "a trial would cost more than a tenth of this run" in caplog.text
    assert result.details.manifest["pack"]["rows"] == 1


def test_examples_of_a_row_stand_in_its_own_block() -> None:
    gold = [{"text": f"the bill of {n} is wrong", "label": "billing"} for n in range(5)]
    gold += [{"text": f"screen {n} stays black", "label": "bug"} for n in range(5)]
    extractor = Extractor(["billing", "bug"], "{text}", examples=Nearest(gold, k=2, answer="label"), pack=4)
    emulator = Emulator()
    rows = [f"{'a bill is wrong' if n % 2 else 'my screen stays black'}, says {n}" for n in range(20)]
    result = run(rows, extractor, client=client_of(emulator))
    assert result.frame["value"].cast(pl.String).to_list() == ["bug", "billing"] * 10
    assert result.totals.requests == 5
    assert all(len(body["input"]) == 1 for body in bodies(emulator))
    assert len({str(body["input"][0]["content"][0]) for body in bodies(emulator)}) == 1


def bill_of(cache: ResponseCache) -> tuple[Usage, Decimal, Decimal]:
    """Return what the ledger of a cache holds: tokens, dollars, and the most that lost requests can have cost."""
    entries = cache.spent()
    cost = sum((one.cost or Decimal(0) for one in entries), Decimal(0))
    bound = sum((one.bound or Decimal(0) for one in entries), Decimal(0))
    return sum((one.usage for one in entries if one.usage is not None), Usage()), cost, bound


@pytest.mark.parametrize("concurrency", [1, 2, 16])
def test_rows_whose_time_is_over_are_in_the_bill_and_their_requests_end(tmp_path: Path, concurrency: int) -> None:
    emulator = Emulator(answers=parity, latency=0.05, latency_spread=1.0, seed=1)
    limits = Limits(concurrency=concurrency, deadline=0.08)
    with ResponseCache(tmp_path / "c") as cache:
        result = run(ROWS[:160], parities(8), client=client_of(emulator), cache=cache, limits=limits)
        bill = bill_of(cache)
    assert set(result.totals.errors) == {"timeout"}
    assert result.totals.requests == emulator.stats()["requests"]
    assert result.totals.unknown_attempts > 0  # requests that nobody waited for any more have ended
    assert (result.totals.usage, result.totals.cost, result.totals.unknown_cost) == bill
    assert wrong(result.frame) == []


@pytest.mark.parametrize("concurrency", [1, 2])
def test_requests_are_full_also_where_answers_take_their_time(concurrency: int) -> None:
    emulator = Emulator(answers=parity, latency=0.15)  # longer than rows wait for company
    run(ROWS[:48], parities(8), client=client_of(emulator), limits=Limits(concurrency=concurrency))
    assert emulator.stats()["requests"] == 6


def test_samples_fill_requests_with_different_rows() -> None:
    emulator = Emulator(answers=parity)
    result = run(ROWS[:480], parities(16), client=client_of(emulator), samples=3)
    assert result.totals.valid == 480
    assert emulator.stats()["requests"] <= 1.1 * 3 * 480 / 16


def test_an_output_limit_leaves_room_for_what_stands_around_an_answer() -> None:
    extractor = parities(generation=Generation(max_output_tokens=8))  # enough for {"value":"even"}
    emulator = Emulator(answers=parity)
    result = run(ROWS[:64], extractor, client=client_of(emulator))
    assert result.totals.valid == 64
    assert emulator.stats()["requests"] == 4


def test_what_nobody_has_foreseen_ends_the_run_and_leaves_no_row_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("extract.extractor.pack.PackForm.read", broken)
    with pytest.raises(OutputError, match="a bug"):
        run(ROWS[:40], parities(), client=client_of(Emulator(answers=parity)), limits=Limits(concurrency=1))


def test_an_interrupted_trial_says_nothing_and_interrupts_the_run() -> None:
    async def interrupted() -> Any:
        runners: list[Any] = []

        def started(runner: Any) -> None:
            runners.append(runner)
            asyncio.get_running_loop().call_later(0.2, runner.interrupt)

        emulator = Emulator(answers=parity, latency=0.1)
        rows = [f"row number {n}" for n in range(10_000)]
        return await ask_all(rows, parities("auto"), {"client": client_of(emulator)}, started)

    result = asyncio.run(interrupted())
    assert result.interrupted
    assert result.totals.not_run == 10_000
    assert result.details.manifest["pack"]["reason"] == "the trial was interrupted"


def test_rows_that_read_like_orders_are_answered_like_any_other() -> None:
    rows = [
        f"{verb} my card, number {n}" for n, verb in enumerate(["Read", "Extract", "Answer", "Classify", "Show"] * 16)
    ]
    emulator = Emulator()
    result = run(rows, Extractor(["card", "loan"], "Classify:\n{text}", pack=16), client=client_of(emulator))
    assert result.totals.valid == 80
    assert result.totals.requests == 5
