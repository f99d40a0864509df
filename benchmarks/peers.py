"""The whole job, "text in, validated object out, Parquet written", by this library, by its peers, and at the least.

    python benchmarks/peers.py [--quick] [--tls] [--rounds N] [--records N] [--latency MS ...] [--only NAME ...]
                               [--write]

Run it with the interpreter of the checkout's .venv. Each peer gets an environment of its own under benchmarks/.peers,
made on first use. All of them ask one server on the loopback, take turns in every round, and run as processes of their
own. With --tls, the server has a certificate made for the occasion, which they are told to trust by the environment.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
from peers.catalogue import PEERS, Peer
from peers.environments import HERE, NotInstalled, job_environment, prepare, reason
from peers.server import value
from peers.table import Measured, Row, report, title
from results import write_section

JOB_SECONDS = 120  # after which a job is ended
JOB_SHOULD_TAKE = 20  # seconds; whoever is slower does fewer records
PROBE = 256
FEWEST = 200


class Failed(Exception):
    """A job that came to no result; the reason is one line."""


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """One peer at one latency, which it gets in every round."""

    row: Row
    python: Path
    latency: float
    url: str
    trusted: Path | None  # the file that says whom to trust, where the server is asked over TLS


def main() -> None:
    chosen = arguments()
    rows = [Row(peer) for peer in PEERS if is_wanted(peer, chosen.only)]
    pythons = {row.peer.name: python for row in rows if (python := installed(row))}
    with ExitStack() as stack:
        certificate, trusted = stack.enter_context(certified()) if chosen.tls else (None, None)
        urls = {latency: stack.enter_context(server(latency, certificate)) for latency in chosen.latency}
        turns = [
            Turn(row, pythons[row.peer.name], latency, url, trusted)
            for latency, url in urls.items()
            for row in rows
            if row.peer.name in pythons
        ]
        try:
            measure(turns, chosen.rounds, chosen.records, chosen.concurrency)
        except KeyboardInterrupt:
            tell("interrupted: the table holds what was measured so far")
    text = report(
        rows,
        chosen.latency,
        rounds=chosen.rounds,
        records=chosen.records,
        concurrency=chosen.concurrency,
        tls=chosen.tls,
    )
    print(f"## {title(tls=chosen.tls)}\n\n{text}")
    if chosen.write:
        write_section(title(tls=chosen.tls), text)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{PROBE} records, one round: does everything run?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, default=2_000)
    parser.add_argument("--latency", type=float, nargs="+", default=[0, 50], metavar="MS")
    parser.add_argument("--concurrency", type=int, default=128)
    names = ", ".join(peer.name for peer in PEERS)
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"those whose name begins so, of {names}")
    parser.add_argument("--tls", action="store_true", help="ask over TLS")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md too, as a section")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.records, chosen.rounds = min(chosen.records, PROBE), 1
    if chosen.only and not any(is_wanted(peer, chosen.only) for peer in PEERS):
        parser.error(f"no name begins so; there are {names}")
    if min(chosen.rounds, chosen.records, chosen.concurrency) < 1 or min(chosen.latency) < 0:
        parser.error("rounds, records and concurrency are at least 1, and no latency is negative")
    if chosen.tls and not find_spec("cryptography"):
        parser.error("a certificate is made with cryptography, which is not installed (extra `webhooks`)")
    return chosen


def is_wanted(peer: Peer, only: Sequence[str] | None) -> bool:
    return not only or any(peer.name.startswith(name) for name in only)


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def installed(row: Row) -> Path | None:
    try:
        return prepare(row.peer.environment)
    except NotInstalled as error:
        row.failures.append(str(error))
        tell(f"{row.peer.name}: {error}")
        return None


@contextmanager
def certified() -> Iterator[tuple[Path, Path]]:
    """Give the server's certificate with its key, and the file that clients are to trust."""
    from certificate import make_certificate  # cryptography comes with an extra only

    with tempfile.TemporaryDirectory() as folder:
        yield make_certificate(Path(folder))


@contextmanager
def server(latency: float, certificate: Path | None) -> Iterator[str]:
    words = [sys.executable, str(HERE / "server.py"), str(latency), *([str(certificate)] if certificate else [])]
    pipe = subprocess.PIPE
    # Leaving it closes the standard input, with which the server ends; Ctrl-C is not for the server.
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{int(process.stdout.readline())}"


def measure(turns: list[Turn], rounds: int, records: int, concurrency: int) -> None:
    """Let all take turns in every round; whoever fails at a latency is not asked again at it."""
    counts = dict.fromkeys(turns, records)
    if records > PROBE:
        probes = {turn: attempt(turn, "probe", PROBE, concurrency) for turn in turns}
        counts = {turn: bearable(turn.row.peer, done.rate, records) for turn, done in probes.items() if done}
    for number in range(1, rounds + 1):
        for turn, count in list(counts.items()):
            if done := attempt(turn, f"round {number}", count, concurrency):
                turn.row.jobs.setdefault(turn.latency, []).append(done)
            else:
                del counts[turn]


def attempt(turn: Turn, stage: str, count: int, concurrency: int) -> Measured | None:
    """Run one job; where it fails, keep the reason for the table."""
    named = f"{stage}, {turn.latency:g} ms, {turn.row.peer.name}"
    try:
        done = run_job(turn, count, concurrency)
    except Failed as error:
        turn.row.failures.append(f"{stage} at {turn.latency:g} ms: {error}")
        tell(f"{named}: {error}")
        return None
    tell(f"{named}: {done.rate:,.0f} records/s, {done.processor_ms:.2f} ms each")
    return done


def bearable(peer: Peer, rate: float, records: int) -> int:
    """Return how many records a job gets: all of them, or hundreds that take about as long as a job should."""
    return min(records, peer.most or records, max(FEWEST, round(rate * JOB_SHOULD_TAKE / 100) * 100))


def run_job(turn: Turn, count: int, concurrency: int) -> Measured:
    """Run one job in a process of its own and judge the file that it wrote; Failed where it came to no result."""
    peer = turn.row.peer
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        task = {
            "url": turn.url,
            "count": count,
            "concurrency": concurrency,
            "folder": folder,
            "variant": peer.variant,
            "packages": peer.packages,
        }
        words = [str(turn.python), str(HERE / "jobs" / peer.job), json.dumps(task)]
        told = finished(words, Path(folder), job_environment(Path(folder), turn.trusted, peer.environment))
        return Measured(count=count, right=rows_right(Path(folder) / f"{count}.parquet", count), **told)


def finished(words: list[str], folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Return what a job printed. Its output goes to files: a process that it left behind could hold a pipe open."""
    said, told = folder / "said.txt", folder / "told.txt"
    with said.open("w") as out, told.open("w") as err:
        process = subprocess.Popen(words, cwd=folder, env=environment, stdout=out, stderr=err)
        try:
            process.wait(JOB_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failed(f"ended after {JOB_SECONDS} s") from None
        finally:
            process.kill()
            process.wait()
    lines = said.read_text().splitlines()
    if process.returncode or not lines:
        raise Failed(f"status {process.returncode}, {reason(told.read_text(errors='replace'))}")
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def rows_right(path: Path, count: int) -> int:
    """Count the rows that hold the truth, each in its place."""
    try:
        rows = pl.read_parquet(path).select("topic", "score").rows()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise Failed(f"no table that can be read: {type(error).__name__}") from None
    truth = [tuple(value(number).values()) for number in range(count)]
    return sum(row == true for row, true in zip(rows, truth, strict=False))


if __name__ == "__main__":
    main()
