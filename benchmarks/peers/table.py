"""The measurements as Markdown: what everything cost, then what it was and how it was used."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from peers.catalogue import Peer

HANDSHAKES = "Every client verifies the server's certificate, and its handshakes are in the time. "


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one job took."""

    count: int
    seconds: float
    processor_seconds: float
    peak_mb: float
    requests: int
    right: int
    refused: list[str]
    versions: dict[str, str]

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    @property
    def processor_ms(self) -> float:
        return self.processor_seconds / self.count * 1000


@dataclass(slots=True)
class Row:
    """All jobs of one peer, by latency in milliseconds, and why some of them did not come to an end."""

    peer: Peer
    jobs: dict[float, list[Measured]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def all_jobs(self) -> list[Measured]:
        return [job for jobs in self.jobs.values() for job in jobs]

    def rate(self, latency: float) -> float | None:
        jobs = self.jobs.get(latency)
        return statistics.median(job.rate for job in jobs) if jobs else None

    def processor_ms(self, latency: float) -> float | None:
        jobs = self.jobs.get(latency)
        return statistics.median(job.processor_ms for job in jobs) if jobs else None

    def told(self, text: str) -> str:
        """Put versions in the place of the names in braces."""
        versions = self.all_jobs[0].versions if self.all_jobs else {}
        return text.format(**dict.fromkeys(self.peer.packages, "?") | versions)


def title(*, tls: bool) -> str:
    return "The same over TLS" if tls else "The whole job, ours and its peers'"


def report(
    rows: Sequence[Row], latencies: Sequence[float], *, rounds: int, records: int, concurrency: int, tls: bool
) -> str:
    parts = [
        heading(rounds=rounds, records=records, concurrency=concurrency, tls=tls),
        speed(rows, latencies, concurrency, tls=tls),
        details(rows, latencies),
        notes(rows),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def heading(*, rounds: int, records: int, concurrency: int, tls: bool) -> str:
    today = datetime.now(UTC).date()
    machine = f"{os.cpu_count()} cores, shared with the server and all else that runs there"
    command = "python benchmarks/peers.py --tls" if tls else "python benchmarks/peers.py"
    return (
        f"Measured {today} with `{command}`: Python {platform.python_version()}, {platform.system()} "
        f"on {platform.machine()}, {machine}.\n\n"
        f"The job{', over TLS' if tls else ''}: {records:,} texts in, each asked of a server on the loopback that "
        f"answers after the latency given, at most {concurrency} at once; each answer validated into the same pydantic "
        "model; Parquet out. Clients for OpenAI ask the same server for chat completions. "
        f"{HANDSHAKES if tls else ''}Time runs from the texts to the written file, imports and a first small job "
        f"excluded. {median_of(rounds)} Some clients do fewer records, so that a job takes at most "
        "20 seconds or so. Processor time is the client's, all threads and children included. Absolute figures hold "
        "for this machine and hour only; the ratios carry further."
    )


def median_of(rounds: int) -> str:
    if rounds == 1:
        return "One round only: a first look, no measurement."
    return f"Medians of {rounds} rounds, all clients in each round."


def speed(rows: Sequence[Row], latencies: Sequence[float], concurrency: int, *, tls: bool) -> str:
    titles = ["client, over TLS" if tls else "client"]
    for latency in latencies:
        titles += [f"records/s at {latency:g} ms", "CPU ms per record"]
        titles += [f"share of ideal {concurrency / latency * 1000:,.0f}/s"] if latency else []
        titles += ["share of raw floor", "ours ÷ this"]
    return grid(titles, [[row.peer.label, *speed_cells(row, rows, latencies, concurrency)] for row in rows])


def speed_cells(row: Row, rows: Sequence[Row], latencies: Sequence[float], concurrency: int) -> list[str]:
    cells = []
    for latency in latencies:
        rate = row.rate(latency)
        floor, ours = (rate_of(rows, name, latency) for name in ("raw", "ours"))
        cells += [number(rate), number(row.processor_ms(latency))]
        cells += [share(rate, concurrency / latency * 1000)] if latency else []
        cells += [share(rate, floor), times(ours, rate)]
    return cells


def rate_of(rows: Sequence[Row], name: str, latency: float) -> float | None:
    return next((row.rate(latency) for row in rows if row.peer.name == name), None)


def details(rows: Sequence[Row], latencies: Sequence[float]) -> str:
    titles = ["client", "version", "HTTP client", "used as"]
    titles += [f"records a job at {latency:g} ms (lowest to highest rate)" for latency in latencies]
    titles += ["rows right, in order", "requests for a row", "peak memory, MB"]
    return grid(titles, [detail_cells(row, latencies) for row in rows])


def detail_cells(row: Row, latencies: Sequence[float]) -> list[str]:
    cells = [row.peer.label, row.told(row.peer.version), row.told(row.peer.http), row.peer.way]
    cells += [spread(row.jobs.get(latency, [])) for latency in latencies]
    jobs = row.all_jobs
    if not jobs:
        return [*cells, "–", "–", "–"]
    right, count, requests = (sum(getattr(job, name) for job in jobs) for name in ("right", "count", "requests"))
    exact = "all" if right == count else f"{right:,} of {count:,}"
    peak = statistics.median(job.peak_mb for job in jobs)
    return [*cells, exact, f"{requests / count:.3f}".removesuffix(".000"), f"{peak:,.0f}"]


def spread(jobs: Sequence[Measured]) -> str:
    if not jobs:
        return "–"
    rates = [job.rate for job in jobs]
    return f"{jobs[0].count:,} ({number(min(rates))} to {number(max(rates))})"


def notes(rows: Sequence[Row]) -> str:
    """Say what did not run and why, and who wanted something from outside."""
    lines = [f"- {row.peer.label}: {failure}" for row in rows for failure in row.failures]
    asked = [row.peer.label for row in rows if any(job.refused for job in row.all_jobs)]
    if asked:
        lines.append(f"- Looked for a host outside this machine, which was refused: {', '.join(asked)}.")
    return "\n".join(["Notes:", "", *lines]) if lines else ""


def grid(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (titles, ["---"] * len(titles), *lines))


def number(value: float | None) -> str:
    """Return three digits that mean something: 19,300 and 213 and 4.07 and 0.052."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def share(part: float | None, whole: float | None) -> str:
    return "–" if part is None or not whole else f"{part / whole:.1%}" if part < whole / 10 else f"{part / whole:.0%}"


def times(ours: float | None, theirs: float | None) -> str:
    return (
        "–"
        if ours is None or not theirs
        else f"{ours / theirs:.1f} ×"
        if ours < 10 * theirs
        else f"{ours / theirs:.0f} ×"
    )
