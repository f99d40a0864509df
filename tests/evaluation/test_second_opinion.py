"""The second opinion of the Decisions API: counted honestly, sent once per row, and judged against gold."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any, Literal

import httpx
import polars as pl
import pytest
from pydantic import BaseModel, Field
from typer.testing import CliRunner

from extract import Client, ConfigError, Denied, Emulator, Extractor, Retry, check_labels
from extract.cli.app import app
from extract.testing import running_server


class Ticket(BaseModel):
    topic: Literal["billing", "delivery"] | None = Field(alias="kind", description="What it is about.")
    urgent: bool
    note: str = ""


EXTRACTOR = Extractor(Ticket, "Sort: {body}", system="You sort tickets.")
FRAME = pl.DataFrame(
    {
        "body": ["refund my invoice", "where is my parcel", "hello", "BLOCK"],
        "topic": pl.Series(["billing", "billing", None, "delivery"], dtype=pl.Enum(["billing", "delivery"])),
        "urgent": [True, False, False, None],
    }
)


def opinion(body: dict[str, Any]) -> dict[str, Any]:
    """Say delivery for parcels and billing for all else, surely; nothing is urgent."""
    text = body["input"] if isinstance(body["input"], str) else body["input"][0]["text"]
    if "BLOCK" in text:
        return {"prompt_feedback": {"block_reason": "safety"}}
    topic = "delivery" if "parcel" in text else "billing"
    shares = {"billing": 0.1, "delivery": 0.9} if topic == "delivery" else {"billing": 0.7, "delivery": 0.3}
    known = {
        "topic": {"type": "choice", "choice": topic, "probabilities": shares, "confidence": shares[topic]},
        "urgent": {"type": "noul", "noul": 0.25, "confidence": 0.75},
    }
    return {"answers": {name: known[name] for name in body["questions"]}, "usage": {"total_input_tokens": 10}}


def client_of(emulator: Emulator) -> Client:
    return Client("key", transport=emulator.transport, retry=Retry(failures=1))


def test_agreement_is_counted_over_rows_that_both_have_answered() -> None:
    with client_of(Emulator(decisions=opinion)) as client:
        check = check_labels(FRAME, EXTRACTOR, client=client)
    topic, urgent = check["topic"], check["urgent"]
    assert (topic.rows, topic.agree, topic.null, topic.failed) == (2, 1, 1, 1)
    assert (topic.confidence_agree, topic.confidence_differ) == (0.7, 0.9)
    assert (urgent.rows, urgent.agree, urgent.null, urgent.failed) == (3, 2, 1, 0)
    assert (check.requests, check.usage.input_tokens) == (4, 30)
    assert check.frame.filter(pl.col("field") == "topic").rows() == [
        (0, "topic", "billing", "billing", 0.7, 0.7, True, None),
        (1, "topic", "billing", "delivery", 0.9, 0.1, False, None),
        (2, "topic", None, None, None, None, None, None),
        (3, "topic", "delivery", None, None, None, None, "blocked"),
    ]
    assert check.frame.filter(pl.col("field") == "urgent")["extracted_probability"].to_list() == [
        0.25,
        0.75,
        0.75,
        None,
    ]


def test_each_row_is_one_request_with_the_words_of_the_schema_and_no_more_than_was_asked() -> None:
    bodies: list[dict[str, Any]] = []

    def keep(body: dict[str, Any]) -> dict[str, Any]:
        bodies.append(body)
        return opinion(body)

    with client_of(Emulator(decisions=keep)) as client:
        check_labels(FRAME.head(1), EXTRACTOR, client=client, fields=["topic"])
    (body,) = bodies
    assert list(body["questions"]) == ["topic"]
    question = body["questions"]["topic"]
    assert question["instructions"] == "You sort tickets.\n\ntopic: What it is about."
    assert list(question["criteria"]) == ["billing", "delivery"]
    assert "Sort: refund my invoice" in json.dumps(body["input"])
    assert "store" not in body


def test_rows_keep_their_order_however_many_are_asked_at_once() -> None:
    frame = pl.concat([FRAME.head(2)] * 300)
    with client_of(Emulator(decisions=opinion)) as client:
        check = check_labels(frame, EXTRACTOR, client=client, fields=["topic"], concurrency=8)
    assert check.frame["row"].to_list() == list(range(600))
    assert check.frame["agrees"].to_list() == [True, False] * 300


def test_a_prefix_is_that_of_the_run() -> None:
    frame = FRAME.rename({"topic": "got.topic", "urgent": "got.urgent"})
    with client_of(Emulator(decisions=opinion)) as client:
        assert check_labels(frame, EXTRACTOR, client=client, prefix="got.")["topic"].agree == 1
        with pytest.raises(ConfigError, match="no column 'topic' to check"):
            check_labels(frame, EXTRACTOR, client=client)


def test_what_cannot_be_checked_is_refused_before_anything_is_sent() -> None:
    emulator = Emulator(decisions=opinion)
    with client_of(emulator) as client:
        with pytest.raises(ConfigError, match=r"cannot check \['note'\]: .* are \['topic', 'urgent'\]"):
            check_labels(FRAME, EXTRACTOR, client=client, fields=["note"])
        with pytest.raises(ConfigError, match="no label or boolean field"):
            check_labels(FRAME, Extractor(str, "{body}"), client=client)
        with pytest.raises(ConfigError, match="text"):
            check_labels(FRAME, Extractor(Ticket, "{text}"), client=client)
    assert emulator.stats()["other_requests"] == 0


def test_a_refused_key_ends_the_check() -> None:
    with client_of(Emulator(faults="401=1")) as client, pytest.raises(Denied):
        check_labels(FRAME, EXTRACTOR, client=client)


class Withdrawn(httpx.BaseTransport):
    """A service that lets the first requests pass, and then knows the key no more."""

    def __init__(self, emulator: Emulator, after: int) -> None:
        self.inner: Any = emulator.transport
        self.left = after

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.left -= 1
        if self.left < 0:
            return httpx.Response(401, json={"error": {"message": "withdrawn"}})
        response: httpx.Response = self.inner.handle_request(request)
        return response


def test_a_key_that_is_withdrawn_on_the_way_loses_no_answer() -> None:
    frame = pl.concat([FRAME.head(2)] * 300)
    with Client("key", transport=Withdrawn(Emulator(decisions=opinion), 300), retry=Retry(failures=1)) as client:
        check = check_labels(frame, EXTRACTOR, client=client, fields=["topic"], concurrency=1)
    assert (check["topic"].rows, check["topic"].agree, check["topic"].failed) == (300, 150, 300)
    assert check.frame["code"].to_list() == [None] * 300 + ["denied"] + ["not_run"] * 299
    assert check.requests == 301
    assert "stopped before the last row: " in str(check)
    assert "withdrawn" in str(check.to_dict()["stopped"])


def test_ctrl_c_keeps_what_was_answered_before() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    seen: list[int] = []

    def interrupt(body: dict[str, Any]) -> dict[str, Any]:
        seen.append(1)
        if len(seen) == 20:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)
        return opinion(body)

    try:
        with client_of(Emulator(decisions=interrupt)) as client:
            frame = pl.concat([FRAME.head(2)] * 300)
            check = check_labels(frame, EXTRACTOR, client=client, fields=["topic"], concurrency=1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert check.stopped == "interrupted"
    assert check["topic"].rows == len(seen) < 100
    assert check["topic"].rows + check["topic"].failed == 600


def test_the_tables_show_shares_with_their_interval() -> None:
    with client_of(Emulator(decisions=opinion)) as client:
        check = check_labels(FRAME, EXTRACTOR, client=client)
    assert str(check).splitlines()[2].split() == ["topic", "2", "1", "1", "50.0%", "(9.5-90.5)", "0.700", "0.900"]
    assert "price unknown" in str(check)
    assert check._repr_html_().startswith("<table>")
    assert json.loads(json.dumps(check.to_dict()))["fields"][0]["agreement"] == 0.5


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEMINI_API_KEY", "key")
    return tmp_path


def pipeline(prompt: str) -> None:
    Path("p.py").write_text(
        "from typing import Literal\nfrom pydantic import BaseModel\nfrom extract import Extractor\n"
        'class T(BaseModel):\n    topic: Literal["billing", "delivery"]\n    urgent: bool\n'
        f'extractor = Extractor(T, "{prompt}")\n'
    )


@pytest.mark.usefixtures("folder")
def test_the_command_tells_whether_agreement_goes_with_being_right() -> None:
    pipeline("{body}")
    FRAME.head(2).select(pl.Series("id", [1, 2]), "body", "topic", urgent=True).write_parquet("out.parquet")
    pl.DataFrame({"id": [1, 2], "topic": ["billing", "delivery"]}).write_csv("gold.csv")
    with running_server(Emulator(decisions=opinion)) as url:
        words = ["eval", "p.py", "out.parquet", "gold.csv", "--on", "id", "--decide", "topic", "--base-url", url]
        done = CliRunner().invoke(app, words)
        printed = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert done.stdout.splitlines()[-1].split() == ["topic", "100.0%", "of", "1", "0.0%", "of", "1"]
    assert printed["decisions"]["right"]["topic"] == {
        "agree": {"rows": 1, "right": 1.0},
        "differ": {"rows": 1, "right": 0.0},
    }
    offline = CliRunner().invoke(
        app, ["eval", "p.py", "out.parquet", "--on", "id", "--decide", "topic,urgent", "--offline"]
    )
    assert "made up" in offline.stdout
    assert "urgent" in offline.stdout


@pytest.mark.usefixtures("folder")
def test_the_second_opinion_reads_the_input_also_where_an_answer_has_its_name() -> None:
    pipeline("{topic}")
    rows = pl.DataFrame({"id": [1, 2], "topic": ["my parcel", "my bill"], "x_topic": ["billing", "delivery"]})
    rows.write_csv("out.csv")
    pl.DataFrame({"id": [1, 2], "topic": ["delivery", "billing"]}).write_csv("gold.csv")
    words = ["eval", "p.py", "out.csv", "gold.csv", "--on", "id", "--prefix", "x_", "--decide", "topic", "--json"]
    with running_server(Emulator(decisions=opinion)) as url:
        printed = json.loads(CliRunner().invoke(app, [*words, "--base-url", url]).stdout)
    assert printed["fields"][0]["exact"] == 0
    assert printed["decisions"]["right"]["topic"]["differ"] == {"rows": 2, "right": 0.0}
