"""The review page's server under load: time from a decision to the next row, and memory, by the number of rows.

    python benchmarks/review.py --rows 100000 --decisions 300

It writes an output of so many rows, makes a decision file of all of them, serves it in a process of its own, and judges
rows as a page does: one request for the row, one for the decision. It prints the median and the slowest of the
round trips (decision sent, next row here), and the memory of the server's process.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import checkout  # noqa: F401 - before extract: the checkout's, not an installed one
import polars as pl

from extract import Extractor
from extract.evaluation.split import row_hash
from extract.review.decision_file import DecisionFile
from extract.review.dtypes import dtype_texts
from extract.review.tasks import DrawnRow, ReviewSetup, answer_hash
from extract.schema import compile_schema

LABELS = [f"label {number}" for number in range(77)]
TEXT = "My card payment number {} did not arrive. " + "Nobody at the counter could tell me why. " * 5


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--rows", type=int, default=100_000)
    arguments.add_argument("--decisions", type=int, default=300)
    arguments.add_argument("--before", type=int, default=0, help="Rows that are judged already.")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(Path(folder), given.rows, given.decisions, given.before)
    print(json.dumps(figures))


def measured(folder: Path, rows: int, decisions: int, before: int) -> dict[str, Any]:
    """Return the figures of one size."""
    write_output(folder / "out.parquet", rows)
    write_decisions(folder / "review.db", folder / "out.parquet", rows, before)
    command = [sys.executable, "-m", "extract", "review", str(folder / "review.db"), "--no-browser", "--as", "ann"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address, _, token = server.stdout.readline().strip().partition("/#token=")
        times = round_trips(address.removeprefix("http://"), token, decisions)
        memory = memory_of(server.pid)
    finally:
        server.terminate()
        server.communicate()
    slowest = sorted(times)[int(len(times) * 0.99)]
    return {
        "rows": rows,
        "judged_before": before,
        "median_ms": round(median(times) * 1000, 1),
        "p99_ms": round(slowest * 1000, 1),
        **memory,
    }


def write_output(path: Path, rows: int) -> None:
    labels = pl.Series(LABELS, dtype=pl.Enum(LABELS))
    table = pl.LazyFrame({"place": pl.int_range(rows, eager=True)}).select(
        id=pl.format("A-{}", "place"),
        text=pl.format(TEXT, "place"),
        value=pl.lit(labels).gather(pl.col("place") % len(LABELS)),
    )
    table.sink_parquet(path)


def write_decisions(path: Path, output: Path, rows: int, before: int) -> None:
    schema = compile_schema(Extractor(LABELS, "{text}").schema)
    setup = ReviewSetup(
        schema=schema.full,
        fields=("value",),
        inputs=("id", "text"),
        on="id",
        source=str(output),
        population=rows,
        seed=0,
        enough_at=rows,
        dtypes=dtype_texts(schema.dtypes),
        keys=schema.keys,
    )
    with DecisionFile.create(path, setup, drawn(rows)) as file:
        for number in range(1, before + 1):
            value = {"value": LABELS[number % 77]}
            file.decide(number, "ann", "corrected", value, verdicts={"value": False}, blind=False, now=time.time())


def drawn(rows: int) -> Iterator[DrawnRow]:
    step = 7919  # a prime: neighbours in the drawn order are far from each other in the file
    for number in range(rows):
        place = number * step % rows
        cells = {"id": f"A-{place}", "text": TEXT.format(place)}
        answer = answer_hash({"value": LABELS[place % 77]}, ["value"])
        yield DrawnRow(row_id=cells["id"], row_hash=row_hash(cells), answer_hash=answer)


def round_trips(host: str, token: str, decisions: int) -> list[float]:
    """Return the seconds of each decision, until the next row is here."""
    connection = http.client.HTTPConnection(host, timeout=60)
    number = ask(connection, token, "GET", "/api/task")["start"]
    row = ask(connection, token, "GET", f"/api/rows/{number}")
    times = []
    for turn in range(decisions):
        values = {"value": LABELS[turn % 77]} if turn % 4 == 0 else row["values"]
        body = {"action": "decided", "values": values, "answer_hash": row["answer_hash"], "seconds": 1.0}
        start = time.perf_counter()
        number = ask(connection, token, "POST", f"/api/rows/{row['number']}/decisions", body)["next"]
        if number is None:
            break
        row = ask(connection, token, "GET", f"/api/rows/{number}")
        times.append(time.perf_counter() - start)
    connection.close()
    return times


def ask(connection: http.client.HTTPConnection, token: str, method: str, path: str, body: Any = None) -> Any:
    headers = {"X-Review-Token": token, "Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    read = json.loads(answer.read())
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {read}")
    return read


def memory_of(pid: int) -> dict[str, float]:
    """Return the memory of a process in MB: what is its own, and all that is resident, with mapped files."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    named = {line.split(":")[0]: int(line.split()[1]) / 1000 for line in lines if line.endswith("kB")}
    return {"own_mb": round(named["RssAnon"]), "resident_mb": round(named["VmRSS"]), "peak_mb": round(named["VmHWM"])}


if __name__ == "__main__":
    main()
