"""How fast a run is, and what it spends its time on, measured offline over loopback sockets.

    python benchmarks/speed.py [throughput ranking stages startup memory] [--quick] [--loop asyncio|uvloop] [--write]

Each part prints what it measured beside its bar; the exit status is 1 where a bar was missed. `--write` puts the
figures into benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import re
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import aiohttp
import checkout  # noqa: F401 - before extract: the checkout's, not an installed one
import httpx
from certificate import make_certificate
from pipeline_for_benchmarks import extractor
from raw_server import ANSWER
from results import write_section
from workload import BODY, Took, bare, job, messages, raw_server

from extract import AsyncClient, ResponseCache
from extract.extractor.plan import compile_extractor
from extract.interactions.dialects import decode, encode
from extract.interactions.endpoint import Endpoint
from extract.interactions.failures import judge
from extract.interactions.http.calls import Call
from extract.runner.event_loop import new_loop

CALL = Call("POST", "/interactions", BODY)
HERE = Path(__file__).parent
report: list[str] = []
missed: list[str] = []


def say(line: str = "") -> None:
    print(line, flush=True)
    report.append(line)


def row(*cells: object) -> None:
    say("| " + " | ".join(map(str, cells)) + " |")


def table(*titles: str) -> None:
    row(*titles)
    row(*("---" for _ in titles))


def judged(what: str, figure: str, *, ok: bool) -> str:
    """Return a figure marked where it misses its bar."""
    if not ok:
        missed.append(f"{what}: {figure}")
    return figure if ok else f"**{figure}**"


def in_new_loop(work: Awaitable[None]) -> float:
    """Run something in the loop that runs are given; return its seconds."""

    async def timed() -> float:
        started = time.perf_counter()
        await work
        return time.perf_counter() - started

    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(timed())


def throughput(quick: bool) -> None:
    """Whole jobs, from rendering to Parquet with a cache, against concurrency / latency and against bare sockets."""
    latencies, all_slots = ((0.0, 0.05), (32, 128)) if quick else ((0.0, 0.05, 0.3), (1, 8, 32, 64, 128, 256, 512))
    titles = ("latency", "at once", "records/s", "steady", "ideal", "steady of ideal", "of sockets", "CPU ms")
    table(*titles)
    for latency in latencies:
        with raw_server(latency) as url, tempfile.TemporaryDirectory() as folder:
            job(url, Path(folder) / "first", 8, 50)
            for slots in all_slots:
                _one_throughput(url, Path(folder), latency, slots, rounds=1 if quick else 3)


def _one_throughput(url: str, folder: Path, latency: float, slots: int, *, rounds: int) -> None:
    ideal = slots / latency if latency else 0.0
    count = int(min(20_000, max(24, ideal * 6))) if latency else min(15_000, 3_000 * slots)
    jobs: list[Took] = []
    floors: list[float] = []
    for turn in range(rounds):
        jobs.append(job(url, folder / f"{slots}-{turn}", slots, count))
        floors.append(count / in_new_loop(bare(url, slots, count)))
    rate, steady, used = (
        statistics.median(getattr(one, name) for one in jobs) for name in ("rate", "steady", "processor_ms")
    )
    what = f"{latency * 1000:g} ms, {slots} at once"
    # Where the work of one second takes longer than that, the processor is what one waits for.
    bar = 0.0 if ideal * used > 800 else 0.75 if latency < 0.1 and slots >= 128 else 0.9
    share = judged(what, f"{steady / ideal:.1%}", ok=steady >= bar * ideal) if ideal else "–"
    told = (f"{rate:,.0f}", f"{steady:,.0f}", f"{ideal:,.0f}" if ideal else "–", share)
    row(f"{latency * 1000:g} ms", slots, *told, f"{steady / statistics.median(floors):.0%}", f"{used:.3f}")


def _trusted(url: str) -> ssl.SSLContext | None:
    return ssl.create_default_context() if url.startswith("https") else None


Exchanges = Callable[[str, int, int], Awaitable[None]]


async def _ours(url: str, slots: int, count: int) -> None:
    numbers = iter(range(count))
    async with AsyncClient("key", base_url=url) as client:
        await client.exchange(CALL)

        async def work() -> None:
            for _ in numbers:
                await client.exchange(CALL)

        await asyncio.gather(*(work() for _ in range(slots)))


async def _aiohttp(url: str, slots: int, count: int) -> None:
    numbers = iter(range(count))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=_trusted(url) or True)) as session:

        async def work() -> None:
            for _ in numbers:
                async with session.post(url + "/v1/interactions", data=BODY) as response:
                    await response.read()

        await asyncio.gather(*(work() for _ in range(slots)))


async def _httpx(url: str, slots: int, count: int) -> None:
    numbers = iter(range(count))
    async with httpx.AsyncClient(timeout=60.0) as client:

        async def work() -> None:
            for _ in numbers:
                await client.post(url + "/v1/interactions", content=BODY)

        await asyncio.gather(*(work() for _ in range(slots)))


async def _httpx2(url: str, slots: int, count: int) -> None:
    import httpx2  # a second, newer httpx; google-genai brings it

    numbers = iter(range(count))
    async with httpx2.AsyncClient(timeout=60.0) as client:

        async def work() -> None:
            for _ in numbers:
                await client.post(url + "/v1/interactions", content=BODY)

        await asyncio.gather(*(work() for _ in range(slots)))


async def _pyreqwest(url: str, slots: int, count: int) -> None:
    from pyreqwest.client import ClientBuilder  # in Rust, and not of the lock: pip install pyreqwest

    numbers = iter(range(count))
    builder = ClientBuilder()
    if url.startswith("https"):
        builder = builder.add_root_certificate_pem(Path(os.environ["SSL_CERT_FILE"]).read_bytes())  # noqa: ASYNC240
    async with builder.build() as client:

        async def work() -> None:
            for _ in numbers:
                response = await client.post(url + "/v1/interactions").body_bytes(BODY).build().send()
                await response.bytes()

        await asyncio.gather(*(work() for _ in range(slots)))


TRANSPORTS: dict[str, tuple[Exchanges, int]] = {
    "bare sockets (asyncio streams)": (bare, 8_000),
    "extract": (_ours, 8_000),
    "pyreqwest": (_pyreqwest, 8_000),
    "aiohttp": (_aiohttp, 6_000),
    "httpx2": (_httpx2, 1_500),
    "httpx": (_httpx, 1_000),
}


def ranking(quick: bool) -> None:
    """Transports alone, 128 at once: exchanges per second and milliseconds of processor time for each."""
    with tempfile.TemporaryDirectory() as folder:
        certificate, authority = make_certificate(Path(folder))
        os.environ["SSL_CERT_FILE"] = str(authority)
        for named, shown in (("plain", None), ("TLS", certificate)):
            say(f"\n{named}:\n")
            figures: dict[tuple[str, float], list[tuple[float, float]]] = defaultdict(list)
            failures: dict[str, str] = {}
            for latency in (0.0, 0.05):
                with raw_server(latency, shown) as url:
                    for _, name in _turns(1 if quick else 3, TRANSPORTS):
                        exchanges, count = TRANSPORTS[name]
                        try:
                            figures[name, latency].append(_exchanged(exchanges, url, count // 4 if quick else count))
                        except Exception as error:
                            failures[name] = f"{type(error).__name__}: {error}"[:80]
            _show_ranking(figures, failures)
        del os.environ["SSL_CERT_FILE"]


def _turns(rounds: int, names: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Let all take turns in every round."""
    return ((turn, name) for turn in range(rounds) for name in names)


def _exchanged(exchanges: Exchanges, url: str, count: int) -> tuple[float, float]:
    processor = time.process_time()
    seconds = in_new_loop(exchanges(url, 128, count))
    return count / seconds, (time.process_time() - processor) / count * 1000


def _show_ranking(figures: dict[tuple[str, float], list[tuple[float, float]]], failures: dict[str, str]) -> None:
    table("transport", "0 ms: exchanges/s", "CPU ms", "50 ms: exchanges/s", "of ideal", "CPU ms")
    for name in TRANSPORTS:
        if name in failures or not figures[name, 0.0]:
            row(name, failures.get(name, "not run"), "", "", "", "")
            continue
        (rate, used), (later, later_used) = (
            tuple(statistics.median(column) for column in zip(*figures[name, latency], strict=True))
            for latency in (0.0, 0.05)
        )
        row(name, f"{rate:,.0f}", f"{used:.3f}", f"{later:,.0f}", f"{later / 2_560:.0%}", f"{later_used:.3f}")


def stages(quick: bool) -> None:
    """CPU per record at latency 0, 128 at once: whole jobs, the transport alone, and the steps by themselves."""
    count, rounds = (3_000, 1) if quick else (15_000, 5)
    used: dict[str, list[float]] = defaultdict(list)
    with raw_server(0.0) as url, tempfile.TemporaryDirectory() as folder:
        job(url, Path(folder) / "first", 8, 50)
        for turn in range(rounds):
            used["transport"].append(_exchanged(_ours, url, count)[1])
            for name, options in _JOBS.items():
                took = job(url, Path(folder) / f"{name}-{turn}", 128, count, **options)
                used[name].append(took.processor_ms)
    middle = {name: statistics.median(values) for name, values in used.items()}
    own = middle["whole"] - middle["transport"]
    table("what", "CPU ms per record", "target", "stretch")
    whole = judged("whole", f"{middle['whole']:.3f}", ok=middle["whole"] <= 0.5)
    row("whole job: cache and Parquet", whole, "≤ 0.50", "≤ 0.30")
    row("the transport alone", f"{middle['transport']:.3f}", "", "")
    row("our own: the whole less the transport", judged("own", f"{own:.3f}", ok=own <= 0.2), "≤ 0.20", "≤ 0.10")
    row("of it the cache", f"{middle['whole'] - middle['no cache']:.3f}", "", "")
    row("of it Parquet, against a frame in memory", f"{middle['whole'] - middle['no output']:.3f}", "", "")
    say()
    table("step, by itself and warm", "microseconds per record")
    for name, microseconds in _steps():
        row(name, f"{microseconds:.1f}")


_JOBS: dict[str, dict[str, bool]] = {"whole": {}, "no cache": {"cache": False}, "no output": {"output": False}}


def _steps() -> Iterator[tuple[str, float]]:
    plan = compile_extractor(extractor, Endpoint(api_key="key"))
    envelope = plan.envelope()
    records = messages(128).to_dicts()
    questions = [plan.question(record) for record in records]
    interaction = decode(ANSWER)
    text = judge(interaction)
    rows = [plan.schema.row(plan.schema.read(text)[0])] * 128
    yield "render and identify", _each(lambda: [plan.question(record) for record in records])
    yield "hash into a content key", _each(lambda: [plan.answer_key(question, 0) for question in questions])
    yield "splice the request", _each(lambda: [envelope.body(question.turns) for question in questions])
    yield "read the envelope of the answer", _each(lambda: [decode(ANSWER) for _ in records])
    yield (
        "validate the answer and cut it into cells",
        _each(lambda: [plan.schema.row(plan.schema.read(text)[0]) for _ in records]),
    )
    yield "build typed columns of 128 rows", _each(lambda: plan.schema.frame(rows))
    with tempfile.TemporaryDirectory() as folder, ResponseCache(Path(folder) / "cache") as cache:
        keys = iter(range(10**9))

        def ahead() -> None:
            cache.find([b"%032d" % next(keys) for _ in records])

        async def keep() -> None:
            body = encode(interaction)
            for _ in range(16):
                await asyncio.gather(*(cache.keep(b"%032d" % next(keys), body) for _ in range(8)))

        yield "look 128 up in the cache", _each(ahead)
        yield "commit to the cache, 8 at once", _each(lambda: asyncio.run(keep()))


def _each(work: Callable[[], object]) -> float:
    """Return microseconds of processor time for one of 128 records."""
    work()
    times = []
    for _ in range(20):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return statistics.median(times) / 128 * 1e6


LATE = ("aiohttp", "genai_prices", "httptools", "httpx", "polars", "pydantic", "sqlite3", "uvloop")


def startup(quick: bool) -> None:
    """New processes, by the clock: the modules of Python are in the file cache, as on any machine in use."""
    rounds = 3 if quick else 15
    bars = {"import extract": 150, "extract --help": 400, "extract run --help": 0, "python alone": 0}
    python = sys.executable
    words = {
        "import extract": [python, "-c", "import extract"],
        "extract --help": [python, "-m", "extract", "--help"],
        "extract run --help": [python, "-m", "extract", "run", "--help"],
        "python alone": [python, "-c", "pass"],
    }
    took: dict[str, list[float]] = defaultdict(list)
    for _, name in _turns(rounds, words):
        started = time.perf_counter()
        subprocess.run(words[name], check=True, capture_output=True)
        took[name].append((time.perf_counter() - started) * 1000)
    table("what", "median", "slowest", "bar", f"loads none of {', '.join(LATE)}")
    for name, bar in bars.items():
        middle, slowest = statistics.median(took[name]), max(took[name])
        figure = judged(name, f"{middle:.0f} ms", ok=not bar or middle < bar)
        loaded = _loaded(words[name])
        lean = judged(name, "true" if not loaded else f"loads {', '.join(loaded)}", ok=not loaded or not bar)
        row(f"`{name}`", figure, f"{slowest:.0f} ms", f"< {bar} ms" if bar else "", lean)


def _loaded(words: Sequence[str]) -> list[str]:
    """Return which modules a command imports that it should not need."""
    traced = subprocess.run([words[0], "-X", "importtime", *words[1:]], check=True, capture_output=True, text=True)
    imported = set(re.findall(r"\|\s+([\w.]+)$", traced.stderr, flags=re.MULTILINE))
    return [name for name in LATE if name in imported]


MEMORY = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import polars as pl
from extract import Client, Limits, run
from pipeline_for_benchmarks import extractor
folder = Path(sys.argv[2])
started = time.perf_counter()
result = run(pl.scan_parquet(folder / "in.parquet"), extractor, client=Client("key", base_url=sys.argv[3]),
             output=folder / "out.parquet", cache=folder / "cache", limits=Limits(concurrency=128))
seconds = time.perf_counter() - started
assert result.totals.valid == result.totals.rows, result
status = Path("/proc/self/status").read_text()
peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
print(result.totals.rows / seconds, peak / 1024)
"""


def memory(quick: bool) -> None:
    """Peak memory of a process that runs a Parquet file into another, 128 at once at latency 0, with a cache."""
    table("records", "peak memory", "bar", "records/s")
    for count, bar in ((10_000, 250), (20_000, 400)) if quick else ((100_000, 250), (1_000_000, 400)):
        with tempfile.TemporaryDirectory() as folder, raw_server(0.0) as url:
            messages(count).write_parquet(Path(folder) / "in.parquet")
            words = [sys.executable, "-c", MEMORY, str(HERE), folder, url]
            rate, peak = map(float, subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())
        figure = judged(f"{count:,} records", f"{peak:,.0f} MB", ok=peak <= bar)
        row(f"{count:,}", figure, f"≤ {bar} MB", f"{rate:,.0f}")


PARTS: dict[str, Callable[[bool], None]] = {
    part.__name__: part for part in (throughput, ranking, stages, startup, memory)
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for a first look")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio", help="the event loop of runs")
    parser.add_argument("--write", action="store_true", help="put the figures into RESULTS.md")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    if chosen.loop == "asyncio":
        sys.modules["uvloop"] = None  # type: ignore[assignment] # how Python is told that there is none
    for name in chosen.parts or PARTS:
        title = f"Speed: {name}" + (" on uvloop" if chosen.loop == "uvloop" else "")
        report.clear()
        say(f"{(PARTS[name].__doc__ or '').strip()} {_circumstances(chosen.loop)}\n")
        PARTS[name](chosen.quick)
        say()
        if chosen.write:
            write_section(title, "\n".join(report))
    print(f"{len(missed)} bars missed" + (": " + "; ".join(missed) if missed else ""))
    return bool(missed)


def _circumstances(loop: str) -> str:
    used = version("uvloop") if loop == "uvloop" else ""
    packages = ", ".join(f"{name} {version(name)}" for name in ("httptools", "aiohttp", "httpx", "polars", "pydantic"))
    return (
        f"Measured {datetime.now(UTC).date()} on {os.cpu_count()} shared cores ({platform.system()}, "
        f"{platform.machine()}), Python {platform.python_version()}, {loop} {used}".strip()
        + f", {packages}."
    )


if __name__ == "__main__":
    sys.exit(main())
