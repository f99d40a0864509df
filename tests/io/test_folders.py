"""A folder or a glob is one record per file: what is left out is counted and said, and tables are no texts."""

from __future__ import annotations

import logging
import os
import zipfile
from pathlib import Path

import polars as pl
import pytest

from extract import ConfigError, Extractor, estimate, open_source, run
from extract.io.sources import Source

LETTERS = Extractor(["a", "b"], "Read this.", media=("path",))


def names(source: Source) -> list[str]:
    return [name for batch in source.batches(100) for name in batch["name"]]


def test_every_file_is_a_record_whatever_its_name(tmp_path: Path) -> None:
    for name in ("README", "letter", "a.unknown", "notes.txt~", "data.bin", "b.TXT", "c.tar.gz", "d.py", "é.xyz"):
        (tmp_path / name).write_text("words")
    with zipfile.ZipFile(tmp_path / "scans.zip", "w") as archive:
        archive.writestr("one.txt", "words")
    source = open_source(tmp_path)
    assert sorted(names(source)) == sorted(path.name for path in tmp_path.iterdir())
    assert source.notes == ()
    assert sorted(names(open_source(str(tmp_path / "*")))) == sorted(path.name for path in tmp_path.iterdir())


def test_what_cannot_be_sent_is_a_row_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("words")
    (tmp_path / "program").write_bytes(b"\x7fELF\0\0\1")
    (tmp_path / "scans.zip").write_bytes(b"PK\3\4 and so on")
    os.mkfifo(tmp_path / "pipe")
    result = run(tmp_path, LETTERS, offline=True)
    assert result.frame["mime_type"].to_list() == ["text/plain", None, None, "application/zip"]
    assert result.totals.valid == 1
    assert result.errors["code"].to_list() == ["bad_record"] * 3


def test_hidden_files_and_those_of_systems_are_left_out_counted_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (".hidden.txt", ".git/config", "Thumbs.db", "desktop.ini", "~$letter.docx", "__MACOSX/x", "a.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("words")
    (tmp_path / "self").symlink_to(tmp_path, target_is_directory=True)
    result = run(tmp_path, LETTERS, offline=True)
    assert result.frame["name"].to_list() == ["a.txt"]
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert warnings == ["left out of the input: links to folders (1), hidden (2), of the system (4)"]


def test_outputs_caches_and_temporary_files_of_runs_are_no_records(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    for ending in ("parquet", "csv", "jsonl"):
        run(["x"], Extractor(["a", "b"], "{text}"), offline=True, output=tmp_path / f"out.{ending}",
            cache=tmp_path / f"out.{ending}.cache")  # fmt: skip
    for name in ("out.errors.parquet", "out.csv.4711.part", "out.parquet.cache-wal", "out.partial.csv"):
        (tmp_path / name).write_text("words")
    assert names(open_source(tmp_path)) == ["a.txt"]
    (tmp_path / "my.cache").write_text("words")
    (tmp_path / "table.csv").write_text("a,b\n")
    assert names(open_source(tmp_path)) == ["a.txt", "my.cache", "table.csv"]


def test_a_hidden_file_that_a_glob_names_is_wanted(tmp_path: Path) -> None:
    (tmp_path / ".letter").write_text("words")
    assert names(open_source(str(tmp_path / ".l*"))) == [".letter"]
    assert names(open_source(tmp_path / ".letter")) == [".letter"]


def test_a_folder_of_parquet_is_read_as_a_table(tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / f"part[{number % 2}]"
        folder.mkdir(exist_ok=True)
        pl.DataFrame({"text": [f"row {number}"]}).write_parquet(folder / f"{number}.parquet")
    source = open_source(tmp_path)
    assert sorted(row for batch in source.batches(9) for row in batch["text"]) == ["row 0", "row 1", "row 2"]
    assert open_source(tmp_path / "part[1]").height == 1


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_prompt_for_the_rows_of_a_folder_of_tables_is_told_the_glob(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"one.{ending}").write_text("text\nwords\n")
    rows = Extractor(["a", "b"], "{text}")
    for ask in (lambda: run(tmp_path, rows, offline=True), lambda: estimate(open_source(tmp_path), rows)):
        with pytest.raises(ConfigError, match=rf"one record here; to read the rows .*/\*\.{ending}'"):
            ask()
    assert run(tmp_path, LETTERS, offline=True).totals.rows == 1


def test_a_folder_of_which_all_is_left_out_says_what(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_text("words")
    with pytest.raises(ConfigError, match=r"holds no documents: all is left out \(hidden \(1\)\)"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("pattern", "ending"), [("part-?.csv", "csv"), ("part-?.jsonl", "jsonl"), ("?art-*.[cC]sv", "csv")]
)
def test_a_glob_with_a_question_mark_is_read_as_the_tables_that_it_matches(
    tmp_path: Path, pattern: str, ending: str
) -> None:
    lines = {"csv": 'text\n"row {}"\n', "jsonl": '{{"text":"row {}"}}\n'}[ending]
    for number in range(2):
        (tmp_path / f"part-{number}.{ending}").write_text(lines.format(number))
    (batch,) = open_source(tmp_path / pattern).batches(9)
    assert batch.to_dict(as_series=False) == {"text": ["row 0", "row 1"]}


def test_a_link_to_a_folder_above_does_not_send_files_again(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "a.txt").write_text("words")
    (inner / "latin.csv").write_bytes("text;n\nGrüße aus Köln;1\n".encode("cp1252"))
    (inner / "loop").symlink_to("..", target_is_directory=True)
    source = open_source(tmp_path / "**" / "*.txt")
    assert names(source) == ["a.txt"]
    assert source.notes == ("left out of the input: links to folders (1)",)
    assert open_source(tmp_path / "**" / "*.csv").height == 1


def test_a_folder_of_parquet_in_capitals_is_a_table(tmp_path: Path) -> None:
    pl.DataFrame({"text": ["one"]}).write_parquet(tmp_path / "A.PARQUET")
    pl.DataFrame({"text": ["two"]}).write_parquet(tmp_path / "b.parquet")
    assert open_source(tmp_path).height == 2
