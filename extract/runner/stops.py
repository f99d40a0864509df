"""Which errors end a run, and not only a record."""

from __future__ import annotations

from extract.errors import (
    BudgetExceeded,
    ConfigError,
    Denied,
    ExtractError,
    NotRun,
    OutputError,
    SchemaError,
    SchemaTooComplex,
)

__all__ = ["ENDS_RUN", "STOPS"]

STOPS: tuple[type[ExtractError], ...] = (
    Denied,
    SchemaTooComplex,
    BudgetExceeded,
    ConfigError,
    SchemaError,
    OutputError,
)
"""What makes every further request useless: the run ends, and a rerun takes the record up again."""

ENDS_RUN: tuple[type[ExtractError], ...] = (NotRun, *STOPS)
"""The same, and what a record gets once the run has ended: no failure of the record itself."""
