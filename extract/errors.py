"""The exception tree. Rejected rows carry `code`: nothing is decided by the text of a message.

ExtractError
├── ConfigError            the call cannot work as written: columns, arguments, files, key
├── SchemaError            a schema that cannot be compiled; `path` says where
├── OutputError            the result or the cache cannot be written: disk full, no permission
├── BudgetExceeded         the money or request budget is used up
├── LostRows               a row without an outcome: a bug of this library, never of the data
├── ApiError               the service refused or could not be reached
│   ├── BadRequest         this request is wrong; a repeat is useless
│   │   └── SchemaTooComplex
│   ├── Denied             every request would be refused: key, permission, unknown model
│   │   ├── QuotaExhausted daily quota or prepaid credit used up
│   │   └── Unavailable    the service is down, or names a wait, for longer than `Retry.patience`
│   ├── RateLimited        too fast; `retry_after` in seconds where the service named one
│   ├── Overloaded         the service failed or is shedding load
│   └── Unreachable        no whole answer arrived; `maybe_sent` says whether it may be billed
├── AnswerError            an answer arrived and cannot be used
│   ├── Incomplete         cut at the output limit
│   ├── Blocked            refused by a content filter
│   ├── Unfinished         ended in a status that holds no answer; worth a plain repeat
│   ├── InvalidAnswer      does not fit the schema; `issues` says where
│   └── AnswerTimeout      not answered before the record's deadline, or not whole in the request's time
├── BadRecord              the record itself cannot be sent: missing file, unreadable, too large
├── BadSignature           a delivery of a webhook that cannot be trusted
├── TooManyFailures        every row so far has failed: the set-up is wrong
└── NotRun                 the run stopped before this row; run again to take it up
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "AnswerError",
    "AnswerTimeout",
    "ApiError",
    "BadRecord",
    "BadRequest",
    "BadSignature",
    "Blocked",
    "BudgetExceeded",
    "ConfigError",
    "Denied",
    "ExtractError",
    "Incomplete",
    "InvalidAnswer",
    "Issue",
    "LostRows",
    "NotRun",
    "OutputError",
    "Overloaded",
    "QuotaExhausted",
    "RateLimited",
    "SchemaError",
    "SchemaTooComplex",
    "TooManyFailures",
    "Unavailable",
    "Unfinished",
    "Unreachable",
]


class ExtractError(Exception):
    """Root of every error that this library raises on purpose.

    try:
        result = run(data, extractor, output="out.parquet")
    except ExtractError as error:
        print(error.code, error)  # "config", "budget", "denied" ...
    """

    code: ClassVar[str] = "error"


class ConfigError(ExtractError):
    """The call cannot work as written. Raised before the first paid request."""

    code = "config"


class SchemaError(ExtractError):
    """A schema that cannot be compiled. `path` is a JSON path such as `$.items[].price`."""

    code = "schema"

    def __init__(self, message: str, *, path: str = "$") -> None:
        super().__init__(message if path == "$" else f"{path}: {message}")
        self.path = path


class OutputError(ExtractError):
    """The output or the cache could not be written, or a step of the run failed in a way that nobody foresaw."""

    code = "output"


class BudgetExceeded(ExtractError):
    """The next request would exceed the budget. `Run.stopped` holds it; a run with a higher budget continues."""

    code = "budget"


class LostRows(ExtractError):
    """A row was read and no outcome was written. This is a bug in the library."""

    code = "lost_rows"


class ApiError(ExtractError):
    """The service refused the request. `status` is the HTTP status, `reason` its own code string."""

    code = "bad_request"

    def __init__(self, message: str, *, status: int | None = None, reason: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class BadRequest(ApiError):
    """This request is wrong; sending it again is useless."""


class SchemaTooComplex(BadRequest):
    """The service refuses a schema of this size. A run then tries simpler forms of it, and checks answers in full."""


class Denied(ApiError):
    """Every request of this run would be refused: bad key, no permission, unknown model."""

    code = "denied"


class QuotaExhausted(Denied):
    """The daily quota or the prepaid credit is used up: run again the next day, or with more credit."""

    code = "quota"


class Unavailable(Denied):
    """The service is down for longer than patience allows, or asks to come back later than that: run again then."""

    code = "unavailable"


class RateLimited(ApiError):
    """The service asks to slow down.

    `retry_after` is in seconds; `rpm` and `tpm` are the quotas of requests and input tokens a minute that the service
    named; each is None where it named none.
    """

    code = "rate_limited"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        reason: str | None = None,
        retry_after: float | None = None,
        rpm: float | None = None,
        tpm: float | None = None,
    ) -> None:
        super().__init__(message, status=status, reason=reason)
        self.retry_after = retry_after
        self.rpm = rpm
        self.tpm = tpm


class Overloaded(RateLimited):
    """The service failed (5xx, 408, 409) or sheds load. Only 503 slows the run down; the others are just repeated."""

    code = "overloaded"


class Unreachable(ApiError):
    """No whole answer arrived. `maybe_sent` is True where the request may have been read and billed."""

    code = "unreachable"

    def __init__(self, message: str, *, maybe_sent: bool = True) -> None:
        super().__init__(message)
        self.maybe_sent = maybe_sent


class AnswerError(ExtractError):
    """An answer arrived and cannot be used. Of this class itself where it was too large to be read to its end."""

    code = "invalid_answer"


class Incomplete(AnswerError):
    """The answer was cut at the output limit; a repeat of the same request is useless."""

    code = "incomplete"


class Blocked(AnswerError):
    """A content filter refused the input or the answer. `reason` is the code that the service gives."""

    code = "blocked"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class Unfinished(AnswerError):
    """The reply was HTTP 200, but its interaction holds no answer: failed, cancelled, or of an unknown status."""

    def __init__(self, message: str, *, status: str = "", reason: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Issue:
    """One error in an answer: a JSON path and a short message.

    >>> from extract import Issue
    >>> str(Issue("$.items[0].price", "is not a number"))
    '$.items[0].price: is not a number'
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InvalidAnswer(AnswerError):
    """The answer does not fit the schema. `issues` lists where, in the order of the schema."""

    def __init__(self, issues: tuple[Issue, ...]) -> None:
        super().__init__("; ".join(map(str, issues[:3])) + (f"; and {len(issues) - 3} more" if len(issues) > 3 else ""))
        self.issues = issues

    def __reduce__(self) -> tuple[type[InvalidAnswer], tuple[tuple[Issue, ...]]]:
        return type(self), (self.issues,)


class AnswerTimeout(AnswerError):
    """The record was not answered before its deadline, or an answer was not whole in the time for one request."""

    code = "timeout"


class BadRecord(ExtractError):
    """The record cannot be sent: a missing or unreadable file, a type the API does not take."""

    code = "bad_record"


class BadSignature(ExtractError):
    """The delivery of a webhook has no valid signature, or is too old: do not trust it."""

    code = "bad_signature"


class TooManyFailures(ExtractError):
    """Every row so far has failed, or the service has not answered once: the run stops, the set-up seems wrong."""

    code = "too_many_failures"


class NotRun(ExtractError):
    """The run stopped before this row was asked."""

    code = "not_run"


def error_named(name: str) -> type[ExtractError]:
    """Return the class of a name, ExtractError where there is none: a state written down may be of another version."""
    kind = globals().get(name)
    return kind if isinstance(kind, type) and issubclass(kind, ExtractError) else ExtractError


ORDERS = (CancelledError, KeyboardInterrupt, GeneratorExit)
"""What ends a step from outside: it is passed on, and is no failure of the step."""


def in_one_line(error: BaseException) -> str:
    """Return the class of an exception and the first line of its message."""
    try:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    except Exception:  # the __str__ of a user's error may fail
        lines = []
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def unforeseen(error: BaseException, step: str) -> ExtractError:
    """Return what ends a run where a step of it raised `error`: an ExtractError as it is, all else as one line.

    Also what is no Exception: Polars reports its own bugs, and a callback calls `sys.exit`, as a BaseException.
    """
    if isinstance(error, ExtractError):
        return error
    stop = OutputError(f"{step} ({in_one_line(error)}); answers so far are kept in the cache, if there is one")
    stop.__cause__ = error
    return stop


@contextmanager
def ending_in_one_line(step: str) -> Iterator[None]:
    """Raise what nobody foresaw as the ExtractError that ends the run."""
    try:
        yield
    except (*ORDERS, ExtractError):
        raise
    except BaseException as error:
        raise unforeseen(error, step) from error
