"""A cascade in a run: two models behind each other, measured through the whole path of `run(accept=, escalate=)`.

    python benchmarks/cascade.py [PART ...] [--quick] [--runs N] [--rows N] [--gold N]

Parts: promise (seeded runs in this process), socket (runs over a loopback socket), kills (`kill -9`, then the same
command until it ends). The cheap model is right in 85 % of the rows, with a score of AUROC 0.85, the strong one in
97 %; a request of the strong one costs ten of the cheap one. Each part prints what it measured beside its bar; the exit
status is 1 where a bar was missed. The emulator answers: these are figures of mechanics, not of a model.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from threading import Lock
from typing import Any

import checkout  # noqa: F401 - before extract: the checkout's, not an installed one
import numpy as np
import polars as pl
from bars import missed, tell

from extract import Accept, Client, Emulator, Extractor, ResponseCache, Run, run
from extract.testing import running_server

CHEAP, STRONG = "gemini-2.5-flash-lite", "gemini-2.5-pro"
PRICE = {CHEAP: 1, STRONG: 10}
LABELS = ("a", "b", "c")
TARGET = 0.93
SCHEMA = {
    "title": "Topic",
    "type": "object",
    "properties": {"topic": {"type": "string", "enum": [*LABELS]}, "confidence": {"type": "number"}},
    "required": ["topic", "confidence"],
}
PIPELINE = """
from extract import Extractor

extractor = Extractor({schema!r}, "{{text}}", model={model!r})
"""


class World:
    """Rows whose truth is known, what both models say of them, and what they were asked."""

    def __init__(self, seed: int, rows: int, gold: int) -> None:
        random = np.random.default_rng(seed)
        truth = random.integers(0, len(LABELS), rows)
        cheap, strong = random.random(rows) < 0.85, random.random(rows) < 0.97
        score = random.normal(np.where(cheap, 1.466, 0.0), 1.0)  # two normals at this distance: AUROC 0.85
        sure = random.beta(np.where(strong, 8, 4), 2)
        self.truth = [LABELS[place] for place in truth]
        self.answers = {CHEAP: self._given(truth, cheap, score), STRONG: self._given(truth, strong, sure)}
        self.data = pl.DataFrame({"id": range(rows), "text": [f"row number {n}" for n in range(rows)]})
        places = random.permutation(rows)[:gold]
        self.gold = pl.DataFrame({"id": range(rows), "topic": self.truth})[places.tolist()]
        self.asked: Counter[tuple[str, int]] = Counter()
        self._lock = Lock()

    @staticmethod
    def _given(truth: Any, right: Any, score: Any) -> list[dict[str, Any]]:
        shown = np.where(right, truth, (truth + 1) % len(LABELS))
        return [
            {"topic": LABELS[place], "confidence": round(float(one), 4)}
            for place, one in zip(shown, score, strict=True)
        ]

    def answer(self, body: dict[str, Any]) -> Any:
        found = re.search(r"row number (\d+)", str(body["input"]))
        number = int(found[1]) if found else 0
        with self._lock:
            self.asked[body["model"], number] += 1
        return self.answers[body["model"]][number]

    def right(self, frame: pl.DataFrame) -> float:
        """Return the share of rows that are right, 1 for none."""
        pairs = zip(frame["id"].to_list(), frame["topic"].cast(pl.String).to_list(), strict=True)
        return sum(self.truth[key] == topic for key, topic in pairs) / frame.height if frame.height else 1.0

    def cost(self) -> float:
        """Return what was paid beside what the strong model alone would have cost."""
        paid = sum(PRICE[model] * times for (model, _), times in self.asked.items())
        return paid / (PRICE[STRONG] * self.data.height)


def ask(world: World, client: Client, cache: ResponseCache | None = None) -> Run:
    cheap, strong = (Extractor(SCHEMA, "{text}", model=model) for model in (CHEAP, STRONG))
    accept = Accept(right=TARGET, gold=world.gold, on="id")
    return run(world.data, cheap, client=client, accept=accept, escalate=[strong], cache=cache)


def accepted(result: Run) -> pl.DataFrame:
    return result.frame.filter(pl.col("_route").struct.field("accepted"))


def promise(options: argparse.Namespace) -> None:
    """Count broken promises; compare the bill of each run with its ledger and with what the service was asked."""
    broken, costs, shares, first, inexact = 0, [], [], [], 0
    for seed in range(options.runs):
        world = World(seed, options.rows, options.gold)
        emulator = Emulator(answers=world.answer, keep_requests=False)
        with tempfile.TemporaryDirectory() as folder, ResponseCache(Path(folder) / "c") as cache:
            result = ask(world, Client("key", transport=emulator.transport), cache)
            ledger = sum((one.cost or 0) for one in cache.spent())
        rows = accepted(result)
        broken += world.right(rows) < TARGET
        inexact += ledger != result.cost or result.totals.requests != world.asked.total()
        costs.append(world.cost())
        shares.append(rows.height / options.rows)
        first.append((rows["_route"].struct.field("step") == 1).sum() / options.rows)
    allowed = 0.05 + 3 * (0.05 * 0.95 / options.runs) ** 0.5
    print(f"{options.runs} runs in process, {options.rows:,} rows, gold {options.gold}, promise {TARGET:.0%} at 95 %:")
    print(f"  accepted {np.mean(shares):.1%} of the rows, {np.mean(first):.1%} by the cheap model")
    share = broken / options.runs
    tell("promises broken", f"{share:.1%}", f"at most {allowed:.1%}", ok=share <= allowed)
    spread = f"{np.mean(costs):.1%} (most {np.max(costs):.1%})"
    bar = 0.6 if options.rows >= 10 * options.gold else 1.0  # gold is asked of both: of few rows it is much of the bill
    tell("cost of the strong model alone", spread, f"at most {bar:.0%}", ok=float(np.mean(costs)) <= bar)
    tell("ledger, bill and requests differ in", f"{inexact} runs", "0", ok=inexact == 0)


def over_socket(options: argparse.Namespace) -> None:
    """Do the same over a loopback socket."""
    runs = max(1, options.runs // 20)
    broken = again = 0
    for seed in range(1_000, 1_000 + runs):
        world = World(seed, options.rows, options.gold)
        with running_server(Emulator(answers=world.answer, keep_requests=False)) as url:
            result = ask(world, Client("key", base_url=url))
        broken += world.right(accepted(result)) < TARGET
        again += world.asked.total() - len(world.asked)
    tell(f"{runs} runs over a socket: promises broken", f"{broken}", "at most 2", ok=broken <= 2)
    tell("rows paid for twice", f"{again}", "0", ok=again == 0)


def kills(options: argparse.Namespace) -> None:
    """Kill the command again and again, then let it end; the table is that of a run that was never killed."""
    world = World(7, options.rows, options.gold)
    with tempfile.TemporaryDirectory() as name, running_server(Emulator(answers=world.answer, latency=0.005)) as url:
        folder = Path(name)
        world.data.write_csv(folder / "in.csv")
        world.gold.write_csv(folder / "gold.csv")
        for model, file in ((CHEAP, "cheap.py"), (STRONG, "strong.py")):
            (folder / file).write_text(PIPELINE.format(schema=SCHEMA, model=model), encoding="utf-8")
        times = 2 if options.quick else 10
        done = sum(_killed(world, folder, url, options.rows * (number + 1) // (times + 2)) for number in range(times))
        _started(folder, url, "out.parquet").wait()
        again = world.asked.total() - len(world.asked)
        _started(folder, url, "whole.parquet").wait()
        pairs = [("out.parquet", "whole.parquet"), ("out.review.parquet", "whole.review.parquet")]
        same = all(pl.read_parquet(folder / one).equals(pl.read_parquet(folder / two)) for one, two in pairs)
    tell(f"{done} times kill -9: tables equal", str(same), "True", ok=same)
    in_flight = 8 * times
    tell("rows paid for twice", f"{again}", f"at most {in_flight}, those in flight", ok=again <= in_flight)


def _started(folder: Path, url: str, output: str) -> subprocess.Popen[bytes]:
    words = ["run", "cheap.py", "in.csv", "-o", output, "--base-url", url, "--concurrency", "8", "--quiet"]
    accept = ["--right", str(TARGET), "--gold", "gold.csv", "--on", "id", "--escalate", "strong.py"]
    command = [sys.executable, "-m", "extract", *words, *accept]
    return subprocess.Popen(command, cwd=folder, env={**os.environ, "GEMINI_API_KEY": "key"})


def _killed(world: World, folder: Path, url: str, requests: int) -> bool:
    """Start the command, and kill it once so many requests have come; False where it has ended before."""
    child = _started(folder, url, "out.parquet")
    while world.asked.total() < requests and child.poll() is None:
        time.sleep(0.005)
    ended = child.poll() is not None
    if not ended:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    return not ended


PARTS = {"promise": promise, "socket": over_socket, "kills": kills}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; by default all")
    parser.add_argument("--quick", action="store_true", help="few runs of few rows: whether it works")
    parser.add_argument("--runs", type=int, default=None)
    parser.add_argument("--rows", type=int, default=None)
    parser.add_argument("--gold", type=int, default=None)
    options = parser.parse_args()
    runs, rows, gold = (3, 2_000, 250) if options.quick else (200, 5_000, 500)
    options.runs, options.rows, options.gold = options.runs or runs, options.rows or rows, options.gold or gold
    for name in options.parts or PARTS:
        PARTS[name](options)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
