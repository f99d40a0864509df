"""The resumable upload as it goes over the wire: `x-goog-upload-*` headers in and out."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from pydantic_core import from_json

from extract.emulator.messages import JSON_TYPE, Refusal, WireRequest, WireResponse, compact, rpc_response
from extract.emulator.stored_files import GRANULARITY, FileShelf, Upload, file_refusal
from extract.json_types import JsonObject

__all__ = ["Uploads"]

BROKEN = WireResponse(status=0, reset=True)
OVERLOADED = rpc_response(503, "UNAVAILABLE", "The service is overloaded. Send it again later.", [])


class Uploads:
    """Takes uploads into a `FileShelf`. `fault` names what goes wrong with the next chunk, None for nothing."""

    def __init__(self, shelf: FileShelf, *, fault: Callable[[], str | None], strict: bool) -> None:
        self._shelf, self._fault, self._strict = shelf, fault, strict

    def begin(self, request: WireRequest, version: str, identity: str, now: float) -> WireResponse:
        """Return the response to the announcement of a file, which names the address for its bytes."""
        headers = request.headers
        if headers.get("x-goog-upload-protocol") != "resumable" or headers.get("x-goog-upload-command") != "start":
            raise file_refusal(HTTPStatus.BAD_REQUEST, "An upload begins with protocol 'resumable', command 'start'.")
        size = headers.get("x-goog-upload-header-content-length", "")
        if not size.isdecimal():
            raise file_refusal(HTTPStatus.BAD_REQUEST, "X-Goog-Upload-Header-Content-Length must say the file's size.")
        told = told_of(request.body)
        self._shelf.begin(
            identity,
            told,
            size=int(size),
            mime_type=str(
                headers.get("x-goog-upload-header-content-type")
                or told.get("mime_type")
                or told.get("mimeType")
                or "application/octet-stream"
            ),
            label=str(told.get("display_name") or told.get("displayName") or "")[:512],
            origin=request.origin,
            version=version,
            now=now,
        )
        address = f"{request.origin}/upload/{version}/files?upload_id={identity}&upload_protocol=resumable"
        return reply(
            {}, "active", ("x-goog-upload-url", address), ("x-goog-upload-chunk-granularity", str(GRANULARITY))
        )

    def go_on(self, request: WireRequest, identity: str, now: float) -> WireResponse:
        """Return the response to bytes, to the question how many arrived, or to a cancellation."""
        upload = self._shelf.find_upload(identity)
        commands = {word.strip() for word in request.headers.get("x-goog-upload-command", "").lower().split(",")}
        if upload is None:
            return reply({"file": self._shelf.outcome(identity, now)}, "final")
        if commands == {"query"}:
            return reply({}, "active", arrived(upload))
        if commands == {"cancel"}:
            self._shelf.cancel(upload)
            return reply({}, "cancelled")
        if not commands or not commands <= {"upload", "finalize"}:
            raise file_refusal(HTTPStatus.BAD_REQUEST, "X-Goog-Upload-Command is upload, finalize, query or cancel.")
        return self._take(upload, request, now, last="finalize" in commands)

    def _take(self, upload: Upload, request: WireRequest, now: float, *, last: bool) -> WireResponse:
        self._check(upload, request, last=last)
        data, fault = request.body, self._fault()
        if fault == "upload_503":
            return OVERLOADED
        if fault == "upload_cut":
            half = len(data) // 2 // GRANULARITY * GRANULARITY
            self._shelf.add(upload, data[:half])
            return BROKEN
        self._shelf.add(upload, data)
        if last:
            body: JsonObject = {"file": self._shelf.finish(upload, now, failed=fault == "file_failed")}
        response = reply(body, "final", arrived(upload)) if last else reply({}, "active", arrived(upload))
        return BROKEN if fault == "upload_lost" else response

    def _check(self, upload: Upload, request: WireRequest, *, last: bool) -> None:
        """Raise Refusal for bytes that do not go on where the upload is, or do not make up the file."""
        offset, length = request.headers.get("x-goog-upload-offset", ""), len(request.body)
        if offset != str(upload.received):
            raise misplaced(upload, f"the upload is at offset {upload.received}, not at {offset!r}")
        if last and upload.received + length != upload.size:
            raise misplaced(upload, f"{upload.size} bytes were announced, not {upload.received + length}")
        if upload.received + length > upload.size:
            raise misplaced(upload, f"more than the announced {upload.size} bytes")
        if self._strict and not last and length % GRANULARITY:
            raise misplaced(upload, f"all chunks but the last are multiples of {GRANULARITY} bytes, not {length}")


def told_of(body: bytes) -> JsonObject:
    """Return the file's metadata in the body of an announcement."""
    try:
        told = from_json(body) if body else {}
    except ValueError:
        raise file_refusal(HTTPStatus.BAD_REQUEST, "Invalid JSON payload received.") from None
    file = told.get("file", {}) if isinstance(told, dict) else None
    if not isinstance(file, dict):
        raise file_refusal(HTTPStatus.BAD_REQUEST, "The metadata must be an object such as {'file': {...}}.")
    return file


def arrived(upload: Upload) -> tuple[str, str]:
    return ("x-goog-upload-size-received", str(upload.received))


def misplaced(upload: Upload, why: str) -> Refusal:
    """Return the refusal of a chunk; the upload stays as it was."""
    refused = rpc_response(400, "INVALID_ARGUMENT", f"Upload of {upload.name}: {why}.", [], (arrived(upload),))
    return Refusal(refused)


def reply(body: JsonObject, status: str, *headers: tuple[str, str]) -> WireResponse:
    return WireResponse(status=200, headers=(JSON_TYPE, ("x-goog-upload-status", status), *headers), body=compact(body))
