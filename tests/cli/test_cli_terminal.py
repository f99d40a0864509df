"""What a person sees: progress, summary, rows to look at, and what never reaches a terminal."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from commands import Extract, in_process
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from extract import Emulator
from extract.cli.live_progress import Log, Status
from extract.cli.terminal import plain
from extract.results.progress import Progress, Totals
from extract.testing import running_server

SAMPLES = Path(__file__).parents[2] / "sample_data"
PIPELINE = """
from typing import Literal
from pydantic import BaseModel
from extract import Extractor

class Label(BaseModel):
    label: Literal["spam", "ham"]
    quote: str | None

extractor = Extractor(Label, "Sort this: {body}", grounding=("body",))
"""
HOSTILE = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J \u202egnp.exe \x08\x00 end"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "spam.py").write_text(PIPELINE)
    pl.DataFrame({"id": range(30), "body": [f"text {n} is ham" for n in range(30)]}).write_csv(tmp_path / "in.csv")
    return tmp_path


@pytest.fixture
def extract(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Extract:
    return in_process(monkeypatch, capfd)


def glance(
    rows: int = 1_234,
    *,
    total: int | None = 3_080,
    seconds: float = 120.0,
    waiting: float = 0.0,
    limit: str = "",
    stopping: bool = False,
    interrupted: bool = False,
    in_flight: int = 64,
) -> Progress:
    totals = Totals(rows=rows, valid=max(0, rows - 2), rejected=min(2, rows), requests=rows, cost=Decimal("0.12"))
    return Progress(
        total=total,
        totals=totals,
        seconds=seconds,
        in_flight=in_flight,
        slots=64,
        waiting=waiting,
        limit=limit,
        stopping=stopping,
        interrupted=interrupted,
    )


def drawn(*glances: Progress, width: int = 100, encoding: str = "utf-8") -> list[str]:
    """Return the lines of a status after these glances."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width, force_terminal=True, color_system=None)
    status = Status(clock=lambda: 0.0)
    for progress in glances:
        status(progress)
    lines = console.render_lines(status, pad=False)
    return ["".join(segment.text for segment in line) for line in lines]


def test_the_status_shows_rate_time_left_cost_and_what_is_rejected() -> None:
    text = " ".join(drawn(glance()))
    for part in ("1,234/3,080", "40%", "2 min", "10 rows/s", "3 min", "left", "$0.1200 of about $0.2995", "2 rejected"):
        assert part in text


def test_the_status_shows_which_quota_a_run_waits_for_and_how_long() -> None:
    assert "waiting 23 s for quota (600 requests/min)" in " ".join(
        drawn(glance(waiting=23.0, limit="600 requests/min"))
    )
    busy = glance(waiting=5.0, limit="the service is overloaded")
    assert "waiting 5 s: the service is overloaded" in " ".join(drawn(busy))
    held = glance(limit="600 requests/min", waiting=0.1)
    assert "quota reached: 600 requests/min" in " ".join(drawn(held, glance(seconds=121.0)))
    refused = " ".join(drawn(glance(limit="the service says so"), glance(seconds=121.0)))
    assert "held back: the service says so" in refused
    assert "quota" not in refused
    assert "64 in flight" in " ".join(drawn(held, glance(seconds=140.0)))


def test_the_status_shows_how_to_stop_at_once() -> None:
    status = " ".join(drawn(glance(stopping=True, interrupted=True)))
    assert "stopping: 64 in flight; Ctrl-C again to stop now" in status
    assert "of about" not in status


def test_there_is_no_rate_before_there_are_rows_to_take_it_from() -> None:
    text = " ".join(drawn(glance(1, seconds=1.0)))
    assert "rows/s" not in text
    assert "left" not in text


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
@pytest.mark.parametrize("total", [None, 3_080])
def test_the_status_is_never_wider_than_the_terminal(width: int, total: int | None) -> None:
    for progress in (glance(total=total), glance(total=total, waiting=23.0, limit="600 requests/min")):
        lines = drawn(progress, width=width)
        assert all(len(line) <= width for line in lines)
        assert len(lines) <= 8


def test_the_status_of_an_ascii_terminal_is_ascii() -> None:
    assert all(line.isascii() for line in drawn(encoding="ascii") + drawn(glance(), encoding="ascii"))


def test_a_log_shows_life_every_half_minute_and_nothing_of_a_short_run() -> None:
    file = io.StringIO()
    log = Log(file, now=lambda: datetime(2026, 11, 28, 12))
    for tenth in range(1, 299):
        log(glance(tenth, seconds=tenth / 10))
    assert file.getvalue() == ""
    for tenth in range(299, 1_000):
        log(glance(tenth, seconds=tenth / 10))
    lines = file.getvalue().splitlines()
    assert [line.partition(",")[0] for line in lines] == [f"2026-11-28 12:00:00  {n} of 3" for n in (300, 600, 900)]
    assert "$0.1200 of about" in lines[0]
    assert "\x1b" not in file.getvalue()


def test_a_log_says_at_once_that_a_run_stops() -> None:
    file = io.StringIO()
    log = Log(file)
    log(glance(seconds=3.0))
    for _ in range(3):
        log(glance(seconds=4.0, stopping=True, in_flight=5))
    assert file.getvalue().count("\n") == 1
    assert "stopping: 5 in flight\n" in file.getvalue()


def test_a_second_ctrl_c_is_offered_only_after_a_first_one() -> None:
    file = io.StringIO()
    Log(file)(glance(seconds=4.0, stopping=True, interrupted=True, in_flight=5))
    assert "stopping: 5 in flight; Ctrl-C again to stop now" in file.getvalue()


def test_a_log_that_nobody_reads_any_more_does_not_stop_the_run() -> None:
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(BrokenPipeError), os.fdopen(write, "w") as file:
        log = Log(file, every=1.0)
        log(glance(seconds=2.0))
        log(glance(seconds=4.0))


@given(st.text())
def test_no_text_steers_a_terminal(text: str) -> None:
    shown = plain(text)
    assert not STEERING.search(shown)
    shown.encode("utf-8")
    ascii_console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert plain(text, ascii_console).isascii()


def test_letters_of_all_scripts_and_joined_emoji_stay_as_they_are() -> None:
    text = "naïve 漢字 می‌خواهم 👩‍👩‍👧"
    assert plain(text) == text


# --- rows to look at


def test_show_prints_what_was_read_and_what_was_answered_and_writes_nothing(folder: Path, extract: Extract) -> None:
    before = sorted(path.name for path in folder.iterdir())
    done = extract("run", "spam.py", "in.csv", "--offline", "--limit", "2", "--show")
    assert done.returncode == 0
    assert re.findall(r"row (\d+)", done.stdout) == ["0", "1"]
    assert "text 1 is " in done.stdout
    assert re.search(r"→ +label +ham", done.stdout)
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert all(line == line.rstrip() for line in done.stdout.splitlines())
    assert "2 of 2 rows valid" in done.stderr
    assert "-o OUTPUT.parquet" in done.stderr
    assert {path.name for path in folder.iterdir()} - {"__pycache__"} == set(before)


def test_show_marks_where_values_stand(extract: Extract) -> None:
    answers = [json.dumps({"label": "ham", "quote": quote}) for quote in ("text 0", "elsewhere")]
    with running_server(Emulator(answers=answers)) as url:
        arguments = ("run", "spam.py", "in.csv", "--base-url", url, "--limit", "2", "--show", "--concurrency", "1")
        done = extract(*arguments)
    assert "«text 0» is ham" in done.stdout
    assert re.search(r"quote +text 0 +exact", done.stdout)
    assert re.search(r"quote +elsewhere +missing", done.stdout)


@pytest.mark.parametrize("written", [(), ("-o", "out.parquet"), ("-o", "out.csv", "--id", "kind")])
def test_show_puts_each_answer_beside_its_own_row(folder: Path, extract: Extract, written: tuple[str, ...]) -> None:
    pl.DataFrame({"kind": ["a", "a", "b", "a"], "body": [f"text {n}" for n in range(4)]}).write_csv(folder / "in.csv")

    def answer(body: dict[str, object]) -> str:
        prompt = json.dumps(body["input"])
        return "{}" if "text 1" in prompt else json.dumps({"label": "ham", "quote": f"of {prompt[-10:]}"})

    with running_server(Emulator(answers=answer)) as url:
        done = extract("run", "spam.py", "in.csv", "--base-url", url, "--show", *written)
    assert done.returncode == 3
    blocks = re.split(r"── row .*\n", done.stdout)[1:]
    assert len(blocks) == 4
    for number, block in enumerate(blocks):
        assert f"text {number}" in block
    assert re.search(r"✗ +rejected +invalid_answer: ", blocks[1])
    assert not any("rejected" in blocks[number] for number in (0, 2, 3))


def test_show_prints_twenty_rows_where_no_limit_is_given(extract: Extract) -> None:
    done = extract("run", "spam.py", "in.csv", "--offline", "--show")
    assert done.stdout.count("── row") == 20
    assert "10 more rows" in done.stdout


def test_what_stands_in_data_never_steers_the_terminal(folder: Path, extract: Extract) -> None:
    (folder / "in.jsonl").write_text(json.dumps({"body": HOSTILE}) + "\n" + json.dumps({"body": "two"}) + "\n")

    def answer(body: dict[str, object]) -> str:
        label = HOSTILE if "two" in json.dumps(body["input"]) else "ham"
        return json.dumps({"label": label, "quote": HOSTILE})

    with running_server(Emulator(answers=answer)) as url:
        arguments = ("run", "spam.py", "in.jsonl", "--base-url", url, "--show", "--id", "body")
        done = extract(*arguments, FORCE_COLOR="1", TERM="xterm-256color")
    assert done.returncode == 3
    colours = re.compile(r"\x1b\[[0-9;]*m")
    assert colours.search(done.stdout)
    assert "\x1b[31mred" not in done.stdout
    assert not STEERING.search(colours.sub("", done.stdout + done.stderr))
    assert "\\x1b[31mred" in done.stdout


def test_show_is_ascii_where_the_locale_is(folder: Path, environment: dict[str, str]) -> None:
    (folder / "in.jsonl").write_text(json.dumps({"body": "漢字 ham"}) + "\n")
    arguments = [sys.executable, "-m", "extract", "run", "spam.py", "in.jsonl", "--offline", "--show"]
    variables = environment | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(arguments, cwd=folder, env=variables, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).isascii()
    assert b"\\u6f22\\u5b57 ham" in done.stdout


@pytest.mark.parametrize("arguments", [("--offline",), ("--offline", "--show", "--json")])
def test_a_run_that_leads_nowhere_is_refused(extract: Extract, arguments: tuple[str, ...]) -> None:
    done = extract("run", "spam.py", "in.csv", *arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--show" in done.stderr


# --- terminals, logs and colours


def on_terminal(arguments: list[str], folder: Path, variables: dict[str, str], columns: int = 40) -> str:
    """Return what a command writes to a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    variables = {name: value for name, value in variables.items() if name != "COLUMNS"}
    process = subprocess.Popen(
        [sys.executable, "-m", "extract", *arguments],
        cwd=folder,
        env=variables,
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
    )
    os.close(theirs)
    screen = b""
    try:
        while chunk := os.read(ours, 65_536):
            screen += chunk
    except OSError:  # how Linux says that the other side is closed
        pass
    os.close(ours)
    assert process.wait(timeout=30) == 0, screen
    return screen.decode()


RUN = ["run", "spam.py", "in.csv", "-o", "out.parquet", "--no-cache", "--overwrite"]


def test_a_terminal_of_forty_columns_sees_a_bar_and_then_the_summary(folder: Path, environment: dict[str, str]) -> None:
    del environment["NO_COLOR"]
    with running_server(Emulator(answers=lambda _: '{"label": "ham", "quote": null}', latency=0.3)) as url:
        screen = on_terminal([*RUN, "--base-url", url, "--concurrency", "8"], folder, environment | {"TERM": "xterm"})
    assert "\x1b[?25l" in screen  # the cursor is hidden
    assert screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l")  # and comes back
    assert "/30" in screen
    assert "30 of 30 rows valid" in screen
    widest = max(len(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)) for line in re.split(r"[\r\n]+", screen))
    assert widest <= 40


def test_a_dumb_terminal_gets_plain_lines(folder: Path, environment: dict[str, str]) -> None:
    del environment["NO_COLOR"]
    screen = on_terminal([*RUN, "--offline"], folder, environment | {"TERM": "dumb"})
    assert "\x1b" not in screen
    assert "30 of 30 rows valid" in screen


def test_colours_can_be_forced_and_forbidden_and_a_log_is_no_terminal(extract: Extract) -> None:
    forced = extract(*RUN, "--offline", FORCE_COLOR="1", TERM="xterm")
    assert "\x1b[1;32m" in forced.stderr
    assert "\x1b[?25l" not in forced.stderr
    assert "\x1b" not in extract(*RUN, "--offline", FORCE_COLOR="1", NO_COLOR="1", TERM="xterm").stderr


def test_a_path_in_a_log_stays_in_one_piece(folder: Path, extract: Extract) -> None:
    deep = folder / ("long name " * 20)
    deep.mkdir()
    done = extract("run", "spam.py", "in.csv", "-o", str(deep / "out.parquet"), "--offline")
    assert str(deep / "out.parquet") in done.stderr


# --- words typed wrong, version, help


def test_a_word_typed_wrong_is_answered_with_the_right_one(extract: Extract) -> None:
    for arguments, meant in ((("rnu",), "'run'"), (("cache", "shwo"), "'show'"), ((*RUN, "--ofline"), "--offline")):
        done = extract(*arguments)
        assert done.returncode == 2
        assert meant in done.stderr
    assert "'steps', 'outputs'" in extract(*RUN, "--dialect", "step").stderr


def test_the_version_is_told_and_nothing_typed_is_answered_with_help(extract: Extract) -> None:
    assert re.fullmatch(r"extract \d+\.\d+\.\d+\n", extract("--version").stdout)
    done = extract()
    assert "extract init classify" in done.stdout + done.stderr


# --- completion


def completed(extract: Extract, typed: str, shell: str = "bash") -> list[str]:
    words = typed.split(" ")
    request = {
        "bash": {"COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": typed},
        "fish": {"_TYPER_COMPLETE_ARGS": typed, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    done = extract(_EXTRACT_COMPLETE=f"complete_{shell}", **request)
    return done.stdout.split()


def test_files_of_the_right_kind_are_completed(folder: Path, extract: Extract) -> None:
    (folder / "notes.txt").touch()
    (folder / "more").mkdir()
    (folder / "more" / "deep.py").touch()
    (folder / "more" / "deep.csv").touch()
    (folder / "evil\x1b[31m.py").touch()
    assert completed(extract, "extract run ") == ["more/", "spam.py"]
    assert completed(extract, "extract run more/") == ["more/deep.py"]
    assert completed(extract, "extract run spam.py ") == ["in.csv", "more/"]
    assert completed(extract, "extract run spam.py more/d") == ["more/deep.csv"]
    assert completed(extract, "extract schema s") == ["spam.py"]
    assert completed(extract, "extract run no/such/") == []


def test_options_and_their_values_are_completed(extract: Extract) -> None:
    assert completed(extract, "extract run --service-tier ") == ["standard", "flex", "priority"]
    assert completed(extract, "extract init d") == ["documents"]
    assert "--retry-rejected" in completed(extract, "extract run --re")
    assert {"run", "init", "report"} <= set(completed(extract, "extract "))


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_answered_in_their_own_form(extract: Extract, shell: str) -> None:
    assert "spam.py" in "\n".join(completed(extract, "extract run sp", shell))


# --- pipelines to start from

INPUTS = {"classify": "texts.csv", "moderate": "texts.csv", "documents": str(SAMPLES / "invoices")}


@pytest.mark.parametrize("kind", list(INPUTS))
def test_the_command_that_init_names_works_as_it_stands(folder: Path, extract: Extract, kind: str) -> None:
    done = extract("init", kind)
    (named,) = [line for line in done.stderr.splitlines() if line.startswith("try it: ")]
    tried = extract(*shlex.split(named.removeprefix("try it: extract ")))
    assert tried.returncode == 0
    assert "rows valid" in tried.stderr


def test_a_sample_never_replaces_what_is_there(folder: Path, extract: Extract) -> None:
    (folder / "messages.csv").write_text("text\nmine\n")
    done = extract("init", "classify")
    assert "messages.csv: a small sample" not in done.stderr
    assert "extract run classify.py messages.csv" in done.stderr
    assert (folder / "messages.csv").read_text() == "text\nmine\n"


@pytest.mark.parametrize("kind", list(INPUTS))
def test_a_pipeline_to_start_from_works_at_once(folder: Path, extract: Extract, kind: str) -> None:
    messages = pl.read_csv(SAMPLES / "support_messages.csv").rename({"body": "text"})
    messages.filter(pl.col("text").str.strip_chars() != "").write_csv(folder / "texts.csv")
    assert extract("init", kind).returncode == 0
    done = extract("run", f"{kind}.py", INPUTS[kind], "-o", "out.parquet", "--offline", "--json")
    assert done.returncode == 0
    summary = json.loads(done.stdout)
    assert summary["valid"] == summary["rows"] > 5
    assert extract("run", f"{kind}.py", INPUTS[kind], "--offline", "--limit", "2", "--show").returncode == 0


def test_a_file_that_is_there_is_replaced_only_by_force(folder: Path, extract: Extract) -> None:
    (folder / "classify.py").write_text("mine = 1\n")
    done = extract("init", "classify")
    assert (done.returncode, "--force" in done.stderr) == (2, True)
    assert (folder / "classify.py").read_text() == "mine = 1\n"
    assert extract("init", "classify", "--force").returncode == 0
    assert "Extractor(" in (folder / "classify.py").read_text()


def test_a_pipeline_is_written_where_and_as_one_says(folder: Path, extract: Extract) -> None:
    (folder / "pipelines").mkdir()
    assert extract("init", "moderate", "pipelines").returncode == 0
    assert (folder / "pipelines" / "moderate.py").is_file()
    done = extract("init", "documents", "bills.py")
    assert "extract run bills.py" in done.stderr
    assert "extract run bills.py" in (folder / "bills.py").read_text()


@pytest.mark.parametrize(("path", "message"), [("bills.txt", ".py"), ("no/such/bills.py", "cannot be written")])
def test_a_path_that_cannot_be_written_is_one_line_on_stderr(extract: Extract, path: str, message: str) -> None:
    done = extract("init", "documents", path)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
