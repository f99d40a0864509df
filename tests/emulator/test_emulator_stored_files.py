"""The emulator's files: protocol, limits, states by the clock, use in interactions; the official SDK as a judge."""

from __future__ import annotations

import gc
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from clocks import Clock
from google import genai

from extract.emulator import FAULTS, Emulator
from extract.errors import ConfigError
from extract.testing import running_server

URL = "http://localhost"
GRANULARITY = 256 * 1024
DATA = b"Invoice number: INV-77\nTotal: 12.50 EUR"


def http_of(emulator: Emulator) -> httpx.Client:
    return httpx.Client(transport=emulator.transport, headers={"x-goog-api-key": "k"}, base_url=URL)


def start(http: httpx.Client, size: int = len(DATA), version: str = "v1", **file: Any) -> httpx.Response:
    headers = {
        "X-Goog-Upload-Protocol": "resumable",
        "X-Goog-Upload-Command": "start",
        "X-Goog-Upload-Header-Content-Length": str(size),
        "X-Goog-Upload-Header-Content-Type": "text/plain",
    }
    return http.post(f"/upload/{version}/files", headers=headers, json={"file": file})


def send(
    http: httpx.Client, url: str, data: bytes = b"", command: str = "upload, finalize", offset: int | None = 0
) -> httpx.Response:
    headers = {"X-Goog-Upload-Command": command}
    return http.post(
        url, content=data, headers=headers | ({} if offset is None else {"X-Goog-Upload-Offset": str(offset)})
    )


def uploaded(http: httpx.Client, **file: Any) -> dict[str, Any]:
    url = start(http, **file).headers["x-goog-upload-url"]
    result: dict[str, Any] = send(http, url, DATA).json()["file"]
    return result


def ask(http: httpx.Client, uri: str) -> httpx.Response:
    content = [{"type": "document", "uri": uri, "mime_type": "text/plain"}]
    step = {"type": "user_input", "content": content}
    return http.post("/v1/interactions", json={"model": "gemini-3.5-flash-lite", "input": [step], "store": False})


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_a_file_goes_up_in_two_steps_and_comes_down_as_the_documented_resource(version: str) -> None:
    with http_of(Emulator()) as http:
        began = start(http, version=version, display_name="note")
        assert (began.status_code, began.json()) == (200, {})
        url = began.headers["x-goog-upload-url"]
        assert url.startswith(f"{URL}/upload/{version}/files?")
        done = send(http, url, DATA)
        assert done.headers["x-goog-upload-status"] == "final"
        file = done.json()["file"]
        assert file["uri"] == f"{URL}/{version}/{file['name']}"
        assert (file["displayName"], file["sizeBytes"], file["state"]) == ("note", str(len(DATA)), "ACTIVE")
        assert http.get(f"/{version}/{file['name']}").json() == file
        assert http.get(f"/{version}/files").json() == {"files": [file]}
        assert http.delete(f"/{version}/{file['name']}").json() == {}
        assert http.get(f"/{version}/files").json() == {}


def test_an_upload_needs_no_key_at_its_own_address_and_every_other_call_does() -> None:
    emulator = Emulator(api_key="k")
    with http_of(emulator) as http, httpx.Client(transport=emulator.transport, base_url=URL) as nobody:
        url = start(http).headers["x-goog-upload-url"]
        assert send(nobody, url, DATA).status_code == 200
        assert start(nobody).status_code == 401
        assert nobody.get("/v1/files").status_code == 401
        assert nobody.get("/v1/files?upload_id=1").status_code == 401


def test_offsets_sizes_and_chunks_are_checked_and_a_mistake_changes_nothing() -> None:
    size = 3 * GRANULARITY
    with http_of(Emulator()) as http:
        url = start(http, size).headers["x-goog-upload-url"]
        chunk = bytes(GRANULARITY)
        assert send(http, url, chunk, "upload", 0).headers["x-goog-upload-size-received"] == str(GRANULARITY)
        wrong = [
            (chunk, "upload", 0),
            (chunk, "upload", 2 * GRANULARITY),
            (chunk, "upload", None),
            (b"x", "upload", GRANULARITY),
            (bytes(4 * GRANULARITY), "upload", GRANULARITY),
            (chunk, "upload, finalize", GRANULARITY),
            (chunk, "dance", GRANULARITY),
            (chunk, "", GRANULARITY),
        ]
        assert [send(http, url, *one).status_code for one in wrong] == [400] * len(wrong)
        response = send(http, url, command="query", offset=None)
        assert (response.headers["x-goog-upload-status"], response.headers["x-goog-upload-size-received"]) == (
            "active",
            str(GRANULARITY),
        )
        assert send(http, url, bytes(2 * GRANULARITY), "upload, finalize", GRANULARITY).status_code == 200
        after = send(http, url, command="query", offset=None)
        assert (after.headers["x-goog-upload-status"], "file" in after.json()) == ("final", True)


def test_a_cancelled_upload_is_gone() -> None:
    with http_of(Emulator()) as http:
        url = start(http).headers["x-goog-upload-url"]
        assert send(http, url, command="cancel", offset=None).headers["x-goog-upload-status"] == "cancelled"
        assert send(http, url, DATA).status_code == 404


def test_the_limits_of_a_file_and_of_a_project_hold() -> None:
    giga = 1024**3
    with http_of(Emulator()) as http:
        assert start(http, 2 * giga + 1).status_code == 400
        assert start(http, 0).status_code == 400
        assert [start(http, 2 * giga).status_code for _ in range(11)] == [200] * 10 + [400]


def test_names_can_be_chosen_once() -> None:
    with http_of(Emulator()) as http:
        assert uploaded(http, name="files/my-id")["name"] == "files/my-id"
        assert start(http, name="files/my-id").status_code == 409
        assert [
            start(http, name=name).status_code for name in ("my-id", "files/A", "files/-a", "files/" + "a" * 41)
        ] == [400] * 4


def test_a_file_is_processed_then_active_then_expired_by_the_clock() -> None:
    clock = Clock()
    emulator = Emulator(processing_seconds=60, clock=clock, answers=lambda _: "read")
    with http_of(emulator) as http:
        file = uploaded(http)
        assert file["state"] == "PROCESSING"
        assert ask(http, file["uri"]).status_code == 400
        clock.now = 60
        assert http.get(f"/v1/{file['name']}").json()["state"] == "ACTIVE"
        assert ask(http, file["uri"]).status_code == 200
        clock.now = 48 * 3600
        gone = [http.get(f"/v1/{file['name']}"), ask(http, file["uri"]), http.delete(f"/v1/{file['name']}")]
        assert [one.status_code for one in gone] == [403] * 3
        assert gone[1].json()["error"]["code"] == "permission_denied"
        assert http.get("/v1/files").json() == {}


def test_a_request_may_only_name_files_that_are_there() -> None:
    emulator = Emulator(answers=lambda _: "read")
    with http_of(emulator) as http:
        assert ask(http, f"{URL}/v1beta/files/nothing").status_code == 404
        assert ask(http, "https://generativelanguage.googleapis.com/v1beta/files/nothing").status_code == 404
        assert ask(http, "https://example.org/v1/files/their-own").status_code == 200
        file = uploaded(http)
        http.delete(f"/v1/{file['name']}")
        assert ask(http, file["uri"]).status_code == 404
    with http_of(Emulator(upload_faults=["file_failed"])) as http:
        assert ask(http, uploaded(http)["uri"]).status_code == 400
    with http_of(Emulator(strict=False, answers=lambda _: "read")) as http:
        assert ask(http, f"{URL}/v1beta/files/nothing").status_code == 200


def test_pages_follow_each_other_and_mistakes_are_refused() -> None:
    with http_of(Emulator()) as http:
        names = [uploaded(http)["name"] for _ in range(5)]
        page = http.get("/v1/files?pageSize=3").json()
        rest = http.get("/v1/files", params={"pageSize": 3, "pageToken": page["nextPageToken"]}).json()
        assert [file["name"] for file in page["files"] + rest["files"]] == names
        assert "nextPageToken" not in rest
        for query in ("pageSize=0", "pageSize=101", "pageSize=x", "pageToken=nothing"):
            assert http.get(f"/v1/files?{query}").status_code == 400


def test_the_folder_with_the_bytes_goes_with_the_emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    emulator = Emulator()
    with http_of(emulator) as http:
        uploaded(http)
        assert len(list(tmp_path.glob("*/*"))) == 1
    del emulator, http
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_faults_are_set_and_shown_on_the_running_server() -> None:
    with running_server(Emulator(faults="503=0.5")) as url, httpx.Client(base_url=url, trust_env=False) as http:
        assert http.get("/faults").json() == {"faults": "503=0.5", "known": FAULTS}
        assert http.post("/faults", content=b"upload_503=1").status_code == 200
        assert http.post("/faults", content=b"nonsense=1").status_code == 400
        assert http.get("/faults").json()["faults"] == "upload_503=1"
        http.headers["x-goog-api-key"] = "k"
        answer = send(http, start(http).headers["x-goog-upload-url"], DATA)
        assert answer.status_code == 503


def test_an_unknown_fault_of_uploads_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="upload_503"):
        Emulator(upload_faults=["503"])


def test_the_official_sdk_uploads_gets_lists_counts_and_deletes(tmp_path: Path, environment: dict[str, str]) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes(DATA * 1000)
    film = tmp_path / "film.mp4"
    film.write_bytes(bytes(range(256)) * 4096 * 9)  # over its chunk of 8 MiB
    command = [sys.executable, "-m", "extract", "emulate", "--port", "0"]
    folder = tmp_path / "tmp"
    folder.mkdir()
    environment |= {"TMPDIR": str(folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with genai.Client(api_key="k", http_options={"base_url": url}) as client:
                for source in (path, film):
                    file = client.files.upload(file=source, config={"display_name": source.name})
                    assert (file.state, file.display_name) == ("ACTIVE", source.name)
                    assert file.size_bytes == source.stat().st_size
                    assert client.files.get(name=file.name).uri == file.uri
                files = list(client.files.list(config={"page_size": 1}))
                assert [file.display_name for file in files] == ["note.txt", "film.mp4"]
                assert files[0].sha256_hash is not None
                counted = client.models.count_tokens(model="gemini-3.5-flash-lite", contents="x" * 40)
                assert counted.total_tokens == 10
                assert len(list(folder.glob("*/*"))) == 2
                interaction = client.interactions.create(
                    model="gemini-3.5-flash-lite",
                    input=[{"type": "text", "text": "Read."}, {"type": "document", "uri": files[0].uri}],
                    response_format={
                        "type": "text",
                        "mime_type": "application/json",
                        "schema": {"type": "object", "properties": {"invoice_number": {"type": "string"}}},
                    },
                )
                assert json.loads(interaction.output_text) == {"invoice_number": "INV-77"}
                for file in files:
                    client.files.delete(name=file.name)
                assert list(client.files.list()) == []
        finally:
            process.terminate()
    assert list(folder.iterdir()) == []


def test_the_bytes_that_were_sent_are_the_bytes_that_are_kept() -> None:
    import base64

    with http_of(Emulator()) as http:
        assert base64.b64decode(uploaded(http)["sha256Hash"]) == hashlib.sha256(DATA).digest()
