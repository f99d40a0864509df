"""What stands around a send: each fallback answers one kind of failure and lets all others through."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from extract import Denied, Limits, RateLimited, SchemaTooComplex
from extract.documents.parts import Turn
from extract.interactions.interaction import Interaction
from extract.runner.fallbacks import SchemaLadder, with_files, with_schema_ladder, with_tier
from extract.runner.request import SendMode
from extract.runner.trace import Deadline, RecordTrace
from extract.runner.uploads import LostFile, Uploads

ASK, TURNS = SendMode("ask"), (Turn.user("hello"),)
ANSWER = cast("Interaction", object())


class Service:
    """Fails as often as it has failures left, and remembers how it was sent to."""

    def __init__(self, *failures: Exception) -> None:
        self.failures, self.modes = list(failures), list[SendMode]()

    async def send(self, turns: Sequence[Turn], mode: SendMode, trace: RecordTrace, /) -> Interaction:
        self.modes.append(mode)
        if self.failures:
            raise self.failures.pop(0)
        return ANSWER


def trace() -> RecordTrace:
    return RecordTrace(0.0, Deadline(lambda: 0.0))


class Rungs(dict[bytes, int]):
    def rung(self, schema: bytes) -> int:
        return self.get(schema, 0)

    def remember_rung(self, schema: bytes, rung: int) -> None:
        self[schema] = rung


async def test_a_schema_is_relaxed_until_the_service_accepts_it_and_stays_relaxed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", logger="extract")
    service, rungs = Service(SchemaTooComplex("deep"), SchemaTooComplex("deep")), Rungs()
    send = with_schema_ladder(service.send, SchemaLadder(b"s", 3, rungs))
    assert await send(TURNS, ASK, trace()) is ANSWER
    assert [mode.rung for mode in service.modes] == [0, 1, 2]
    await send(TURNS, ASK, trace())
    assert service.modes[-1].rung == 2
    assert rungs == {b"s": 2}
    assert [message.split(": ")[1] for message in caplog.messages] == [
        "form 2 of 3 is sent from now on",
        "form 3 of 3 is sent from now on",
    ]
    assert SchemaLadder(b"s", 2, rungs).rung == 1  # never a rung that the ladder has not


async def test_a_ladder_ends() -> None:
    service = Service(*[SchemaTooComplex("deep")] * 3)
    with pytest.raises(SchemaTooComplex):
        await with_schema_ladder(service.send, SchemaLadder(b"s", 2))(TURNS, ASK, trace())
    assert len(service.modes) == 2


def test_a_rung_that_another_row_has_left_is_not_climbed_from_again() -> None:
    ladder = SchemaLadder(b"s", 4)
    assert ladder.climb(0)
    assert ladder.climb(0)
    assert ladder.rung == 1


async def test_flex_leaves_standard_its_share_and_is_not_tried_again_for_the_record() -> None:
    service, record = Service(RateLimited("busy", status=503)), trace()
    send = with_tier(service.send, Limits(deadline=10.0))
    for _ in range(2):
        await send(TURNS, ASK, record)
    assert [mode.tier for mode in service.modes] == [None, "standard", "standard"]
    assert service.modes[0].retry is not None
    assert service.modes[0].retry.patience == 5.0
    assert service.modes[1].retry is None


async def test_what_no_fallback_is_for_goes_through() -> None:
    for wrapped in (
        lambda send: with_tier(send, Limits(deadline=10.0)),
        lambda send: with_schema_ladder(send, SchemaLadder(b"s", 2)),
    ):
        service = Service(Denied("no"))
        with pytest.raises(Denied):
            await wrapped(service.send)(TURNS, ASK, trace())
        assert len(service.modes) == 1


class Placed:
    @asynccontextmanager
    async def placed(self, turns: Sequence[Turn]) -> AsyncIterator[Sequence[Turn]]:
        yield turns


async def test_a_lost_file_is_sent_once_more() -> None:
    service, record = Service(LostFile("gone", status=404)), trace()
    uploads: Any = Placed()
    assert await with_files(service.send, cast("Uploads", uploads))(TURNS, ASK, record) is ANSWER
    assert ([mode.kind for mode in service.modes], record.retries) == (["ask", "retry"], 1)
