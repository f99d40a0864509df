"""A column of paths sends files of the input's folder, not of the machine, on every face of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from commands import in_process
from xlsxwriter import Workbook

from extract import (
    BadRecord,
    Client,
    ConfigError,
    Emulator,
    Extractor,
    ResponseCache,
    check_labels,
    estimate,
    extract_one,
    lazy_run,
    open_source,
    run,
)
from extract.documents.files import read_file
from extract.documents.loader import load_parts
from extract.documents.opening import Place
from extract.documents.roots import Roots
from extract.runner.estimate import pay_sample

READ = Extractor(["receipt", "letter"], "What is it?", media=("path",))
SECRET = "root:x:0:0"
PIPELINE = (
    'from extract import Extractor\nextractor = Extractor(["receipt", "letter"], "What is it?", media=("path",))\n'
)


def _write_excel(frame: pl.DataFrame, path: Path) -> None:
    """Write the cells as they are: by default an address becomes a link."""
    with Workbook(path, {"strings_to_urls": False}) as book:
        frame.write_excel(book)


WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "csv": pl.DataFrame.write_csv,
    "jsonl": pl.DataFrame.write_ndjson,
    "parquet": pl.DataFrame.write_parquet,
    "xlsx": _write_excel,
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with an input folder, a current folder and a secret beside both."""
    for name in ("here", "in", "secrets"):
        (tmp_path / name).mkdir()
    (tmp_path / "secrets" / "passwd.txt").write_text(SECRET)
    (tmp_path / "in" / "good.txt").write_text("a letter")
    (tmp_path / "here" / "mine.txt").write_text("a receipt")
    (tmp_path / "in" / "link.txt").symlink_to("../secrets/passwd.txt")
    (tmp_path / "in" / "folder").symlink_to("../secrets")
    (tmp_path / "here" / "out").symlink_to("../secrets")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def hostile(place: Path) -> list[str]:
    secret = place / "secrets" / "passwd.txt"
    return [
        str(secret),
        secret.as_uri(),
        f"file:{secret}",
        f"FILE://localhost{place}/in/%2e%2e/secrets/passwd.txt",
        "../secrets/passwd.txt",
        "../in/../secrets/passwd.txt",
        str(place / "in" / "link.txt"),
        str(place / "in" / "folder" / "passwd.txt"),
        "folder/passwd.txt",
        "out/passwd.txt",
        "/etc/passwd",
    ]


def asked(place: Path, data: Any, extractor: Extractor = READ, **options: Any) -> tuple[Any, str]:
    """Return the Run over `data`, and all that the service was sent."""
    bodies: list[str] = []

    def answer(body: dict[str, Any]) -> str:
        bodies.append(str(body))
        return '{"value": "letter"}'

    with Client("key", transport=Emulator(answers=answer).transport) as client:
        return run(data, extractor, client=client, **options), "".join(bodies)


@pytest.mark.parametrize("ending", WRITERS)
def test_paths_in_a_file_lead_to_its_folder_and_the_current_one_only(place: Path, ending: str) -> None:
    good = [
        "mine.txt",
        str(place / "in" / "good.txt"),
        (place / "in" / "good.txt").as_uri(),
        "../in/good.txt",
        "good.txt",
    ]
    table = place / "in" / f"table.{ending}"
    WRITERS[ending](pl.DataFrame({"path": good + hostile(place)}), table)
    result, sent = asked(place, table)
    assert SECRET not in sent
    assert result.totals.valid == len(good)
    assert result.errors["row_id"].to_list() == list(range(len(good), len(good) + len(hostile(place))))
    assert set(result.errors["code"]) == {"bad_record"}
    assert all("--root" in message and "\n" not in message for message in result.errors["message"])
    given, sent = asked(place, table, root=place / "secrets")
    assert SECRET in sent
    assert given.totals.rejected == 1  # the system's own file


def test_what_is_outside_is_not_looked_at(place: Path) -> None:
    (place / "in" / "table.csv").write_text("path\n/no/such/file.txt\n/srv/secret.txt\n/etc\n")
    result, _ = asked(place, place / "in" / "table.csv")
    assert all("outside of the current folder" in message for message in result.errors["message"])


@pytest.mark.parametrize("named", ["in", "in/*.txt", "in/**/*.txt", "in/l*.txt"])
def test_what_a_folder_or_a_glob_finds_lies_under_it(place: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.chdir(place / "here")
    result, sent = asked(place, f"../{named}")
    assert SECRET not in sent
    assert set(result.errors["code"]) == {"bad_record"}
    refused = [message for message in result.errors["message"] if "link.txt" in message]
    assert len(refused) == 1
    assert f"--root {place / 'secrets'}" in refused[0]


def test_a_document_that_is_named_itself_is_sent_wherever_its_link_leads(place: Path) -> None:
    assert asked(place, place / "in" / "link.txt")[1].count(SECRET) == 1


def test_an_input_folder_may_itself_be_a_link(place: Path) -> None:
    (place / "inbox").symlink_to("secrets")
    assert asked(place, place / "inbox")[0].totals.valid == 1
    assert asked(place, f"{place}/inbox/*.txt")[0].totals.valid == 1


def test_rows_that_a_program_makes_name_any_file_and_with_root_only_those_under_it(place: Path) -> None:
    rows = [{"path": str(place / "secrets" / "passwd.txt")}, {"path": str(place / "in" / "good.txt")}]
    for data in (rows, pl.DataFrame(rows), pl.DataFrame(rows).lazy(), iter(rows), open_source(rows)):
        assert asked(place, data)[0].totals.valid == 2
    for data in (rows, pl.DataFrame(rows), pl.DataFrame(rows).lazy(), iter(rows)):
        for root in (place / "in", str(place / "in"), [place / "in"], iter([str(place / "in")])):
            result, sent = asked(place, rows if isinstance(data, Iterator) else data, root=root)
            assert SECRET not in sent
            assert (result.totals.valid, result.totals.rejected) == (1, 1)
    frame = pl.DataFrame(rows)
    lazy = lazy_run(frame.lazy(), READ, offline=True, root=iter([place / "in"]))
    assert [lazy.collect()["value"].null_count() for _ in range(2)] == [1, 1]
    assert frame.extract.run(READ, offline=True, root=place / "in").totals.rejected == 1
    assert extract_one(rows[0], READ, offline=True).ok
    refused = extract_one(rows[0], READ, offline=True, root=place / "in")
    assert refused.error is not None
    assert refused.error.code == "bad_record"


def test_a_root_that_is_no_folder_is_refused_before_anything_is_sent(place: Path) -> None:
    for root in ("no/such", place / "in" / "good.txt", 3, [None], "a\0b"):
        with pytest.raises(ConfigError, match="root"):
            run(["x"], Extractor(["a", "b"], "{text}"), offline=True, root=root)


def test_the_root_is_no_part_of_content_keys(place: Path) -> None:
    (place / "in" / "table.csv").write_text("path\ngood.txt\n")
    first, _ = asked(place, place / "in" / "table.csv", cache=place / "c")
    again, _ = asked(place, place / "in" / "table.csv", cache=place / "c", root=place / "secrets")
    frame, _ = asked(place, [{"path": str(place / "in" / "good.txt")}], cache=place / "c")
    assert [one.totals.requests for one in (first, again, frame)] == [1, 0, 0]


def test_addresses_of_the_web_are_not_touched(place: Path) -> None:
    (place / "in" / "table.csv").write_text('path\nhttps://example.com/a.pdf\ngs://bucket/a.pdf\n"data:,words"\n')
    assert asked(place, place / "in" / "table.csv")[0].totals.valid == 3


def test_rejected_rows_that_are_asked_again_or_looked_at_are_held_to_the_same_roots(place: Path) -> None:
    (place / "in" / "table.csv").write_text(f"path\ngood.txt\n{place}/secrets/passwd.txt\n")
    first, _ = asked(place, place / "in" / "table.csv")
    bodies: list[str] = []

    def answer(body: dict[str, Any]) -> str:
        bodies.append(str(body))
        return '{"value": "letter"}'

    with Client("key", transport=Emulator(answers=answer).transport) as client:
        kept = run(place / "in" / "table.csv", READ, client=client)
        again = kept.retry_rejected()
        again.retry_rejected()
    assert SECRET not in "".join(bodies)
    assert again.totals.rejected == 1
    assert SECRET not in str(first.sample(2, seed=1))


def test_estimates_and_paid_samples_read_no_more_than_the_run(place: Path) -> None:
    (place / "in" / "table.csv").write_text(f"path\ngood.txt\nmine.txt\n{place}/secrets/passwd.txt\n")
    source = open_source(place / "in" / "table.csv")
    result = estimate(source, READ)
    assert result.bad == 1
    assert "--root" in str(result.reason)
    assert estimate(source, READ, root=place / "secrets").bad == 0
    bodies: list[str] = []

    def answer(body: dict[str, Any]) -> str:
        bodies.append(str(body))
        return '{"value": "letter"}'

    with Client("key", transport=Emulator(answers=answer).transport) as client, ResponseCache(place / "c") as cache:
        pay_sample(source, READ, 3, client=client, cache=cache)
        assert SECRET not in "".join(bodies)


def test_a_second_opinion_is_held_to_the_root(place: Path) -> None:
    frame = pl.DataFrame({"path": [str(place / "secrets" / "passwd.txt")]}).with_columns(
        pl.lit("letter").cast(pl.Enum(["receipt", "letter"])).alias("value")
    )
    with Client("key", transport=Emulator().transport) as client:
        assert check_labels(frame, READ, client=client, root=place / "in")["value"].failed == 1
        assert check_labels(frame, READ, client=client)["value"].failed == 0


def test_every_command_that_reads_files_takes_the_root(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    extract = in_process(monkeypatch, capfd)
    Path("pipeline.py").write_text(PIPELINE)
    (place / "in" / "table.csv").write_text(f"id,path\na,mine.txt\nb,{place}/secrets/passwd.txt\n")
    table = str(place / "in" / "table.csv")
    assert extract("run", "pipeline.py", table, "-o", "o.csv", "--offline").returncode == 3
    errors = pl.read_parquet("o.errors.parquet")
    assert "--root" in errors["message"][0]
    roots = ("--root", str(place / "secrets"), "--root", str(place / "in"))
    assert extract("run", "pipeline.py", table, "-o", "o.csv", "--offline", *roots).returncode == 0
    assert "1 of 2 rows cannot be sent" in extract("estimate", "pipeline.py", table).stdout
    assert "cannot be sent" not in extract("estimate", "pipeline.py", table, *roots).stdout
    shown = extract("run", "pipeline.py", table, "--show", "--offline")
    assert SECRET not in shown.stdout
    decide = ("eval", "pipeline.py", "o.csv", "--on", "id", "--decide", "value", "--offline")
    assert '"failed": 1' in extract(*decide, "--json").stdout
    assert '"failed": 0' in extract(*decide, *roots, "--json").stdout


def test_the_file_that_was_judged_is_the_one_that_is_opened(place: Path) -> None:
    roots = Roots.of(place / "in")
    assert roots is not None
    (place / "in" / "sub").mkdir()
    (place / "in" / "sub" / "passwd.txt").write_text("harmless")
    judged = roots.find(place / "in" / "sub" / "passwd.txt")
    assert read_file(judged.path, place=judged) == b"harmless"
    (place / "in" / "sub").rename(place / "in" / "moved")
    (place / "in" / "sub").symlink_to("../secrets")
    with pytest.raises(BadRecord):
        read_file(judged.path, place=judged)
    (place / "in" / "sub").unlink()
    (place / "in" / "sub").mkdir()
    (place / "in" / "sub" / "passwd.txt").symlink_to("../../secrets/passwd.txt")
    with pytest.raises(BadRecord):
        read_file(judged.path, place=judged)


def test_a_recording_that_is_uploaded_later_is_still_the_one_that_was_judged(place: Path) -> None:
    film = place / "in" / "film.mp4"
    with film.open("wb") as file:
        file.write(b"\0\0\0\x20ftypisom")
        file.truncate(80_000_000)
    (part,) = load_parts(str(film), "path", Roots.of(place / "in"))
    film.rename(place / "secrets" / "film.mp4")
    film.symlink_to("../secrets/film.mp4")
    with Client("key", transport=Emulator().transport) as client, pytest.raises(BadRecord):
        client.files.upload(part.file)  # type: ignore[union-attr, arg-type]  # a media part with a file


def test_a_name_beside_a_root_is_not_under_it(place: Path) -> None:
    (place / "in2").mkdir()
    (place / "in2" / "a.txt").write_text("x")
    with pytest.raises(BadRecord, match="--root"):
        load_parts(str(place / "in2" / "a.txt"), "path", Roots.of(place / "in"))
    assert load_parts(str(place / "in2" / "a.txt"), "path", Roots.of([place / "in", place / "in2"]))


def test_the_type_of_a_file_is_that_of_the_name_in_the_row(place: Path) -> None:
    (place / "in" / "blob").write_text("a,b\n1,2\n")
    (place / "in" / "table.csv").symlink_to("blob")
    assert load_parts(str(place / "in" / "table.csv"), "path", Roots.of(place / "in")) == load_parts(
        str(place / "in" / "table.csv"), "path"
    )
    assert Place(place / "in" / "blob", place / "in") == Roots((place / "in",)).find(place / "in" / "table.csv")
