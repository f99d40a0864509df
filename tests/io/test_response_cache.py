from __future__ import annotations

import asyncio
import sqlite3
import stat
from pathlib import Path

import pytest

from extract import ConfigError, OutputError, ResponseCache
from extract.interactions.usage import Attempt


async def keep(path: Path, *keys: bytes) -> None:
    with ResponseCache(path) as cache:
        await asyncio.gather(*(cache.keep(key, b'{"n":' + key + b"}") for key in keys))


async def test_what_was_kept_is_found_again_in_another_process_life(tmp_path: Path) -> None:
    await keep(tmp_path / "c", b"1", b"2")
    with ResponseCache(tmp_path / "c") as cache:
        assert (cache.get(b"1"), cache.get(b"3"), len(cache)) == (b'{"n":1}', None, 2)


async def test_an_answer_is_committed_before_keep_returns(tmp_path: Path) -> None:
    with ResponseCache(tmp_path / "c") as cache:
        await cache.keep(b"k", b"{}")
        other = sqlite3.connect(tmp_path / "c")
        assert other.execute("SELECT count(*) FROM answers").fetchone() == (1,)
        other.close()


async def test_what_another_process_hands_in_is_committed_before_it_hears_so(tmp_path: Path) -> None:
    attempt = Attempt(kind="ask", model="m", code="lost")
    with ResponseCache(tmp_path / "c") as cache, ResponseCache(tmp_path / "c") as other:
        await cache.keep_group("a", 1, [], [attempt])
        assert sum(one.attempts for one in other.spent()) == 1
        await cache.keep_group("a", 2, [(b"k", b"{}", 0, "google")], [attempt])
        assert (other.get(b"k"), sum(one.attempts for one in other.spent())) == (b"{}", 2)


async def test_a_group_that_comes_again_is_entered_once_whoever_hears_it(tmp_path: Path) -> None:
    attempt = Attempt(kind="ask", model="m", code="lost")
    group = ("a", 7, [(b"k", b"{}", 0, "google")], [attempt, attempt])
    for _ in range(2):
        with ResponseCache(tmp_path / "c") as cache:
            await asyncio.gather(cache.keep_group(*group), cache.keep_group(*group))
            await cache.keep_group("b", 1, [], [attempt])
            assert sum(one.attempts for one in cache.spent()) == 3


async def test_the_first_answer_under_a_key_stays(tmp_path: Path) -> None:
    with ResponseCache(tmp_path / "c") as one, ResponseCache(tmp_path / "c") as two:
        await one.keep(b"k", b"first")
        await two.keep(b"k", b"second")
        assert (one.get(b"k"), two.get(b"k")) == (b"first", b"first")


async def test_answers_are_private(tmp_path: Path) -> None:
    with ResponseCache(tmp_path / "c") as cache:
        await cache.keep(b"k", b"{}")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes) >= {"c", "c-wal"}
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be read as one" * 20, b"short"])
def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(ConfigError, match="--cache"):
        ResponseCache(tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == content


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "c")
    other.execute("CREATE TABLE mine (a)")
    other.commit()
    other.close()
    with pytest.raises(ConfigError, match="another program"):
        ResponseCache(tmp_path / "c")


def test_a_cache_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    ResponseCache(tmp_path / "c").close()
    newer = sqlite3.connect(tmp_path / "c")
    newer.execute("PRAGMA user_version = 999")
    newer.close()
    with pytest.raises(ConfigError, match="newer"):
        ResponseCache(tmp_path / "c")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"):
        ResponseCache(tmp_path / "missing" / "c")


async def test_a_full_disk_is_told_and_earlier_answers_stay(tmp_path: Path) -> None:
    with ResponseCache(tmp_path / "c") as cache:
        await cache.keep(b"k", b"{}")
        cache._file.connection.execute("PRAGMA max_page_count = 4")  # SQLite's own way to run out of room
        with pytest.raises(OutputError, match="full"):
            await cache.keep(b"large", b"x" * 100_000)
        assert cache.get(b"k") == b"{}"


def test_how_far_a_schema_was_relaxed_is_remembered(tmp_path: Path) -> None:
    with ResponseCache(tmp_path / "c") as cache:
        assert cache.rung(b"s") == 0
        cache.remember_rung(b"s", 2)
        cache.remember_rung(b"s", 3)
    with ResponseCache(tmp_path / "c") as cache:
        assert (cache.rung(b"s"), cache.rung(b"other")) == (3, 0)


async def test_a_cache_of_the_first_form_is_brought_up_to_date(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "c")
    old.execute("CREATE TABLE answers (key BLOB PRIMARY KEY, interaction BLOB NOT NULL, rung INTEGER, at REAL)")
    old.execute("INSERT INTO answers VALUES (x'6b', x'7b7d', 0, 0)")
    old.execute("PRAGMA user_version = 1")
    old.execute(f"PRAGMA application_id = {0x65787472}")
    old.commit()
    old.close()
    with ResponseCache(tmp_path / "c") as cache:
        assert (cache.get(b"k"), cache.rung(b"s")) == (b"{}", 0)
        await cache.keep(b"new", b"{}", rung=2)
        assert len(cache) == 2


async def test_what_was_looked_up_ahead_is_told_once_and_then_looked_up_anew(tmp_path: Path) -> None:
    await keep(tmp_path / "c", b"1")
    with ResponseCache(tmp_path / "c") as cache:
        await cache.prefetch([b"1", b"2"])
        assert (await cache.fetch(b"1"), await cache.fetch(b"2")) == (b'{"n":1}', None)
        await keep(tmp_path / "c", b"2")  # another process
        assert (await cache.fetch(b"1"), await cache.fetch(b"2")) == (b'{"n":1}', b'{"n":2}')


async def test_an_answer_kept_after_it_was_looked_up_ahead_is_found(tmp_path: Path) -> None:
    with ResponseCache(tmp_path / "c") as cache:
        await cache.prefetch([b"k"])
        await cache.keep(b"k", b"{}")
        assert await cache.fetch(b"k") == b"{}"


async def test_an_answer_that_waits_for_its_commit_is_found_by_a_look_ahead(tmp_path: Path) -> None:
    with ResponseCache(tmp_path / "c") as cache:
        keeping = asyncio.ensure_future(cache.keep(b"k", b"{}"))
        await asyncio.sleep(0)  # it is queued, and committed in the next turn
        await cache.prefetch([b"k"])
        assert await cache.fetch(b"k") == b"{}"
        await keeping


async def test_a_look_ahead_that_fails_hides_nothing_that_was_paid_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep(tmp_path / "c", b"1")
    with ResponseCache(tmp_path / "c") as cache:

        def broken(query: str, *values: object) -> None:
            raise OutputError("cannot be read just now")

        with monkeypatch.context() as patch:
            patch.setattr(cache._file, "select", broken)
            with pytest.raises(OutputError):
                await cache.prefetch([b"1"])
        assert await cache.fetch(b"1") == b'{"n":1}'


async def test_what_was_looked_up_ahead_is_not_believed_for_ever(tmp_path: Path) -> None:
    with ResponseCache(tmp_path / "c") as cache:
        await cache.prefetch([b"k"])
        cache.clear_prefetch()
        await keep(tmp_path / "c", b"k")
        assert await cache.fetch(b"k") == b'{"n":k}'
