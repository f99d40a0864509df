"""Ctrl-C, wherever a run happens: what is in flight is kept, no half file appears, a rerun pays for nothing twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from clocks import wait_for

from extract import Emulator, ResponseCache
from extract.interactions.usage import Usage
from extract.limits.pricing import find_price
from extract.testing import running_server

ROWS = 150
IN_FLIGHT = 8
SCRIPT = """
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background hands down that it is ignored
import polars as pl
from extract import Client, Extractor, Limits, run

url, how, where = sys.argv[1:]
rows = pl.DataFrame({"text": [f"message number {number}" for number in range(150)]})
extractor = Extractor(["spam", "ham"], "{text}")
options = {"client": Client("key", base_url=url), "cache": "answers.cache", "limits": Limits(concurrency=8)}

def work():
    if how == "run":
        run(rows, extractor, output="out.parquet", **options)
    elif how == "frame":
        print(run(rows, extractor, **options).frame.height)
    else:
        rows.lazy().extract.run(extractor, **options).sink_parquet("out.parquet")

if where == "main":
    work()
else:
    thread = threading.Thread(target=work, daemon=where == "daemon")
    thread.start()
    thread.join()
"""


def stored_answers(path: Path) -> int:
    with ResponseCache(path, read_only=True) as cache:
        assert cache.verify(lambda _: None).ok
        return len(cache)


@pytest.mark.parametrize(
    ("how", "where"),
    [
        ("run", "main"),
        ("run", "worker"),
        ("run", "daemon"),
        ("frame", "worker"),
        ("lazy", "main"),
        ("lazy", "worker"),
        ("lazy", "daemon"),
    ],
)
def test_an_interrupt_keeps_what_is_in_flight_wherever_the_run_is(
    how: str, where: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    emulator = Emulator(latency=0.05)
    with running_server(emulator) as url:
        command = [sys.executable, "-c", SCRIPT, url, how, where]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_for(lambda: emulator.stats()["requests"] >= 40)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=15)
        # In the main thread `run` takes the signal for itself and returns what it has.
        assert process.returncode == (0 if where == "main" and how != "lazy" else -signal.SIGINT), errors
        paid = emulator.stats()["requests"]
        assert paid < ROWS
        assert stored_answers(tmp_path / "answers.cache") == paid
        if how == "run":
            assert not (tmp_path / "out.parquet").exists()
            assert not list(tmp_path.glob("*.part"))
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=True)
        assert emulator.stats()["requests"] == ROWS
    if how != "frame":
        assert pl.read_parquet(tmp_path / "out.parquet").height == ROWS


def test_a_budget_and_the_ledger_hold_over_runs_that_are_broken_off(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "label.py").write_text('from extract import Extractor\nextractor = Extractor(["a", "b"], "{text}")\n')
    pl.DataFrame({"text": [f"message {number}" for number in range(ROWS)]}).write_csv(tmp_path / "in.csv")
    price = find_price("gemini-3.5-flash-lite")
    assert price is not None
    emulator = Emulator(latency=0.05)
    draws = random.Random(4)

    def bill() -> Decimal:
        stats = emulator.stats()
        return price.cost(Usage(input_tokens=stats["input_tokens"], output_tokens=stats["output_tokens"]))

    with running_server(emulator) as url:
        whole = price.cost(Usage(input_tokens=70, output_tokens=6)) * ROWS  # about what all rows take
        budget = whole / 5
        command = [sys.executable, "-m", "extract", "run", "label.py", "in.csv", "-o", "out.parquet", "--quiet"]
        command += ["--base-url", url, "--concurrency", str(IN_FLIGHT), "--budget", f"{budget:.6f}"]
        broken_off = 0
        for number in range(5):
            before, billed = emulator.stats()["requests"], bill()
            process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
            enough = before + draws.randint(5, 30)
            wait_for(lambda: emulator.stats()["requests"] >= enough or process.poll() is not None)  # noqa: B023
            for _ in range(1 + number % 2):
                process.send_signal(signal.SIGINT)
                time.sleep(0.01)
            _, errors = process.communicate(timeout=15)
            assert process.returncode in (130, 1), errors
            assert bill() - billed <= budget
            broken_off += number % 2
        shown = subprocess.run(
            [sys.executable, "-m", "extract", "cache", "show", "out.parquet.cache", "--json"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
        spent = json.loads(shown.stdout)["spent"]
        ledger = sum(Decimal(one["cost"]) for one in spent)
        bound = sum(Decimal(one["bound"]) for one in spent)
        print(f"ledger ${ledger:.6f}, lost at most ${bound:.6f}, bill ${bill():.6f}")  # noqa: T201 - figures for whoever asks with -s
        assert ledger <= bill() <= ledger + bound
        lost = sum(one["unknown"] for one in spent)
        assert lost <= broken_off * IN_FLIGHT
        assert stored_answers(tmp_path / "out.parquet.cache") + lost == emulator.stats()["requests"]
        subprocess.run(command[:-2], cwd=tmp_path, env=environment, timeout=60, check=True)
        assert emulator.stats()["requests"] == ROWS + lost


UNREAD = """
import sys, threading, time
import polars as pl
from extract import Client, Emulator, Extractor, Limits

emulator = Emulator(latency=0.02)
rows = pl.LazyFrame({"text": [f"message number {number}" for number in range(5_000)]})
lazy = rows.extract.run(
    Extractor(["spam", "ham"], "{text}"),
    client=Client("key", transport=emulator.transport),
    limits=Limits(concurrency=8),
)
query = lazy.filter(pl.col("value").is_not_null())
if sys.argv[1] == "head":
    print(query.head(3).collect(engine="streaming").height)
else:
    next(iter(query.collect_batches(engine="streaming")))
    print(3)
deadline = time.monotonic() + 30  # it ends within the latency of one request; all of it has 5,000 requests
while any(thread.name.startswith("extract-lazy") for thread in threading.enumerate()):
    assert time.monotonic() < deadline, "the run is still there"
    time.sleep(0.02)
before = emulator.stats()["requests"]
time.sleep(0.3)
assert emulator.stats()["requests"] == before < 5_000
"""


@pytest.mark.parametrize("how", ["head", "batches"])
def test_the_run_behind_a_query_that_has_enough_ends_while_the_program_goes_on(how: str) -> None:
    done = subprocess.run([sys.executable, "-c", UNREAD, how], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr


MEDIA = """
import json, sys, threading, time, urllib.request
import polars as pl
from extract import Client, Extractor, Limits, run

url = sys.argv[1]
rows = pl.DataFrame({"photo": [b"\\x89PNG\\r\\n\\x1a\\n" + bytes([number]) * 40 for number in range(20)]})
extractor = Extractor(["spam", "ham"], "Which?", media=("photo",))

def work():
    client = Client("key", base_url=url)
    result = run(rows, extractor, client=client, cache="answers.cache", limits=Limits(concurrency=4))
    print(result.totals.requests, result.totals.valid, flush=True)

threading.Thread(target=work).start()
while json.load(urllib.request.urlopen(url + "/stats"))["requests"] < 8:  # the script ends while requests are in flight
    time.sleep(0.01)
"""


def test_wrong_answers_to_files_that_come_after_the_script_has_ended_are_kept_like_all_others(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    emulator = Emulator(answers=lambda _: '{"value": "neither"}', latency=0.4)
    with running_server(emulator) as url:
        command = [sys.executable, "-c", MEDIA, url]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        requests, valid = map(int, done.stdout.split())
        assert 0 < requests < 60
        assert valid == 0
        assert emulator.stats()["requests"] == requests == stored_answers(tmp_path / "answers.cache")
