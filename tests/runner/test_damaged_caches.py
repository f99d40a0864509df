"""Damaged, deleted and replaced caches: no damage is believed, none ends in a traceback, and each is one line."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from extract import Client, ConfigError, Emulator, Extractor, Limits, OutputError, ResponseCache, Retry, Run, run
from extract.cli.app import app
from extract.interactions.dialects import decode
from extract.interactions.usage import Attempt, Usage
from extract.io.cache import database
from extract.io.cache.uploaded_files import FileRow
from extract.runner.spill import SpillBuffer

COUNT = 200
ROWS = pl.DataFrame({"text": [f"row {number}" for number in range(COUNT)]})
ECHO = Extractor({"type": "object", "properties": {"copy": {"type": "string"}}, "required": ["copy"]}, "{text}")
LIMITS = Limits(concurrency=8, retry=Retry(first_wait=0.001, longest_wait=0.01))


def echo(body: dict[str, Any]) -> str:
    return json.dumps({"copy": body["input"][0]["content"][0]["text"]})


def asked(path: Path, emulator: Emulator | None = None, **options: Any) -> Run:
    client = Client("key", transport=(emulator or Emulator(answers=echo)).transport)
    return run(ROWS, ECHO, client=client, cache=path, limits=LIMITS, **options)


def right(result: Run) -> bool:
    return result.stopped is None and result.frame["copy"].to_list() == ROWS["text"].to_list()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "out.cache"
    assert right(asked(path))
    return path


@pytest.fixture
def cache(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sound, tmp_path / "out.cache"))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.WARNING, logger="extract")
    return lambda: [record.getMessage() for record in caplog.records]


def edited(path: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(path) as opened:
        opened.execute(statement, values)
    opened.close()


def overwritten(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


CELLS = {
    "answer": "interaction = CAST(replace(CAST(interaction AS TEXT), 'row ', 'low ') AS BLOB)",
    "usage": "interaction = CAST(replace(CAST(interaction AS TEXT), 'total_input_tokens\":', "
    "'total_input_tokens\":9') AS BLOB)",
    "rung": "rung = rung + 1",
    "time": "at = at + 1",
    "type": "interaction = CAST(interaction AS TEXT)",
    "nothing": "interaction = x''",
}


@pytest.mark.parametrize("change", CELLS.values(), ids=CELLS.keys())
def test_an_answer_that_changed_on_disk_is_asked_again_in_one_line_and_its_cost_stays(
    cache: Path, lines: Callable[[], list[str]], change: str
) -> None:
    edited(cache, f"UPDATE answers SET {change} WHERE rowid % 10 = 0")
    with ResponseCache(cache, read_only=True) as looked_at:
        assert len(looked_at.verify(decode).damaged) == COUNT // 10
    emulator = Emulator(answers=echo)
    result = asked(cache, emulator)
    assert right(result)
    assert emulator.stats()["requests"] == COUNT // 10
    assert len(lines()) == 1
    assert "damaged" in lines()[0]
    with ResponseCache(cache) as after:
        assert after.verify(decode).ok
        assert sum(one.attempts for one in after.spent()) == COUNT + COUNT // 10
    assert right(asked(cache, Emulator(faults="500=1.0")))  # nothing is left to ask


def test_an_answer_under_the_key_of_another_is_not_believed(cache: Path) -> None:
    with sqlite3.connect(cache) as opened:
        keys = [key for (key,) in opened.execute("SELECT key FROM answers LIMIT 2")]
        for key, other in ((keys[0], b"x" * 32), (keys[1], keys[0]), (b"x" * 32, keys[1])):
            opened.execute("UPDATE answers SET key = ? WHERE key = ?", (other, key))
    opened.close()
    emulator = Emulator(answers=echo)
    assert right(asked(cache, emulator))
    assert emulator.stats()["requests"] == 2


def test_answers_of_an_earlier_release_have_no_checksum_and_are_taken(cache: Path) -> None:
    for table in ("answers", "attempts"):
        edited(cache, f"ALTER TABLE {table} DROP COLUMN checksum")
    edited(cache, "DROP TABLE services")
    edited(cache, "DROP TABLE funds")
    edited(cache, "PRAGMA user_version = 5")
    with ResponseCache(cache, read_only=True) as looked_at:
        assert looked_at.verify(decode).ok
        assert sum(one.attempts for one in looked_at.spent()) == COUNT
    emulator = Emulator(answers=echo)
    assert right(asked(cache, emulator))
    assert emulator.stats()["requests"] == 0


def written(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def in_schema(path: Path, text: bytes, other: bytes) -> None:
    """Change what the file says of its tables."""
    content = path.read_bytes()
    assert len(text) == len(other)
    assert text in content
    path.write_bytes(content.replace(text, other))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 3 // 4096 * 4096)


def cut_inside_a_page(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 3 + 7)


def log_without_file(path: Path) -> None:
    os.truncate(path, 0)
    path.with_name(path.name + "-wal").write_bytes(b"7" * 5_000)


def log_of_another_file(path: Path) -> None:
    other = path.with_name("other")
    with sqlite3.connect(other) as opened:
        opened.execute("PRAGMA journal_mode = WAL")
        opened.execute("CREATE TABLE mine (a)")
        opened.executemany("INSERT INTO mine VALUES (?)", [("x" * 3_000,) for _ in range(100)])
        opened.commit()
        shutil.copy(other.with_name("other-wal"), path.with_name(path.name + "-wal"))
    opened.close()


# What is done to a file, and how many of its answers can still be read at least.
FILES: dict[str, tuple[Callable[[Path], None], int]] = {
    "cut": (cut, COUNT // 3),
    "cut inside a page": (cut_inside_a_page, COUNT // 3),
    "zeros": (lambda path: written(path, bytes(100_000)), 0),
    "noise": (lambda path: written(path, os.urandom(100_000)), 0),
    "text": (lambda path: written(path, b"no cache"), 0),
    "first bytes": (lambda path: overwritten(path, 0, bytes(16)), 0),
    "first page": (lambda path: overwritten(path, 0, bytes(4096)), 0),
    "some pages": (lambda path: overwritten(path, 4096 * 20, b"\xff" * 4096 * 5), COUNT // 2),
    "application": (lambda path: edited(path, "PRAGMA application_id = 7"), COUNT),
    "version": (lambda path: edited(path, "PRAGMA user_version = 3"), COUNT),
    "tables": (lambda path: edited(path, "ALTER TABLE answers RENAME COLUMN interaction TO interactiom"), COUNT),
    "text of a table": (lambda path: in_schema(path, b"interaction BLOB", b"interacti\xeb\xff BLOB"), 0),
    "one more column": (
        lambda path: in_schema(path, b"rung INTEGER NOT NULL DEFAULT 0", b"rung,moreINTEGER NOT NULL      "),
        COUNT,
    ),
    "no table any more": (lambda path: in_schema(path, b"CREATE TABLE answers", b"CREATE TABLX\nanswers"), 0),
    "log without file": (log_without_file, 0),
    "log of another file": (log_of_another_file, COUNT),
}


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_set_aside_under_a_name_that_is_told_and_what_can_be_read_is_kept(
    cache: Path, lines: Callable[[], list[str]], name: str
) -> None:
    damage, readable = FILES[name]
    damage(cache)
    content = cache.read_bytes()
    emulator = Emulator(answers=echo)
    assert right(asked(cache, emulator))
    assert emulator.stats()["requests"] <= COUNT - readable
    assert len(lines()) == 1
    assert f"{cache.name}.damaged" in lines()[0]
    assert cache.with_name(f"{cache.name}.damaged").read_bytes()[:20] == content[:20]
    assert cache.with_name(f"{cache.name}.damaged").stat().st_size >= len(content)
    assert right(asked(cache, Emulator(faults="500=1.0")))  # the new one is whole
    assert len(lines()) == 1


@pytest.mark.parametrize("command", ["show", "verify"])
@pytest.mark.parametrize("name", FILES)
def test_the_commands_say_of_a_damaged_file_one_line_and_leave_it_alone(cache: Path, name: str, command: str) -> None:
    FILES[name][0](cache)
    before = cache.read_bytes()
    done = CliRunner().invoke(app, ["cache", command, str(cache)])
    assert done.exit_code == 1
    assert isinstance(done.exception, OutputError | SystemExit | None)
    assert "\n" not in str(done.exception)
    assert cache.read_bytes() == before


def test_a_second_damaged_file_gets_a_name_of_its_own(cache: Path, lines: Callable[[], list[str]]) -> None:
    for _ in range(2):
        cache.write_bytes(bytes(5_000))
        assert right(asked(cache))
    assert [line.partition("it is now ")[2].partition(",")[0].endswith("damaged-2") for line in lines()] == [
        False,
        True,
    ]


def test_a_damaged_file_that_cannot_be_set_aside_is_one_line_and_stays(sound: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(sound, tmp_path / ("c" * 244 + ".cache")))  # a longer name is not possible
    overwritten(path, 0, b"no header")
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"damaged .* move it away"):
        asked(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_that_is_killed_while_it_rescues_answers_leaves_them_to_the_next(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FILES["application"][0](cache)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(database, "set_aside", killed)
        with pytest.raises(KeyboardInterrupt):
            asked(cache)
    assert not list(cache.parent.glob("*.new*"))
    emulator = Emulator(answers=echo)
    assert right(asked(cache, emulator))
    assert emulator.stats()["requests"] == 0


def test_an_earlier_release_sees_that_the_file_is_of_a_newer_one(cache: Path) -> None:
    with sqlite3.connect(cache) as opened:
        (version,) = opened.execute("PRAGMA user_version").fetchone()
    opened.close()
    assert version > 5  # which the last release without checksums knows


def test_a_folder_in_the_place_of_a_cache_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="directory"):
        asked(tmp_path)


def test_a_damaged_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    edited(path, "CREATE TABLE mine (a)")
    overwritten(path, 0, b"no header any more")
    before = path.read_bytes()
    with pytest.raises(ConfigError):
        ResponseCache(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_file_is_a_new_cache_and_is_said(tmp_path: Path, lines: Callable[[], list[str]]) -> None:
    (tmp_path / "c").touch()
    assert right(asked(tmp_path / "c"))
    assert len(lines()) == 1
    assert "empty" in lines()[0]


class Midway:
    """Answers like `echo`, and does something to the cache when half of the rows are answered."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act, self._answers = act, 0

    def __call__(self, body: dict[str, Any]) -> str:
        self._answers += 1
        if self._answers == COUNT // 2:
            self._act()
        return echo(body)


def delete(path: Path) -> None:
    for beside in path.parent.glob(path.name + "*"):
        beside.unlink()


def replace_by_another(path: Path) -> None:
    other = path.with_name("other")
    with ResponseCache(other) as cache:
        cache.note(Attempt(kind="ask", model="other", usage=Usage()))
    other.replace(path)


def replace_by_its_copy(path: Path) -> None:
    with sqlite3.connect(path) as opened, sqlite3.connect(path.with_name("copy")) as copy:
        opened.backup(copy)
    opened.close()
    copy.close()
    path.with_name("copy").replace(path)


def replace_by_noise(path: Path) -> None:
    path.unlink()
    path.write_bytes(os.urandom(9_000))


UNDER_A_RUN: dict[str, Callable[[Path], None]] = {
    "deleted with its log": delete,
    "deleted alone": Path.unlink,
    "replaced by another cache": replace_by_another,
    "replaced by its own copy": replace_by_its_copy,
    "replaced by noise": replace_by_noise,
}


@pytest.mark.parametrize("act", UNDER_A_RUN.values(), ids=UNDER_A_RUN.keys())
def test_a_cache_that_is_deleted_or_replaced_under_a_run_is_said_once_and_holds_all_answers_again(
    tmp_path: Path, lines: Callable[[], list[str]], act: Callable[[Path], None]
) -> None:
    path = tmp_path / "out.cache"
    emulator = Emulator(answers=Midway(lambda: act(path)))
    assert right(asked(path, emulator))
    assert emulator.stats()["requests"] == COUNT
    assert [line for line in lines() if "under this run" in line] == lines()[-1:]
    with ResponseCache(path) as cache:
        assert cache.verify(decode).ok
        assert len(cache) == COUNT
        assert sum(one.attempts for one in cache.spent() if one.model != "other") == COUNT
    assert right(asked(path, Emulator(faults="500=1.0")))


def test_where_a_deleted_cache_cannot_be_made_anew_the_run_goes_on_and_says_so_once(
    tmp_path: Path, lines: Callable[[], list[str]]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    assert right(asked(folder / "out.cache", Emulator(answers=Midway(lambda: shutil.rmtree(folder)))))
    assert len(lines()) == 1
    assert "in the output alone" in lines()[0]


def test_a_page_that_becomes_unreadable_under_a_run_costs_no_answer(
    cache: Path, lines: Callable[[], list[str]]
) -> None:
    more = pl.DataFrame({"text": [f"row {number}" for number in range(COUNT, 2 * COUNT)]})

    def break_pages() -> None:
        overwritten(cache, 4096, b"\xff" * (cache.stat().st_size // 2))

    emulator = Emulator(answers=Midway(break_pages))
    client = Client("key", transport=emulator.transport)
    with ResponseCache(cache) as opened:
        opened._file.connection.execute("PRAGMA cache_size = 0")  # so that pages are read again
        opened._file.connection.execute("PRAGMA wal_autocheckpoint = 1")
        result = run(more, ECHO, client=client, cache=opened, limits=LIMITS)
        assert result.stopped is None
        assert result.frame["copy"].to_list() == more["text"].to_list()
        asked_again = Emulator(answers=echo)
        both = run(pl.concat([ROWS, more]), ECHO, client=Client("key", transport=asked_again.transport), cache=opened)
    assert both.totals.valid == 2 * COUNT
    assert asked_again.stats()["requests"] <= 2 * COUNT
    assert all(line.startswith("the cache") for line in lines())


LEDGER = {
    "tokens": "input_tokens = input_tokens + 1000000",
    "negative": "output_tokens = -5",
    "cost": "cost = '9' || cost",
    "no money": "cost = 'x'",
    "no text": "model = CAST(x'ff' AS TEXT)",
    "type": "input_tokens = x'00'",
    "time": "at = 'long ago'",
    "far": "at = 1e300",
}


@pytest.mark.parametrize("earlier", [False, True], ids=["with checksums", "of an earlier release"])
@pytest.mark.parametrize("change", LEDGER.values(), ids=LEDGER.keys())
def test_a_damaged_entry_of_the_ledger_is_in_no_sum_and_is_said(cache: Path, change: str, earlier: bool) -> None:
    edited(cache, f"UPDATE attempts SET {change} WHERE rowid = 7")
    if earlier and (change.startswith("input_tokens = input") or "'9'" in change or "1e300" in change):
        pytest.skip("a possible value cannot be told from the right one without a checksum")
    if earlier:
        edited(cache, "UPDATE attempts SET checksum = NULL")
    shown = CliRunner().invoke(app, ["cache", "show", str(cache), "--json"])
    summary = json.loads(shown.stdout)
    assert shown.exit_code == 0
    assert sum(one["attempts"] for one in summary["spent"]) == COUNT - 1
    assert summary["damaged_entries"] == 1
    assert "1 entry of the ledger is damaged" in CliRunner().invoke(app, ["cache", "show", str(cache)]).stdout
    assert CliRunner().invoke(app, ["cache", "verify", str(cache)]).exit_code == 1
    assert right(asked(cache))


@pytest.mark.parametrize("change", ["at = 1e300", "at = -1e300", "at = x'00'", "at = 'x'", "key = 7", "rung = 'x'"])
def test_show_and_verify_survive_any_cell_of_an_answer(cache: Path, change: str) -> None:
    edited(cache, f"UPDATE answers SET {change} WHERE rowid = 7")
    assert CliRunner().invoke(app, ["cache", "show", str(cache)]).exit_code == 0
    assert CliRunner().invoke(app, ["cache", "verify", str(cache), "--json"]).exit_code == 1


@pytest.mark.parametrize("rung", ["'x'", "-3", "x'00'", "NULL || ''", "1e300"])
def test_a_damaged_rung_counts_as_unknown(tmp_path: Path, rung: str) -> None:
    with ResponseCache(tmp_path / "c") as cache:
        cache.remember_rung(b"s", 2)
        cache._file.connection.execute(f"UPDATE OR REPLACE rungs SET rung = coalesce({rung}, 'x')")
        assert cache.rung(b"s") == 0


def test_two_processes_with_one_damaged_cache_end_up_with_the_same_new_one(cache: Path) -> None:
    with sqlite3.connect(cache) as opened:
        keys = [key for (key,) in opened.execute("SELECT key FROM answers")]
    opened.close()
    with ResponseCache(cache) as one, ResponseCache(cache) as two:
        overwritten(cache, 4096 * 14, b"\xff" * 4096 * 3)
        left = [len(one.find(keys)), len(two.find(keys))]  # the first sets it aside, the second follows
        asyncio.run(two.keep(b"new" * 8, b"{}"))
        assert one.get(b"new" * 8) == b"{}"
        assert 0 < left[0] <= len(one.find(keys)) == len(two.find(keys)) < COUNT
        assert sum(attempt.attempts for attempt in one.spent()) <= COUNT
    assert len(list(cache.parent.glob("*.damaged*"))) == 1


def test_a_damaged_upload_is_one_that_nobody_knows(tmp_path: Path) -> None:
    row = FileRow("files/1", "google", b"hash", "application/pdf", 10, "https://x/files/1", 1.0, 2e9)
    changes = ("size = 'x'", "expires = x'00'", "created = 'x'", "uri = 7", "owner = 'x'", "name = x'00'")
    for number, change in enumerate(changes):
        with ResponseCache(tmp_path / str(number)) as cache:
            cache.files.add(row)
            cache.files.add(row._replace(name="files/2"))
            edited(tmp_path / str(number), f"UPDATE files SET {change} WHERE name = 'files/1'")
            assert [one.name for one in cache.files.unused("google")] == ["files/2"] or change == "uri = 7"
            assert cache.files.size("google") in (10, 20)


def test_rows_put_aside_that_have_changed_on_disk_are_one_line_and_no_other_values() -> None:
    buffer = SpillBuffer(max_bytes=0)
    frames = [pl.DataFrame({"number": range(start, start + 100)}) for start in (0, 100, 200)]
    for number, frame in enumerate(frames):
        buffer.put(number, frame)
    assert buffer._folder is not None
    spilled = Path(buffer._folder.name) / "1.arrow"
    content = bytearray(spilled.read_bytes())
    content[content.index((150).to_bytes(8, "little"))] += 1
    spilled.write_bytes(content)
    with pytest.raises(OutputError, match=r"1\.arrow has changed on disk"):
        buffer.pop(1)
    assert buffer.pop(2).equals(frames[2])
    buffer.close()
