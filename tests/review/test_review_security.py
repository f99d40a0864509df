"""Who may ask the review page's server, and what hostile requests, records, schemas and paths come to."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from asking import Asking
from decisions import new_file
from hostile import PAYLOADS

from extract import ConfigError, Extractor, open_review, run
from extract.review.security import MAX_BODY_BYTES, checked_hosts


@cache
def output() -> bytes:
    """Return the output of a run over four rows."""
    frame = pl.DataFrame({"id": [f"row {i}" for i in range(4)], "text": ["It works", "It broke", "fine", "bad"]})
    with TemporaryDirectory() as folder:
        path = Path(folder) / "out.parquet"
        run(frame, Extractor(["good", "bad"], "{text}"), offline=True, output=path, row_id="id")
        return path.read_bytes()


def served(folder: Path, **options: Any) -> Asking:
    (folder / "out.parquet").write_bytes(output())
    return Asking(open_review(folder / "out.parquet", person="ann", **options))


@pytest.fixture(scope="module")
def page() -> Iterator[Asking]:
    """One server for all tests that store nothing."""
    with TemporaryDirectory() as folder, served(Path(folder), allow_hosts=["box.example"]) as asking:
        yield asking


DATA = ("/api/task", "/api/rows/1", "/api/progress", "/api/next", "/api/tasks", "/api/rows/1/media")


@pytest.mark.parametrize(
    "token", [None, "", "x", "{token}x", "{half}", "{token} ", "{token}, {token}", "null", "Bearer {token}"]
)
def test_without_the_token_there_is_no_data(page: Asking, token: str | None) -> None:
    given = token and token.format(token=page.token, half=page.token[:-1])
    sent = {"X-Review-Token": given}
    statuses = {page.send("GET", path, headers=sent).status for path in DATA if token != "{token} "}
    statuses |= {page.send("POST", "/api/undo", {}, headers=sent).status for _ in range(token != "{token} ")}
    assert statuses <= {401}
    assert page.send("GET", f"/api/task?token={page.token}", headers={"X-Review-Token": None}).status == 401
    cookie = {"X-Review-Token": None, "Cookie": f"token={page.token}"}
    assert page.send("GET", "/api/task", headers=cookie).status == 401


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example", "attacker.example:{port}", "127.0.0.1.attacker.example:{port}",
        "localhost.attacker.example",
        "127.0.0.1:{port}.attacker.example", "127.0.0.1:{port}@attacker.example", "0.0.0.0:{port}", "2130706433:{port}",
        "[::1].attacker.example", "[::1", "127.1:{port}", "", "localhost:evil", "box.local:{port}",
    ],
)  # fmt: skip
def test_a_wrong_host_is_refused_even_with_the_token(page: Asking, host: str) -> None:
    named = host.format(port=page.host.rpartition(":")[2])
    for path in ("/", "/page/main.js", *DATA):
        assert page.send("GET", path, headers={"Host": named}).status in (400, 403)


@pytest.mark.parametrize("host", ["localhost:{port}", "LOCALHOST:9", "127.0.0.1", "[::1]:{port}", "box.example:80"])
def test_the_names_of_this_machine_are_answered(page: Asking, host: str) -> None:
    named = host.format(port=page.host.rpartition(":")[2])
    assert page.send("GET", "/api/task", headers={"Host": named}).status == 200


def test_two_hosts_are_refused(page: Asking) -> None:
    name, _, port = page.host.partition(":")
    with socket.create_connection((name, int(port)), timeout=60) as connection:
        lines = f"GET /api/task HTTP/1.1\r\nHost: {page.host}\r\nHost: attacker.example\r\n"
        connection.sendall(f"{lines}X-Review-Token: {page.token}\r\nConnection: close\r\n\r\n".encode())
        assert connection.recv(100).split()[1] in (b"400", b"403")


@pytest.mark.parametrize(
    "origin",
    ["http://attacker.example", "null", "", "https://127.0.0.1", "file://", "http://127.0.0.1:1", "127.0.0.1:{port}",
     "chrome-extension://{host}", "http://{host}.attacker.example"],
)  # fmt: skip
def test_another_origin_is_refused_even_with_the_token(page: Asking, origin: str) -> None:
    given = origin.format(host=page.host, port=page.host.rpartition(":")[2])
    answers = [
        page.send("GET", "/api/task", headers={"Origin": given}),
        page.send("POST", "/api/rows/1/decisions", {"action": "skipped"}, headers={"Origin": given}),
        page.send("OPTIONS", "/api/rows/1/decisions", headers={"Origin": given, "X-Review-Token": None}),
    ]
    assert {answer.status for answer in answers} == {403}
    assert page.get("/api/progress")["skipped"] == 0


def test_the_page_s_own_origin_is_answered(page: Asking) -> None:
    assert page.send("POST", "/api/undo", {}, headers={"Origin": f"http://{page.host}"}).status == 200


def test_every_answer_has_the_headers_and_none_has_a_cookie(page: Asking) -> None:
    asked = [("GET", "/"), ("GET", "/page/nothing.js"), ("GET", "/nothing"), ("GET", "/api/task"), ("PUT", "/"),
             ("GET", "/api/rows/x"), ("DELETE", "/api/rows/1"), ("HEAD", "/")]  # fmt: skip
    answers = [page.send(method, path) for method, path in asked]
    answers += [page.send("GET", "/", headers={"Host": "attacker.example"})]
    answers += [page.send("GET", "/api/task", headers={"X-Review-Token": None})]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert not {"set-cookie", "access-control-allow-origin", "server"} & answer.headers.keys()
        assert page.token.encode() not in answer.body


@pytest.mark.parametrize(
    "path",
    ["/page/../review.py", "/page/..%2freview.py", "/page/%2e%2e/review.py", "/page/..%5creview.py",
     "/page//etc/passwd",
     "/page/%2fetc%2fpasswd", "/page/index.html%00.js", "/page/.hidden.js", "/page/a/b.js", "/page/index.HTML",
     "/page/index.py", "//etc/passwd", "/page/", "/..", "/page/index.html/", "/page/index.html%0a"],
)  # fmt: skip
def test_no_path_leads_out_of_the_page_s_folder(page: Asking, path: str) -> None:
    assert page.send("GET", path).status == 404


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400), (b"[]", 400), (b'"x"', 400), (b"1", 400), (b"null", 400), (b"{", 400), (b"\xff\xfe", 400),
        (b'{"action": NaN}', 400), (b'{"a": "\\ud800"}', 400), (b"[" * 200_000, 400),
        (b'{"action": "decided", "values": ' + b'{"value":' * 500 + b"1" + b"}" * 501, 400),
        (b'{"action": "decided", "values": []}', 422), (b'{"action": "decided"}', 422), (b'{"action": ["right"]}', 422),
        (b'{"action": "undone"}', 422), (b'{"action": "decided", "values": {"value": {"__proto__": 1}}}', 422),
        (b'{"action": "decided", "values": {"__proto__": "x"}}', 422),
        (b'{"action": "skipped", "spans": {"a": 1}}', 422),
        (b'{"action": "skipped", "spans": [{"path": 1}]}', 422),
        (b'{"action": "skipped", "spans": [{"path": "$", "start": -1}]}', 422),
        (b'{"action": "right", "answer_hash": "other"}', 409),
        (b'{"action": "right", "answer_hash": null}', 409),
    ],
)  # fmt: skip
def test_a_body_that_is_no_decision_is_refused_and_stored_nowhere(page: Asking, raw: bytes, status: int) -> None:
    answer = page.send("POST", "/api/rows/1/decisions", raw=raw)
    assert (answer.status, answer.json["error"]["code"] != "failed") == (status, True)
    assert page.get("/api/progress")["open"] == 4


def test_a_form_of_another_site_cannot_decide(page: Asking) -> None:
    """A browser sends this without asking first, as it is of a type that forms have."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        sent = page.send("POST", "/api/rows/1/decisions", {"action": "skipped"}, headers={"Content-Type": kind})
        assert sent.status == 415


def test_a_huge_body_is_refused_before_it_is_read_and_while_it_is(page: Asking) -> None:
    told = page.send("POST", "/api/undo", raw=b"", headers={"Content-Length": str(MAX_BODY_BYTES + 1)})
    assert told.status == 413
    name, _, port = page.host.partition(":")
    with socket.create_connection((name, int(port)), timeout=60) as connection:
        lines = f"POST /api/undo HTTP/1.1\r\nHost: {page.host}\r\nX-Review-Token: {page.token}\r\n"
        connection.sendall(f"{lines}Transfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"%x\r\n%b\r\n" % (2**20, b" " * 2**20)
        try:
            for _ in range(MAX_BODY_BYTES // 2**20 + 1):
                connection.sendall(chunk)
            connection.sendall(b"0\r\n\r\n")
        except OSError:
            pass  # it has hung up
        else:
            assert connection.recv(100).split()[1] == b"413"
    assert page.get("/api/progress")["open"] == 4


@pytest.mark.parametrize(
    "number", ["0", "-1", "5", "99999999999999999999", "1e3", "x", "%31%30", "%D9%A3", "1.0", "1/", "%201"]
)
def test_a_row_that_is_not_there_is_said_to_be_none(page: Asking, number: str) -> None:
    for path in (f"/api/rows/{number}", f"/api/rows/{number}/media", f"/api/rows/{number}/pages/1.png"):
        assert page.send("GET", path).status in (400, 404)


def test_forty_hostile_texts_in_every_place_come_back_as_they_are(tmp_path: Path) -> None:
    assert len(set(PAYLOADS)) == 40
    labels = [payload for payload in PAYLOADS if payload.strip()]
    schema = {
        "type": "object",
        "title": PAYLOADS[0],
        "description": PAYLOADS[1],
        "properties": {
            payload: {"type": "string", "title": payload, "description": payload, "enum": labels} for payload in labels
        },
        "required": labels,
        "additionalProperties": False,
    }
    cells = {f"in {payload}": [payload] * 2 for payload in PAYLOADS}
    answers = {payload: [payload] * 2 for payload in labels}
    frame = pl.DataFrame({"id": [PAYLOADS[0], PAYLOADS[2]], **cells})
    path = tmp_path / "<b>out.parquet"
    manifest = {"schema": schema, "fields": labels, "columns": list(frame.columns), "pipeline": PAYLOADS[3]}
    written = frame.with_columns(pl.Series(name, values, dtype=pl.Enum(labels)) for name, values in answers.items())
    written.write_parquet(path, metadata={"extract": json.dumps(manifest)})
    with Asking(open_review(path, person=PAYLOADS[4], on="id", sample=2)) as page:
        task, row = page.send("GET", "/api/task"), page.send("GET", "/api/rows/1")
        assert {task.headers["content-type"], row.headers["content-type"]} == {"application/json"}
        fields = {one["name"]: one for one in task.json["form"]["root"]["members"]}
        assert list(fields) == labels
        assert all([one["value"] for one in field["labels"]] == labels for field in fields.values())
        assert task.json["person"] == PAYLOADS[4]
        shown = {one["name"]: one["text"] for one in row.json["source"]["columns"]}
        assert [shown[f"in {payload}"] for payload in PAYLOADS] == list(PAYLOADS)
        assert row.json["values"] == {payload: payload for payload in labels}
        turned = dict(zip(labels, reversed(labels), strict=True))
        decided = page.decide(1, action="decided", values=turned, answer_hash=row.json["answer_hash"])
        assert decided["decision"]["values"] == turned
        bad = page.send("POST", "/api/rows/1/decisions", {"action": "decided", "values": {"<script>": "x"}})
        assert bad.status == 422
        assert bad.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"}, {"type": "object", "properties": {"a": {"$ref": "http://attacker.example/x"}}},
        {"type": "object", "properties": []}, {"type": "object", "properties": {"a": {"pattern": "(a+)+$" * 50}}}, 7,
        {"type": "object", "properties": {"a": {"enum": [{"$ref": "#"}] * 3}}},
    ],
)  # fmt: skip
def test_a_hostile_footer_is_refused_or_shown_and_never_a_traceback(tmp_path: Path, schema: Any) -> None:
    manifest = {"schema": schema, "fields": ["a"], "keys": {"a": "a"}, "prefix": 3, "grounding": "x", "media": [1]}
    pl.DataFrame({"t": ["x"], "a": ["y"]}).write_parquet(
        tmp_path / "out.parquet", metadata={"extract": json.dumps(manifest)}
    )
    try:
        review = open_review(tmp_path / "out.parquet", person="ann")
    except ConfigError as error:
        assert "\n" not in str(error)
        return
    with Asking(review) as page:
        assert page.send("GET", "/api/rows/1").status == 200


def documents(folder: Path, cells: list[str]) -> Asking:
    """Serve rows of which each names a file in its column `path`."""
    inside = folder / "inside"
    inside.mkdir()
    table = inside / "rows.csv"
    pl.DataFrame({"path": cells, "name": "x", "mime_type": "x"}).write_csv(table)
    return Asking(open_review(table, Extractor(["a", "b"], "", media=("path",)), person="ann", sample=50))


def test_only_files_that_the_input_may_name_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    picture = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
    secret = tmp_path / "secret.png"
    secret.write_bytes(picture)
    (tmp_path / "inside.png").write_bytes(picture)
    link = tmp_path / "work" / "link.png"
    link.symlink_to(secret)
    cells = [str(secret), "../secret.png", "../inside/../secret.png", str(link), f"file://{secret}", "/etc/passwd",
             "/proc/self/environ", "https://attacker.example/x.png", "gs://bucket/x.png", "data:image/svg+xml,<svg/>",
             "/dev/zero", "\0", "x" * 5_000, ""]  # fmt: skip
    with documents(tmp_path, cells) as page:
        for number in range(1, page.get("/api/task")["total"] + 1):
            row = page.get(f"/api/rows/{number}")
            assert row["source"]["kind"] in ("missing", "text"), row["others"]
            assert page.send("GET", f"/api/rows/{number}/media").status == 404
            assert page.send("GET", f"/api/rows/{number}/pages/1.png").status == 404
            assert picture not in json.dumps(row).encode()


@pytest.mark.parametrize(
    "source", ["s3://bucket/rows.parquet", "https://host.example/rows.csv", "//host/rows.csv", r"\\host\rows.csv"]
)
def test_decisions_of_somebody_else_make_this_machine_ask_no_other(tmp_path: Path, source: str) -> None:
    new_file(tmp_path / "d.db", source=source).close()
    with pytest.raises(ConfigError, match=r"names .*name the table with --source"):
        open_review(tmp_path / "d.db")


def test_the_table_that_is_named_is_the_one_that_is_shown(tmp_path: Path) -> None:
    """Its folder may have moved since the rows were drawn."""
    (tmp_path / "before").mkdir()
    served(tmp_path / "before").review.close()
    (tmp_path / "before").rename(tmp_path / "after")
    with Asking(open_review(tmp_path / "after" / "out.parquet", person="ann")) as asking:
        assert asking.get("/api/rows/1")["source"]["kind"] == "text"


def test_a_picture_in_the_input_s_folder_is_shown_as_a_file_of_its_type(tmp_path: Path) -> None:
    with documents(tmp_path, ["a.png"]) as page:
        (tmp_path / "inside" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
        assert page.get("/api/rows/1")["source"] == {"kind": "image", "name": "a.png", "mime": "image/png"}
        answer = page.send("GET", "/api/rows/1/media")
        assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
        assert answer.headers["content-disposition"] == "attachment"


def test_html_that_a_row_names_stays_text(tmp_path: Path) -> None:
    with documents(tmp_path, ["a.html"]) as page:
        (tmp_path / "inside" / "a.html").write_text("<script>alert(1)</script>")
        source = page.get("/api/rows/1")["source"]
        assert source["columns"][0]["text"] == "<script>alert(1)</script>"
        assert page.send("GET", "/api/rows/1/media").status == 404


@pytest.mark.parametrize("name", ["", "*", "a/b", "a:80", "user@a", "http://a", "a b", "ä.example", "a\n"])
def test_a_host_to_allow_is_one_plain_name(name: str) -> None:
    with pytest.raises(ConfigError, match="--allow-host"):
        checked_hosts([name])


def test_the_token_is_on_stdout_once_and_nowhere_else(tmp_path: Path) -> None:
    with served(tmp_path) as page:
        assert page.token not in repr(page.review)
    command = [sys.executable, "-m", "extract", "review", "out.parquet", "--no-browser", "--as", "ann"]
    server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert server.stdout is not None
    address, _, token = server.stdout.readline().strip().partition("/#token=")
    host = address.removeprefix("http://")
    with socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2])), timeout=60) as connection:
        connection.sendall(f"GET /api/task?t={token} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert connection.recv(100).split()[1] == b"401"
        connection.sendall(b"nonsense\r\n\r\n")
    server.terminate()
    out, err = server.communicate(timeout=60)
    assert (out, token in err, len(token) >= 43) == ("", False, True)
    assert all(token.encode() not in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


def test_the_port_is_open_on_the_loopback_only(page: Asking) -> None:
    port = int(page.host.rpartition(":")[2])
    listening = Path("/proc/net/tcp")
    if not listening.exists():
        pytest.skip("only Linux lists its sockets in a file")
    addresses = [line.split()[1] for line in listening.read_text().splitlines()[1:] if line.split()[3] == "0A"]
    assert [one for one in addresses if one.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]
    assert os.name == "posix"
