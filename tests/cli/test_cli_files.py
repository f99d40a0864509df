"""How a file is written can be typed, and what was found out of it stands on stderr, once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from commands import Extract, in_process

PIPELINE = """
from extract import Extractor

extractor = Extractor(["a", "b"], "{text}")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "topics.py").write_text(PIPELINE)
    return tmp_path


@pytest.fixture
def extract(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Extract:
    monkeypatch.chdir(folder)
    return in_process(monkeypatch, capfd)


def test_what_is_typed_of_a_csv_file_is_how_it_is_read(folder: Path, extract: Extract) -> None:
    (folder / "in.csv").write_bytes("id:text\n1:'Łódź: a'\n".encode("cp1250"))
    options = ("--csv-separator", ":", "--csv-quote", "'", "--csv-encoding", "cp1250")
    done = extract("run", "topics.py", "in.csv", "-o", "out.parquet", "--offline", "--show", *options)
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(folder / "out.parquet")["text"].to_list() == ["Łódź: a"]
    assert "Łódź: a" in done.stdout
    estimated = extract("estimate", "topics.py", "in.csv", "--json", *options)
    assert json.loads(estimated.stdout)["rows"] == 1


def test_a_refusal_names_the_option_and_giving_it_helps(folder: Path, extract: Extract) -> None:
    (folder / "in.csv").write_bytes("id,text\n1,Łódź\n".encode("cp1250"))
    refused = extract("run", "topics.py", "in.csv", "-o", "out.parquet", "--offline")
    assert refused.returncode == 2
    assert "--csv-encoding cp1251" in refused.stderr
    assert refused.stderr.count("\n") == 1
    done = extract("run", "topics.py", "in.csv", "-o", "out.parquet", "--offline", "--csv-encoding", "cp1250")
    assert done.returncode == 0


def test_a_sheet_can_be_typed(folder: Path, extract: Extract) -> None:
    import xlsxwriter

    with xlsxwriter.Workbook(folder / "in.xlsx") as book:
        for name in ("One", "Two"):
            book.add_worksheet(name).write_column(0, 0, ["text", f"of {name}"])
    done = extract("run", "topics.py", "in.xlsx", "-o", "out.parquet", "--offline", "--sheet", "Two")
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(folder / "out.parquet")["text"].to_list() == ["of Two"]


def test_what_was_found_out_is_said_once_on_stderr(folder: Path, environment: dict[str, str]) -> None:
    (folder / "in.csv").write_text("id;text\n1;a\n")
    command = [sys.executable, "-m", "extract", "run", "topics.py", "in.csv", "-o", "out.parquet", "--offline"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr.count("csv is read with ; between cells\n") == 1
