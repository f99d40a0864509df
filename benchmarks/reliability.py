"""What a run does when things go wrong, measured offline over a loopback socket.

    python benchmarks/reliability.py [PART ...] [--quick]

Parts: matrix faults kills quota budget duplicates memory interrupts bodies outage damage processes.

Each part prints what it measured beside its bar; the exit status is 1 where a bar was missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import checkout  # noqa: F401 - before extract: the checkout's, not an installed one
import polars as pl
from bars import missed, tell
from damaged_caches import after_damage, flipped
from faults import faults
from hostile_bodies import BODIES, QUICK_BODIES, asked_for
from outages import Kind, Service, serving
from pipeline_for_benchmarks import extractor
from shared_cache import processes
from workload import TOPICS, messages
from workplace import command, truth, truth_of, whole, workplace

from extract import Client, Emulator, Extractor, Limits, Retry, estimate, open_source, run
from extract.testing import running_server

# Each fault of the matrix, and the code of a row for which it came again and again.
CODES = {
    "500": "overloaded",
    "503": "overloaded",
    "reset": "unreachable",
    "slow": "unreachable",
    "cut": "unreachable",
    "html": "overloaded",
    "array": "overloaded",
    "malformed": "invalid_answer",
    "mismatch": "invalid_answer",
    "empty_steps": "invalid_answer",
    "failed": "invalid_answer",
    "blocked": "blocked",
    "unknown_status": "invalid_answer",
}


def matrix(quick: bool) -> None:
    """Rows x faults x rates: no row is lost, no run aborted, and what is answered is the truth."""
    count, rates = (200, (0.1,)) if quick else (2_000, (0.01, 0.1, 0.3))
    for fault, code in CODES.items():
        for rate in rates:
            emulator = Emulator(answers=truth_of, faults=f"{fault}={rate}", seed=7, keep_requests=False)
            with running_server(emulator) as url:
                started = time.perf_counter()
                limits = Limits(concurrency=64, retry=Retry(first_wait=0.05, longest_wait=0.5))
                result = run(messages(count), extractor, client=Client("key", base_url=url), row_id="id", limits=limits)
                seconds = time.perf_counter() - started
            failed = {row["row_id"]: row["code"] for row in result.errors.iter_rows(named=True)}
            answered = [row for row in result.frame.select("id", "topic", "score").iter_rows() if row[0] not in failed]
            lost = count - len(answered) - len(failed)
            wrong = sum(row != (row[0], TOPICS[row[0] % 4], row[0] % 11) for row in answered)
            codes = Counter(failed.values())
            fine = not lost and not wrong and result.complete and set(codes) <= {code}
            told = f"lost {lost}, wrong {wrong}, {dict(codes) or 'none rejected'}, {seconds:.1f} s"
            tell(f"{fault} at {rate:.0%}", told, "0 lost, 0 wrong, right codes, not aborted", ok=fine)


def kills(quick: bool) -> None:
    """kill -9 at random points: at most what was in flight is paid again, and the table is that of an unbroken run."""
    count, times, slots = (1_500, 4, 16) if quick else (5_000, 50, 16)
    draws = random.Random(11)
    answered: Counter[str] = Counter()
    lock = threading.Lock()

    def counted(body: dict[str, Any]) -> str:
        said = truth_of(body)
        with lock:
            answered[str(body["input"][0]["content"][0]["text"])] += 1
        return said

    emulator = Emulator(
        answers=counted, faults="503=0.03,reset=0.03,html=0.02,500=0.02", seed=5, latency=0.02, keep_requests=False
    )
    worst = paid_again = killed = damaged = differing = 0
    with running_server(emulator) as url, workplace(count) as folder:
        while killed < times:
            for left in folder.glob("out*"):
                left.unlink()
            answered.clear()
            finished = False
            while not finished:
                before = answered.total() - len(answered)
                child = subprocess.Popen(
                    command(url, "--concurrency", str(slots)),
                    cwd=folder,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
                seen = answered.total()
                while child.poll() is None and answered.total() == seen:
                    time.sleep(0.002)
                try:
                    child.communicate(timeout=draws.uniform(0.02, 1.5) if killed < times else None)
                    finished = True
                except subprocess.TimeoutExpired:
                    os.kill(child.pid, signal.SIGKILL)
                    child.communicate()
                    killed += 1
                    # A run that has just ended may be killed on its way out: then the file has its name, and is whole.
                    if (output := folder / "out.parquet").exists():
                        damaged += pl.read_parquet(output).height != count
                again = answered.total() - len(answered) - before
                worst, paid_again = max(worst, again), paid_again + again
            checked = subprocess.run(
                [sys.executable, "-m", "extract", "cache", "verify", "out.parquet.cache"],
                cwd=folder,
                check=False,
                capture_output=True,
            )
            damaged += checked.returncode != 0
            rows = list(pl.read_parquet(folder / "out.parquet").select("id", "topic", "score").iter_rows())
            differing += rows != truth(count)
    bar = f"<= {slots} in flight at each: {killed * slots}"
    tell(f"{killed} kills: paid again in all", paid_again, bar, ok=paid_again <= killed * slots)
    tell("most paid again between two kills (of earlier ones too)", worst, f"<= {2 * slots}", ok=worst <= 2 * slots)
    tell("half files, damaged caches", damaged, "0", ok=damaged == 0)
    tell("final tables that differ", differing, "0", ok=differing == 0)


def quota(quick: bool) -> None:
    """A quota the client is not told: used up, hardly passed, and followed when it moves."""
    for details in (True, False):
        steady(quick, details=details)
        moving(quick, details=details)


def watched(seconds: float, moves: dict[float, int], *, details: bool) -> tuple[list[float], float]:
    """Return when requests passed, in seconds from the start, and the share that was refused."""
    passed: list[float] = []

    def answer(body: dict[str, Any]) -> str:
        passed.append(time.perf_counter() - began)
        return truth_of(body)

    emulator = Emulator(
        answers=answer, rpm=3_000, latency=0.3, latency_spread=0.4, keep_requests=False, quota_details=details
    )
    left = dict(moves)

    def listener(_: object) -> None:
        now = time.perf_counter() - began
        for at in [at for at in left if at <= now]:
            emulator.set_quota(rpm=left.pop(at))
        if now > seconds:
            raise TimeoutError("enough was measured")

    with running_server(emulator) as url:
        began = time.perf_counter()
        run(messages(40_000), extractor, client=Client("key", base_url=url), on_event=listener)
        stats = emulator.stats()
    return passed, stats["refused_by_quota"] / stats["requests"]


def share(passed: list[float], start: float, end: float, rpm: float) -> float:
    return sum(start <= at < end for at in passed) / (rpm / 60 * (end - start))


def steady(quick: bool, *, details: bool) -> None:
    seconds = 45.0 if quick else 180.0
    passed, refused = watched(seconds, {}, details=details)
    used, late = share(passed, 15, seconds, 3_000), share(passed, seconds / 2, seconds, 3_000)
    named = "told in refusals" if details else "bare refusals"
    figure = f"{used:.1%} (second half {late:.1%})"
    tell(f"3,000 a minute, {named}: used after 15 s", figure, ">= 95 %", ok=min(used, late) >= 0.95)
    tell("  requests refused", f"{refused:.2%}", "< 2 %", ok=refused < 0.02)


def moving(quick: bool, *, details: bool) -> None:
    """Halve and double the quota once the first minute's worth is used up."""
    down, up, end = (30.0, 50.0, 70.0) if quick else (40.0, 70.0, 100.0)
    passed, _ = watched(end, {down: 1_500, up: 3_000}, details=details)
    for at, rpm, name in ((down, 1_500, "halved"), (up, 3_000, "doubled")):
        used = share(passed, at + 10, at + 20, rpm)
        tell(f"  {name}: used from 10 s after", f"{used:.0%}", ">= 90 %", ok=used >= 0.9)


def budget(quick: bool) -> None:
    """Answers ten times longer than expected: at most the budget and what was reserved is spent."""
    count = 500 if quick else 3_000
    wordy = Extractor({"type": "object", "properties": {"note": {"type": "string"}}, "required": ["note"]}, "{text}")
    price = estimate(open_source(messages(1)), wordy).prices["standard"]
    assert price is not None
    for spec in ("", "malformed=0.05,503=0.05,failed=0.03,continuation=0.02"):
        emulator = Emulator(
            answers=lambda _: json.dumps({"note": "word " * 250}),
            faults=spec,
            seed=3,
            keep_requests=False,
            latency=0.01,
        )
        with running_server(emulator) as url:
            result = run(messages(count), wordy, client=Client("key", base_url=url), budget=Decimal("0.05"))
        stats = emulator.stats()
        bill = stats["input_tokens"] * price.input + (stats["output_tokens"] + stats["thought_tokens"]) * price.output
        assert result.budget is not None
        most = Decimal("0.05") + result.budget.peak
        figure = f"${bill:.4f} <= $0.05 + ${result.budget.peak:.4f}"
        named = "with faults" if spec else "without faults"
        tell(f"budget of $0.05 {named}", figure, "budget + reserved", ok=bill <= most and result.stopped is not None)
        same = (result.usage.input_tokens, result.usage.output_tokens) == (
            stats["input_tokens"],
            stats["output_tokens"],
        )
        tell(
            f"ledger against the service's bill {named}",
            f"${result.cost} = ${bill}",
            "equal",
            ok=same,
        )


def duplicates(quick: bool) -> None:
    """Equal rows are asked once, and a rerun asks only what is new."""
    count = 1_000 if quick else 10_000
    emulator = Emulator(answers=truth_of)
    rows = pl.concat([messages(int(count * 0.7)), messages(int(count * 0.3))]).sample(fraction=1, shuffle=True, seed=1)
    with running_server(emulator) as url, tempfile.TemporaryDirectory() as folder:
        client = Client("key", base_url=url)
        run(rows, extractor, client=client, cache=Path(folder) / "c")
        first = emulator.stats()["requests"]
        tell(f"{count:,} rows, 30 % duplicates: requests", first, f"{int(count * 0.7):,}", ok=first == int(count * 0.7))
        more = pl.concat([rows, messages(int(count * 0.71)).tail(int(count * 0.01))])
        run(more, extractor, client=client, cache=Path(folder) / "c")
        new = emulator.stats()["requests"] - first
        tell("1 % new rows: requests", new, f"{int(count * 0.01):,}", ok=new == int(count * 0.01))


MEMORY = """
import resource, sys, time
from pathlib import Path
import polars as pl
from extract import Client, Emulator, run
sys.path.insert(0, sys.argv[2])
from pipeline_for_benchmarks import extractor
from workload import TOPICS, messages
emulator = Emulator(answers=lambda body: '{"topic": "bug", "score": 1}', keep_requests=False)
started = time.perf_counter()
result = run(pl.scan_parquet(sys.argv[1]), extractor, client=Client("key", transport=emulator.transport),
             output=sys.argv[1] + ".out.parquet")
seconds = time.perf_counter() - started
assert result.totals.valid == result.totals.rows
# Not ru_maxrss where there is better: on Linux that begins with what the parent process had taken.
status = Path("/proc/self/status")
lines = status.read_text().splitlines() if status.exists() else []
peak = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)
print(result.totals.rows / seconds, (peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024)
"""


def memory(quick: bool) -> None:
    """Peak memory of a whole process, service included, from a Parquet scan to a Parquet file."""
    peaks: list[float] = []
    for count in (3_000, 10_000) if quick else (100_000, 1_000_000):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "in.parquet"
            messages(count).write_parquet(path)
            words = [sys.executable, "-c", MEMORY, str(path), str(Path(__file__).parent)]
            rate, peak = map(float, subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())
        peaks.append(peak)
        tell(f"{count:,} rows", f"{peak:,.0f} MB, {rate:,.0f} rows/s", "< 400 MB", ok=peak < 400)
    growth = peaks[1] / peaks[0]
    tell("peak against a tenth of the rows", f"{growth:.2f} x", "flat: <= 1.25 x", ok=growth <= 1.25)


def interrupts(quick: bool) -> None:
    """SIGINT and SIGTERM in the middle: exit 130, no half file, and a rerun pays for nothing twice."""
    count = 600 if quick else 3_000
    for number in (signal.SIGINT, signal.SIGTERM):
        emulator = Emulator(answers=truth_of, latency=0.05)
        with running_server(emulator) as url, workplace(count) as folder:
            child = subprocess.Popen(command(url), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            while emulator.stats()["requests"] < count / 3:
                time.sleep(0.01)
            child.send_signal(number)
            child.communicate(timeout=60)
            half = (folder / "out.parquet").exists()
            status, _ = whole(url, folder)
            rows = list(pl.read_parquet(folder / "out.parquet").select("id", "topic", "score").iter_rows())
            requests = emulator.stats()["requests"]
        fine = (child.returncode, half, status, requests) == (130, False, 0, count) and rows == truth(count)
        tell(
            f"{number.name}: status, then requests in all",
            f"{child.returncode}, {requests:,}",
            f"130, {count:,}",
            ok=fine,
        )


def bodies(quick: bool) -> None:
    """Answers without an end, of a gigabyte, unpacking to one, of a byte a second: eight rows at once in a process."""
    for body in QUICK_BODIES if quick else BODIES:
        seen = asked_for(body)
        figure = f"{seen.peak:,.0f} MB, {seen.seconds:.0f} s, {seen.requests} requests, {', '.join(seen.codes)}"
        fine = seen.peak < 400 and seen.codes == [body.code] and seen.requests == body.requests
        tell(body.name, figure, f"< 400 MB, {body.requests} requests, {body.code}", ok=fine)


def outage(quick: bool) -> None:
    """The service is away for a minute, a third into the run: no row is rejected, and nothing is sent to no purpose."""
    count, seconds = (2_000, 3.0) if quick else (20_000, 60.0)
    kinds: tuple[Kind, ...] = ("refused", "502")
    for kind in kinds:
        service = Service(kind, count // 3, seconds)
        with serving(service) as url:
            result = run(messages(count), extractor, client=Client("key", base_url=url), row_id="id")
            ended = time.monotonic()
        twice = service.paid.total() - len(service.paid)
        late = ended - service.up_again
        rows = list(result.frame.select("id", "topic", "score").iter_rows())
        fine = result.complete and result.totals.rejected == 0 and rows == truth(count)
        figure = f"{result.totals.rejected:,} rejected, {result.seconds:.0f} s"
        tell(f"{kind} for {seconds:.0f} s in {count:,} rows", figure, "0 rejected, the whole table", ok=fine)
        tell("  paid twice", twice, f"<= in flight: {service.in_flight}", ok=twice <= service.in_flight)
        if kind == "502":
            asked = service.asked_while_down
            tell("  asked while it was down", asked, "<= 64 in flight, 20 probes", ok=asked <= 84)
        tell("  from its return to the end of the run", f"{late:.0f} s", "<= 90 s", ok=late <= 90)


def damage(quick: bool) -> None:
    """Caches with 30 flipped bytes each: what can be read is used, the rest asked again, and no damage is believed."""
    caches, count = (6, 300) if quick else (30, 1_000)
    seen: Counter[str] = Counter()
    emulator = Emulator(answers=truth_of, keep_requests=False)
    with running_server(emulator) as url, workplace(count) as folder:
        whole(url, folder)
        sound = (folder / "out.parquet.cache").read_bytes()
        for number in range(caches):
            for left in folder.glob("out*"):
                left.unlink()
            (folder / "out.parquet.cache").write_bytes(flipped(sound, random.Random(number)))
            before = emulator.stats()["requests"]
            seen.update(after_damage(command(url), folder, truth(count)))
            seen["asked again"] += emulator.stats()["requests"] - before
    tell(f"{caches} caches, 30 bytes flipped in each: wrong values", seen["wrong"], "0", ok=not seen["wrong"])
    tell("  tracebacks of run, show and verify", seen["tracebacks"], "0", ok=not seen["tracebacks"])
    tell("  rows whose damage the model was blamed for", seen["blamed"], "0", ok=not seen["blamed"])
    tell("  runs that gave all rows", seen["whole"], f"{caches}", ok=seen["whole"] == caches)
    share = seen["asked again"] / (caches * count)
    tell("  files set aside, rows asked again", f"{seen['set aside']}, {share:.1%}", "< 50 %", ok=share < 0.5)


_ALL = (matrix, faults, kills, quota, budget, duplicates, memory, interrupts, bodies, outage, damage, processes)
PARTS: dict[str, Callable[[bool], None]] = {part.__name__: part for part in _ALL}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for a first look")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    for name in chosen.parts or PARTS:
        print(f"\n{name}: {(PARTS[name].__doc__ or '').strip()}")
        PARTS[name](chosen.quick)
    print(f"\n{len(missed)} bars missed" + (": " + "; ".join(missed) if missed else ""))
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
