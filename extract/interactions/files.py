"""The Files API: resumable uploads in chunks, and what becomes of a file afterwards.

A file lives 48 hours and can then no longer be used. What the service's pages leave open is taken as it comes: a file's
`state` may be one nobody knows, its times and its hash may be missing.
"""

from __future__ import annotations

import binascii
import io
import os
import re
import secrets
import stat
import time
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

from pydantic_core import from_json

from extract.documents.files import MAX_UPLOADED_BYTES
from extract.documents.mime import kind_of, mime_type_of, sniff_type
from extract.documents.parts import MediaPart, Processing, Resolution
from extract.errors import AnswerTimeout, ApiError, BadRecord, BadRequest, ConfigError, ExtractError, Unreachable
from extract.interactions.http.calls import Call, PollingProtocol, Reply, json_body
from extract.interactions.http.drivers import drive_polling, drive_polling_async
from extract.interactions.http.retrying import Deadline, Patience, Retry, exchanged, insist_on
from extract.json_types import JsonObject

__all__ = ["AsyncFiles", "Files", "RemoteFile", "Source"]

GRANULARITY = 256 * 1024
CHUNK_BYTES = 8 * 1024 * 1024
_PAGE_SIZE = 100
_FIRST_POLL, _LONGEST_POLL = 0.5, 5.0
_NAME = re.compile(r"(?:https?://[^?#]*/)?(?:files/)?(?P<id>[A-Za-z0-9][A-Za-z0-9._-]{0,127})")

T = TypeVar("T")
Source: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file that the service keeps. `uri` is what requests name; `expires` is when it is gone.

    `sha256` is in hexadecimal digits, None where the service told no hash that can be read.
    """

    name: str
    uri: str
    mime_type: str
    size: int | None = None
    state: str = "ACTIVE"
    expires: datetime | None = None
    sha256: str | None = None
    raw: JsonObject = field(default_factory=dict, repr=False)

    @property
    def is_active(self) -> bool:
        return self.state == "ACTIVE"

    def part(self, *, resolution: Resolution | None = None, processing: Processing | None = None) -> MediaPart:
        """Return the part that puts this file into a request. ConfigError where it cannot be used (yet)."""
        if not self.is_active:
            raise ConfigError(f"{self.name} is {self.state}, not ACTIVE: files.wait() returns it once it can be used")
        return MediaPart(
            kind=kind_of(self.mime_type) or "document",  # text too: the service reads it as a bare document
            mime_type=self.mime_type,
            uri=self.uri,
            resolution=resolution,
            processing=processing,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What is to be uploaded and how. `read` returns so many bytes from an offset, or fewer at the end."""

    url: str
    read: Callable[[int, int], bytes]
    size: int
    mime_type: str
    name: str
    label: str
    chunk_bytes: int = CHUNK_BYTES
    on_progress: Callable[[int, int], None] | None = None


def upload(plan: Upload, retry: Retry) -> PollingProtocol[Reply, RemoteFile]:
    """Send a file in chunks; after a failure the service is asked how much it has, and the rest is sent.

    The reply to the last chunk may be lost: the file is then looked up under the name it was given at the start.
    """
    url = yield from _start(plan, retry)
    arrived, reply = 0, None
    while reply is None or _status(reply) != "final":
        arrived, reply = yield from _advance(plan, url, arrived, retry)
        if plan.on_progress is not None:
            plan.on_progress(arrived, plan.size)
    try:
        file = _object(reply.body).get("file")
    except Unreachable:
        file = None
    if not isinstance(file, dict):
        return (yield from fetch(plan.name, retry))
    return read_file(file, fallback=plan)


def _start(plan: Upload, retry: Retry) -> PollingProtocol[Reply, str]:
    """Announce the file and return the address to send it to."""
    told = {"name": plan.name, "display_name": plan.label, "mime_type": plan.mime_type, "size_bytes": plan.size}
    body = json_body({"file": told})
    headers = {
        "x-goog-upload-protocol": "resumable",
        "x-goog-upload-command": "start",
        "x-goog-upload-header-content-length": str(plan.size),
        "x-goog-upload-header-content-type": plan.mime_type,
        "x-goog-upload-file-name": quote(plan.label),
    }
    call = Call("POST", "/files", body, headers, plan.url)
    reply: Reply = yield from insist_on(call, retry)
    url = reply.headers.get("x-goog-upload-url")
    if not url:
        raise Unreachable("POST /files: the service named no address to upload to", maybe_sent=True)
    return url


def _advance(plan: Upload, url: str, offset: int, retry: Retry) -> PollingProtocol[Reply, tuple[int, Reply]]:
    """Return how much has arrived, once that is more than `offset`, and the reply that told so."""
    patience = Patience(retry)
    known, reached = True, offset
    while True:
        call = _chunk(plan, url, reached) if known else _to_upload(url, _command("query"))
        try:
            reply: Reply = yield from exchanged(call)
            if _status(reply) == "final":
                return plan.size, reply
            reached = _received(reply, plan, otherwise=reached + len(call.body))
            if reached <= offset and known:
                raise Unreachable("POST /files: the service kept nothing of a chunk")
        except ExtractError as error:
            yield patience.after(_of_upload(error))
            known = False
            continue
        if reached > offset:
            return reached, reply
        known = True


def _of_upload(error: ExtractError) -> ExtractError:
    """Return what an error means at an upload's own address, which holds no key and lives some days."""
    if isinstance(error, ApiError) and error.status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        told = f"the service no longer knows this upload: send the file again ({error})"
        return BadRequest(told, status=error.status, reason=error.reason)
    return error


def _chunk(plan: Upload, url: str, offset: int) -> Call:
    """Return the call that sends the next bytes; the last one also ends the upload."""
    wanted = min(plan.chunk_bytes, plan.size - offset)
    try:
        data = plan.read(offset, wanted)
    except (OSError, ValueError) as error:
        raise BadRecord(f"{plan.label}: {_reason(error)}") from None
    if len(data) != wanted:
        raise BadRecord(f"{plan.label}: the file changed while it was sent; send it again")
    last = offset + wanted == plan.size
    headers = _command("upload, finalize" if last else "upload") | {"x-goog-upload-offset": str(offset)}
    return _to_upload(url, headers, data)


def _to_upload(url: str, headers: dict[str, str], data: bytes = b"") -> Call:
    """Return a call to an upload's own address: whoever knows that needs no key, and it may be on another host."""
    return Call("POST", "/files", data, headers, url, bare=True)


def _command(command: str) -> dict[str, str]:
    return {"x-goog-upload-command": command, "content-type": "application/octet-stream"}


def _status(reply: Reply) -> str:
    """Return `active` or `final`. Unreachable where the reply does not say, BadRequest where the upload has ended."""
    status = reply.headers.get("x-goog-upload-status", "").lower()
    if not status:
        raise Unreachable("POST /files: the reply says nothing of the upload")
    if status not in ("active", "final"):
        raise BadRequest(f"the upload ended as {status!r}: send the file again", reason=status)
    return status


def _received(reply: Reply, plan: Upload, *, otherwise: int) -> int:
    """Return how many bytes the service says it has; `otherwise` where it says nothing of that."""
    told = reply.headers.get("x-goog-upload-size-received")
    if told is None:
        return otherwise
    received = _count(told)
    if received is None or received > plan.size:
        raise Unreachable(f"POST /files: the service says it has {told[:20]!r} of {plan.size} bytes")
    return received


def _count(value: Any) -> int | None:
    """Return a number of bytes, which the service writes as text. None for what is none, or has endless digits."""
    if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdecimal():
        return int(value)
    return value if type(value) is int and 0 <= value < 2**63 else None


def fetch(name: str, retry: Retry, deadline: Deadline | None = None) -> PollingProtocol[Reply, RemoteFile]:
    """Get what the service says of a file now."""
    reply = yield from _about(name, "GET", retry, deadline)
    return read_file(_object(reply.body))


def delete(name: str, retry: Retry) -> PollingProtocol[Reply, None]:
    """Remove a file before its time."""
    yield from _about(name, "DELETE", retry)


def _about(
    name: str, method: Literal["GET", "DELETE"], retry: Retry, deadline: Deadline | None = None
) -> PollingProtocol[Reply, Reply]:
    try:
        return (yield from insist_on(Call(method, f"/{name}"), retry, deadline))
    except ApiError as error:
        if error.status not in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            raise
        told = f"{name}: no such file in this project; files are gone after 48 hours ({error})"
        raise BadRequest(told, status=error.status, reason=error.reason) from None


def list_all(retry: Retry, page_size: int = _PAGE_SIZE) -> PollingProtocol[Reply, tuple[RemoteFile, ...]]:
    """Get all files of the project, page after page."""
    files: list[RemoteFile] = []
    tokens = {""}
    token = ""
    while True:
        query = urlencode({"pageSize": page_size} | ({"pageToken": token} if token else {}))
        reply: Reply = yield from insist_on(Call("GET", f"/files?{query}"), retry)
        page = _object(reply.body)
        found = page.get("files")
        files += [read_file(one) for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        token = str(page.get("nextPageToken") or "")
        if token in tokens:  # the last page names none; one named again would lead in circles
            return tuple(files)
        tokens.add(token)


def wait_until_active(
    name: str, retry: Retry, deadline: float, clock: Callable[[], float]
) -> PollingProtocol[Reply, RemoteFile]:
    """Ask for a file until it is ACTIVE. BadRecord where it became FAILED, AnswerTimeout past the deadline."""
    end, delay = Deadline(deadline, clock), _FIRST_POLL
    while True:
        file = yield from fetch(name, retry, end)
        if file.is_active:
            return file
        if file.state == "FAILED":
            error = file.raw.get("error")
            said = error.get("message") if isinstance(error, dict) else None
            raise BadRecord(f"{name}: the service could not read this file ({said or 'it did not say why'})")
        if end.left <= 0:
            raise AnswerTimeout(f"{name} is still {file.state} after {deadline:g} s: wait for it again, or longer")
        yield end.sleep(delay)
        delay = min(_LONGEST_POLL, delay * 2)


def read_file(raw: JsonObject, fallback: Upload | None = None) -> RemoteFile:
    """Read a file resource. Unreachable where it has no name."""
    name = raw.get("name") or (fallback.name if fallback else None)
    if not isinstance(name, str):
        raise Unreachable("the service described a file without a name")
    return RemoteFile(
        name=name,
        uri=str(raw.get("uri") or ""),
        mime_type=str(raw.get("mimeType") or (fallback.mime_type if fallback else "application/octet-stream")),
        size=_count(raw.get("sizeBytes")),
        state=str(raw.get("state") or "ACTIVE"),
        expires=_time(raw.get("expirationTime")),
        sha256=_hash(raw.get("sha256Hash")),
        raw=raw,
    )


def _time(value: Any) -> datetime | None:
    try:
        when = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _hash(value: Any) -> str | None:
    """Return a SHA-256 in hexadecimal digits; it has been seen as base64 of the bytes and of their digits."""
    try:
        data = b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return None
    if len(data) == 64:
        return data.decode("ascii", "replace").lower()
    return data.hex() if len(data) == 32 else None


def _object(body: bytes) -> JsonObject:
    try:
        value = from_json(body)
    except ValueError as error:
        raise Unreachable(f"the reply's body is not whole JSON ({error})") from None
    if not isinstance(value, dict):
        raise Unreachable(f"the reply's body is a JSON {type(value).__name__}, not an object")
    return value


def name_of(file: RemoteFile | str) -> str:
    """Return `files/...` for a file, its name, its bare id or its uri. ConfigError for what is none of them."""
    if isinstance(file, RemoteFile):
        return file.name
    found = _NAME.fullmatch(file)
    if found is None:
        raise ConfigError(f"{file!r} is no name of a file, such as files/abc-123")
    return f"files/{found['id']}"


@contextmanager
def opened(source: Source) -> Iterator[tuple[BinaryIO, str]]:
    """Yield a seekable stream and its name. BadRecord where a path cannot be read, ConfigError for no such source."""
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        with _open(path) as stream:
            yield stream, path.name
    elif isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source), "bytes"
    elif callable(getattr(source, "seek", None)) and callable(getattr(source, "read", None)):
        named = getattr(source, "name", None)
        yield source, Path(named).name if isinstance(named, str) else "stream"
    else:
        raise ConfigError(f"upload takes a path, bytes or a seekable binary stream, not a {type(source).__name__}")


def _open(path: Path) -> BinaryIO:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for somebody to write into it
            raise BadRecord(f"{path}: not a regular file")
        return path.open("rb")
    except (OSError, ValueError) as error:
        raise BadRecord(f"{str(path)!r}: {_reason(error)}") from None


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the caller of an upload chose; None leaves it to what the file itself tells."""

    mime_type: str | None = None
    name: str | None = None
    label: str | None = None
    chunk_bytes: int = CHUNK_BYTES
    on_progress: Callable[[int, int], None] | None = None

    def __post_init__(self) -> None:
        if self.chunk_bytes < GRANULARITY or self.chunk_bytes % GRANULARITY:
            raise ConfigError(f"chunk_bytes must be a multiple of {GRANULARITY:,} (256 KiB), not {self.chunk_bytes:,}")

    def plan(self, stream: BinaryIO, file_name: str, url: str) -> Upload:
        """Return how to upload `stream`. BadRecord for a file that is empty or too large."""
        label = self.label or file_name
        try:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            opening = stream.read(1024)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{label}: the stream must be open, and seekable: {_reason(error)}") from None
        if not isinstance(opening, bytes):
            raise ConfigError(f"{label}: the stream must be binary: open it with 'rb'")
        if not size:
            raise BadRecord(f"{label}: the file is empty")
        if size > MAX_UPLOADED_BYTES:
            most = f"{MAX_UPLOADED_BYTES:,}"
            raise BadRecord(f"{label}: {size:,} bytes is too large; the service takes files up to {most}")
        mime_type = self.mime_type or mime_type_of(file_name) or mime_type_of(label) or sniff_type(opening)
        if mime_type is None:
            raise ConfigError(f"{label}: its type cannot be told: give mime_type, such as 'application/pdf'")

        def read(offset: int, wanted: int) -> bytes:
            stream.seek(offset)
            return stream.read(wanted)

        return Upload(
            url=url,
            read=read,
            size=size,
            mime_type=mime_type,
            # Named by us, a file whose upload ended in a lost reply can be found.
            name=name_of(self.name) if self.name else f"files/{secrets.token_hex(16)}",
            label=label,
            chunk_bytes=self.chunk_bytes,
            on_progress=self.on_progress,
        )


class _Endpoint(Protocol):
    @property
    def base_url(self) -> str: ...
    @property
    def root(self) -> str: ...


class _Client(Protocol):
    @property
    def endpoint(self) -> _Endpoint: ...
    @property
    def retry(self) -> Retry: ...


class _SyncClient(_Client, Protocol):
    def exchange(self, call: Call) -> Reply: ...


class _AsyncClient(_Client, Protocol):
    async def exchange(self, call: Call) -> Reply: ...


def _upload_url(client: _Client) -> str:
    """Return where uploads begin: beside the version's root, not below it."""
    base, version = client.endpoint.root.rsplit("/", 1)
    return f"{base}/upload/{version}/files"


class Files:
    """The files of a project, as `client.files`. Files live 48 hours; every call that fails in passing is repeated."""

    def __init__(
        self, client: _SyncClient, sleep: Callable[[float], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client, self._sleep, self._clock = client, sleep, clock

    def upload(
        self,
        source: Source,
        *,
        mime_type: str | None = None,
        name: str | None = None,
        label: str | None = None,
        chunk_bytes: int = CHUNK_BYTES,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> RemoteFile:
        """Send a file, a seekable stream or bytes, in chunks; what is lost on the way is sent again.

        `label` is what the service shows as its name. `on_progress` gets the bytes that arrived, and all bytes. The
        file may still be PROCESSING: see `wait`.
        """
        choices = Choices(mime_type=mime_type, name=name, label=label, chunk_bytes=chunk_bytes, on_progress=on_progress)
        with opened(source) as (stream, file_name):
            plan = choices.plan(stream, file_name, _upload_url(self._client))
            return self._drive(upload(plan, self._client.retry))

    def wait(self, file: RemoteFile | str, *, deadline: float = 300.0) -> RemoteFile:
        """Return the file once it is ACTIVE. BadRecord where it became FAILED, AnswerTimeout past the deadline."""
        return self._drive(wait_until_active(name_of(file), self._client.retry, deadline, self._clock))

    def get(self, file: RemoteFile | str) -> RemoteFile:
        """Return the file as it is now. BadRequest where there is none."""
        return self._drive(fetch(name_of(file), self._client.retry))

    def list(self) -> tuple[RemoteFile, ...]:
        """Return all files of the project."""
        return self._drive(list_all(self._client.retry))

    def delete(self, file: RemoteFile | str) -> None:
        """Remove a file. BadRequest where there is none."""
        self._drive(delete(name_of(file), self._client.retry))

    def _drive(self, protocol: PollingProtocol[Reply, T]) -> T:
        return drive_polling(protocol, self._client.exchange, self._sleep)


class AsyncFiles:
    """`Files` for event loops. Chunks are read from disk in the loop: milliseconds each on a local disk."""

    def __init__(
        self,
        client: _AsyncClient,
        sleep: Callable[[float], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._sleep, self._clock = client, sleep, clock

    async def upload(
        self,
        source: Source,
        *,
        mime_type: str | None = None,
        name: str | None = None,
        label: str | None = None,
        chunk_bytes: int = CHUNK_BYTES,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> RemoteFile:
        """Send a file, a seekable stream or bytes: see `Files.upload`."""
        choices = Choices(mime_type=mime_type, name=name, label=label, chunk_bytes=chunk_bytes, on_progress=on_progress)
        with opened(source) as (stream, file_name):
            plan = choices.plan(stream, file_name, _upload_url(self._client))
            return await self._drive(upload(plan, self._client.retry))

    async def wait(self, file: RemoteFile | str, *, deadline: float = 300.0) -> RemoteFile:
        """Return the file once it is ACTIVE. BadRecord where it became FAILED, AnswerTimeout past the deadline."""
        return await self._drive(wait_until_active(name_of(file), self._client.retry, deadline, self._clock))

    async def get(self, file: RemoteFile | str) -> RemoteFile:
        """Return the file as it is now. BadRequest where there is none."""
        return await self._drive(fetch(name_of(file), self._client.retry))

    async def list(self) -> tuple[RemoteFile, ...]:
        """Return all files of the project."""
        return await self._drive(list_all(self._client.retry))

    async def delete(self, file: RemoteFile | str) -> None:
        """Remove a file. BadRequest where there is none."""
        await self._drive(delete(name_of(file), self._client.retry))

    async def _drive(self, protocol: PollingProtocol[Reply, T]) -> T:
        return await drive_polling_async(protocol, self._client.exchange, self._sleep)
