"""Whose answers a cache holds: one address's answers serve another only where the user says that they are the same."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from extract import Client, ConfigError, Emulator, Extractor, ResponseCache, estimate, lazy_run, run
from extract.cli.app import app
from extract.testing import running_server

ROWS = [f"row {number}" for number in range(40)]
SORT = Extractor(["a", "b"], "{text}")
PIPELINE = 'from extract import Extractor\nextractor = Extractor(["a", "b"], "{text}")\n'


@pytest.fixture
def old() -> Iterator[str]:
    with running_server(Emulator()) as url:
        yield url


@pytest.fixture
def new() -> Iterator[tuple[Emulator, str]]:
    emulator = Emulator()
    with running_server(emulator) as url:
        yield emulator, url


@pytest.fixture
def cache(tmp_path: Path, old: str) -> Path:
    """A cache with the answers of an address."""
    run(ROWS, SORT, client=Client("key", base_url=old), cache=tmp_path / "c")
    return tmp_path / "c"


def as_stored_before(cache: Path) -> None:
    """Turn a cache into one of a release that did not count answers by service."""
    with closing(sqlite3.connect(cache)) as database:
        database.execute("DROP TABLE services")
        database.execute("DROP TABLE funds")
        database.execute("PRAGMA user_version = 7")
        database.commit()


def typed(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*map(str, words)])
    return result.exit_code, result.output


def estimated(folder: Path, cache: Path, url: str, *more: object) -> str:
    (folder / "sort.py").write_text(PIPELINE)
    (folder / "rows.csv").write_text("\n".join(["text", *ROWS]))
    status, output = typed(
        "estimate", folder / "sort.py", folder / "rows.csv", "--cache", cache, "--base-url", url, *more
    )
    assert status == 0, output
    return output


def test_estimate_says_that_the_answers_are_of_another_address(
    tmp_path: Path, cache: Path, old: str, new: tuple[Emulator, str]
) -> None:
    output = estimated(tmp_path, cache, new[1])
    assert (
        f"0 of 40 rows are in this cache; it holds 40 answers of another address ({old}): --cache-service {old} uses"
    ) in output
    assert "another address" not in estimated(tmp_path, cache, old)
    summary = json.loads(estimated(tmp_path, cache, new[1], "--json"))
    assert (summary["cached_rows"], summary["cached_of_other_services"]) == (0, {old: 40})


def test_estimate_with_the_name_of_the_other_address_finds_its_answers(
    tmp_path: Path, cache: Path, old: str, new: tuple[Emulator, str]
) -> None:
    assert "40 rows are in the cache" in estimated(tmp_path, cache, new[1], "--cache-service", f"{old}/v1beta")


def test_a_run_says_so_in_one_line_before_its_first_request(
    cache: Path, old: str, new: tuple[Emulator, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "extract"):
        run(ROWS, SORT, client=Client("key", base_url=new[1]), cache=cache)
        (line,) = caplog.messages
        assert line.startswith(f"this cache holds 40 answers of {old}, and no known ones of {new[1]}: ")
        assert "\n" not in line
        caplog.clear()
        run(ROWS, SORT, client=Client("key", base_url=new[1]), cache=cache)
    assert caplog.messages == []


@pytest.mark.parametrize("face", ["run", "lazy", "typed"])
def test_a_shared_name_sends_nothing_for_what_the_other_address_has_answered(
    tmp_path: Path, cache: Path, old: str, new: tuple[Emulator, str], face: str
) -> None:
    emulator, url = new
    client = Client("key", base_url=url)
    if face == "run":
        run(ROWS, SORT, client=client, cache=cache, cache_service=old)
    elif face == "lazy":
        lazy_run(pl.LazyFrame({"text": ROWS}), SORT, client=client, cache=cache, cache_service=old).collect()
    else:
        estimated(tmp_path, cache, url)
        words = ("run", tmp_path / "sort.py", tmp_path / "rows.csv", "-o", tmp_path / "out.csv", "--cache", cache)
        assert typed(*words, "--base-url", url, "--cache-service", old)[0] == 0
    assert emulator.stats()["requests"] == 0


def test_a_gateway_and_google_share_their_answers(tmp_path: Path, new: tuple[Emulator, str]) -> None:
    emulator, url = new
    google = Client("key", transport=Emulator().transport)
    run(ROWS, SORT, client=google, cache=tmp_path / "c")
    run(ROWS, SORT, client=Client("key", base_url=url), cache=tmp_path / "c", cache_service="google")
    assert emulator.stats()["requests"] == 0
    more = [*ROWS, "one more"]
    run(more, SORT, client=Client("key", base_url=url), cache=tmp_path / "c", cache_service="google")
    assert run(more, SORT, client=google, cache=tmp_path / "c").totals.requests == 0


@pytest.mark.parametrize("name", ["offline", " Offline", "", "a\nb", 7, "x" * 300])
def test_a_name_under_which_free_answers_would_pass_for_paid_ones_is_refused(tmp_path: Path, name: Any) -> None:
    emulator = Emulator()
    client = Client("key", transport=emulator.transport)
    with pytest.raises(ConfigError, match="cache_service"):
        run(ROWS, SORT, client=client, cache=tmp_path / "c", cache_service=name)
    with pytest.raises(ConfigError, match="cache_service"):
        estimate(ROWS, SORT, cache_service=name)
    assert emulator.stats()["requests"] == 0


def test_offline_answers_keep_their_own_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigError, match="offline answers have a name of their own"):
        run(ROWS, SORT, offline=True, cache=tmp_path / "c", cache_service="google")
    run(ROWS, SORT, offline=True, cache=tmp_path / "c")
    with caplog.at_level(logging.WARNING, "extract"):
        run(ROWS, SORT, client=Client("key", transport=Emulator().transport), cache=tmp_path / "c")
    assert caplog.messages == []  # a paid run could never use them


def test_a_cache_of_an_earlier_release_resumes_without_a_request(
    tmp_path: Path, cache: Path, old: str, new: tuple[Emulator, str]
) -> None:
    as_stored_before(cache)
    output = estimated(tmp_path, cache, new[1])
    assert "0 of 40 rows are in this cache; it holds 40 answers of addresses that are not known" in output
    again = run(ROWS, SORT, client=Client("key", base_url=old), cache=cache)
    assert (again.totals.requests, again.totals.cached) == (0, 40)


def test_cache_show_says_whose_answers_it_holds(cache: Path, old: str, new: tuple[Emulator, str]) -> None:
    as_stored_before(cache)
    run(["one more"], SORT, client=Client("key", base_url=new[1]), cache=cache)
    assert f"answers of {new[1]}: 1, not known: 40" in typed("cache", "show", cache)[1]
    summary = json.loads(typed("cache", "show", cache, "--json")[1])
    assert (summary["services"], summary["unknown_service"]) == ({new[1]: 1}, 40)


async def test_an_answer_that_is_there_already_is_counted_once(tmp_path: Path) -> None:
    with ResponseCache(tmp_path / "c") as one, ResponseCache(tmp_path / "c") as two:
        await one.keep(b"k", b"{}", service="google")
        await two.keep(b"k", b"{}", service="google")
        await two.keep_group("worker", 1, [(b"k", b"{}", 0, "google"), (b"l", b"{}", 0, "http://a")], [])
        stored = one.statistics.services()
    assert (stored.of, stored.unknown) == ({"google": 1, "http://a": 1}, 0)


def test_an_address_that_is_none_is_no_name() -> None:
    with pytest.raises(ConfigError, match="must begin with https"):
        estimate(ROWS, SORT, cache_service="ftp://host")
