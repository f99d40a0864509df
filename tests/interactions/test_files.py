"""The Files API through both clients, over the emulator: chunks, losses, waiting, listing, deleting."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from clocks import Clock
from hypothesis import given, settings
from hypothesis import strategies as st

from extract import AsyncClient, Client, ConfigError, Emulator, Request, Retry
from extract.emulator.transport import EmulatorTransport
from extract.errors import AnswerTimeout, ApiError, BadRecord, BadRequest, Overloaded, Unreachable
from extract.interactions.remote_file import RemoteFile, name_of
from extract.interactions.upload_source import GRANULARITY
from extract.testing import running_server

QUICK = Retry(first_wait=0.0001, longest_wait=0.001)
PDF = b"%PDF-1.4 " + b"x" * 1000
MIB = 1024 * 1024


def client_of(emulator: Emulator, **options: Any) -> Client:
    return Client("key", transport=emulator.transport, retry=QUICK, **options)


KINDS = ["sync", "async", "sync socket", "async socket"]


@pytest.fixture(params=KINDS)
def drive(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Run `work(files)` with the files of a client, in process or over a socket; `work` may await."""

    def run(emulator: Emulator, work: Callable[[Any], Any]) -> Any:
        with reached(emulator, over_socket="socket" in request.param) as options:
            if "async" not in request.param:
                with Client("key", retry=QUICK, **options) as client:
                    return run_plain(work(client.files))

            async def whole() -> Any:
                async with AsyncClient("key", retry=QUICK, **options) as client:
                    result = work(client.files)
                    return await result if inspect.isawaitable(result) else result

            return asyncio.run(whole())

    return run


def run_plain(result: Any) -> Any:
    """Return the result of a coroutine that never waits: sync files hand out plain values."""
    if not inspect.iscoroutine(result):
        return result
    try:
        result.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("the sync client waited")


async def value(given: Any) -> Any:
    return await given if inspect.isawaitable(given) else given


@contextmanager
def reached(emulator: Emulator, *, over_socket: bool) -> Iterator[dict[str, Any]]:
    if over_socket:
        with running_server(emulator) as url:
            yield {"base_url": url}
    else:
        yield {"transport": emulator.transport}


def test_a_file_is_uploaded_got_listed_used_and_deleted(drive: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "scan.pdf"
    path.write_bytes(PDF)

    async def work(files: Any) -> None:
        file = await value(files.upload(path))
        assert (file.mime_type, file.size, file.state) == ("application/pdf", len(PDF), "ACTIVE")
        assert file.sha256 == hashlib.sha256(PDF).hexdigest()
        assert file.expires > datetime(2026, 1, 1, tzinfo=UTC)
        assert await value(files.get(file)) == file
        assert await value(files.get(file.uri)) == file
        assert await value(files.list()) == (file,)
        assert await value(files.wait(file.name)) == file
        assert await value(files.delete(file)) is None
        assert await value(files.list()) == ()
        with pytest.raises(BadRequest, match="no such file"):
            await value(files.get(file))
        with pytest.raises(BadRequest, match="no such file"):
            await value(files.delete(file))

    drive(Emulator(), work)


@pytest.mark.parametrize("faults", [("upload_503", "upload_cut"), (None, "upload_lost", None, "upload_cut")])
def test_64_mib_in_chunks_arrive_whole_through_two_failures(
    drive: Callable[..., Any], tmp_path: Path, faults: tuple[str | None, ...]
) -> None:
    path = tmp_path / "film.mp4"
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for number in range(64):
            block = number.to_bytes(4, "big") * (MIB // 4)
            digest.update(block)
            file.write(block)
    emulator = Emulator(upload_faults=faults)
    seen: list[tuple[int, int]] = []

    async def work(files: Any) -> Any:
        return await value(files.upload(path, on_progress=lambda *counts: seen.append(counts)))

    uploaded = drive(emulator, work)
    assert (uploaded.size, uploaded.sha256) == (64 * MIB, digest.hexdigest())
    assert emulator.stats()["faults"] == {name: 1 for name in faults if name}
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (64 * MIB, 64 * MIB)


@pytest.mark.parametrize("fault", ["upload_503", "upload_cut", "upload_lost"])
def test_a_failure_of_the_last_chunk_loses_nothing(drive: Callable[..., Any], fault: str) -> None:
    emulator = Emulator(upload_faults=[fault])

    async def work(files: Any) -> Any:
        return await value(files.upload(PDF, mime_type="application/pdf")), await value(files.list())

    file, listed = drive(emulator, work)
    assert listed == (file,)
    assert file.sha256 == hashlib.sha256(PDF).hexdigest()


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 5 * GRANULARITY),
    chunks=st.integers(1, 6),
    faults=st.lists(st.sampled_from([None, "upload_503", "upload_cut", "upload_lost"]), max_size=5),
)
def test_any_size_in_any_chunks_through_any_losses_arrives_whole(
    size: int, chunks: int, faults: list[str | None]
) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    with client_of(Emulator(upload_faults=faults)) as client:
        file = client.files.upload(data, mime_type="image/png", chunk_bytes=chunks * GRANULARITY)
        assert (file.size, file.sha256) == (size, hashlib.sha256(data).hexdigest())
        assert client.files.list() == (file,)


def test_a_file_is_read_in_chunks_and_never_whole() -> None:
    largest = 0

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            nonlocal largest
            largest = max(largest, MIB * 100 if size is None or size < 0 else size)
            return super().read(size)

    with client_of(Emulator()) as client:
        client.files.upload(Watched(bytes(MIB)), mime_type="image/png", chunk_bytes=GRANULARITY)
    assert largest == GRANULARITY


def test_an_upload_that_fails_for_good_ends_with_the_error() -> None:
    with client_of(Emulator(faults="upload_cut=1")) as client, pytest.raises(Unreachable):
        client.files.upload(PDF, mime_type="application/pdf")  # half of one chunk rounds down to nothing
    with client_of(Emulator(faults="upload_503=1")) as client:
        client.retry = Retry(first_wait=0.0001, longest_wait=0.001, patience=0)
        with pytest.raises(Overloaded):
            client.files.upload(PDF, mime_type="application/pdf")


def test_progress_gives_new_patience() -> None:
    # More failures than one call is allowed, but never that many in a row without a byte arriving.
    faults = ["upload_cut"] * 5 + [None] + ["upload_cut"] * 5
    data = bytes(12 * GRANULARITY)
    with client_of(Emulator(upload_faults=faults)) as client:
        file = client.files.upload(data, mime_type="image/png", chunk_bytes=2 * GRANULARITY)
    assert file.size == len(data)


def test_waiting_ends_when_the_file_is_active(drive: Callable[..., Any]) -> None:
    async def work(files: Any) -> tuple[RemoteFile, RemoteFile]:
        file = await value(files.upload(PDF, mime_type="application/pdf"))
        return file, await value(files.wait(file, deadline=30))

    before, after = drive(Emulator(processing_seconds=0.3), work)
    assert (before.state, after.state) == ("PROCESSING", "ACTIVE")
    assert before.name == after.name


async def test_waiting_has_a_deadline_and_no_real_time_passes() -> None:
    clock = Clock()
    emulator = Emulator(processing_seconds=600, clock=clock)
    with client_of(emulator, sleep=clock.sleep) as client:
        file = client.files.upload(PDF, mime_type="application/pdf")
        with pytest.raises(AnswerTimeout, match="still PROCESSING after 60 s"):
            client.files.wait(file, deadline=60)
        assert 60 <= clock.now < 61
    async with AsyncClient("key", transport=emulator.transport, sleep=clock.sleep_async) as other:
        assert (await other.files.wait(file.name, deadline=1000)).is_active
    assert 600 <= clock.now < 610


def test_a_file_that_cannot_be_read_says_so() -> None:
    with client_of(Emulator(upload_faults=["file_failed"])) as client:
        file = client.files.upload(PDF, mime_type="application/pdf")
        with pytest.raises(BadRecord, match="could not read this file"):
            client.files.wait(file)
        with pytest.raises(ConfigError, match="FAILED, not ACTIVE"):
            file.part()


def test_many_files_are_listed_over_all_pages() -> None:
    with client_of(Emulator()) as client:
        names = [client.files.upload(PDF, mime_type="application/pdf", name=f"file-{n}").name for n in range(203)]
        assert [file.name for file in client.files.list()] == names


def test_a_file_becomes_a_part_of_a_request_and_text_in_it_is_read() -> None:
    emulator = Emulator()
    with client_of(emulator) as client:
        photo = client.files.upload(b"\x89PNG\r\n\x1a\n123", label="photo")
        assert photo.mime_type == "image/png"
        part = photo.part(resolution="low")
        assert (part.kind, part.uri, part.resolution) == ("image", photo.uri, "low")
        note = client.files.upload(b"Invoice number: INV-77\nTotal: 12.50 EUR", label="note.txt")
        schema = {
            "type": "object",
            "properties": {"invoice_number": {"type": "string"}},
            "required": ["invoice_number"],
        }
        ask = Request(model="gemini-3.5-flash-lite", input=(note.part(), "Read it."), schema=schema)
        answer = client.create(ask)
        assert json.loads(answer.text) == {"invoice_number": "INV-77"}
        assert answer.usage is not None
        assert answer.usage.input_tokens >= len("Invoice number: INV-77\nTotal: 12.50 EUR") // 4


def test_a_file_that_is_gone_is_the_trouble_of_one_request_not_of_all() -> None:
    clock = Clock()
    emulator = Emulator(clock=clock)
    with client_of(emulator, sleep=clock.sleep) as client:
        file = client.files.upload(PDF, mime_type="application/pdf")
        ask = Request(model="gemini-3.5-flash-lite", input=(file.part(),))
        client.create(ask)
        clock.now = 48 * 3600
        with pytest.raises(BadRequest, match="may not exist"):  # and not Denied, which would stop a run
            client.create(ask)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"source": b""}, BadRecord, "empty"),
        ({"source": "/no/such/file.pdf"}, BadRecord, "No such file"),
        ({"source": b"\x00\x01\x02"}, ConfigError, "mime_type"),
        ({"source": PDF, "chunk_bytes": 1000}, ConfigError, "262,144"),
        ({"source": PDF, "chunk_bytes": 0}, ConfigError, "262,144"),
        ({"source": PDF, "name": "files/../x"}, ConfigError, "not a name of a file"),
    ],
)
def test_what_cannot_be_uploaded_is_refused_before_the_first_call(
    options: dict[str, Any], error: type[Exception], says: str
) -> None:
    emulator = Emulator()
    with client_of(emulator) as client, pytest.raises(error, match=says):
        client.files.upload(options.pop("source"), **options)
    assert emulator.stats()["other_requests"] == 0


def test_a_file_beyond_the_services_limit_is_refused_before_the_first_call(tmp_path: Path) -> None:
    path = tmp_path / "giant.mp4"
    with path.open("wb") as file:
        file.truncate(2 * 1024**3 + 1)  # sparse: it takes no room
    with client_of(Emulator()) as client, pytest.raises(BadRecord, match="too large"):
        client.files.upload(path)


def test_a_file_that_shrinks_while_it_is_sent_is_said_to_have_changed() -> None:
    stream = io.BytesIO(bytes(3 * GRANULARITY))

    def shrink(done: int, whole: int) -> None:
        stream.truncate(done)

    with client_of(Emulator()) as client, pytest.raises(BadRecord, match="changed while it was sent"):
        client.files.upload(stream, mime_type="image/png", chunk_bytes=GRANULARITY, on_progress=shrink)


def answering(handle: Callable[[httpx.Request], httpx.Response]) -> Client:
    return Client("key", transport=httpx.MockTransport(handle), retry=QUICK)


@pytest.mark.parametrize("address", ["http://evil.example/upload", "ftp://127.0.0.1/upload", "https://", "http://[::"])
def test_an_upload_address_that_is_not_safe_is_refused_at_once(address: str) -> None:
    hosts = []

    def handle(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(200, json={}, headers={"x-goog-upload-url": address})

    with answering(handle) as client, pytest.raises(BadRequest, match="the service named an address"):
        client.files.upload(PDF, mime_type="application/pdf")
    assert hosts == ["generativelanguage.googleapis.com"]


def test_the_key_is_never_seen_by_an_upload_host() -> None:
    keys: dict[str, str | None] = {}

    def handle(request: httpx.Request) -> httpx.Response:
        keys[request.url.host] = request.headers.get("x-goog-api-key")
        if request.headers["x-goog-upload-command"] == "start":
            return httpx.Response(200, json={}, headers={"x-goog-upload-url": "https://upload.example/1"})
        body = {"file": {"name": "files/a", "uri": "u", "state": "ACTIVE"}}
        return httpx.Response(200, json=body, headers={"x-goog-upload-status": "final"})

    async def asynchronously() -> str:
        async with AsyncClient("key", transport=httpx.MockTransport(handle), retry=QUICK) as client:
            return (await client.files.upload(PDF, mime_type="application/pdf")).name

    with answering(handle) as client:
        assert client.files.upload(PDF, mime_type="application/pdf").name == "files/a"
    assert asyncio.run(asynchronously()) == "files/a"
    assert keys == {"generativelanguage.googleapis.com": "key", "upload.example": None}


def test_the_key_goes_with_the_start_of_an_upload_alone(drive: Callable[..., Any]) -> None:
    emulator = Emulator(upload_faults=["upload_503"])
    seen = []
    inner = emulator.exchange

    def exchange(request: Any) -> Any:
        command = request.headers.get("x-goog-upload-command")
        if command:
            seen.append((command, "x-goog-api-key" in request.headers))
        return inner(request)

    emulator.exchange = exchange  # type: ignore[method-assign]  # what a key is sent to is seen only here
    emulator.transport = EmulatorTransport(exchange)
    drive(emulator, lambda files: files.upload(PDF, mime_type="application/pdf"))
    assert seen[0] == ("start", True)
    assert len(seen) > 1
    assert not any(had_key for _, had_key in seen[1:])


def test_an_upload_the_service_forgot_says_to_send_the_file_again() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.headers["x-goog-upload-command"] == "start":
            return httpx.Response(200, json={}, headers={"x-goog-upload-url": str(request.url.join("?upload_id=1"))})
        return httpx.Response(404, json={"error": {"code": 404, "message": "gone"}})

    with answering(handle) as client, pytest.raises(BadRequest, match="send the file again"):
        client.files.upload(PDF, mime_type="application/pdf")


@settings(max_examples=100, deadline=None)
@given(
    status=st.sampled_from(["", "active", "final", "cancelled", "odd"]),
    received=st.sampled_from([None, "0", "-1", "x", "1009", "99999999"]),
    body=st.sampled_from([b"", b"{}", b"[]", b"{", b'{"file": 1}', b'{"file": {}}', b'{"file": {"name": 3}}']),
)
def test_an_odd_service_ends_in_our_errors_only(status: str, received: str | None, body: bytes) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.headers.get("x-goog-upload-command") == "start":
            return httpx.Response(200, json={}, headers={"x-goog-upload-url": str(request.url.join("?upload_id=1"))})
        headers = {"x-goog-upload-status": status} if status else {}
        headers |= {"x-goog-upload-size-received": received} if received is not None else {}
        return httpx.Response(200, content=body, headers=headers)

    with answering(handle) as client:
        try:
            file = client.files.upload(PDF, mime_type="application/pdf")
        except (ApiError, BadRecord):
            return
        assert isinstance(file, RemoteFile)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["name", "uri", "mimeType", "sizeBytes", "state", "expirationTime", "sha256Hash", "error", "novelty"]
        ),
        st.none() | st.integers() | st.text(max_size=8) | st.lists(st.integers(), max_size=2) | st.just("ACTIVE"),
    )
)
def test_any_file_resource_is_read_or_refused_and_kept_raw(raw: dict[str, Any]) -> None:
    with answering(lambda request: httpx.Response(200, json=raw)) as client:
        try:
            assert client.files.get("files/a").raw == raw
        except Unreachable:
            assert not raw.get("name") or not isinstance(raw["name"], str)


@pytest.mark.parametrize("digits", [True, False])
def test_a_hash_is_read_as_bytes_and_as_digits(digits: bool) -> None:
    import base64

    digest = hashlib.sha256(b"x")
    encoded = base64.b64encode(digest.hexdigest().encode() if digits else digest.digest()).decode()
    with answering(lambda request: httpx.Response(200, json={"name": "files/a", "sha256Hash": encoded})) as client:
        assert client.files.get("a").sha256 == digest.hexdigest()


def test_a_page_token_that_comes_again_ends_the_list() -> None:
    page = {"files": [{"name": "files/a"}], "nextPageToken": "t"}
    with answering(lambda request: httpx.Response(200, json=page)) as client:
        assert len(client.files.list()) == 2


@pytest.mark.parametrize(
    "name", ["files/abc-1", "abc-1", "https://generativelanguage.googleapis.com/v1beta/files/abc-1"]
)
def test_a_file_is_known_by_name_id_and_uri(name: str) -> None:
    assert name_of(name) == "files/abc-1"


@pytest.mark.parametrize("name", ["", "files/", "files/a/b", "../a", "files/a?x=1", "files/a b", "https://x.org/"])
def test_what_names_no_file_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="not a name of a file"):
        name_of(name)


def test_files_uploaded_at_once_from_many_threads_all_arrive() -> None:
    emulator = Emulator(faults="upload_503=0.1,upload_cut=0.1,upload_lost=0.1", seed=3)
    client = client_of(emulator)
    sums: dict[str, str] = {}

    def send(number: int) -> None:
        data = bytes([number]) * (GRANULARITY * 3 + number)
        file = client.files.upload(data, mime_type="image/png", chunk_bytes=GRANULARITY)
        sums[file.name] = hashlib.sha256(data).hexdigest()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {file.name: file.sha256 for file in client.files.list()} == sums
    assert len(sums) == 16
    client.close()


def test_waiting_for_a_file_ends_at_the_deadline_while_the_service_throttles() -> None:
    clock = Clock()
    throttled = httpx.MockTransport(lambda _: httpx.Response(429, json={"error": {"message": "slow down"}}))
    with Client("key", transport=throttled, sleep=clock.sleep, clock=clock) as client:
        with pytest.raises(AnswerTimeout, match="still fails after 20 s"):
            client.files.wait("files/a", deadline=20)
        assert clock.now == pytest.approx(20)
        with pytest.raises(AnswerTimeout, match="still fails after 10 s"):
            client.wait("v1_a", deadline=10)
        assert clock.now == pytest.approx(30)


def test_a_label_does_not_hide_the_type_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b")
    with client_of(Emulator()) as client:
        assert client.files.upload(tmp_path / "a.csv", label="the 3.pdf").mime_type == "text/csv"
        assert client.files.upload(b"a,b", label="b.csv").mime_type == "text/csv"


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pdf")
    with client_of(Emulator()) as client, pytest.raises(BadRecord, match="regular"):
        client.files.upload(tmp_path / "pipe.pdf")


@pytest.mark.parametrize(
    ("source", "label"),
    [("\0", None), (17, None), (io.StringIO("text"), None), (PDF, "\ud800")],
    ids=["no_path", "number", "stream_of_text", "half_a_character"],
)
def test_what_is_no_file_ends_in_our_errors(source: Any, label: str | None) -> None:
    with client_of(Emulator()) as client, pytest.raises((BadRecord, ConfigError)):
        client.files.upload(source, label=label, mime_type="application/pdf")


def test_endless_digits_are_no_size() -> None:
    raw = {"name": "files/a", "sizeBytes": "9" * 5000}
    with answering(lambda _: httpx.Response(200, json=raw)) as client:
        assert client.files.get("files/a").size is None
