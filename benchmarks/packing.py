"""Many rows in one request, measured: what it saves at a quota, what faults cost, and that no row is lost.

    python benchmarks/packing.py [PART ...] [--quick]

Parts: quota (needs ../shared/data/banking77), faults, kills, bill, auto, cpu. Each prints what it measured beside its
bar; the exit status is 1 where a bar was missed. The emulator answers: these are figures of mechanics, not of a model.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import checkout  # noqa: F401 - before extract: the checkout's, not an installed one
import numpy as np
import polars as pl
from bars import missed, tell

from extract import Client, Emulator, Example, Extractor, Limits, ResponseCache, run
from extract.emulator import Fault
from extract.evaluation.pack_agreement import PACKS, agreement_of
from extract.interactions.usage import Usage
from extract.testing import running_server

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "banking77"
PARITY = ("even", "odd")


def number_in(body: dict[str, Any]) -> int:
    found = re.search(r"the row with number (\d+)", str(body["input"]))
    assert found is not None, "a row of these benchmarks"
    return int(found[1])


def parity(body: dict[str, Any]) -> Any:
    return {"value": PARITY[number_in(body) % 2]}


def rows(count: int) -> list[str]:
    return [f"this is the row with number {n}" for n in range(count)]


def extractor(pack: Any = 16) -> Extractor:
    return Extractor(list(PARITY), "Is the number even or odd?\n{text}", pack=pack)


def misplaced(frame: pl.DataFrame) -> int:
    """Return how many rows have an answer that is not theirs."""
    values = frame["value"].cast(pl.String).to_list()
    return sum(value is not None and value != PARITY[n % 2] for n, value in enumerate(values))


def quota(quick: bool) -> None:
    """Rows a minute at 60 requests a minute, alone and sixteen together."""
    if not DATA.is_dir():
        print(f"quota: {DATA} is not there")
        return
    labels = json.loads((DATA / "categories.json").read_text())
    train = pl.read_csv(DATA / "train.csv").group_by("category", maintain_order=True).head(10)
    examples = Example.from_rows(train.rename({"category": "label"}).to_dicts(), answer="label")
    test = pl.read_csv(DATA / "test.csv")
    minutes = 1 if quick else 3
    done: dict[int, tuple[float, float]] = {}
    tables: dict[int, pl.DataFrame] = {}
    for pack in (1, 16):
        topics = Extractor(labels, "Classify the message of a customer:\n{text}", examples=examples, pack=pack)
        with running_server(Emulator(rpm=60)) as server, Client("key", base_url=server) as client:
            drain(client, topics, 60)
            began, marks = time.monotonic(), []
            frame = test.head(60 * (minutes + 1) * pack)
            result = run(
                frame,
                topics,
                client=client,
                limits=Limits(rpm=60, concurrency=16),
                on_event=lambda now, at=marks: at.append((now.seconds, now.totals.rows)),
            )
            took = time.monotonic() - began
        done[pack] = (steady(marks), result.totals.usage.input_tokens / max(1, result.totals.valid))
        tables[pack] = result.frame
        right = (result.frame["value"].cast(pl.String) == frame["category"]).sum()
        cost = float(result.cost or 0) / max(1, right)
        print(
            f"      pack {pack}: {result.totals.valid} rows, {result.totals.requests} requests in {took:.0f} s, "
            f"${cost:.6f} a right row, {right / frame.height:.1%} right"
        )
        tell(
            f"rows in = rows out, pack {pack}",
            result.frame.height,
            str(frame.height),
            ok=result.frame.height == frame.height,
        )
    gain, saved = done[16][0] / done[1][0], done[1][1] / done[16][1]
    tell(
        "rows a minute, pack 16 / pack 1", f"{done[16][0]:.0f} / {done[1][0]:.0f} = {gain:.1f}", ">= 12", ok=gain >= 12
    )
    tell(
        "input tokens a row, pack 1 / pack 16",
        f"{done[1][1]:.0f} / {done[16][1]:.0f} = {saved:.1f}",
        ">= 6",
        ok=saved >= 6,
    )
    shared = tables[1].height
    same = tables[1]["value"].equals(tables[16]["value"].head(shared))
    tell("the same table, rows of both", same, "True", ok=same)


def drain(client: Client, topics: Extractor, requests: int) -> None:
    """Use up what a full bucket lets through at once."""
    run([f"drain {n}" for n in range(requests)], Extractor(topics.schema, "{text}"), client=client)


def steady(marks: list[tuple[float, int]]) -> float:
    """Return rows a minute between a tenth and nine tenths of the run."""
    whole = marks[-1][0]
    inner = [(at, count) for at, count in marks if 0.1 * whole <= at <= 0.9 * whole]
    (first, before), (last, after) = inner[0], inner[-1]
    return 60 * (after - before) / max(1e-9, last - first)


FAULTS = [*(f"pack_{name}" for name in ["missing", "double", "swap", "alien", "extra", "cut"]), "malformed"]
MIXED = ",".join(f"{name}={0.1 / len(FAULTS):.5f}" for name in FAULTS)


def faults(quick: bool) -> None:
    """Each fault alone at three rates, and all together: no row lost, none with another's answer."""
    count = 1_000 if quick else 5_000
    texts = rows(count)
    ideal = -(-count // 16)
    for fault in FAULTS:
        for rate in (0.01, 0.1, 0.3):
            lost, wrong, codes, _ = with_faults(texts, f"{fault}={rate}")
            ok = lost == wrong == 0 and codes <= {"invalid_answer", "incomplete"}
            tell(f"{fault} at {rate:.0%}: lost, another's, codes", f"{lost}, {wrong}, {sorted(codes)}", "0, 0", ok=ok)
    lost, wrong, codes, requests = with_faults(texts, MIXED)
    ok = lost == wrong == 0 and requests <= 1.3 * ideal
    tell(
        "all, 10 % in sum: lost, another's, requests/ideal",
        f"{lost}, {wrong}, {requests / ideal:.2f}",
        "0, 0, 1.3",
        ok=ok,
    )


def with_faults(texts: list[str], spec: str) -> tuple[int, int, set[str], int]:
    emulator = Emulator(answers=parity, faults=spec, seed=7)
    result = run(texts, extractor(), client=Client("key", transport=emulator.transport))
    lost = len(texts) - result.frame.height
    return lost, misplaced(result.frame), set(result.errors["code"]), result.totals.requests


CHILD = """
import sys, polars as pl
from extract import Client, Extractor, Limits, run
extractor = Extractor(["even", "odd"], "Is the number even or odd?\\n{text}", pack=16)
rows = pl.DataFrame({"text": [f"this is the row with number {n}" for n in range(int(sys.argv[2]))]})
run(rows, extractor, client=Client("key", base_url=sys.argv[1]), cache=sys.argv[3], output=sys.argv[4],
    limits=Limits(concurrency=4))
"""


def kills(quick: bool) -> None:
    """kill -9 at random points: what is paid again is no more than was in flight; the table is whole in the end."""
    count, times = (600, 4) if quick else (3_000, 20)
    draw = random.Random(5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        emulator = Emulator(answers=parity, latency=0.05)
        with running_server(emulator) as server:
            words = [sys.executable, "-c", CHILD, server, str(count), str(folder / "c"), str(folder / "o.parquet")]
            for _ in range(times):
                child = subprocess.Popen(words, cwd=Path(__file__).parents[1])
                time.sleep(0.9 + draw.random() * count * 0.05 / 16 / 4 / times * 3)
                child.kill()
                child.wait()
            subprocess.run(words, cwd=Path(__file__).parents[1], check=True)
            asked = rows_asked(emulator)
            again = run(
                rows(count), extractor(8), client=Client("key", base_url=server), cache=folder / "c"
            ).totals.requests
        table = pl.read_parquet(folder / "o.parquet")
    bound = times * 4 * 16
    tell("rows paid again by kills", f"{asked - count} of {count}", f"<= {bound}", ok=asked - count <= bound)
    tell(
        "the table is whole, none has another's answer",
        f"{table.height}, {misplaced(table)}",
        f"{count}, 0",
        ok=table.height == count and misplaced(table) == 0,
    )
    tell("requests of a rerun with pack 8", again, "0", ok=again == 0)


def rows_asked(emulator: Emulator) -> int:
    texts = [str(one.body["input"][-1]["content"][-1]["text"]) for one in emulator.requests if one.status == 200]
    return sum(text.count("this is the row with number") for text in texts)


def bill(quick: bool) -> None:
    """The shares of rows, the ledger and the service's own count, with faults, repairs, halvings and samples."""
    count = 400 if quick else 3_000

    def answer(body: dict[str, Any]) -> Any:
        if number_in(body) % 97 == 0:
            return Fault("blocked_failed")
        return {"value": "neither"} if number_in(body) % 31 == 0 else parity(body)

    emulator = Emulator(answers=answer, faults=f"{MIXED},503=0.03,mismatch=0.03", seed=2)
    with tempfile.TemporaryDirectory() as folder, ResponseCache(Path(folder) / "c") as cache:
        result = run(
            rows(count), extractor(), client=Client("key", transport=emulator.transport), cache=cache, samples=2
        )
        ledger = cache.spent()
    billed = sum((one.usage for one in ledger), Usage())
    cost = sum((one.cost or Decimal(0) for one in ledger), Decimal(0))
    service = emulator.stats()
    figures = f"{result.totals.usage.total:,} = {billed.total:,}, ${result.totals.cost} = ${cost}"
    ok = result.totals.usage == billed and result.totals.cost == cost
    tell("shares of rows = ledger, tokens and dollars", figures[:60], "equal", ok=ok)
    counted = sum(service[name] for name in ("input_tokens", "output_tokens", "thought_tokens"))
    tell(
        "tokens of the ledger = the service's own count",
        f"{billed.total:,}",
        f"{counted:,}",
        ok=billed.total == counted,
    )
    tell("requests", result.totals.requests, str(service["requests"]), ok=result.totals.requests == service["requests"])


def auto(quick: bool) -> None:
    """The trial, simulated: how often the size that is chosen differs by more than the tolerance."""
    trials = 60 if quick else 200
    draw = np.random.default_rng(3)
    curves = {
        "harmless": (0.0, 0.0, 0.0),
        "falls at 32": (0.0, 0.0, 0.09),
        "falls slowly": (0.02, 0.055, 0.12),
        "falls at once": (0.06, 0.1, 0.2),
        "just too much": (0.051, 0.051, 0.051),
    }
    for name, losses in curves.items():
        for cluster in (0.0, 0.3, 1.0):
            chosen = [chosen_size(draw, losses, cluster) for _ in range(trials)]
            bad = sum(size > 1 and losses[(8, 16, 32).index(size)] > 0.05 for size in chosen) / trials
            found = sum(size > 1 for size in chosen) / trials
            noise = 3 * (0.05 * 0.95 / trials) ** 0.5
            tell(
                f"auto, {name}, clusters {cluster}: beyond tolerance",
                f"{bad:.1%}",
                "<= 5 % + 3 s",
                ok=bad <= 0.05 + noise,
            )
            if not any(losses):
                tell(f"auto, {name}, clusters {cluster}: a size found", f"{found:.1%}", ">= 80 %", ok=found >= 0.8)


def chosen_size(draw: Any, losses: tuple[float, ...], cluster: float, error: float = 0.04) -> int:
    """Draw a trial of a model that errs in `error` of its answers, and in `losses` more by size; return what passes."""
    chosen = 1
    alone = draw.random(32 * PACKS) < error
    again = draw.random(300) < error
    for size, loss in zip((8, 16, 32), losses, strict=True):
        spoilt = spoilt_rows(draw, size, loss, cluster)
        packed = (draw.random(size * PACKS) < error) | spoilt
        # Two errors are two different answers here: they never agree.
        pairs = [("right" if not a else "x", "right" if not p else "y") for a, p in zip(alone, packed, strict=False)]
        packs = [pairs[at : at + size] for at in range(0, size * PACKS, size)]
        repeats = [("right" if not a else "x", "right" if not b else "z") for a, b in zip(alone, again, strict=False)]
        if not agreement_of(size, packs, repeats, 0.05).passed:
            break
        chosen = size
    return chosen


def spoilt_rows(draw: Any, size: int, loss: float, cluster: float) -> Any:
    """Return which rows a size spoils: independent ones, whole requests (`cluster` 1), or in between."""
    if not loss:
        return np.zeros(size * PACKS, bool)
    if cluster == 0:
        return draw.random(size * PACKS) < loss
    if cluster == 1:
        return np.repeat(draw.random(PACKS) < loss, size)
    spread = (1 - cluster) / cluster
    shares = draw.beta(loss * spread, (1 - loss) * spread, PACKS)
    return draw.random(size * PACKS) < np.repeat(shares, size)


def cpu(quick: bool) -> None:
    """CPU of the client per row, with the answers of an emulator in the same process taken away."""
    count = 4_000 if quick else 1_000_000
    texts = pl.DataFrame({"text": rows(count)})
    took: dict[int, float] = {}
    for pack in (1, 32):
        sized = texts if pack == 32 or quick else texts.head(100_000)
        began = time.process_time()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with tempfile.TemporaryDirectory() as folder:
            result = run(sized, extractor(pack), offline=True, output=Path(folder) / "o.parquet")
        assert result.totals.rows == sized.height
        took[pack] = (time.process_time() - began) / sized.height
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(
            f"      pack {pack}: {took[pack] * 1e6:.0f} us a row, emulator included; "
            f"{grown:.0f} MB more for {sized.height:,} rows"
        )
    ratio = took[32] / took[1]
    tell("CPU a row, pack 32 / pack 1", f"{ratio:.2f}", "<= 0.6", ok=ratio <= 0.6)


PARTS: dict[str, Callable[[bool], None]] = {
    "faults": faults,
    "bill": bill,
    "auto": auto,
    "kills": kills,
    "cpu": cpu,
    "quota": quota,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=list(PARTS))
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    for part in chosen.parts or PARTS:
        print(f"== {part}", flush=True)
        PARTS[part](chosen.quick)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
