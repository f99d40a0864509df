"""Several processes on one cache or one output: each answer is paid for once, and nobody waits for the dead."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import httpx
import polars as pl
import pytest
from commands import in_process

from extract import (
    AsyncClient,
    Client,
    ConfigError,
    Emulator,
    Extractor,
    Limits,
    OutputError,
    ResponseCache,
    Run,
    run,
    run_async,
)
from extract.io import exclusive, locks
from extract.io.exclusive import Exclusive
from extract.testing import running_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="files are locked in parts on Linux only")

SORT = Extractor(["a", "b"], "{text}")
LIMITS = Limits(concurrency=8)
# A process that counts as stopped after half a second, in place of five.
CHILD = """
import json, sys
from extract import Client, Extractor, Limits, run
from extract.io.cache import claims, sharing
claims.MAX_SILENT, sharing.MAX_KNOCKS, sharing.LOOK_SECONDS = 10, 10, 0.05
url, rows, cache, output = sys.argv[1:]
sort, client = Extractor(["a", "b"], "{text}"), Client("a-key", base_url=url)
data, limits = [f"row {n}" for n in range(int(rows))], Limits(concurrency=8)
result = run(data, sort, client=client, cache=cache, output=output or None, limits=limits)
print(json.dumps({"requests": result.totals.requests, "valid": result.totals.valid}))
"""


@dataclass
class Service:
    """What an emulator was asked, by row."""

    asked: Counter[str] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)
    url: str = ""

    def answer(self, body: dict[str, Any]) -> dict[str, str]:
        with self.lock:
            self.asked[body["input"][0]["content"][0]["text"]] += 1
        return {"value": "a"}

    def until(self, requests: int) -> None:
        """Return once so many requests have come."""
        while self.asked.total() < requests:
            time.sleep(0.005)


@pytest.fixture
def service() -> Iterator[Service]:
    this = Service()
    emulator = Emulator(answers=this.answer, latency=0.2, keep_requests=False)
    with running_server(emulator) as this.url:
        yield this


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(service: Service, tmp_path: Path) -> Iterator[Start]:
    """Return what starts a run in a process of its own, on one cache; those that are left are killed."""
    children: list[subprocess.Popen[str]] = []

    def begin(rows: int, output: str = "") -> subprocess.Popen[str]:
        words = [sys.executable, "-c", CHILD, service.url, str(rows), "answers.cache", output]
        child = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        children.append(child)
        return child

    yield begin
    for child in children:
        child.kill()
        child.communicate()


def ended(child: subprocess.Popen[str]) -> tuple[int, dict[str, int], str]:
    """Return the exit status of a process, what its run counts, and what it says."""
    out, err = child.communicate(timeout=60)
    return child.returncode, json.loads(out or "{}"), err


def again(service: Service) -> int:
    return service.asked.total() - len(service.asked)


def test_processes_that_begin_together_pay_for_each_answer_once(service: Service, start: Start, tmp_path: Path) -> None:
    runs = [ended(child) for child in [start(40), start(40), start(40)]]
    assert [(status, counts["valid"]) for status, counts, _ in runs] == [(0, 40)] * 3
    assert (len(service.asked), again(service)) == (40, 0)
    assert sum(counts["requests"] for _, counts, _ in runs) == 40
    assert [path.name for path in tmp_path.iterdir()] == ["answers.cache"]


def test_what_a_lone_process_has_in_flight_is_known_when_a_second_appears(service: Service, start: Start) -> None:
    first = start(60)
    service.until(10)
    second = start(60)
    (status, counts, _), (also, following, _) = ended(first), ended(second)
    assert (status, also, counts["valid"], following["valid"]) == (0, 0, 60, 60)
    assert again(service) == 0


def test_the_answers_of_a_killed_process_are_asked_for_at_once(service: Service, start: Start) -> None:
    first, second = start(60), start(60)
    service.until(20)
    began = time.monotonic()
    first.kill()
    status, counts, err = ended(second)
    assert (status, counts["valid"], err) == (0, 60, "")
    assert again(service) <= 8  # what was in flight
    assert time.monotonic() - began < 20


def test_a_rerun_takes_up_at_once_what_a_killed_process_has_left(
    service: Service, start: Start, tmp_path: Path
) -> None:
    first = start(40, "out.parquet")
    service.until(12)
    first.kill()
    first.communicate()
    status, counts, err = ended(start(40, "out.parquet"))
    assert (status, counts["valid"], err) == (0, 40, "")
    assert again(service) <= 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.cache", "out.parquet"]


def test_a_stopped_process_is_waited_for_so_long_and_no_longer(service: Service, start: Start, tmp_path: Path) -> None:
    first = start(40)
    service.until(4)  # the first one asks: what is stopped below holds requests
    second = start(40)
    service.until(12)
    first.send_signal(signal.SIGSTOP)
    status, counts, err = ended(second)
    assert (status, counts["valid"]) == (0, 40)
    assert err.count("\n") == 1
    assert f"is stopped (process {first.pid} on {socket.gethostname()}):" in err
    first.send_signal(signal.SIGCONT)
    status, counts, _ = ended(first)
    assert (status, counts["valid"]) == (0, 40)
    assert again(service) <= 16  # in flight, or ready to be sent
    assert [path.name for path in tmp_path.iterdir()] == ["answers.cache"]


def test_a_lone_process_that_is_stopped_does_not_hold_up_a_second(service: Service, start: Start) -> None:
    first = start(30)
    service.until(10)
    first.send_signal(signal.SIGSTOP)
    status, counts, err = ended(start(30))
    assert (status, counts["valid"]) == (0, 30)
    assert f"is stopped (process {first.pid} on" in err
    first.send_signal(signal.SIGCONT)
    status, counts, _ = ended(first)
    assert (status, counts["valid"]) == (0, 30)
    assert again(service) <= 16


class FailsOnce(httpx.AsyncBaseTransport):
    """Refuses the first request after a moment, and passes all others on."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator, self.requests = emulator, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.requests == 1:
            await asyncio.sleep(0.3)
            return httpx.Response(400, json={"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "no"}})
        return await self._emulator.transport.handle_async_request(request)


async def both(*runs: Any) -> list[Run]:
    return list(await asyncio.gather(*runs))


def test_what_fails_in_one_run_is_asked_for_by_the_other(tmp_path: Path) -> None:
    transport = FailsOnce(Emulator(answers=lambda _: {"value": "a"}))
    client = AsyncClient("a-key", transport=transport)
    runs = [run_async(["one"], SORT, client=client, cache=tmp_path / "c", limits=LIMITS) for _ in range(2)]
    assert sorted(result.totals.valid for result in asyncio.run(both(*runs))) == [0, 1]
    assert transport.requests == 2


def test_two_runs_of_one_program_with_a_cache_each_on_one_file_ask_once(tmp_path: Path) -> None:
    emulator = Emulator(answers=lambda _: {"value": "a"}, latency=0.05)
    client = Client("a-key", transport=emulator.transport)
    rows = [f"row {n}" for n in range(200)]
    runs = [run_async(rows, SORT, client=client, cache=tmp_path / "c", limits=LIMITS) for _ in range(3)]
    assert [result.totals.valid for result in asyncio.run(both(*runs))] == [200] * 3
    assert emulator.stats()["requests"] == 200
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_runs_with_one_slot_each_never_wait_for_each_other(tmp_path: Path) -> None:
    emulator = Emulator(answers=lambda _: {"value": "a"}, latency=0.01)
    client, limits = Client("a-key", transport=emulator.transport), Limits(concurrency=1)
    rows = [f"row {n}" for n in range(20)]
    runs = [
        run_async(order, SORT, client=client, cache=tmp_path / "c", limits=limits, samples=2)
        for order in (rows, rows[::-1], rows[10:] + rows[:10])
    ]
    assert [result.totals.valid for result in asyncio.run(both(*runs))] == [20] * 3
    assert emulator.stats()["requests"] == 40


def test_a_cache_object_in_two_threads_at_once_is_refused_in_one_line(tmp_path: Path) -> None:
    emulator = Emulator(answers=lambda _: {"value": "a"}, latency=0.5)
    client = Client("a-key", transport=emulator.transport)
    with ResponseCache(tmp_path / "c") as cache, ThreadPoolExecutor() as threads:
        first = threads.submit(run, ["one"], SORT, client=client, cache=cache)
        while not emulator.stats()["requests"]:
            time.sleep(0.01)
        with pytest.raises(ConfigError, match="give each run the path"):
            run(["two"], SORT, client=client, cache=cache)
        assert first.result().totals.valid == 1


def test_a_run_that_waits_for_anothers_answers_is_interrupted_at_once(tmp_path: Path) -> None:
    emulator = Emulator(answers=lambda _: {"value": "a"}, latency=0.6)
    client = Client("a-key", transport=emulator.transport)
    waiting: list[Run] = []

    async def scenario() -> None:
        first = asyncio.create_task(run_async(["one"], SORT, client=client, cache=tmp_path / "c"))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(run_async(["one"], SORT, client=client, cache=tmp_path / "c"))
        await asyncio.sleep(0.3)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert not first.done()
        waiting.append(await first)

    asyncio.run(scenario())
    assert waiting[0].totals.valid == 1
    assert emulator.stats()["requests"] == 1


def test_a_second_run_at_one_output_is_refused_before_anything_is_paid(
    service: Service, start: Start, tmp_path: Path
) -> None:
    first = start(40, "out.parquet")
    service.until(8)
    with pytest.raises(OutputError) as refused:
        run(["other"], SORT, client=Client("a-key", base_url=service.url), output=tmp_path / "out.parquet")
    line = (
        rf"out.parquet is used by another run \(process {first.pid} on {re.escape(socket.gethostname())}, for \d+ s\)"
    )
    assert re.search(line, str(refused.value))
    assert "\n" not in str(refused.value)
    status, counts, _ = ended(first)
    assert (status, counts["valid"], service.asked["other"]) == (0, 40, 0)
    assert pl.read_parquet(tmp_path / "out.parquet").height == 40
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.cache", "out.parquet"]


def test_the_command_line_refuses_a_second_run_in_one_line_and_exits_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    extract = in_process(monkeypatch, capfd)
    extract("init", "classify")
    Path("in.csv").write_text("text\nI love it\n", encoding="utf-8")
    words = ("run", "classify.py", "in.csv", "-o", "out.csv", "--offline", "--quiet")
    with Exclusive(Path("out.csv"), "the output") as name:
        name.take()
        refused = extract(*words)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"(process {os.getpid()} on {socket.gethostname()}, for " in refused.stderr
    assert "--wait" in refused.stderr
    assert extract(*words, "--wait").returncode == 0


def test_wait_begins_once_the_output_is_free(service: Service, start: Start, tmp_path: Path, caplog: Any) -> None:
    first = start(20, "out.parquet")
    service.until(8)
    client = Client("a-key", base_url=service.url)
    rows = [f"row {n}" for n in range(20)]
    result = run(
        rows, SORT, client=client, output=tmp_path / "out.parquet", cache=tmp_path / "answers.cache", wait=True
    )
    assert (ended(first)[0], result.totals.valid, result.totals.requests) == (0, 20, 0)
    assert [f"process {first.pid} on" in line for line in caplog.messages] == [True]


def test_a_child_that_was_forked_does_not_keep_its_parents_name(tmp_path: Path) -> None:
    script = """
import os, sys, time
from pathlib import Path
from extract.io.exclusive import Exclusive
name = Exclusive(Path("out.csv"), "the output")
name.take()
if (child := os.fork()):
    print(child, flush=True)
    os.kill(os.getpid(), 9)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.wait(20)
        try:
            with Exclusive(tmp_path / "out.csv", "the output") as name:
                asyncio.run(asyncio.wait_for(name.wait(), 10))  # until the child has begun, and closed what is not its
        finally:
            os.kill(child, signal.SIGKILL)


def no_locks(*_: object) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


def record(path: Path, **holder: object) -> None:
    path.write_bytes(json.dumps({"pid": 7, "host": "elsewhere", "since": time.time() - 300, **holder}).encode())


def test_where_locks_do_not_work_the_run_says_so_once_and_refuses_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(locks, "_lock", no_locks)
    assert run(["one"], SORT, offline=True, cache=tmp_path / "c").totals.rows == 1
    assert ["no locks work" in line for line in caplog.messages] == [True]
    record(tmp_path / "c.lock")
    with pytest.raises(OutputError, match=r"\(process 7 on elsewhere, for 5 min; if it has ended, delete .*c\.lock\)"):
        run(["two"], SORT, offline=True, cache=tmp_path / "c")
    record(tmp_path / "c.lock", host=socket.gethostname(), pid=os.getppid())
    with pytest.raises(OutputError, match=f"process {os.getppid()} on"):
        run(["two"], SORT, offline=True, cache=tmp_path / "c")
    record(tmp_path / "c.lock", host=socket.gethostname(), pid=2**22 + 5)
    assert run(["two"], SORT, offline=True, cache=tmp_path / "c").totals.rows == 1


@pytest.mark.parametrize("named", ["cache", "output"])
def test_on_a_network_file_system_another_machine_is_refused(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(exclusive, "network_disk", lambda _: "nfs4")
    options: dict[str, Any] = {"cache": tmp_path / "t.cache", "output": tmp_path / "t.csv", "overwrite": True}
    assert run(["one"], SORT, offline=True, **options).totals.rows == 1
    assert ["network file system (nfs4)" in line for line in caplog.messages] == [True]
    record(tmp_path / f"{options[named].name}.lock")
    with pytest.raises(OutputError, match=r"used from another machine \(process 7 on elsewhere, for 5 min.*delete"):
        run(["two"], SORT, offline=True, **options)


def test_a_record_of_another_machine_is_nothing_on_a_disk_of_this_one(tmp_path: Path) -> None:
    record(tmp_path / "c.lock")  # a container that was killed, say: the kernel has dropped its lock
    assert run(["one"], SORT, offline=True, cache=tmp_path / "c").totals.rows == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out.csv.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OutputError, match="cannot be opened"):
        run(["one"], SORT, offline=True, output=tmp_path / "out.csv")
    assert not (tmp_path / "victim").exists()


def test_what_goes_wrong_with_locks_ends_the_run_and_leaves_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator = Emulator(answers=lambda _: {"value": "a"}, latency=0.5)
    client = Client("a-key", transport=emulator.transport)

    async def scenario() -> Run:
        first = asyncio.create_task(run_async(["one"], SORT, client=client, cache=tmp_path / "c"))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(run_async(["one"], SORT, client=client, cache=tmp_path / "c"))
        await asyncio.sleep(0.25)
        monkeypatch.setattr(locks, "_other", no_locks)
        with pytest.raises(OutputError, match="cannot be shared"):
            await asyncio.wait_for(second, 10)
        return await first

    assert asyncio.run(scenario()).totals.valid == 1


def test_a_cache_that_is_open_but_runs_nothing_shuts_nobody_out(tmp_path: Path) -> None:
    with ResponseCache(tmp_path / "c") as cache:
        run(["one"], SORT, offline=True, cache=cache)
        assert run(["one"], SORT, offline=True, cache=tmp_path / "c").totals.requests == 0
        assert run(["one"], SORT, offline=True, cache=cache).totals.requests == 0
