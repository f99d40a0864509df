"""A record's trace becomes its outcome without a second list of names, and takes in those of its parts."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal

from extract import Attempt, BadRecord, Citation, Outcome, Usage
from extract.runner.trace import Deadline, RecordTrace


def trace_at(seconds: float = 0.0) -> RecordTrace:
    return RecordTrace(0.0, Deadline(lambda: seconds))


def test_an_outcome_takes_over_every_field_of_its_trace() -> None:
    trace = trace_at(2.5)
    own = {"row_id", "value", "row", "error", "route"}  # a route is told of several traces
    shared = {one.name for one in fields(Outcome)} - own
    trace.answer, trace.attempts, trace.model, trace.windows = "{}", 2, "m", 3
    trace.agreement, trace.mended = {"a": 0.5}, ("fence",)
    trace.ledger = (Attempt(kind="ask", model="m", usage=Usage(input_tokens=4), cost=Decimal("0.5")),)
    outcome = trace.outcome(7, value=1, row=(1,))
    assert {name: getattr(outcome, name) for name in shared} == {name: getattr(trace, name) for name in shared}
    assert (outcome.row_id, outcome.value, outcome.row, outcome.ok) == (7, 1, (1,), True)
    assert (outcome.seconds, outcome.cost, outcome.usage.input_tokens) == (2.5, Decimal("0.5"), 4)
    assert isinstance(trace_at().outcome(1, error=BadRecord("no text")).error, BadRecord)


def test_an_answer_is_cached_where_this_run_has_not_asked_for_it() -> None:
    stored, asked = trace_at(), trace_at()
    stored.answer = asked.answer = "{}"
    asked.attempts = 1
    assert (stored.outcome(1).cached, asked.outcome(1).cached) == (True, False)


def test_parts_are_added_up_and_places_in_a_merged_answer_are_given_up() -> None:
    whole = trace_at()
    for number in range(2):
        part = whole.part()
        part.attempts, part.retries, part.reused = 2, number, bool(number)
        part.mended = ("fence",)
        part.grounded = bool(number)
        part.citations = (Citation(kind="web", source="s", start=1, end=2),)
        whole.add(part)
    assert (whole.attempts, whole.retries, whole.reused, whole.mended) == (4, 1, True, ("fence",))
    assert whole.grounded is True
    assert {(one.start, one.end) for one in whole.citations} == {(None, None)}


def test_a_deadline_counts_from_the_first_request() -> None:
    now = 10.0
    deadline = Deadline(lambda: now)
    assert deadline.elapsed == 0.0
    deadline.start()
    now = 14.0
    deadline.start()
    assert deadline.elapsed == 4.0
