"""The options of a run: one list of names, checked in one place, shown wherever somebody types them."""

from __future__ import annotations

import inspect
import pickle
import traceback
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.main import get_command

from extract import (
    Budget,
    Client,
    ConfigError,
    Emulator,
    Extractor,
    Limits,
    Sink,
    classify,
    lazy_run,
    moderate,
    run,
    run_async,
)
from extract.cli.app import app
from extract.io.read_options import ReadOptions
from extract.results.columns import OutputShape
from extract.runner.options import (
    ROW_OPTIONS,
    AnswerRules,
    AskKeywords,
    LazyKeywords,
    OutputTarget,
    RunKeywords,
    RunOptions,
    UploadPolicy,
)

FRAME = pl.DataFrame({"text": ["I love it", "It broke"]})
TOPIC = Extractor(["praise", "complaint"], "{text}")
# What is named otherwise on the command line, or has no place there.
ON_THE_COMMAND_LINE = {"row_id": "id_column", "accept": "right"}
NOT_ON_THE_COMMAND_LINE = {"client", "sink", "progress", "on_event", "errors", "pipeline", "limits"}


def keywords_of(function: Any) -> set[str]:
    """Return the keyword-only parameters that `help` and an editor show."""
    parameters = inspect.signature(function).parameters.values()
    return {one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY}


def test_run_its_keywords_and_the_options_are_one_list() -> None:
    named = RunKeywords.__annotations__.keys()
    assert keywords_of(run) == named
    in_values = {
        one.name for kind in (OutputShape, AnswerRules, UploadPolicy, OutputTarget, ReadOptions) for one in fields(kind)
    }
    in_options = {one.name for one in fields(RunOptions)} - {"shape", "rules", "uploads", "reading"}
    where = {"client", "offline", "output", "progress", "on_event"}  # who is asked, and what is shown meanwhile
    assert (in_values - {"path"}) | in_options | where == named


def test_every_option_of_a_run_can_be_typed() -> None:
    (command,) = [one for name, one in get_command(app).commands.items() if name == "run"]
    typed = {one.name for one in command.params}
    wanted = {ON_THE_COMMAND_LINE.get(name, name) for name in RunKeywords.__annotations__} - NOT_ON_THE_COMMAND_LINE
    assert wanted <= typed
    assert {one.name for one in fields(Limits)} - {"retry"} <= typed


@pytest.mark.parametrize(
    ("function", "keywords"),
    [
        (run_async, RunKeywords),
        (FRAME.extract.run, RunKeywords),
        (FRAME.lazy().extract.run, LazyKeywords),
        (lazy_run, LazyKeywords),
        (classify, RunKeywords),
        (moderate, RunKeywords),
        (FRAME.extract.classify, RunKeywords),
        (FRAME.extract.moderate, RunKeywords),
    ],
)
def test_every_face_shows_each_option_with_its_default(function: Any, keywords: Any) -> None:
    shown, written_out = inspect.signature(function).parameters, inspect.signature(run).parameters
    assert keywords.__annotations__.keys() <= keywords_of(function)
    assert all(shown[name].default == written_out[name].default for name in keywords.__annotations__)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: run(FRAME, TOPIC, offline=True, sampels=3), "run"),
        (lambda: run_async(FRAME, TOPIC, offline=True, sampels=3), "run_async"),
        (lambda: FRAME.extract.run(TOPIC, offline=True, sampels=3), "run"),
        (lambda: FRAME.lazy().extract.run(TOPIC, sampels=3), "run"),
        (lambda: classify(FRAME, ["a", "b"], offline=True, sampels=3), "classify"),
        (lambda: moderate(FRAME, offline=True, sampels=3), "moderate"),
    ],
)
def test_a_typo_is_a_type_error_of_the_function_that_was_called(call: Any, name: str) -> None:
    with pytest.raises(TypeError) as caught:
        call()
    assert str(caught.value) == f"{name}() got an unexpected keyword argument 'sampels'. Did you mean 'samples'?"
    told = "".join(traceback.format_tb(caught.value.__traceback__))
    assert not [name for name in ("asyncio", "threading", "sync.py") if name in told]


def test_a_name_that_is_near_none_is_told_which_there_are() -> None:
    with pytest.raises(TypeError, match=r"it takes data, extractor, client, .*samples"):
        run(FRAME, TOPIC, xyz=1)


class OldSink(Sink):
    """A sink with the `close` of an earlier version: called so, it would fail when all rows are paid for."""

    def write(self, frame: pl.DataFrame) -> None: ...

    def close(self, *, whole: bool) -> None: ...  # type: ignore[override]  # that is the mistake


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples is a whole number from 1 to 100, not 0"),
        ({"errors": "drop"}, "errors is 'split' or 'null', not 'drop'"),
        ({"limits": 8}, "limits is a Limits"),
        ({"budget": "2"}, "budget is a number of US dollars or a Budget, not a str"),
        ({"output": "o.parquet", "sink": object()}, "output= and sink= both take the rows"),
        ({"sink": object()}, "make its class a subclass of extract.Sink"),
        ({"sink": Sink}, r"sink= takes an object: Sink\(\), not the class"),
        ({"sink": OldSink()}, r"close\(\) is called with whole= and manifest="),
    ],
)
def test_a_wrong_value_is_a_config_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(FRAME, TOPIC, offline=True, **options)


def test_an_option_that_belongs_to_another_face_says_what_to_do_instead() -> None:
    with pytest.raises(ConfigError, match=r"run\(\) takes no output= here: sink the lazy frame, or use extract.run"):
        FRAME.lazy().extract.run(TOPIC, output="o.parquet")


def test_options_travel_to_workers_as_one_value() -> None:
    options = RunOptions.of(samples=3, prefix="x_", limits=Limits(rpm=60), budget=1.5, keep_files=True)
    assert pickle.loads(pickle.dumps(options)) == options
    assert options.budget == Budget.of(1.5)
    assert (options.rules.samples, options.shape.prefix, options.uploads.keep_files) == (3, "x_", True)


def test_rejected_rows_stay_in_frames_and_leave_files(tmp_path: Path) -> None:
    assert RunOptions.of().shape.errors == "null"
    assert RunOptions.of(output=tmp_path / "o.parquet").shape.errors == "split"
    assert RunOptions.of(output=tmp_path / "o.parquet", errors="null").shape.errors == "null"


def test_the_keywords_of_a_cluster_are_a_part_of_those_of_a_run() -> None:
    assert AskKeywords.__annotations__.keys() < LazyKeywords.__annotations__.keys() < RunKeywords.__annotations__.keys()


def test_a_retry_of_rejected_rows_leaves_out_what_is_about_the_whole_output(tmp_path: Path) -> None:
    answers = ["nonsense", '{"value": "praise"}', '{"value": "complaint"}']
    emulator = Emulator(answers=answers)
    client = Client("key", transport=emulator.transport)
    options: Any = {"client": client, "limits": Limits(concurrency=1), "note": "first", "limit": 2}
    first = run(pl.DataFrame({"text": ["a", "b", "c"]}), replace(TOPIC, repairs=0), **options)
    assert first.totals.rejected == 1
    again = first.retry_rejected()
    assert again.frame["value"].to_list() == ["complaint", "praise"]
    assert ROW_OPTIONS | {"retry_rejected"} == LazyKeywords.__annotations__.keys()
