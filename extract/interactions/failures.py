"""Refusals and unusable answers: HTTP replies and statuses in, errors of our tree out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from pydantic_core import from_json, to_json

from extract.errors import (
    AnswerError,
    BadRequest,
    Blocked,
    Denied,
    ExtractError,
    Incomplete,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    SchemaTooComplex,
    Unfinished,
)
from extract.interactions.http.calls import Reply
from extract.interactions.interaction import Interaction

__all__ = ["judge", "refusal", "refusal_in_stream"]

# Codes of the API's error page (autumn 2026) that mean: a filter refused this input or this answer.
_BLOCKS = frozenset(
    {
        *("safety", "recitation", "language", "prohibited_content", "spii", "blocklist", "content_blocked"),
        *("image_safety", "image_prohibited_content", "image_recitation", "image_other"),
    }
)
_DENIALS = frozenset({"authentication", "permission_denied", "failed_precondition", "model_not_found"})
_BLOCK_OPENING = "Request blocked due to"  # the only sign of a block that comes as 400 `invalid_request`
_TOO_COMPLEX = "too many states"  # the only sign of an over-complex schema, whose code is that of any bad request
# The only sign that a refusal is about a file (unknown, expired, not ready), so about this request alone.
_ABOUT_A_FILE = re.compile(r"\bthe file (?:files/)?[a-z0-9-]+ (?:or it may not exist|is )", re.IGNORECASE)
_DELAY = re.compile(r"(\d+(?:\.\d+)?)s")
_DELAY_IN_WORDS = re.compile(r"retry in (\d+(?:\.\d+)?) ?s", re.IGNORECASE)
_MAX_CODE = 100  # characters: codes are words, and one of a megabyte would stand in the message of every row
_SPEND_LIMIT = re.compile(r"spend(?:ing)?[ -](?:limit|cap)|prepa(?:id|yment)|out of credit", re.IGNORECASE)


_HTTP_ERRORS = range(400, 600)
# The HTTP status for each code of an error event. Codes are named after an HTTP status, or listed here.
_STATUS_OF = {status.phrase.lower().replace(" ", "_"): status.value for status in HTTPStatus if status >= 400} | {
    "authentication": 401,
    "permission_denied": 403,
    "model_not_found": 404,
    "aborted": 409,
    "already_exists": 409,
    "rate_limit_exceeded": 429,
    "quota_exceeded": 429,
    "cancelled": 499,
    "api_error": 500,
    "unimplemented": 501,
    "deadline_exceeded": 504,
}


@dataclass(frozen=True, slots=True)
class _Refusal:
    """An error body, whichever of its shapes it came in."""

    status: int
    reason: str
    message: str
    details: tuple[Mapping[str, Any], ...]

    def detail(self, kind: str) -> Mapping[str, Any]:
        """Return the first detail whose type ends in `kind`, or an empty mapping."""
        return next((item for item in self.details if str(item.get("@type", "")).endswith(kind)), {})


def refusal(reply: Reply, *, now: datetime | None = None) -> ExtractError:
    """Return the error that a reply outside 200 stands for; `now` is for waits that are given as a date."""
    # The order matters: a block or a spent quota comes with the status of something milder.
    facts = _read(reply)
    summary = f"{facts.status} {facts.reason}: {facts.message}"
    if facts.reason in _BLOCKS or facts.message.startswith(_BLOCK_OPENING):
        return Blocked(f"the service blocked this input ({summary})", reason=facts.reason)
    if facts.status == HTTPStatus.TOO_MANY_REQUESTS:
        return _too_many(facts, summary, _retry_after(reply, facts, now or datetime.now(UTC)))
    if facts.status == HTTPStatus.PAYMENT_REQUIRED:
        return QuotaExhausted(f"prepaid credit is used up ({summary})", status=facts.status, reason=facts.reason)
    if advice := _denial(facts):
        return Denied(f"{advice} ({summary})", status=facts.status, reason=facts.reason)
    if _is_transient(facts):
        wait = _retry_after(reply, facts, now or datetime.now(UTC))
        return Overloaded(f"the service failed ({summary})", status=facts.status, reason=facts.reason, retry_after=wait)
    if _TOO_COMPLEX in facts.message:
        return SchemaTooComplex(
            f"the schema is too complex for the service ({summary})", status=facts.status, reason=facts.reason
        )
    return BadRequest(f"the service refused the request ({summary})", status=facts.status, reason=facts.reason)


def refusal_in_stream(error: Mapping[str, Any]) -> ExtractError:
    """Return what the `error` of an event stands for: the same as that error without a stream."""
    code = error.get("code")
    status = code if type(code) is int and code in _HTTP_ERRORS else _STATUS_OF.get(str(code), 400)
    return refusal(Reply(status, {}, to_json({"error": error})))


def _read(reply: Reply) -> _Refusal:
    body: Any = None
    with suppress(ValueError):  # a proxy's page is not JSON: then the status alone decides
        body = from_json(reply.body)
    if isinstance(body, list) and body:
        body = body[0]
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return _Refusal(reply.status, _phrase(reply.status), "no readable error body", ())
    code = error.get("code")
    reason = code if isinstance(code, str) else str(error.get("status") or _phrase(reply.status)).lower()
    details = error.get("details")
    known = tuple(item for item in details if isinstance(item, dict)) if isinstance(details, list) else ()
    return _Refusal(reply.status, _one_line(reason, _MAX_CODE), _one_line(error.get("message")), known)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase.lower().replace(" ", "_")
    except ValueError:
        return "unknown"


def _one_line(message: Any, max_characters: int = 300) -> str:
    return " ".join(str(message or "no message").split())[:max_characters]


def _too_many(facts: _Refusal, summary: str, wait: float | None) -> ExtractError:
    violations = facts.detail("QuotaFailure").get("violations")
    quotas = [item for item in violations if isinstance(item, dict)] if isinstance(violations, list) else []
    if facts.reason == "quota_exceeded" or any("PerDay" in str(quota.get("quotaId")) for quota in quotas):
        message = f"the daily quota is used up; it is reset at midnight Pacific time ({summary})"
        return QuotaExhausted(message, status=facts.status, reason=facts.reason)
    if _SPEND_LIMIT.search(facts.message):
        return QuotaExhausted(f"the spend limit is reached ({summary})", status=facts.status, reason=facts.reason)
    return RateLimited(
        f"the service asks to slow down ({summary})",
        status=facts.status,
        reason=facts.reason,
        retry_after=wait,
        rpm=_quota(quotas, "RequestsPer"),
        tpm=_quota(quotas, "InputTokensPer"),
    )


def _quota(quotas: Sequence[Mapping[str, Any]], metric: str) -> float | None:
    """Return the smallest quota of a metric that the service named, per minute."""
    named = [str(quota.get("quotaValue")) for quota in quotas if metric in str(quota.get("quotaId"))]
    return min((float(value) for value in named if value.isdecimal()), default=None) or None


def _denial(facts: _Refusal) -> str | None:
    """Return advice to the user where every request of the run would be refused in the same way."""
    if facts.detail("ErrorInfo").get("reason") == "API_KEY_INVALID" or facts.status == HTTPStatus.UNAUTHORIZED:
        return "the API key was refused: check GEMINI_API_KEY"
    if _ABOUT_A_FILE.search(facts.message):
        return None
    if facts.reason == "model_not_found":
        return "the service does not know this model: check --model"
    if facts.status == HTTPStatus.NOT_FOUND:
        return "the service has no such address: check --base-url"
    if facts.status == HTTPStatus.FORBIDDEN or facts.reason in _DENIALS:
        return "the project may not do this: check the key's permissions, billing and region"
    return None


def _is_transient(facts: _Refusal) -> bool:
    if facts.status == HTTPStatus.NOT_IMPLEMENTED or facts.reason == "already_exists":
        return False
    return facts.status >= 500 or facts.status in (408, 409, 499)


def _retry_after(reply: Reply, facts: _Refusal, now: datetime) -> float | None:
    """Return the wait in seconds that the service named.

    In this order: `retry-after-ms`, `Retry-After`, RetryInfo, "retry in 12.3s" in the message.
    """
    words = _DELAY_IN_WORDS.search(facts.message)
    named = (
        _number(reply.headers.get("retry-after-ms"), 0.001),
        _number(reply.headers.get("retry-after"), 1.0),
        _until(reply.headers.get("retry-after"), now),
        _number(_delay(facts.detail("RetryInfo").get("retryDelay")), 1.0),
        _number(words[1] if words else None, 1.0),
    )
    return next((seconds for seconds in named if seconds is not None), None)


def _number(text: str | None, unit: float) -> float | None:
    try:
        seconds = float(text or "") * unit
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _until(text: str | None, now: datetime) -> float | None:
    try:
        when = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):  # a year or a zone of twenty digits
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds())


def _delay(text: Any) -> str | None:
    match = _DELAY.fullmatch(str(text))
    return match[1] if match else None


def judge(interaction: Interaction) -> str:
    """Return the answer's text where the status says that it is whole; otherwise raise the reason why it is not.

    Raises Incomplete, Blocked or Unfinished. A cut, blocked or empty answer is never read.
    """
    if interaction.status == "completed":
        if text := interaction.text:
            return text
        raise Unfinished("the interaction is completed and holds no text", status="completed")
    raise _unusable(interaction)


def _unusable(interaction: Interaction) -> AnswerError:
    if interaction.status == "incomplete":
        return Incomplete("the answer was cut at the output limit: raise max_output_tokens or lower thinking_level")
    first = next((error for error in interaction.errors if error.code in _BLOCKS), None)
    if first is not None:
        return Blocked(f"the service blocked the answer ({first.code}: {_one_line(first.message)})", reason=first.code)
    reported = "; ".join(
        f"{_one_line(error.code, _MAX_CODE)}: {_one_line(error.message)}" for error in interaction.errors[:2]
    )
    reason = _one_line(interaction.errors[0].code, _MAX_CODE) if interaction.errors else None
    status, why = interaction.status[:_MAX_CODE], f" ({reported})" if reported else ""
    return Unfinished(
        f"the interaction ended as {status!r} without an answer{why}",
        status=interaction.status,
        reason=reason,
    )
