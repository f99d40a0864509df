"""`extract.testing`, used as the authors of pipelines use it in their own suites."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import nullcontext
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from extract import Client, Extractor, run
from extract.testing import Emulator, Fault, Quotas, record_text, running_server, scripted

ROOT = Path(__file__).parents[2]
TICKETS = {
    "charged twice": {"topic": "billing", "urgent": False, "confidence": 0.9, "reason": "A double charge."},
    "parcel": {"topic": "delivery", "urgent": True, "confidence": 0.8, "reason": "A parcel is missing."},
    "scandal": Fault("blocked"),
}
MESSAGES = ["My parcel is missing, I leave tomorrow.", "I was charged twice.", "What a scandal!"]


@pytest.fixture(scope="module")
def pipeline() -> Extractor[Any]:
    """The extractor of a pipeline file, as `extract run` loads it."""
    spec = spec_from_file_location("classify", ROOT / "pipelines" / "classify.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["classify"] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["classify"]
    extractor: Extractor[Any] = module.extractor
    return extractor


def rows() -> list[dict[str, str]]:
    return [{"body": message} for message in MESSAGES]


def test_a_pipeline_with_scripted_answers(pipeline: Extractor[Any]) -> None:
    emulator = Emulator(answers=scripted(TICKETS))
    result = run(rows(), pipeline, client=Client("any", transport=emulator.transport))
    assert result.frame.select("topic", "urgent").rows() == [("delivery", True), ("billing", False), (None, None)]
    assert result.errors["code"].to_list() == ["blocked"]
    assert emulator.stats()["requests"] == 3
    assert {record_text(seen.body) for seen in emulator.requests} == set(MESSAGES)


def test_the_same_pipeline_through_a_socket(pipeline: Extractor[Any]) -> None:
    emulator = Emulator(answers=scripted(TICKETS), quotas=Quotas(rpm=6000))
    with running_server(emulator) as url, Client("any", base_url=url) as client:
        result = run(rows(), pipeline, client=client)
    assert result.frame["topic"].to_list() == ["delivery", "billing", None]
    assert emulator.stats()["by_status"] == {"200": 2, "400": 1}


def test_the_command_line_against_the_server(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows()[:2])))
    with running_server(Emulator(answers=scripted(TICKETS))) as url:
        command = [sys.executable, "-m", "extract", "run", str(ROOT / "pipelines" / "classify.py"), "in.jsonl"]
        options = ["-o", "out.jsonl", "--base-url", url, "--quiet"]
        done = subprocess.run(
            command + options, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    topics = [json.loads(line)["topic"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert topics == ["delivery", "billing"]


@pytest.mark.parametrize("socket", [False, True])
def test_a_record_without_a_scripted_answer_is_shown(socket: bool) -> None:
    emulator = Emulator(answers=scripted({"a": "yes"}))
    with running_server(emulator) if socket else nullcontext() as url:
        client = Client("any", base_url=url) if url else Client("any", transport=emulator.transport)
        result = run(["fish"], Extractor(["yes", "no"], "{text}"), client=client)
    assert "No scripted answer fits the record 'fish'; known: a." in result.errors["message"][0]
    assert emulator.stats()["requests"] == 1


def test_a_default_answers_all_others() -> None:
    emulator = Emulator(answers=scripted({"meat": {"value": "no"}}, default={"value": "yes"}))
    client = Client("any", transport=emulator.transport)
    assert run(["fish", "meat"], Extractor(["yes", "no"], "{text}"), client=client).frame["value"].to_list() == [
        "yes",
        "no",
    ]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("fish", "fish"),
        ([{"type": "user_input", "content": [{"type": "text", "text": "fish"}]}], "fish"),
        (
            [{"role": "user", "content": "old"}, {"role": "model", "content": "x"}, {"role": "user", "content": "new"}],
            "new",
        ),
        ([{"type": "image", "uri": "x"}, {"type": "text", "text": "fish"}], "fish"),
        (None, ""),
    ],
)
def test_the_text_of_a_record_in_every_form_of_an_input(given: Any, text: str) -> None:
    assert record_text({"input": given}) == text


WITHOUT = """
import sys
sys.modules["uvicorn"] = None
from extract import ConfigError
from extract.testing import Emulator, running_server
assert "starlette" not in sys.modules
try:
    with running_server(Emulator()):
        pass
except ConfigError as error:
    print(error)
"""


def test_without_the_extra_the_error_names_it(environment: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "uvicorn is needed: pip install 'extract-interactions[emulator]'", done.stderr
