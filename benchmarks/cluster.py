"""The same job on a Ray cluster of two nodes on this machine, over a loopback socket: one client, and no row lost?

    python benchmarks/cluster.py [same budget kills speed] [--quick] [--write]

Each part prints what it measured beside its bar; the exit status is 1 where a bar was missed. `--write` puts the
figures into RESULTS.md. Needs the extra `ray`.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

os.environ["RAY_DISABLE_IMPORT_WARNING"] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import checkout  # noqa: F401 - before extract: the checkout's, not an installed one
import polars as pl
import ray
from pipeline_for_benchmarks import extractor
from ray.cluster_utils import Cluster
from results import write_section
from workload import messages

from extract import Client, Emulator, Limits, ResponseCache, run
from extract.distributed import ClusterSpec, run_on_ray
from extract.runner.options import OutputTarget, RunOptions
from extract.testing import running_server

NODE = {"num_cpus": 1, "object_store_memory": 200_000_000}
WORKERS = 2
SETTING = f"""20,000 rows (9,000 for speed), two nodes of one CPU each, and the emulator beside them on the same cores;
Ray {ray.__version__}, Python {platform.python_version()}. Latency 200 ms and 64 in flight for each worker, for speed
300 ms and 32."""
missed: list[str] = []
figures: list[str] = ["| part | what | measured | bar |", "|---|---|---|---|"]
part = ""


def tell(what: str, figure: object, bar: str, *, ok: bool) -> None:
    print(f"{'ok  ' if ok else 'MISS'}  {what:<62} {figure!s:>24}   bar: {bar}", flush=True)
    figures.append(f"| {part} | {what} | {figure} | {bar} |")
    if not ok:
        missed.append(what)


@contextmanager
def two_nodes() -> Iterator[Cluster]:
    """Start a cluster of two nodes of one CPU each, on loopback, and connect to it."""
    nodes = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False})
    nodes.add_node(**NODE)
    ray.init(address=nodes.address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield nodes
    finally:
        ray.shutdown()
        nodes.shutdown()


def job(url: str, folder: Path, rows: int, *, workers: int = WORKERS, slots: int = 64, **options: Any) -> Any:
    """Run the job on the cluster. The input is a Parquet file of its own."""
    source = folder / "in.parquet"
    messages(rows).write_parquet(source)
    keywords: Any = {
        "output": folder / "out.parquet",
        "cache": folder / "out.parquet.cache",
        "pipeline": "benchmark",
        "overwrite": True,
        "row_id": "id",
        "limits": Limits(concurrency=slots),
    }
    keywords |= options
    return run_on_ray(
        str(source),
        extractor,
        RunOptions.of(**keywords),
        target=OutputTarget.of(**keywords),
        client=Client("key", base_url=url),
        spec=ClusterSpec(workers=workers),
    )


def max_in(times: list[float], window: float) -> int:
    """Return the largest number of requests that came within any window of that many seconds."""
    times, first, count = sorted(times), 0, 0
    for index, at in enumerate(times):
        while times[first] < at - window:
            first += 1
        count = max(count, index - first + 1)
    return count


def tell_rate(emulator: Emulator, rpm: int) -> float:
    """Say how well a quota was kept, as the service saw it; return the share of it that was used."""
    seen = [request.at for request in emulator.requests]
    span = max(seen) - min(seen)
    window = min(60.0, span)
    share = max_in(seen, window) / (rpm * window / 60)
    tell(f"most requests in {window:.0f} s, share of the quota", f"{share:.3f}", "<= 1.02", ok=share <= 1.02)
    refused = emulator.stats()["refused_by_quota"]
    tell("requests refused by the quota", refused, "<= 2 %", ok=refused <= 0.02 * len(seen))
    return len(seen) / (rpm * span / 60)


def same(folder: Path, *, quick: bool) -> None:
    """One table, one quota: as a run of one machine."""
    rows, rpm = (4_000, 6_000) if quick else (20_000, 15_000)
    emulator = Emulator(latency=0.2, rpm=rpm)
    with running_server(emulator) as url, two_nodes():
        started = time.perf_counter()
        result = job(url, folder, rows, limits=Limits(concurrency=64, rpm=rpm))
        seconds = time.perf_counter() - started
    with running_server(Emulator()) as url:
        alone = run(messages(rows), extractor, client=Client("key", base_url=url), output=folder / "one.parquet")
    tell("rows valid", result.totals.valid, str(rows), ok=result.totals.valid == rows)
    ours, theirs = pl.read_parquet(result.output), pl.read_parquet(alone.output)
    tell("the same table as on one machine", ours.equals(theirs), "True", ok=ours.equals(theirs))
    tell("the same types", ours.schema == theirs.schema, "True", ok=ours.schema == theirs.schema)
    used = tell_rate(emulator, rpm)
    tell("requests in all, share of what the quota allows", f"{used:.3f}", "0.98 to 1.02", ok=0.98 <= used <= 1.02)
    print(f"      {rows} rows in {seconds:.1f} s with the start of the actors; {result!r}", flush=True)


def budget(folder: Path, *, quick: bool) -> None:
    """A budget that is too small for the rows is used up by all workers together, and not passed."""
    from extract import Budget

    rows = 2_000 if quick else 6_000
    emulator = Emulator(latency=0.1)
    tokens = 150 * rows // 2
    with running_server(emulator) as url, two_nodes():
        result = job(url, folder, rows, budget=Budget(tokens=tokens, dollars=Decimal(5)))
    stats = emulator.stats()
    billed = sum(stats[name] for name in ("input_tokens", "output_tokens", "thought_tokens"))
    share = billed / tokens
    tell("tokens billed, share of the budget", f"{share:.4f}", "0.95 to 1.00", ok=0.95 <= share <= 1.0)
    tell("rows not run", result.totals.not_run, "> 0", ok=result.totals.not_run > 0)
    tell("what stopped it", result.stopped and result.stopped.code, "budget", ok="budget" in str(result.stopped))


def processes(nodes: Cluster, name: str) -> list[int]:
    """Return the processes of actors of a class, children of this cluster's nodes only."""
    raylets = {node.all_processes["raylet"][0].process.pid for node in nodes.list_all_nodes()}
    pids = []
    for folder in Path("/proc").iterdir():
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in raylets and f"ray::{name}" in (folder / "cmdline").read_text():
                pids.append(int(folder.name))
        except (OSError, ValueError, IndexError):
            continue
    return pids


def kills(folder: Path, *, quick: bool) -> None:
    """Three workers, the quota and the cache actor are killed: nothing is lost, little is asked twice."""
    rows, rpm, slots = (6_000, 6_000, 32) if quick else (20_000, 15_000, 64)
    emulator = Emulator(latency=0.2, rpm=rpm)
    victims = ("MapWorker", "QuotaActor", "MapWorker", "CacheActor", "MapWorker")
    struck: list[str] = []

    def strike(nodes: Cluster) -> None:
        for number, name in enumerate(victims, start=1):
            while len(emulator.requests) < 0.15 * number * rows:
                time.sleep(0.05)
            print(f"      SIGKILL to {name} after {len(emulator.requests)} requests", flush=True)
            os.kill(processes(nodes, name)[0], signal.SIGKILL)
            struck.append(name)

    with running_server(emulator) as url, two_nodes() as nodes:
        striking = threading.Thread(target=strike, args=(nodes,), daemon=True)
        striking.start()
        result = job(url, folder, rows, slots=slots, limits=Limits(concurrency=slots, rpm=rpm))
        striking.join(timeout=5)
        before = len(emulator.requests)
        again = job(url, folder, rows, workers=1, slots=slots)
    answered = Counter(str(request.body["input"]) for request in emulator.requests[:before] if request.status == 200)
    twice = answered.total() - len(answered)
    flying = slots * struck.count("MapWorker")
    tell("actors killed", len(struck), "3 workers, quota and cache actor", ok=struck == [*victims])
    table = pl.read_parquet(result.output)
    whole = table["id"].to_list() == list(range(rows)) and result.totals.valid == rows
    tell("rows lost", rows - result.totals.valid, "0, and in order", ok=whole)
    tell("requests paid twice", twice, f"<= {flying} in flight at the kills", ok=twice <= flying)
    with ResponseCache(folder / "out.parquet.cache", read_only=True) as cache:
        unentered = answered.total() - sum(one.attempts for one in cache.spent())
    tell("answers that the ledger does not hold", unentered, f"0 to {flying}", ok=0 <= unentered <= flying)
    tell_rate(emulator, rpm)
    tell("a rerun with another number of workers asks", again.totals.requests, "0", ok=again.totals.requests == 0)
    tell("rows of the rerun from the cache", again.totals.cached, str(rows), ok=again.totals.cached == rows)


def speed(folder: Path, *, quick: bool) -> None:
    """Two workers do twice as much as one, each with as many requests in flight."""
    rows, slots = (3_000, 32) if quick else (9_000, 32)
    rates = {}
    for workers in (1, 2):
        emulator = Emulator(latency=0.3)
        place = folder / str(workers)
        place.mkdir()
        with running_server(emulator) as url, two_nodes():
            job(url, place, rows, workers=workers, slots=slots)
        seen = sorted(request.at for request in emulator.requests)
        # Without the first and last tenth: how long actors take to start is no matter of throughput.
        middle = seen[rows // 10 : -rows // 10]
        rates[workers] = len(middle) / (middle[-1] - middle[0])
        print(f"      {workers} workers: {rates[workers]:.0f} requests/s in the middle", flush=True)
    gain = rates[2] / rates[1]
    tell("throughput of 2 workers against 1, latency 300 ms", f"{gain:.2f}", ">= 1.8", ok=gain >= 1.8)


PARTS: dict[str, Callable[..., None]] = {"same": same, "budget": budget, "kills": kills, "speed": speed}


def main() -> int:
    """Run the parts that were named, or all."""
    global part  # noqa: PLW0603 - a program of one thread that says where it is
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no part {min(unknown)!r}; there are {', '.join(PARTS)}")
    for name in given.parts or PARTS:
        print(f"\n{name}: {PARTS[name].__doc__}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            part = name
            PARTS[name](Path(folder), quick=given.quick)
    if given.write:
        write_section("A cluster of two nodes", "\n".join([SETTING, "", *figures]))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
