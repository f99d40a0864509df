"""Whose answers a cache holds: counted by service as they are stored. The cache executes the SQL that is here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["COUNT", "COUNTS", "CREATE_SERVICES", "StoredAnswers", "stored_answers"]

# Counts beside the answers, not a column: to count by a column, all answers would have to be read.
CREATE_SERVICES = """
    CREATE TABLE services (
        service TEXT PRIMARY KEY,
        answers INTEGER NOT NULL
    )
    """
COUNT = (
    "INSERT INTO services (service, answers) VALUES (?, ?) "
    "ON CONFLICT (service) DO UPDATE SET answers = answers + excluded.answers"
)
COUNTS = "SELECT service, answers FROM services ORDER BY answers DESC, service"


@dataclass(frozen=True, slots=True)
class StoredAnswers:
    """How many answers a cache has `of` each service, by its name in content keys, the most first.

    `unknown` are those that an earlier release has stored, which did not say whose they are.
    """

    of: dict[str, int]
    unknown: int

    def others(self, service: str) -> dict[str, int]:
        """Return the known answers of all services but one."""
        return {name: answers for name, answers in self.of.items() if name != service}


def stored_answers(counts: Iterable[tuple[Any, ...]], answers: int) -> StoredAnswers:
    """Return what the rows of COUNTS say of a cache with that many answers; a damaged row says nothing."""
    of = {name: count for name, count in counts if isinstance(name, str) and isinstance(count, int) and count > 0}
    # An answer that was damaged, and asked again, is counted twice.
    of = {name: min(count, answers) for name, count in of.items()}
    return StoredAnswers(of, max(0, answers - sum(of.values())))
