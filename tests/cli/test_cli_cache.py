"""`extract cache`, as it is typed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from extract import Client, ConfigError, Emulator, Extractor, Limits, ResponseCache, Retry, run
from extract.cli.app import app
from extract.interactions.dialects import decode

ROWS = pl.DataFrame({"text": [f"message number {number}" for number in range(30)]})
ASKED = Extractor(["spam", "ham"], "{text}")


def filled(path: Path, faults: str = "") -> Emulator:
    emulator = Emulator(faults=faults, seed=2)
    limits = Limits(retry=Retry(first_wait=0.001, longest_wait=0.01))
    run(ROWS, ASKED, client=Client("key", transport=emulator.transport), cache=path, limits=limits)
    return emulator


def typed(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["cache", *map(str, words)])
    return result.exit_code, result.stdout


def old(folder: Path, version: int) -> Path:
    """Return a cache as the first versions made it."""
    path = folder / "old"
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE answers (key BLOB PRIMARY KEY, interaction BLOB NOT NULL, "
            "rung INTEGER NOT NULL DEFAULT 0, at REAL NOT NULL)"
        )
        if version > 1:
            database.execute("CREATE TABLE rungs (schema BLOB PRIMARY KEY, rung INTEGER NOT NULL)")
        database.execute("INSERT INTO answers VALUES (?, ?, 0, 1.0)", (b"k" * 32, b'{"status": "completed"}'))
        database.execute("PRAGMA application_id = 0x65787472")
        database.execute(f"PRAGMA user_version = {version}")
    database.close()
    return path


def test_show_gives_the_usage_of_all_runs(tmp_path: Path) -> None:
    path = tmp_path / "c"
    emulator = filled(path, "malformed=0.2,cut=0.1,failed=0.1")
    status, stdout = typed("show", path, "--json")
    summary = json.loads(stdout)
    stats = emulator.stats()
    assert status == 0
    assert sum(one["input_tokens"] for one in summary["spent"]) == stats["input_tokens"]
    assert sum(one["output_tokens"] for one in summary["spent"]) == stats["output_tokens"]
    assert sum(one["unknown"] for one in summary["spent"]) == stats["faults"]["cut"]
    assert all(Decimal(one["cost"]) > 0 for one in summary["spent"] if one["input_tokens"])
    assert "ask" in typed("show", path)[1]


def test_verify_finds_answers_that_cannot_be_read_and_a_run_asks_them_again(tmp_path: Path) -> None:
    path = tmp_path / "c"
    filled(path)
    assert typed("verify", path)[0] == 0
    with sqlite3.connect(path) as database:
        database.execute("UPDATE answers SET interaction = x'00' WHERE rowid IN (SELECT rowid FROM answers LIMIT 3)")
    database.close()
    status, stdout = typed("verify", path, "--json")
    assert status == 1
    assert len(json.loads(stdout)["damaged"]) == 3
    again = filled(path)
    assert again.stats()["requests"] == 3
    assert typed("verify", path)[0] == 0


@pytest.mark.parametrize("command", ["show", "verify"])
def test_what_is_no_cache_is_named_and_left_alone(tmp_path: Path, command: str) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a cache\n" * 100)
    assert typed(command, tmp_path / "none")[0] != 0
    assert not (tmp_path / "none").exists()
    assert typed(command, text)[0] != 0
    assert text.read_text() == "not a cache\n" * 100


@pytest.mark.parametrize("command", ["show", "verify"])
def test_looking_changes_nothing_and_makes_no_file(tmp_path: Path, command: str) -> None:
    path = tmp_path / "c"
    filled(path)
    before = path.read_bytes()
    assert typed(command, path)[0] == 0
    assert [one.name for one in tmp_path.iterdir()] == ["c"]
    assert path.read_bytes() == before
    empty = tmp_path / "empty"
    empty.touch()
    result = CliRunner().invoke(app, ["cache", command, str(empty)])
    assert isinstance(result.exception, ConfigError)
    assert "the file is empty" in str(result.exception)
    assert empty.stat().st_size == 0


def test_a_cache_is_shown_and_verified_while_a_run_writes_to_it(tmp_path: Path) -> None:
    path = tmp_path / "c"
    process = writer(path, "one", 100_000)
    try:
        assert process.stdout is not None
        seen = []
        for _ in range(3):
            for _ in range(50):
                committed = int(process.stdout.readline())
            status, stdout = typed("show", path, "--json")
            assert status == 0
            seen.append(json.loads(stdout)["answers"])
            assert seen[-1] > committed
            status, stdout = typed("verify", path, "--json")
            assert (status, json.loads(stdout)["ok"]) == (0, True)
        assert seen[0] < seen[-1]
    finally:
        process.kill()
        process.communicate(timeout=30)
    assert typed("show", path)[0] == 0


LOOKER = """
import os, sys
from extract.io.cache.response_cache import ResponseCache

if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
assert not os.access(sys.argv[1], os.W_OK)
with ResponseCache(sys.argv[1] + "/c", read_only=True) as cache:
    print(len(cache), cache.verify(lambda _: None).ok)
"""


def test_a_cache_is_shown_from_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:  # not in tmp_path, whose parents are for their owner alone
        folder = Path(name)
        filled(folder / "c")
        (folder / "c").chmod(0o644)
        folder.chmod(0o555)
        try:
            done = subprocess.run(
                [sys.executable, "-c", LOOKER, name], capture_output=True, text=True, timeout=30, check=False
            )
        finally:
            folder.chmod(0o755)
    assert done.stdout.split() == ["30", "True"], done.stderr


def test_show_lists_schemas_that_had_to_be_relaxed(tmp_path: Path) -> None:
    path = tmp_path / "c"
    with ResponseCache(path) as cache:
        cache.remember_rung(b"\xab" * 32, 2)
        cache.remember_rung(b"\xcd" * 32, 0)
    assert json.loads(typed("show", path, "--json")[1])["relaxed"] == [{"schema": "ab" * 32, "rung": 2}]
    assert "schema abababababab was too complex for the service: sent 2 rungs simpler" in typed("show", path)[1]


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_an_older_version_is_shown_as_it_is(tmp_path: Path, version: int) -> None:
    path = old(tmp_path, version)
    before = path.read_bytes()
    status, stdout = typed("show", path, "--json")
    assert (status, json.loads(stdout)["answers"], json.loads(stdout)["spent"]) == (0, 1, [])
    assert typed("verify", path)[0] == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_an_older_version_keeps_its_answers_and_gains_the_ledger(tmp_path: Path, version: int) -> None:
    path = old(tmp_path, version)
    with ResponseCache(path) as cache:
        assert cache.get(b"k" * 32) == b'{"status": "completed"}'
        assert cache.rung(b"s") == 0
        assert cache.spent() == []
        assert cache.verify(decode).ok


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new"
    ResponseCache(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ConfigError, match="newer version"):
        ResponseCache(path)


WRITER = textwrap.dedent(
    """
    import asyncio, sys
    from extract.io.cache.response_cache import ResponseCache

    async def fill(path, name, count):
        with ResponseCache(path) as cache:
            for number in range(count):
                key = number.to_bytes(32, "big")
                await cache.keep(key, b'{"status": "completed", "id": "%s"}' % name.encode())
                assert cache.get(key) is not None
                print(number, flush=True)

    asyncio.run(fill(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    """
)


def writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_may_fill_one_file_and_the_first_answer_stays(tmp_path: Path) -> None:
    path = tmp_path / "shared"
    both = [writer(path, name, 400) for name in ("one", "two")]  # both make the file, too
    for process in both:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    with ResponseCache(path) as cache:
        assert len(cache) == 400
        assert cache.verify(decode).ok


@pytest.mark.parametrize("answers", [1, 25, 150])
def test_what_was_reported_as_committed_is_there_after_a_kill(tmp_path: Path, answers: int) -> None:
    path = tmp_path / "killed"
    process = writer(path, "one", 100_000)
    assert process.stdout is not None
    for _ in range(answers):
        last = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    rest, _ = process.communicate(timeout=30)
    last = max([last, *map(int, rest.split("\n")[:-1])])
    with ResponseCache(path) as cache:
        assert len(cache) >= last + 1
        assert cache.verify(decode).ok


def test_the_file_and_its_companions_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "c"
    process = writer(path, "one", 100_000)
    assert process.stdout is not None
    process.stdout.readline()
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
    process.kill()
    process.communicate(timeout=30)
    assert modes == {"c": 0o600, "c-wal": 0o600, "c-shm": 0o600}


FULL = textwrap.dedent(
    """
    import resource, signal, sys
    import polars as pl
    from extract import Client, Emulator, Extractor, run

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    rows = pl.DataFrame({"text": [f"message number {number}" for number in range(2_000)]})
    client = Client("key", transport=Emulator().transport)
    result = run(rows, Extractor(["spam", "ham"], "{text}"), client=client, cache=sys.argv[1])
    print(type(result.stopped).__name__, result.totals.valid, result.totals.not_run)
    """
)


def test_a_full_disk_stops_the_run_and_harms_nothing_that_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "c"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    name, valid, not_run = done.stdout.split()
    assert name == "OutputError"
    assert int(valid) + int(not_run) == 2_000
    with ResponseCache(path) as cache:
        assert cache.verify(decode).ok
        assert 0 < len(cache) <= int(valid)
