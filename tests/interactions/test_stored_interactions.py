"""Interactions that the service keeps: fetched, deleted, cancelled, waited for, and talked on with or without it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from clocks import Clock

from extract import AsyncClient, Client, ConfigError, Conversation, Emulator, Generation, Interaction, Request, Retry
from extract.errors import AnswerTimeout, BadRequest, Denied, Unreachable
from extract.testing import running_server

BOTH = pytest.mark.parametrize("kind", ["sync", "async"])
DIALECTS = pytest.mark.parametrize("dialect", ["steps", "outputs"])
QUICK = Retry(failures=3, first_wait=0.001, longest_wait=0.01)
STORED = Request(model="gemini-3.8-flash", input="Where?", store=True)
JOB = replace(STORED, background=True)


class Hands:
    """One client of either kind, with the same words for both."""

    def __init__(self, kind: str, transport: Any = None, *, clock: Clock | None = None, **options: Any) -> None:
        self.kind = kind
        shared_clock = clock or Clock()
        options |= {"transport": transport, "clock": shared_clock, "retry": QUICK}
        if kind == "sync":
            self.client: Any = Client("k", sleep=shared_clock.sleep, **options)
        else:
            self.client = AsyncClient("k", sleep=shared_clock.sleep_async, **options)

    async def do(self, name: str, *args: Any, **options: Any) -> Any:
        result = getattr(self.client, name)(*args, **options)
        return result if self.kind == "sync" else await result


@BOTH
@DIALECTS
async def test_a_stored_interaction_is_fetched_with_or_without_its_input(kind: str, dialect: Any) -> None:
    hands = Hands(kind, Emulator(dialect=dialect, answers=["Here."]).transport, dialect=dialect)
    made = await hands.do("create", STORED)
    fetched = await hands.do("get", made)
    assert (fetched.id, fetched.text) == (made.id, "Here.")
    whole = await hands.do("get", made.id, include_input=True)
    assert whole.text == "Here."
    assert "Where?" in str(whole.raw)


@BOTH
@DIALECTS
async def test_a_deleted_interaction_is_gone(kind: str, dialect: Any) -> None:
    hands = Hands(kind, Emulator(dialect=dialect, answers=["Here."]).transport, dialect=dialect)
    made = await hands.do("create", STORED)
    assert await hands.do("delete", made) is None
    with pytest.raises(BadRequest, match="deleted"):
        await hands.do("get", made)


@BOTH
@pytest.mark.parametrize("call", ["get", "delete", "cancel", "wait", "create"])
async def test_an_unknown_id_is_told_in_so_many_words(kind: str, call: str) -> None:
    hands = Hands(kind, Emulator(answers=lambda _: "x").transport)
    subject: Any = replace(STORED, previous_interaction_id="v1_none") if call == "create" else "v1_none"
    with pytest.raises(BadRequest, match="keeps no interaction 'v1_none'") as caught:
        await hands.do(call, subject)
    assert caught.value.status == 404
    assert "base-url" not in str(caught.value)


@BOTH
async def test_an_unknown_model_stays_what_it_is(kind: str) -> None:
    with pytest.raises(Denied, match="model"):
        await Hands(kind, Emulator().transport).do("create", replace(STORED, model="unknown"))


@BOTH
@pytest.mark.parametrize("call", ["get", "delete", "cancel", "wait"])
async def test_what_was_not_stored_has_no_name(kind: str, call: str) -> None:
    with pytest.raises(ConfigError, match="store=True"):
        await Hands(kind, Emulator().transport).do(call, Interaction(status="in_progress"))


@BOTH
async def test_an_id_is_quoted_in_the_path(kind: str) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path.decode())
        return httpx.Response(200, json={"status": "completed"})

    await Hands(kind, httpx.MockTransport(answer)).do("get", "a/../b?c")
    assert seen == ["/v1/interactions/a%2F..%2Fb%3Fc"]


@BOTH
@DIALECTS
async def test_a_job_of_ten_minutes_is_waited_for_by_an_injected_clock(kind: str, dialect: Any) -> None:
    clock = Clock()
    emulator = Emulator(dialect=dialect, answers=["Done."], background_seconds=600, clock=clock)
    hands = Hands(kind, emulator.transport, clock=clock, dialect=dialect)
    job = await hands.do("create", JOB)
    assert job.status in ("in_progress", "queued")
    looks: list[str] = []
    done = await hands.do("wait", job, on_progress=lambda look: looks.append(look.status))
    assert (done.status, done.text) == ("completed", "Done.")
    assert 600 <= clock.now <= 605
    assert (len(looks), looks[-1]) == (121, "completed")
    assert await hands.do("wait", done) is done


@BOTH
async def test_waiting_ends_at_its_deadline_and_the_job_goes_on(kind: str) -> None:
    clock = Clock()
    emulator = Emulator(answers=["Done."], background_seconds=600, clock=clock)
    hands = Hands(kind, emulator.transport, clock=clock)
    job = await hands.do("create", JOB)
    with pytest.raises(AnswerTimeout, match="still 'in_progress' after 12 s"):
        await hands.do("wait", job.id, deadline=12)
    assert clock.now == 12
    assert (await hands.do("wait", job.id)).text == "Done."


@BOTH
async def test_a_status_that_is_not_known_is_waited_out(kind: str) -> None:
    statuses = ["thinking_hard", "thinking_harder", "completed"]
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"id": "v", "status": statuses.pop(0)}))
    assert (await Hands(kind, transport).do("wait", "v")).status == "completed"


@BOTH
async def test_an_interaction_that_waits_for_its_client_is_not_waited_for(kind: str) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"id": "v", "status": "idle"}))
    clock = Clock()
    hands = Hands(kind, transport, clock=clock)
    assert (await hands.do("wait", "v")).status == "idle"
    assert clock.now == 0


class NeverEnding(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Events up to `idle`; whoever reads on waits for ever, which here is a failure."""

    def __iter__(self) -> Iterator[bytes]:
        for event in (
            {"event_type": "interaction.created", "interaction": {"id": "v", "status": "in_progress"}},
            {"event_type": "step.start", "index": 0, "step": {"type": "model_output"}},
            {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "Go on."}},
            {"event_type": "interaction.status_update", "interaction_id": "v", "status": "idle"},
        ):
            yield b"data: " + json.dumps(event).encode() + b"\n\n"
        raise AssertionError("the stream is read beyond its end")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


@BOTH
@pytest.mark.parametrize("how", ["stream", "follow"])
async def test_a_stream_ends_where_the_interaction_waits_for_its_client(kind: str, how: str) -> None:
    headers = {"content-type": "text/event-stream"}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, stream=NeverEnding()))
    stream = getattr(Hands(kind, transport).client, how)("v" if how == "follow" else STORED)
    ended = stream.finish() if kind == "sync" else await stream.finish()
    assert (ended.status, ended.text) == ("idle", "Go on.")


@BOTH
async def test_a_project_that_may_not_cancel_is_told_that(kind: str) -> None:
    error = {"error": {"code": "permission_denied", "message": "no"}}
    transport = httpx.MockTransport(lambda _: httpx.Response(403, json=error))
    with pytest.raises(Denied, match="the project may not do this"):
        await Hands(kind, transport).do("cancel", "v")


@BOTH
async def test_waiting_outlives_a_lost_connection(kind: str) -> None:
    replies: list[Any] = [httpx.ConnectError("down"), httpx.Response(503), {"status": "in_progress"}]
    replies += [httpx.ReadError("reset"), {"status": "completed", "id": "v"}]

    def answer(_: httpx.Request) -> httpx.Response:
        reply = replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, httpx.Response) else httpx.Response(200, json=reply)

    assert (await Hands(kind, httpx.MockTransport(answer)).do("wait", "v")).id == "v"
    replies[:] = [httpx.ConnectError("down")] * 9
    with pytest.raises(Unreachable):
        await Hands(kind, httpx.MockTransport(answer)).do("wait", "v")


@BOTH
async def test_a_running_job_is_cancelled_and_a_finished_one_is_not(kind: str) -> None:
    clock = Clock()
    hands = Hands(kind, Emulator(answers=["Done."] * 2, background_seconds=60, clock=clock).transport, clock=clock)
    job = await hands.do("create", JOB)
    assert (await hands.do("cancel", job)).status == "cancelled"
    assert (await hands.do("wait", job)).status == "cancelled"
    finished = await hands.do("wait", await hands.do("create", JOB))
    with pytest.raises(BadRequest, match="cannot be cancelled: it has ended"):
        await hands.do("cancel", finished)


def test_a_job_of_five_seconds_over_a_socket() -> None:
    clock = Clock()  # of both sides: the server runs in this process
    emulator = Emulator(answers=["Done."], background_seconds=5, clock=clock)
    with running_server(emulator) as url, Client("k", base_url=url, sleep=clock.sleep, clock=clock) as client:
        job = client.create(JOB)
        assert clock.now == 0
        done = client.wait(job, poll=0.25, deadline=30)
    assert done.text == "Done."
    assert 5 <= clock.now <= 5.25


ANSWERS = ["The Rhine.", "1,230 km."]
THINKING = Generation(thinking_level="low")
Bodies = list[dict[str, Any]]


async def both_turns(kind: str, dialect: Any, start: Request) -> tuple[Bodies, list[Interaction], Conversation]:
    emulator = Emulator(dialect=dialect, answers=ANSWERS)
    hands = Hands(kind, emulator.transport, dialect=dialect)
    conversation, answers = Conversation(start), []
    for words in ("Name a river.", "How long is it?"):
        request = conversation.ask(words)
        answers.append(await hands.do("create", request))
        conversation = conversation.with_answer(request, answers[-1])
    assert [answer.text for answer in answers] == ANSWERS
    return [request.body for request in emulator.requests], answers, conversation


START = Request(
    model="gemini-3.8-flash",
    system="Be brief.",
    generation=THINKING,
    tools=({"type": "function", "name": "f", "description": "Never needed", "parameters": {"type": "object"}},),
)


@BOTH
@DIALECTS
async def test_a_talk_with_server_state_sends_the_last_id_and_all_that_is_not_inherited(
    kind: str, dialect: Any
) -> None:
    bodies, answers, conversation = await both_turns(kind, dialect, replace(START, store=True))
    first, second = bodies
    assert second["previous_interaction_id"] == answers[0].id
    assert "previous_interaction_id" not in first
    assert len(second["input"]) == 1
    for name in ("system_instruction", "tools", "generation_config"):
        assert second[name] == first[name]
    assert conversation.ask("x").previous_interaction_id == answers[1].id


@BOTH
@DIALECTS
async def test_a_talk_without_sends_the_history_with_its_thoughts_as_they_came(kind: str, dialect: Any) -> None:
    bodies, answers, _ = await both_turns(kind, dialect, START)
    thought = next(step for step in answers[0].steps if step["type"] == "thought")
    sent = bodies[1]["input"]
    assert "previous_interaction_id" not in bodies[1]
    if dialect == "steps":
        assert [step["type"] for step in sent] == ["user_input", "thought", "model_output", "user_input"]
        assert sent[1:3] == list(answers[0].steps)
    else:
        assert [turn["role"] for turn in sent] == ["user", "model", "user"]
        assert sent[1]["content"][0] == thought


def test_a_talk_never_changes() -> None:
    conversation = Conversation(START)
    request = conversation.ask("a")
    answer = Interaction(status="completed", steps=({"type": "model_output", "content": []},))
    later = conversation.with_answer(request, answer)
    assert conversation == Conversation(START)
    assert later != conversation
    assert conversation.ask("a") == request


def test_a_talk_goes_on_only_after_a_whole_answer() -> None:
    conversation = Conversation(replace(START, store=True))
    request = conversation.ask("a")
    with pytest.raises(ConfigError, match="wait for it"):
        conversation.with_answer(request, Interaction(status="in_progress", id="v"))
    with pytest.raises(ConfigError, match="store=True"):
        conversation.with_answer(request, Interaction(status="completed"))


def test_a_streamed_answer_goes_into_a_talk_like_any_other() -> None:
    emulator = Emulator(answers=ANSWERS)
    with Client("k", transport=emulator.transport) as client:
        conversation = Conversation(START)
        request = conversation.ask("Name a river.")
        with client.stream(request) as stream:
            conversation = conversation.with_answer(request, stream.finish())
        assert client.create(conversation.ask("How long is it?")).text == ANSWERS[1]


@BOTH
async def test_a_stored_stream_is_taken_up_again_over_a_real_emulator(kind: str) -> None:
    emulator = Emulator(answers=lambda _: "word " * 40, faults="cut=0.4", seed=5)
    hands = Hands(kind, emulator.transport)
    texts = []
    for _ in range(8):
        stream = hands.client.stream(STORED)
        whole: Callable[[], Any] = stream.finish
        texts.append((whole() if kind == "sync" else await whole()).text)
    assert texts == ["word " * 40] * 8
