"""The first run: what it imports, and what it leaves open."""

from __future__ import annotations

import builtins
import collections.abc
import dataclasses
import gc
import sqlite3
import subprocess
import sys
import threading
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from jsonschema import Draft202012Validator

import extract
from extract import Extractor, classify, extract_one, run
from extract.schema.drafts import LATEST

CLASSIFY = "from extract import classify; classify(['Great!'], ['praise', 'complaint'], offline=True)"
MODEL = """
from pydantic import BaseModel
from extract import Extractor, run
class Ticket(BaseModel):
    topic: str
    tags: list[str]
run(['A'], Extractor(Ticket, '{text}'), offline=True)
"""
TOOLS = """
from extract import Request, offline_client
def get_weather(city: str) -> str:
    return 'sunny'
offline_client().run_tools(Request(model='gemini-3.8-flash', input='Get the weather in Bonn.', tools=(get_weather,)))
"""
RAW = """
from extract import compile_schema
compile_schema({'type': 'object', 'properties': {'a': {'type': 'string'}}})
"""
VALIDATION = {"jsonschema", "rfc3987_syntax", "lark"}


def loaded_by(program: str) -> set[str]:
    command = [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("program", [CLASSIFY, MODEL, TOOLS])
def test_no_run_imports_jsonschema_without_a_raw_schema(program: str) -> None:
    assert not loaded_by(program) & VALIDATION


def test_a_raw_schema_imports_it() -> None:
    assert "jsonschema" in loaded_by(RAW)


def test_the_keywords_that_stand_in_the_code_are_those_of_jsonschema() -> None:
    assert LATEST.asserted == set(Draft202012Validator.VALIDATORS)


TEXTS = pl.DataFrame({"text": ["Great!", "It broke."]})
LABELS = Extractor(["praise", "complaint"], "{text}")


@pytest.mark.parametrize(
    "ask",
    [
        lambda _: classify(TEXTS, ["praise", "complaint"], offline=True),
        lambda _: extract_one({"text": "Great!"}, LABELS, offline=True),
        lambda folder: run(TEXTS, LABELS, offline=True, cache=folder / "answers", output=folder / "out.parquet"),
        lambda _: TEXTS.lazy().extract.run(LABELS, offline=True).collect(),
        lambda folder: TEXTS.lazy().extract.run(LABELS, offline=True, cache=folder / "answers").collect(),
    ],
    ids=["classify", "extract_one", "run", "lazy", "lazy-cache"],
)
def test_no_database_is_left_open(ask: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def noted(*args: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*args, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", noted)
    ask(tmp_path)
    ends_of_threads()
    gc.collect()
    for database in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            database.execute("SELECT 1")


def ends_of_threads() -> None:
    """Wait for the threads that end a lazy frame."""
    for thread in threading.enumerate():
        if thread.name.startswith("extract-lazy"):
            thread.join(60)


@pytest.mark.parametrize("module", [builtins, typing, collections.abc, dataclasses], ids=lambda module: module.__name__)
def test_importing_everything_takes_no_name_of_the_language_away(module: Any) -> None:
    names = getattr(module, "__all__", None) or [name for name in dir(module) if not name.startswith("_")]
    assert set(extract.__all__) & set(names) == set()
    assert "Union" in dir(extract)
    assert extract.Union(by=("number",)).by == ("number",)
