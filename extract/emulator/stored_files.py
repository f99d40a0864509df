"""Uploaded files in the emulator: their bytes on disk, their state by the clock, their limits."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import weakref
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Any

from extract.documents.mime import is_text
from extract.emulator.messages import Refusal, refusal, rpc_response, timestamp
from extract.emulator.state import LruCache
from extract.json_types import JsonObject

__all__ = ["GRANULARITY", "FileStore", "Upload", "file_refusal"]

GRANULARITY = 256 * 1024
MAX_FILE_BYTES, MAX_PROJECT_BYTES = 2 * 1024**3, 20 * 1024**3
LIFETIME_SECONDS = 48 * 3600.0
MAX_ENDED_NAMES = 10_000
NAME = re.compile(r"files/[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
FILE_URI = re.compile(r"(?P<origin>https?://[^/?#]+)/v1(?:beta)?/(?P<name>files/[A-Za-z0-9-]+)")
STATUS_NAMES = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS"}
GOOGLE = "https://generativelanguage.googleapis.com"


def file_refusal(status: int, message: str) -> Refusal:
    """Return the refusal of a call of the Files API, in the older envelope that it uses."""
    return Refusal(rpc_response(status, STATUS_NAMES.get(status, "UNKNOWN"), message, []))


@dataclass(slots=True)
class Upload:
    """An upload that has not ended: the announced file, and the bytes received."""

    identity: str
    name: str
    mime_type: str
    label: str
    size: int
    origin: str
    version: str
    path: Path
    received: int = 0
    hash: Any = field(default_factory=hashlib.sha256)
    cancelled: bool = False


@dataclass(slots=True)
class StoredFile:
    """A file whose upload has ended. Times are on the emulator's clock."""

    upload: Upload
    created: float
    active_at: float
    failed: bool = False

    def state_at(self, now: float) -> str:
        if now < self.active_at:
            return "PROCESSING"
        return "FAILED" if self.failed else "ACTIVE"


class FileStore:
    """Uploads and files; the folder with their bytes is removed with this object, or when Python ends.

    A file is usable `processing_seconds` after its last byte and expires 48 hours after it. How the service refuses
    more than 20 GB per project is not documented: here it is a 400, and the announced sizes of uploads that have not
    ended count.
    """

    def __init__(self, *, processing_seconds: float) -> None:
        self._processing_seconds = processing_seconds
        self._folder: Path | None = None
        self._uploads: dict[str, Upload] = {}
        self._files: dict[str, StoredFile] = {}
        self._done: LruCache[str, str] = LruCache(MAX_ENDED_NAMES)
        self._expired: LruCache[str, bool] = LruCache(MAX_ENDED_NAMES)
        self._lock = Lock()

    def begin(
        self,
        identity: str,
        metadata: JsonObject,
        *,
        size: int,
        mime_type: str,
        label: str,
        origin: str,
        version: str,
        now: float,
    ) -> Upload:
        """Announce an upload. Refusal for a name that exists or is malformed, and for a file that is too large."""
        name = str(metadata.get("name") or f"files/{identity[:24]}")
        if not NAME.fullmatch(name):
            raise file_refusal(HTTPStatus.BAD_REQUEST, f"Invalid file name {name!r}: lower case, digits and dashes.")
        with self._lock:
            self._sweep(now)
            if name in self._files:
                raise file_refusal(HTTPStatus.CONFLICT, f"Requested entity {name} already exists")
            if not 0 < size <= MAX_FILE_BYTES:
                raise file_refusal(HTTPStatus.BAD_REQUEST, f"A file has 1 to {MAX_FILE_BYTES} bytes, not {size}.")
            if size + sum(self._sizes()) > MAX_PROJECT_BYTES:
                raise file_refusal(HTTPStatus.BAD_REQUEST, "The files of this project would pass 20 GB: delete some.")
            upload = Upload(identity, name, mime_type, label, size, origin, version, self._path(identity))
            self._uploads[identity] = upload
        return upload

    def find_upload(self, identity: str) -> Upload | None:
        """Return an upload, None once it has ended. Refusal where there never was one."""
        with self._lock:
            upload = self._uploads.get(identity)
            if upload is None and self._done.find(identity) is None:
                raise file_refusal(HTTPStatus.NOT_FOUND, "Upload not found: it has ended, or never began.")
            return upload

    def add(self, upload: Upload, data: bytes) -> None:
        """Store the next bytes of an upload."""
        with self._lock, upload.path.open("ab") as file:
            file.write(data)
            upload.hash.update(data)
            upload.received += len(data)

    def finish(self, upload: Upload, now: float, *, failed: bool = False) -> JsonObject:
        """Make an upload a file and return it."""
        with self._lock:
            self._uploads.pop(upload.identity, None)
            self._done.put(upload.identity, upload.name)
            self._files[upload.name] = StoredFile(upload, now, now + self._processing_seconds, failed)
            return self._shown(self._files[upload.name], now)

    def cancel(self, upload: Upload) -> None:
        """Forget an upload and its bytes."""
        with self._lock:
            self._uploads.pop(upload.identity, None)
            upload.path.unlink(missing_ok=True)

    def file_of(self, identity: str, now: float) -> JsonObject:
        """Return the file of an upload that has ended."""
        with self._lock:
            name = self._done.find(identity)
        return self.show(str(name), now)

    def show(self, name: str, now: float) -> JsonObject:
        """Return a file as it is now. Refusal where there is none or it has expired."""
        with self._lock:
            return self._shown(self._stored(name, now), now)

    def delete(self, name: str, now: float) -> None:
        """Remove a file. Refusal where there is none."""
        with self._lock:
            self._stored(name, now).upload.path.unlink(missing_ok=True)
            del self._files[name]

    def page(self, size: int, token: str, now: float) -> JsonObject:
        """Return files in the order of their arrival, from the one that `token` names."""
        with self._lock:
            self._sweep(now)
            names = list(self._files)
            if token and token not in self._files:
                raise file_refusal(HTTPStatus.BAD_REQUEST, "Invalid value at 'pageToken': it names nothing (any more).")
            start = names.index(token) if token else 0
            shown = names[start : start + size]
            page: JsonObject = {"files": [self._shown(self._files[name], now) for name in shown]} if shown else {}
            return page | ({"nextPageToken": names[start + size]} if start + size < len(names) else {})

    def check_used(self, body: JsonObject, now: float, origin: str) -> None:
        """Raise Refusal where a request names an uploaded file that is unknown, expired, or not ACTIVE.

        An address below Google's or the emulator's own `origin` names an uploaded file; others are not looked at.
        """
        for content in file_contents(body.get("input")):
            match = FILE_URI.fullmatch(content["uri"])
            if match is None or match["origin"] not in (GOOGLE, origin):
                continue
            name = match["name"]
            with self._lock:
                self._sweep(now)
                stored, expired = self._files.get(name), self._expired.find(name)
            if stored is None:
                status = HTTPStatus.FORBIDDEN if expired else HTTPStatus.NOT_FOUND
                code = "permission_denied" if expired else "not_found"
                message = f"You do not have permission to access the File {name} or it may not exist."
                raise refusal(message, status=status, code=code)
            if (state := stored.state_at(now)) != "ACTIVE":
                raise refusal(f"The File {name} is not in an ACTIVE state but {state}, and usage is not allowed.")

    def with_text_files(self, body: JsonObject) -> JsonObject:
        """Return a request with the text of uploaded text files in their place, for the reader."""
        if not self._files:
            return body
        given = body.get("input")
        texts = {id(one): text for one in file_contents(given) if (text := self._text(one["uri"])) is not None}
        return body | {"input": with_texts(given, texts)} if texts else body

    def pdf_at(self, uri: str) -> bytes | None:
        """Return the bytes of an uploaded PDF, None for any other address."""
        return self._bytes(uri, lambda mime_type: mime_type == "application/pdf")

    def _text(self, uri: str) -> str | None:
        data = self._bytes(uri, is_text)
        return None if data is None else data.decode("utf-8", "replace")

    def _bytes(self, uri: str, accepts: Callable[[str], bool]) -> bytes | None:
        match = FILE_URI.fullmatch(uri)
        with self._lock:
            stored = self._files.get(match["name"]) if match else None
            if stored is None or not accepts(stored.upload.mime_type):
                return None
            return stored.upload.path.read_bytes()

    def _stored(self, name: str, now: float) -> StoredFile:
        self._sweep(now)
        stored = self._files.get(name)
        if stored is None:
            # The service does not distinguish an expired file from one that never existed any better than this.
            status = HTTPStatus.FORBIDDEN if self._expired.find(name) else HTTPStatus.NOT_FOUND
            message = f"You do not have permission to access the File {name.partition('/')[2]} or it may not exist."
            raise file_refusal(status, message)
        return stored

    def _sweep(self, now: float) -> None:
        """Remove expired files. They are in the order of their arrival."""
        while self._files:
            name, oldest = next(iter(self._files.items()))
            if now < oldest.created + LIFETIME_SECONDS:
                return
            oldest.upload.path.unlink(missing_ok=True)
            self._expired.put(name, True)
            del self._files[name]

    def _sizes(self) -> Iterator[int]:
        yield from (upload.size for upload in self._uploads.values())
        yield from (stored.upload.size for stored in self._files.values())

    def _path(self, identity: str) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="extract-emulator-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder / identity

    def _shown(self, stored: StoredFile, now: float) -> JsonObject:
        upload, state = stored.upload, stored.state_at(now)
        file: JsonObject = {
            "name": upload.name,
            **({"displayName": upload.label} if upload.label else {}),
            "mimeType": upload.mime_type,
            "sizeBytes": str(upload.size),
            "createTime": timestamp(stored.created),
            "updateTime": timestamp(min(now, stored.active_at)),
            "expirationTime": timestamp(stored.created + LIFETIME_SECONDS),
            "sha256Hash": b64encode(upload.hash.digest()).decode(),
            "uri": f"{upload.origin}/{upload.version}/{upload.name}",
            "state": state,
            "source": "UPLOADED",
        }
        return file | ({"error": {"code": 3, "message": "The file could not be read."}} if state == "FAILED" else {})


def file_contents(given: Any) -> Iterator[JsonObject]:
    """Yield the contents of an input that have an address, in steps and turns too."""
    if isinstance(given, list):
        for one in given:
            yield from file_contents(one)
    elif isinstance(given, dict):
        if isinstance(given.get("uri"), str):
            yield given
        if isinstance(given.get("content"), list):
            yield from file_contents(given["content"])


def with_texts(given: Any, texts: dict[int, str]) -> Any:
    """Return an input in which text replaces the contents with these `id()`s."""
    if isinstance(given, list):
        return [with_texts(one, texts) for one in given]
    if not isinstance(given, dict):
        return given
    if id(given) in texts:
        return {"type": "text", "text": texts[id(given)]}
    return given | {"content": with_texts(given["content"], texts)} if "content" in given else given
