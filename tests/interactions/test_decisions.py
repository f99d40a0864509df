"""Decisions: typed questions, typed answers, limits found before the call."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from google.genai import decisions as sdk
from hypothesis import given, settings
from hypothesis import strategies as st

from extract import AsyncClient, Client, ConfigError, Emulator, MediaPart, Retry, TextPart
from extract.errors import Blocked, ExtractError, Overloaded, RateLimited, Unfinished, Unreachable
from extract.interactions.decisions import (
    BooleanAnswer,
    BooleanQuestion,
    ChoiceAnswer,
    ChoiceQuestion,
    ScoreAnswer,
    ScoreQuestion,
    UnknownAnswer,
    decode,
    encode,
)
from extract.testing import running_server

QUICK = Retry(first_wait=0.0001, longest_wait=0.001, patience=0.0)
TEXT = "My invoice is wrong. Please refund the payment to my card."
QUESTIONS = {
    "billing": BooleanQuestion("Is this about billing?", true="money, invoice", false="anything else"),
    "team": ChoiceQuestion("Which team?", {"finance": "invoices, payment", "tech": "bugs, crash"}),
    "anger": ScoreQuestion("How angry?", ["calm", "annoyed", "furious"]),
}


def client_of(emulator: Emulator, **options: Any) -> Client:
    return Client("key", transport=emulator.transport, retry=QUICK, **options)


def check(decisions: Any) -> None:
    billing, team, anger = (decisions[name] for name in QUESTIONS)
    assert isinstance(billing, BooleanAnswer)
    assert billing.confidence == max(billing.probability, 1 - billing.probability)
    assert isinstance(team, ChoiceAnswer)
    assert team.value == "finance"
    assert team.confidence == max(team.probabilities.values())
    assert sum(team.probabilities.values()) == pytest.approx(1)
    assert isinstance(anger, ScoreAnswer)
    assert anger.value == pytest.approx(sum(level * share for level, share in anger.probabilities.items()))
    assert decisions.usage.input_tokens > 0


@pytest.mark.parametrize("dialect", ["steps", "outputs"])
async def test_every_kind_of_question_is_answered(dialect: Any) -> None:
    emulator = Emulator()
    with client_of(emulator, dialect=dialect) as client:
        check(client.decide(TEXT, QUESTIONS))
    async with AsyncClient("key", transport=emulator.transport, dialect=dialect) as client:
        check(await client.decide([TextPart(TEXT)], QUESTIONS))
    with running_server(emulator) as url:
        async with AsyncClient("key", base_url=url, dialect=dialect) as client:
            check(await client.decide(TEXT, QUESTIONS))


def test_what_we_send_is_what_the_sdk_sends() -> None:
    body = encode((TEXT, MediaPart(kind="image", mime_type="image/png", data=b"x")), QUESTIONS, "gemini-decision-1")
    understood = sdk.CreateDecisionRequest.model_validate_json(body)
    assert json.loads(understood.model_dump_json(by_alias=True, exclude_none=True)) == json.loads(body)


def test_what_the_emulator_answers_is_what_the_sdk_reads() -> None:
    with client_of(Emulator()) as client:
        raw = client.decide(TEXT, QUESTIONS).raw
    answers = sdk.CreateDecisionResponse.model_validate(raw).answers or {}
    assert [type(answer).__name__ for answer in answers.values()] == ["NoulAnswer", "ChoiceAnswer", "ScoreAnswer"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: BooleanQuestion(" "), "instructions"),
        (lambda: ChoiceQuestion("q", ["one"]), "2 to 255"),
        (lambda: ChoiceQuestion("q", [str(n) for n in range(256)]), "2 to 255"),
        (lambda: ChoiceQuestion("q", ["a", "a"]), "once"),
        (lambda: ChoiceQuestion("q", ["a", " b"]), "no id"),
        (lambda: ChoiceQuestion("q", ["a", "b\n"]), "no id"),
        (lambda: ChoiceQuestion("q", "ab"), "list"),
        (lambda: ScoreQuestion("q", ["low", ""]), "description"),
        (lambda: ScoreQuestion("q", ["low"]), "2 to 255"),
    ],
)
def test_a_question_that_would_be_refused_cannot_be_made(make: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make()


@pytest.mark.parametrize("number", [0, 1001])
def test_the_number_of_questions_is_checked_before_the_call(number: int) -> None:
    emulator = Emulator()
    questions = {str(index): BooleanQuestion("really?") for index in range(number)}
    with client_of(emulator) as client, pytest.raises(ConfigError, match="1 to 1,000"):
        client.decide(TEXT, questions)
    assert emulator.stats()["other_requests"] == 0


def test_a_blocked_input_is_a_block() -> None:
    feedback = {"prompt_feedback": {"block_reason": "safety", "block_reason_message": "no"}}
    with (
        client_of(Emulator(decisions=lambda _: feedback)) as client,
        pytest.raises(Blocked, match="safety: no") as caught,
    ):
        client.decide(TEXT, QUESTIONS)
    assert caught.value.reason == "safety"


def test_a_missing_answer_is_said_and_an_unknown_one_kept() -> None:
    answers: dict[str, Any] = {"billing": {"type": "oracle", "saying": 42}}
    with client_of(Emulator(decisions=lambda _: {"answers": answers})) as client:
        with pytest.raises(Unfinished, match="team, anger"):
            client.decide(TEXT, QUESTIONS)
        decisions = client.decide(TEXT, {"billing": QUESTIONS["billing"]})
    assert decisions["billing"] == UnknownAnswer({"type": "oracle", "saying": 42})
    assert decisions.usage is None


def test_quota_and_faults_hold_for_decisions_too() -> None:
    with client_of(Emulator(rpm=1)) as client:
        client.decide(TEXT, QUESTIONS)
        with pytest.raises(RateLimited):
            client.decide(TEXT, QUESTIONS)
    with client_of(Emulator(faults="503=1")) as client, pytest.raises(Overloaded):
        client.decide(TEXT, QUESTIONS)
    with client_of(Emulator(faults="cut=1")) as client, pytest.raises(Unreachable):
        client.decide(TEXT, QUESTIONS)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.sampled_from(["noul", "choice", "score"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "noul", "choice", "score", "confidence", "probabilities", "billing", "x"]), inner
        )
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["answers", "prompt_feedback", "usage", "novelty"]), JSON) | JSON)
def test_any_response_is_read_or_ends_in_our_errors(raw: Any) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=json.dumps(raw)))
    with Client("key", transport=transport, retry=Retry(failures=1)) as client:
        try:
            decisions = client.decide(TEXT, {"billing": QUESTIONS["billing"]})
        except ExtractError:
            return
        assert "billing" in decisions.answers


@pytest.mark.parametrize(
    "change",
    [
        {"questions": {}},
        {"questions": {"q": {"type": "noul"}}},
        {"questions": {"q": {"type": "choice", "instructions": "x", "criteria": {"a": ""}}}},
        {"questions": {"q": {"type": "score", "instructions": "x", "criteria": ["a"]}}},
        {"novelty": 1},
        {"input": 3},
        {"input": [{"type": "hologram"}]},
    ],
)
def test_the_emulator_refuses_what_is_not_documented(change: dict[str, Any]) -> None:
    body = {"model": "gemini-decision-1", "input": "x", "questions": {"q": {"type": "noul", "instructions": "y"}}}
    with httpx.Client(transport=Emulator().transport, headers={"x-goog-api-key": "k"}) as http:
        assert http.post("http://localhost/v1/decisions", json=body).status_code == 200
        assert http.post("http://localhost/v1/decisions", json=body | change).status_code == 400


def test_a_number_too_large_for_a_share_is_kept_as_it_came() -> None:
    raw = b'{"answers": {"a": {"type": "noul", "noul": 1%s, "confidence": 1}}}' % (b"0" * 400)
    assert isinstance(decode(raw, {"a": BooleanQuestion("x?")})["a"], UnknownAnswer)
