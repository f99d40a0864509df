"""What comes from outside stays harmless: echoed keys, escapes of terminals, planted links, formulas, web pages."""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import polars as pl
import pytest
from commands import in_process
from scripted import reply, serving

from extract import (
    ApiError,
    AsyncClient,
    Client,
    ConfigError,
    Emulator,
    Extractor,
    OutputError,
    Request,
    Retry,
    Unreachable,
    run,
    write_report,
)
from extract.emulator import server
from extract.interactions.secrets import holds_secret, struck_out
from extract.io.sinks.open import open_sink
from extract.testing import running_server

KEY = "AIzaSy/D-fake_key-0123456789abcdefGHIJK"
TOPIC = Extractor(["praise", "complaint"], "{text}")
LONG = "why\n" * 100_000
HOSTILE = "\x1b[31m\x1b]0;title\x07\x9b2J\u202egnp.exe"


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(letter):04x}" for letter in text)


ESCAPINGS = {
    "plain": KEY,
    "slash": KEY.replace("/", "\\/"),
    "hyphen": KEY.replace("-", "\\u002d"),
    "upper": KEY.replace("-", "\\u002D").replace("/", "\\u002F"),
    "every letter": escaped(KEY),
    "twice": escaped(KEY).replace("\\", "\\\\"),
    "percent": quote(KEY, safe=""),
    "percent twice": quote(quote(KEY, safe=""), safe=""),
    "every letter in percent": "".join(f"%{ord(letter):02X}" for letter in KEY),
    "html": KEY.replace("-", "&#45;").replace("/", "&#x2F;"),
    "mixed": escaped(KEY[:9]) + quote(KEY[9:], safe="").replace("_", "\\u005f"),
}


@pytest.mark.parametrize("echo", ESCAPINGS.values(), ids=list(ESCAPINGS))
@pytest.mark.parametrize("where", ["error", "code", "answer", "status"])
def test_a_key_that_a_service_echoes_in_any_escaping_is_nowhere(tmp_path: Path, echo: str, where: str) -> None:
    bodies = {
        "error": (400, f'{{"error": {{"code": 400, "message": "bad key {echo}, sorry"}}}}'),
        "code": (400, f'{{"error": {{"code": "{echo}", "message": "no"}}}}'),
        "answer": (200, _interaction(f"nonsense {echo}", "completed")),
        "status": (200, _interaction("", "failed", f"refused for {echo}")),
    }
    status, body = bodies[where]
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=body.encode()))
    client = Client(KEY, transport=transport, retry=Retry(failures=1, first_wait=0.001, patience=0.001))
    output = tmp_path / "o.parquet"
    result = run(["a", "b"], TOPIC, client=client, output=output, cache=tmp_path / "o.parquet.cache")
    told = str(result.errors.to_dicts()) + repr(result.stopped)
    told += b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode("latin-1")
    assert not leaks(told)
    assert result.totals.rejected == 2


def _interaction(text: str, status: str, message: str = "") -> str:
    body = json.dumps(
        {
            "id": "i",
            "object": "interaction",
            "model": "m",
            "status": status,
            "steps": [{"type": "model_output", "content": [{"type": "text", "text": "TEXT"}]}] if text else [],
            **({"errors": [{"code": "internal", "message": "MESSAGE"}]} if message else {}),
        }
    )
    return body.replace("TEXT", text).replace("MESSAGE", message)


def leaks(text: str) -> bool:
    """Return whether a text holds the key in one of the forms, or as it would be decoded."""
    forms = [*ESCAPINGS.values(), *(form.replace("\\", "\\\\") for form in ESCAPINGS.values())]
    return any(form in text for form in forms)


@pytest.mark.parametrize("before", ["", "xxxxx"])
async def test_a_key_that_comes_back_in_a_header_is_in_no_message(before: str) -> None:
    packed = reply(b"{}", "200 OK", f"content-encoding: {before}{KEY}")
    async with (
        serving(lambda _: packed) as server,
        AsyncClient(KEY, base_url=server.url, retry=Retry(failures=1)) as client,
    ):
        with pytest.raises(Unreachable) as caught:
            await client.create(Request(model="m", input="hi"))
    assert KEY[:9].lower() not in str(caught.value).lower()


@pytest.mark.parametrize("name", ["x-goog-upload-status", "x-goog-upload-size-received"])
def test_a_key_that_comes_back_in_a_header_of_an_upload_is_in_no_message(name: str) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.headers.get("x-goog-upload-command") == "start":
            return httpx.Response(200, json={}, headers={"x-goog-upload-url": str(request.url.join("?upload_id=1"))})
        return httpx.Response(200, json={}, headers={"x-goog-upload-status": "active", name: KEY})

    client = Client(KEY, transport=httpx.MockTransport(handle), retry=Retry(failures=2, first_wait=0.001))
    with pytest.raises(ApiError) as caught:
        client.files.upload(b"%PDF-1.4", mime_type="application/pdf")
    assert KEY[:9].lower() not in f"{caught.value} {caught.value.reason}".lower()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"code": LONG, "message": LONG}}),
        (500, {"error": {"status": LONG, "message": LONG}}),
        (200, {"status": LONG, "steps": []}),
        (200, {"status": "failed", "steps": [], "errors": [{"code": LONG, "message": LONG}] * 9}),
    ],
    ids=["code", "status", "interaction", "failures"],
)
def test_what_a_service_calls_its_refusal_takes_one_line_in_a_row(status: int, body: dict[str, Any]) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        is_page = request.method == "GET"  # the model's: the service is there, so it is the row that fails
        return httpx.Response(200, json={}) if is_page else httpx.Response(status, json=body)

    client = Client("key", transport=httpx.MockTransport(handle), retry=Retry(failures=1))
    (message,) = run(["a"], TOPIC, client=client, errors="null").errors["message"].to_list()
    assert len(message) < 1_000
    assert "\n" not in message


def test_json_stays_json_and_other_words_stay() -> None:
    for echo in ESCAPINGS.values():
        body = struck_out(f'{{"a": "x {echo} y", "b": "\\u002d \\\\ %2D"}}'.encode(), KEY)
        assert json.loads(body) == {"a": "x [key] y", "b": "- \\ %2D"}
    assert struck_out(b"AIzaSy", KEY) == b"AIzaSy"


@pytest.mark.parametrize("echo", ESCAPINGS.values(), ids=list(ESCAPINGS))
def test_a_key_among_many_signs_is_found_too(echo: str) -> None:
    assert holds_secret(b"%" * 200_000 + echo.encode() + b"%2D" * 1_000, KEY)
    assert not holds_secret(b"%" * 200_000 + echo.encode()[:-1], KEY)


def test_a_short_key_of_a_local_service_takes_no_words_from_answers() -> None:
    client = Client("praise", transport=Emulator(answers=lambda _: '{"value": "praise"}').transport)
    assert run(["a"], TOPIC, client=client).frame["value"].to_list() == ["praise"]


def harmless(text: str) -> bool:
    return all(letter.isprintable() or letter == "\n" for letter in text)


def test_no_command_prints_an_escape_that_came_from_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    extract = in_process(monkeypatch, capfd)
    label = json.dumps(f"x{HOSTILE}")
    Path("pipeline.py").write_text(
        "from extract import Extractor\n"
        f"schema = {{'title': {label}, 'type': 'object', 'properties': {{{label}: {{'enum': [{label}, 'b'], "
        f"'description': {label}}}, 'c': {{'type': 'string', 'pattern': 'x'}}}}}}\n"
        "extractor = Extractor(schema, '{text}')\n"
    )
    pl.DataFrame({"text": [f"x{HOSTILE}", "b"]}).write_csv("in.csv")
    outputs = [extract("run", "pipeline.py", "in.csv", "-o", "o.parquet", "--offline", "--show")]
    with sqlite3.connect("o.parquet.cache") as database:
        database.execute("UPDATE attempts SET checksum = NULL, model = ?", (f"m[red]{HOSTILE}",))
    database.close()
    outputs += [
        extract("cache", "show", "o.parquet.cache"),
        extract("cache", "show", "o.parquet.cache", "--json"),
        extract("cache", "verify", "o.parquet.cache"),
        extract("schema", "pipeline.py"),
        extract("schema", "pipeline.py", "--json"),
        extract("estimate", "pipeline.py", "in.csv"),
        extract("estimate", "pipeline.py", "in.csv", "--json"),
        extract("eval", "pipeline.py", "o.parquet", "o.parquet", "--on", "text"),
        extract("eval", "pipeline.py", "o.parquet", "o.parquet", "--on", "text", "--confusion", f"x{HOSTILE}"),
        extract("report", "o.parquet", "-o", "r\x1b.html"),
        extract("run", f"{HOSTILE}.py", "in.csv", "-o", "o.parquet"),
    ]
    for output in outputs:
        assert harmless(output.stdout + output.stderr), output.args
    assert "m[red]\\x1b[31m" in outputs[1].stdout
    assert json.loads(outputs[5].stdout)["name"] == f"x{HOSTILE}"


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_planted_link_is_not_followed(tmp_path: Path, ending: str) -> None:
    victim = tmp_path / "victim"
    output = tmp_path / f"o.{ending}"
    for name in (output.name, f"{output.name}.{os.getpid()}.part", f"o.errors.parquet.{os.getpid()}.part"):
        victim.write_text("precious")
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / name).symlink_to(victim)
        emulator = Emulator(answers=lambda body: '{"value": "praise"}' if "good" in str(body) else "nonsense")
        with Client("key", transport=emulator.transport) as client:
            result = run(["good", "bad"], TOPIC, client=client, output=output, overwrite=True)
        assert (result.totals.valid, result.totals.rejected) == (1, 1)
        assert victim.read_text() == "precious"
        assert not output.is_symlink()


def test_a_cache_and_a_report_are_not_made_through_a_planted_link(tmp_path: Path) -> None:
    (tmp_path / "c").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError):
        run(["a"], TOPIC, offline=True, cache=tmp_path / "c")
    assert not (tmp_path / "elsewhere").exists()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f"r.html.{os.getpid()}.part").symlink_to(victim)
    write_report(run(["a"], TOPIC, offline=True), tmp_path / "r.html")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(
    ("name", "words"),
    [("a\0b", "zero"), ("caf\udce9", "no Unicode"), ("x" * 245, "too long"), ("é" * 120, "too long")],
    ids=["zero", "surrogate", "long", "long in bytes"],
)
def test_a_name_that_cannot_be_written_is_refused_before_anything_is_paid(
    tmp_path: Path, ending: str, name: str, words: str
) -> None:
    emulator = Emulator()
    with Client("key", transport=emulator.transport) as client, pytest.raises(ConfigError, match=words):
        run(["a"], TOPIC, client=client, output=tmp_path / f"{name}.{ending}")
    assert emulator.stats()["requests"] == 0
    longest = "x" * 215
    assert run(["a"], TOPIC, offline=True, output=tmp_path / f"{longest}.{ending}").totals.rows == 1


def test_a_folder_where_rejected_rows_go_is_refused_before_anything_is_paid(tmp_path: Path) -> None:
    (tmp_path / "o.errors.parquet").mkdir()
    with pytest.raises(ConfigError, match="rejected rows"):
        run(["a"], TOPIC, offline=True, output=tmp_path / "o.parquet")


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "'=1",
    "''=1",
    "\uff1d1",
    "'plain",
    "plain",
    "",
    None,
]


def test_formulas_are_texts_in_a_safe_csv_and_come_back_as_they_were(tmp_path: Path) -> None:
    rows = pl.DataFrame({"text": FORMULAS, "=name": range(len(FORMULAS))})
    extractor = Extractor(["praise", "-1"], "row {=name} {text}")
    emulator = Emulator(answers=lambda _: '{"value": "-1"}')
    with Client("key", transport=emulator.transport) as client:
        result = run(rows, extractor, client=client, output=tmp_path / "o.csv", csv_safe=True)
        plain = run(rows, extractor, client=client, output=tmp_path / "p.csv")
    cells = pl.read_csv(tmp_path / "o.csv", infer_schema=False)
    begins = [value[:1] for column in cells.get_columns() for value in [column.name, *column.drop_nulls()]]
    assert not set(begins) & set("=+-@\t\r\n\uff1d")
    assert result.frame.equals(plain.frame)
    assert result.frame["text"].to_list()[:-2] == FORMULAS[:-2]
    assert cells["'=name"].to_list() == [str(number) for number in range(len(FORMULAS))]


def test_safe_cells_are_an_option_of_csv_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for output in ("o.parquet", "o.jsonl"):
        with pytest.raises(ConfigError, match="csv"):
            open_sink(tmp_path / output, csv_safe=True)
    with pytest.raises(ConfigError, match="csv"):
        run(["a"], TOPIC, offline=True, csv_safe=True)
    monkeypatch.chdir(tmp_path)
    Path("pipeline.py").write_text('from extract import Extractor\nextractor = Extractor(["a", "b"], "{text}")\n')
    Path("in.csv").write_text("text\n\"=cmd|' /C calc'!A0\"\n")
    extract = in_process(monkeypatch, capfd)
    assert extract("run", "pipeline.py", "in.csv", "-o", "o.csv", "--offline", "--csv-safe").returncode == 0
    assert Path("o.csv").read_text().splitlines()[1].startswith("'=cmd")


def posted(url: str, headers: dict[str, str], body: bytes = b"503=1", path: str = "/faults") -> int:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    connection.putrequest("POST", path, skip_host="Host" in headers)
    for name, value in ({"Content-Length": str(len(body))} | headers).items():
        connection.putheader(name, value)
    connection.endheaders()
    with suppress(OSError):  # refused by its length alone
        connection.send(body)
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_emulator_takes_no_posts_from_web_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_BODY_BYTES", 1_000)
    emulator = Emulator()
    with running_server(emulator) as url:
        for path in ("/faults", "/quota", "/v1beta/interactions"):
            for headers in (
                {"Origin": "https://evil.example"},
                {"Origin": "null"},
                {"Origin": "http://localhost:1"},
                {"Host": "evil.example"},
                {"Host": f"evil.example:{urlsplit(url).port}"},
            ):
                assert posted(url, headers, path=path) == 403
            assert posted(url, {"Content-Length": "1000000"}, b"x", path=path) == 413
            chunked = b"400\r\n" + b"x" * 0x400 + b"\r\n0\r\n\r\n"
            assert _chunked(url, chunked, path) == 413
        assert not emulator.faults
        assert emulator.stats()["requests"] == 0
        for headers in ({}, {"Origin": url}, {"Host": "localhost"}, {"Host": "[::1]:80"}, {"Host": "emulator:8787"}):
            assert posted(url, headers) == 200
        for host in ("host.docker.internal:8787", "emulator.default.svc.cluster.local", "machine.local:80"):
            assert posted(url, {"Host": host}) == 200
        for host in ("evil.localhost.example", "local.example:80", "xinternal.evil"):
            assert posted(url, {"Host": host}) == 403
        for headers in ({}, {"Host": "app.localhost"}):
            assert posted(url, headers) == 200


def _chunked(url: str, body: bytes, path: str) -> int:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    connection.putrequest("POST", path)
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    connection.send(body)
    status = connection.getresponse().status
    connection.close()
    return status
