from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract import (
    BadRequest,
    Blocked,
    Denied,
    Incomplete,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    SchemaTooComplex,
    Unfinished,
)
from extract.errors import ExtractError
from extract.interactions.failures import judge, refusal
from extract.interactions.http.calls import Reply
from extract.interactions.interaction import Failure, Interaction

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def reply(status: int, body: Any = None, **headers: str) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, data)


def coded(code: str, message: str = "no") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def rpc(code: int, status: str, *details: dict[str, Any], message: str = "no") -> dict[str, Any]:
    return {"error": {"code": code, "status": status, "message": message, "details": list(details)}}


QUOTA = {"@type": "type.googleapis.com/google.rpc.QuotaFailure"}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (reply(400, coded("invalid_request")), BadRequest),
        (reply(400, coded("parameter_unknown")), BadRequest),
        (reply(400, coded("failed_precondition")), Denied),
        (reply(400, coded("invalid_request", "Request blocked due to SAFETY")), Blocked),
        (reply(400, coded("prohibited_content")), Blocked),
        (reply(400, coded("invalid_request", "a constraint that has too many states for serving")), SchemaTooComplex),
        (
            reply(400, rpc(400, "INVALID_ARGUMENT", {"@type": "x/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"})),
            Denied,
        ),
        (reply(401, coded("authentication")), Denied),
        (reply(402, coded("payment_required")), QuotaExhausted),
        (reply(403, coded("permission_denied")), Denied),
        (reply(404, coded("not_found")), Denied),
        (reply(403, [rpc(403, "PERMISSION_DENIED")]), Denied),
        (reply(404, coded("model_not_found")), Denied),
        (reply(404, b"<html>nothing here</html>"), Denied),
        (reply(408, None), Overloaded),
        (reply(409, coded("aborted")), Overloaded),
        (reply(409, coded("already_exists")), BadRequest),
        (reply(416, coded("out_of_range")), BadRequest),
        (reply(429, coded("rate_limit_exceeded")), RateLimited),
        (reply(429, coded("too_many_requests")), RateLimited),
        (reply(429, coded("quota_exceeded")), QuotaExhausted),
        (reply(429, rpc(429, "RESOURCE_EXHAUSTED", QUOTA | {"violations": [{"quotaId": "XPerDayY"}]})), QuotaExhausted),
        (reply(499, coded("cancelled")), Overloaded),
        (reply(500, coded("api_error")), Overloaded),
        (reply(501, coded("unimplemented")), BadRequest),
        (reply(502, b"<html>Bad Gateway</html>"), Overloaded),
        (reply(503, [coded("service_unavailable")]), Overloaded),
        (reply(503, coded("service_unavailable")), Overloaded),
        (reply(504, b""), Overloaded),
        (reply(504, coded("deadline_exceeded")), Overloaded),
        (reply(302, b""), BadRequest),
        (reply(599, {"error": "odd"}), Overloaded),
    ],
)
def test_every_refusal_has_its_class(sent: Reply, expected: type[ExtractError]) -> None:
    assert type(refusal(sent, now=NOW)) is expected


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "38.5s"}


@pytest.mark.parametrize(
    ("headers", "details", "seconds"),
    [
        ({}, [], None),
        ({"retry_after_ms": "250"}, [], 0.25),
        ({"retry_after": "7"}, [], 7.0),
        ({"retry_after": "0.5"}, [], 0.5),
        ({"retry_after": format_datetime(NOW + timedelta(seconds=90))}, [], 90.0),
        ({"retry_after": format_datetime(NOW - timedelta(seconds=90))}, [], 0.0),
        ({}, [RETRY_INFO], 38.5),
        ({"retry_after_ms": "250", "retry_after": "7"}, [RETRY_INFO], 0.25),
        ({"retry_after": "7"}, [RETRY_INFO], 7.0),
        ({"retry_after": "soon"}, [RETRY_INFO], 38.5),
        ({"retry_after": "-3"}, [], None),
        ({"retry_after": "nan"}, [], None),
        ({}, [RETRY_INFO | {"retryDelay": "later"}], None),
    ],
)
def test_hints_are_read_in_their_order(headers: dict[str, str], details: list[Any], seconds: float | None) -> None:
    error = refusal(reply(429, rpc(429, "RESOURCE_EXHAUSTED", *details), **headers), now=NOW)
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds


def test_a_quota_per_minute_is_read_and_one_for_tokens_is_not_taken_for_it() -> None:
    violations = [
        {"quotaId": "GenerateContentInputTokensPerModelPerMinute", "quotaValue": "250000"},
        {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel", "quotaValue": "600"},
    ]
    error = refusal(reply(429, rpc(429, "RESOURCE_EXHAUSTED", QUOTA | {"violations": violations})), now=NOW)
    assert isinstance(error, RateLimited)
    assert (error.rpm, error.tpm) == (600, 250_000)


def test_the_words_of_the_message_are_the_last_source_of_a_delay() -> None:
    message = "Please retry in 12.3s."
    bare = refusal(reply(429, coded("rate_limit_exceeded", message)), now=NOW)
    with_details = refusal(reply(429, rpc(429, "RESOURCE_EXHAUSTED", RETRY_INFO, message=message)), now=NOW)
    assert isinstance(bare, RateLimited)
    assert isinstance(with_details, RateLimited)
    assert (bare.retry_after, with_details.retry_after) == (12.3, 38.5)


@pytest.mark.parametrize("message", ["Your project has reached its spending limit.", "monthly spend cap exceeded"])
def test_a_spend_limit_stops_the_run(message: str) -> None:
    error = refusal(reply(429, rpc(429, "RESOURCE_EXHAUSTED", message=message)), now=NOW)
    assert type(error) is QuotaExhausted


def test_a_daily_quota_says_when_it_is_over() -> None:
    assert "midnight Pacific" in str(refusal(reply(429, coded("quota_exceeded")), now=NOW))


@given(
    st.integers(300, 599), st.binary(), st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms"]), st.text())
)
def test_no_reply_is_too_strange_to_be_told(status: int, body: bytes, headers: dict[str, str]) -> None:
    assert isinstance(refusal(Reply(status, headers, body), now=NOW), ExtractError)


def test_a_message_is_one_short_line() -> None:
    error = refusal(reply(400, coded("invalid_request", "line\n" * 1000)), now=NOW)
    assert "\n" not in str(error)
    assert len(str(error)) < 500


ANSWER = ({"type": "model_output", "content": [{"type": "text", "text": "{}"}]},)


def test_only_a_completed_answer_is_read() -> None:
    assert judge(Interaction(status="completed", steps=ANSWER)) == "{}"


@pytest.mark.parametrize(
    ("interaction", "expected"),
    [
        (Interaction(status="completed"), Unfinished),
        (Interaction(status="incomplete", steps=ANSWER), Incomplete),
        (Interaction(status="failed", steps=ANSWER), Unfinished),
        (Interaction(status="failed", errors=(Failure("safety", "no"),)), Blocked),
        (Interaction(status="failed", errors=(Failure("malformed_function_call", "no"),)), Unfinished),
        (Interaction(status="cancelled", steps=ANSWER), Unfinished),
        (Interaction(status="in_progress", steps=ANSWER), Unfinished),
        (Interaction(status="brand_new", steps=ANSWER), Unfinished),
    ],
)
def test_every_other_status_has_its_error(interaction: Interaction, expected: type[ExtractError]) -> None:
    with pytest.raises(expected):
        judge(interaction)
