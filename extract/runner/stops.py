"""Which errors end a run, and not only a record."""

from __future__ import annotations

from http import HTTPStatus

from extract.errors import (
    BudgetExceeded,
    ConfigError,
    Denied,
    ExtractError,
    NotRun,
    OutputError,
    QuotaExhausted,
    RateLimited,
    SchemaError,
    SchemaTooComplex,
    TooManyFailures,
    Unavailable,
)

__all__ = ["ENDS_RUN", "STOPS", "come_back_later"]

STOPS: tuple[type[ExtractError], ...] = (
    Denied,
    SchemaTooComplex,
    BudgetExceeded,
    ConfigError,
    SchemaError,
    OutputError,
    TooManyFailures,
)
"""What makes every further request useless: the run ends, and a rerun takes the record up again."""

ENDS_RUN: tuple[type[ExtractError], ...] = (NotRun, *STOPS)
"""The same, and what a record gets once the run has ended: no failure of the record itself."""


def come_back_later(error: RateLimited) -> Denied:
    """Return what ends a run where the service asks for a longer wait than the run has patience for.

    Such a 429 is about a quota of another kind than the minute's.
    """
    kind = QuotaExhausted if error.status == HTTPStatus.TOO_MANY_REQUESTS else Unavailable
    message = f"the service asks to come back in {error.retry_after or 0.0:,.0f} s ({error})"
    return kind(message, status=error.status, reason=error.reason)
