"""The command line as a person types it: exit status, stdout for data, stderr for people."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from clocks import wait_for
from commands import Extract, in_process

from extract import Client, Emulator, QuotaExhausted, Request
from extract.testing import running_server

PIPELINE = """
from typing import Literal
from pydantic import BaseModel
from extract import Extractor

class Label(BaseModel):
    label: Literal["spam", "ham"]
    score: int

extractor = Extractor(Label, "{body}")
"""
GOOD = '{"label": "ham", "score": 3}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "spam.py").write_text(PIPELINE)
    pl.DataFrame({"id": range(30), "body": [f"text {n}" for n in range(30)]}).write_csv(tmp_path / "in.csv")
    return tmp_path


@pytest.fixture
def extract(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Extract:
    monkeypatch.chdir(folder)
    return in_process(monkeypatch, capfd)


def test_the_command_and_the_module_are_the_same(folder: Path, environment: dict[str, str]) -> None:
    for command in ([str(Path(sys.executable).with_name("extract"))], [sys.executable, "-m", "extract"]):
        arguments = [*command, "run", "missing.py", "in.csv", "-o", "out.parquet", "--offline"]
        done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (2, "error: there is no pipeline 'missing.py'\n")


@pytest.fixture
def emulator() -> Emulator:
    return Emulator(answers=lambda _: GOOD)


@pytest.fixture
def url(emulator: Emulator) -> Iterator[str]:
    with running_server(emulator) as url:
        yield url


def test_a_run_writes_a_typed_table_and_says_how_it_went(folder: Path, extract: Extract) -> None:
    done = extract("run", "spam.py", "in.csv", "-o", "out.parquet", "--offline")
    assert (done.returncode, done.stdout) == (0, "")
    assert "30 of 30 rows valid" in done.stderr
    assert "wrote     out.parquet" in done.stderr
    frame = pl.read_parquet(folder / "out.parquet")
    assert frame.columns == ["id", "body", "label", "score"]
    assert frame["id"].to_list() == list(range(30))
    assert frame["label"].dtype == pl.Enum(["spam", "ham"])
    assert json.loads(pl.read_parquet_metadata(folder / "out.parquet")["extract"])["pipeline"] == "spam"


def test_json_is_one_object_on_stdout_and_nothing_on_stderr(extract: Extract, url: str) -> None:
    done = extract("run", "spam.py", "in.csv", "-o", "out.parquet", "--base-url", url, "--json")
    assert done.stderr == ""
    summary = json.loads(done.stdout)
    assert (summary["rows"], summary["valid"], summary["requests"], summary["errors"]) == (30, 30, 30, {})
    assert summary["output"] == "out.parquet"
    assert summary["cost_usd"] > 0


def test_quiet_says_nothing(extract: Extract) -> None:
    done = extract("run", "spam.py", "in.csv", "-o", "out.parquet", "--offline", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_same_command_again_asks_nothing(extract: Extract, emulator: Emulator, url: str) -> None:
    for _ in range(2):
        done = extract("run", "spam.py", "in.csv", "-o", "out.parquet", "--base-url", url)
        assert done.returncode == 0
    assert "30 from the cache" in done.stderr
    assert len(emulator.requests) == 30


def test_rejected_rows_go_to_a_file_beside_the_output(folder: Path, extract: Extract) -> None:
    with running_server(Emulator(answers=lambda body: "{}" if "text 7" in json.dumps(body["input"]) else GOOD)) as url:
        done = extract("run", "spam.py", "in.csv", "-o", "out.parquet", "--base-url", url, "--id", "id")
    assert done.returncode == 3
    assert "1 rejected (1 invalid_answer)" in done.stderr
    assert pl.read_parquet(folder / "out.parquet").height == 29
    errors = pl.read_parquet(folder / "out.errors.parquet")
    assert errors.select("row_id", "code", "path").row(0) == (7, "invalid_answer", "$.label")


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_other_endings_choose_other_formats(folder: Path, extract: Extract, ending: str) -> None:
    assert extract("run", "spam.py", "in.csv", "-o", f"out.{ending}", "--offline").returncode == 0
    read = pl.read_csv if ending == "csv" else pl.read_ndjson
    assert read(folder / f"out.{ending}").height == 30


def test_a_pipeline_may_be_a_name_in_a_module(extract: Extract) -> None:
    assert extract("run", "spam:extractor", "in.csv", "-o", "out.parquet", "--offline").returncode == 0


RUN = ("run", "spam.py", "in.csv", "-o", "out.parquet")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("run", "spam.py", "missing.csv", "-o", "out.parquet", "--offline"), 2, "missing.csv"),
        (("run", "spam.py", "in.docm", "-o", "out.parquet", "--offline"), 2, "in.docm"),
        (("run", "spam.py", "empty.csv", "-o", "out.parquet", "--offline"), 2, "empty"),
        (("run", "spam.py", "broken.csv", "-o", "out.parquet", "--offline"), 2, "line 3 has 3 fields"),
        (("run", "spam.py", "other.csv", "-o", "out.parquet", "--offline"), 2, "'body'"),
        (("run", "missing.py", "in.csv", "-o", "out.parquet", "--offline"), 2, "missing.py"),
        (("run", "broken.py", "in.csv", "-o", "out.parquet", "--offline"), 2, "line 2: NameError"),
        (("run", "syntax.py", "in.csv", "-o", "out.parquet", "--offline"), 2, "line 1: SyntaxError"),
        (("run", "schema.py", "in.csv", "-o", "out.parquet", "--offline"), 2, "$"),
        (("run", "nothing.py", "in.csv", "-o", "out.parquet", "--offline"), 2, "extractor"),
        (("run", "spam", "in.csv", "-o", "out.parquet", "--offline"), 2, "module:name"),
        (("run", "spam.py", "in.csv", "-o", "out.pdf", "--offline"), 2, ".parquet"),
        (("run", "spam.py", "in.csv", "-o", "no/out.parquet", "--offline"), 2, "no folder"),
        ((*RUN,), 2, "--offline"),
        ((*RUN, "--offline", "--id", "nope"), 2, "nope"),
        ((*RUN, "--offline", "--deadline", "soon"), 2, "90s"),
        ((*RUN, "--offline", "--request-timeout", "soon"), 2, "--request-timeout 'soon' is not a duration"),
        ((*RUN, "--offline", "--max-answer-bytes", "10"), 1, "--max-answer-bytes allows more"),
        ((*RUN, "--offline", "--no-such-flag"), 2, "no-such-flag"),
        ((*RUN, "--offline", "--budget", "much"), 2, "budget"),
        ((*RUN, "--base-url", "http://example.com"), 2, "https"),
        ((*RUN, "--base-url", "http://127.0.0.1:9", "--deadline", "0.2s", "--stop-after-failures", "0"), 3, "timeout"),
        ((*RUN, "--offline", "--model", "no-such-model"), 1, "--model"),
    ],
)
def test_bad_input_is_one_or_two_lines_and_the_right_status(
    folder: Path, extract: Extract, arguments: tuple[str, ...], status: int, message: str
) -> None:
    (folder / "in.docm").write_bytes(b"\x00\x01")
    (folder / "empty.csv").touch()
    (folder / "broken.csv").write_text("id,body\n1,a\n2,b,c\n")
    (folder / "other.csv").write_text("id,text\n1,a\n")
    (folder / "broken.py").write_text("x = 1\nnonsense\n")
    (folder / "syntax.py").write_text("def\n")
    (folder / "schema.py").write_text(
        "from extract import Extractor\nextractor = Extractor({'$ref': 'https://example.com/x.json'}, '{body}')\n"
    )
    (folder / "nothing.py").touch()
    done = extract(*arguments, GEMINI_API_KEY="secret-key" if "http://example.com" in arguments else "")
    assert done.returncode == status, done.stderr
    assert message in done.stderr
    assert "secret-key" not in done.stderr + done.stdout
    assert not (folder / "out.parquet").exists() or status == 3


def test_a_bad_key_stops_at_once(extract: Extract) -> None:
    with running_server(Emulator(api_key="right", answers=lambda _: GOOD)) as url:
        done = extract(*RUN, "--base-url", url, GEMINI_API_KEY="wrong-secret")
    assert done.returncode == 1
    assert "GEMINI_API_KEY" in done.stderr
    assert "wrong-secret" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_answer_cut_at_half_is_retried_and_one_that_stays_cut_is_a_row(folder: Path, extract: Extract) -> None:
    with running_server(Emulator(answers=lambda _: GOOD, faults="cut=0.1,malformed=0.02", seed=4)) as url:
        done = extract(*RUN, "--base-url", url)
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(folder / "out.parquet").height == 30


def test_a_foreign_output_stays_without_overwrite(folder: Path, extract: Extract) -> None:
    pl.DataFrame({"mine": [1]}).write_parquet(folder / "out.parquet")
    done = extract(*RUN, "--offline")
    assert done.returncode == 2
    assert "--overwrite" in done.stderr
    assert pl.read_parquet(folder / "out.parquet").columns == ["mine"]
    assert extract(*RUN, "--offline", "--overwrite").returncode == 0


def test_a_limit_over_a_whole_output_needs_overwrite(folder: Path, extract: Extract, emulator: Emulator) -> None:
    with running_server(emulator) as url:
        command = (*RUN, "--base-url", url)
        assert extract(*command).returncode == 0
        asked = emulator.stats()["requests"]
        done = extract(*command, "--limit", "5")
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith("error: out.parquet covers 30 rows, and this run only 5")
        assert "--overwrite" in done.stderr
        assert pl.read_parquet(folder / "out.parquet").height == 30
        assert extract(*command, "--limit", "5", "--overwrite").returncode == 0
        assert extract(*command, "--limit", "5").returncode == 0
    assert emulator.stats()["requests"] == asked
    assert pl.read_parquet(folder / "out.parquet").height == 5


@pytest.mark.parametrize("what", ["out.parquet", "out.errors.parquet"])
def test_a_full_disk_stops_the_run_and_keeps_what_was_paid(folder: Path, extract: Extract, what: str) -> None:
    emulator = Emulator(answers=lambda body: "{}" if "text 7" in json.dumps(body["input"]) else GOOD)
    with running_server(emulator) as url:
        full = folder / f"{what}.{os.getpid()}.part"
        full.symlink_to("/dev/full")
        done = extract(*RUN, "--base-url", url)
        assert done.returncode == 1
        assert "cannot be written" in done.stderr
        requests = len(emulator.requests)
        full.unlink(missing_ok=True)
        assert extract(*RUN, "--base-url", url).returncode == 3
        assert len(emulator.requests) == requests


@pytest.mark.parametrize(("number", "times"), [(signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGINT, 2)])
def test_an_interrupt_keeps_what_was_paid(
    folder: Path, extract: Extract, environment: dict[str, str], number: int, times: int
) -> None:
    pl.DataFrame({"id": range(600), "body": [f"text {n}" for n in range(600)]}).write_csv(folder / "in.csv")
    emulator = Emulator(answers=lambda _: GOOD, latency=0.05)
    with running_server(emulator) as url:
        arguments = [sys.executable, "-m", "extract", *RUN, "--base-url", url, "--concurrency", "8"]
        process = subprocess.Popen(arguments, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: len(emulator.requests) >= 60)
        for _ in range(times):
            os.kill(process.pid, number)
            time.sleep(0.01)
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == 130, stderr
        assert "run the same command again" in stderr
        assert not (folder / "out.parquet").exists()
        partial = pl.read_parquet(folder / "out.partial.parquet")
        paid = len(emulator.requests)
        assert 60 - 8 * (times - 1) <= partial.height <= paid < 600
        assert extract(*RUN, "--base-url", url).returncode == 0
        repeated = len(emulator.requests) - 600
        assert repeated <= (0 if times == 1 else 8)
    assert pl.read_parquet(folder / "out.parquet").height == 600
    assert not (folder / "out.partial.parquet").exists()


def test_a_killed_run_is_taken_up_where_it_stopped(folder: Path, extract: Extract, environment: dict[str, str]) -> None:
    pl.DataFrame({"id": range(400), "body": [f"text {n}" for n in range(400)]}).write_csv(folder / "in.csv")
    emulator = Emulator(
        answers=lambda body: json.dumps({"label": "ham", "score": len(json.dumps(body["input"]))}), latency=0.02
    )
    with running_server(emulator) as url:
        arguments = [sys.executable, "-m", "extract", *RUN, "--base-url", url, "--concurrency", "16"]
        process = subprocess.Popen(arguments, cwd=folder, env=environment, stderr=subprocess.DEVNULL)
        wait_for(lambda: len(emulator.requests) >= 130)
        process.kill()
        process.wait()
        assert extract(*RUN, "--base-url", url).returncode == 0
        assert len(emulator.requests) <= 400 + 16
        assert extract("run", "spam.py", "in.csv", "-o", "whole.parquet", "--base-url", url).returncode == 0
    assert pl.read_parquet(folder / "out.parquet").equals(pl.read_parquet(folder / "whole.parquet"))


def test_estimate_sends_nothing_and_names_the_price(extract: Extract) -> None:
    done = extract("estimate", "spam.py", "in.csv", "--json")
    estimate = json.loads(done.stdout)
    assert (estimate["rows"], estimate["requests"], estimate["sampled_rows"]) == (30, 30, 30)
    assert 0 < estimate["cost_usd"]["flex"] < estimate["cost_usd"]["standard"]
    unknown = json.loads(extract("estimate", "spam.py", "in.csv", "--model", "gemini-unpriced", "--json").stdout)
    assert unknown["cost_usd"] == {"standard": None, "flex": None}
    assert "30 rows" in extract("estimate", "spam.py", "in.csv").stdout


def test_the_estimate_is_near_what_a_run_then_takes(extract: Extract, url: str) -> None:
    estimated = json.loads(extract("estimate", "spam.py", "in.csv", "--json").stdout)
    run = json.loads(extract(*RUN, "--base-url", url, "--json").stdout)
    assert 0.5 < estimated["input_tokens"] / run["input_tokens"] < 2


def test_schema_shows_all_three_forms(extract: Extract) -> None:
    shown = json.loads(extract("schema", "spam.py", "--json").stdout)
    assert shown["columns"] == {"label": "Enum(categories=['spam', 'ham'])", "score": "Int64"}
    assert shown["wire"]["required"] == ["label", "score"]
    text = extract("schema", "spam.py").stdout
    assert "sent to the service" in text
    assert "Int64" in text


OPEN_PIPELINE = """
from extract import Extractor

address = {"type": "object", "properties": {"town": {"type": "string"}}}
contact = {"type": "object", "properties": {"name": {"type": "string"}, "address": address}}
extractor = Extractor(contact, "{body}")
"""


def test_members_that_no_column_holds_are_shown_before_a_run_and_counted_after_it(
    folder: Path, extract: Extract
) -> None:
    (folder / "open.py").write_text(OPEN_PIPELINE)
    text = extract("schema", "open.py").stdout
    assert "in no column: other members of $, $.address." in " ".join(text.split())
    assert "additionalProperties" not in text.split("Allowed without a name")[0]
    losses = json.loads(extract("schema", "open.py", "--json").stdout)["losses"]
    assert losses == [{"path": path, "keyword": "additionalProperties", "value": None} for path in ("$", "$.address")]
    answer = '{"name": "Ada", "address": {"town": "Ulm", "street": "Lange Str."}}'
    with running_server(Emulator(answers=lambda _: answer)) as url:
        done = extract("run", "open.py", "in.csv", "-o", "out.parquet", "--base-url", url)
        assert "30 answers have members that the schema does not name" in " ".join(done.stderr.split())
        kept = folder / "kept.py"
        kept.write_text(OPEN_PIPELINE.replace('"{body}")', '"{body}", extra="keep")'))
        done = extract("run", "kept.py", "in.csv", "-o", "kept.parquet", "--base-url", url)
    assert "does not name" not in done.stderr
    assert pl.read_parquet(folder / "kept.parquet")["address"][0] == {
        "town": "Ulm",
        "_extra": '{"street":"Lange Str."}',
    }
    assert "in no column" not in extract("schema", "kept.py").stdout


def test_eval_scores_an_output_against_gold(folder: Path, extract: Extract) -> None:
    pl.DataFrame({"id": [1, 2], "label": ["spam", "ham"], "score": [1, 2]}).write_parquet(folder / "out.parquet")
    pl.DataFrame({"id": [1, 2], "label": ["spam", "spam"], "score": [1, 2]}).write_csv(folder / "gold.csv")
    done = extract("eval", "spam.py", "out.parquet", "gold.csv", "--on", "id", "--json")
    scores: dict[str, Any] = {score["field"]: score for score in json.loads(done.stdout)["fields"]}
    assert scores["label"]["exact"] == 0.5
    assert scores["score"]["exact"] == 1.0
    assert "label" in extract("eval", "spam.py", "out.parquet", "gold.csv", "--on", "id").stdout
    assert extract("eval", "spam.py", "out.parquet", "gold.csv", "--on", "nope").returncode == 2


def test_emulate_serves_on_a_port_and_lists_its_faults(
    folder: Path, extract: Extract, environment: dict[str, str]
) -> None:
    assert "mixed" in extract("emulate", "--faults", "list").stdout
    wrong = extract("emulate", "--faults", "nonsense=1")
    assert (wrong.returncode, "nonsense" in wrong.stderr) == (2, True)
    arguments = [sys.executable, "-m", "extract", "emulate", "--port", "0"]
    with subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert extract(*RUN, "--base-url", url).returncode == 0
        process.send_signal(signal.SIGINT)
        process.wait(timeout=10)
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_the_emulator_keeps_the_quotas_and_the_pace_it_is_given(environment: dict[str, str]) -> None:
    arguments = [sys.executable, "-m", "extract", "emulate", "--port", "0", "--rpd", "2", "--background-seconds", "0.3"]
    job = Request(agent="deep-research-preview-04-2026", input="Tea.", background=True, store=True)
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with Client("key", base_url=process.stdout.readline().strip()) as client:
            started = client.create(job)
            assert started.status == "in_progress"
            assert client.wait(started, deadline=10, poll=0.1).status == "completed"
            client.create(Request(model="gemini-3.8-flash", input="Hello."))
            with pytest.raises(QuotaExhausted):
                client.create(Request(model="gemini-3.8-flash", input="Hello again."))
        process.send_signal(signal.SIGINT)
        process.wait(timeout=10)


def test_a_schema_that_may_be_refused_is_warned_of_before_anything_is_sent(folder: Path, extract: Extract) -> None:
    labels = [f"label number {number} of a long list" for number in range(300)]
    (folder / "many.py").write_text(f"from extract import Extractor\nextractor = Extractor({labels!r}, '{{body}}')\n")
    done = extract("run", "many.py", "in.csv", "-o", "out.parquet", "--offline")
    assert done.returncode == 0
    assert done.stderr.startswith("warning: ")
    assert "warning: " in extract("estimate", "many.py", "in.csv").stderr
    assert json.loads(extract("schema", "many.py", "--json").stdout)["complexity"]["warnings"]
    assert "Enum of 300" in extract("schema", "many.py").stdout
