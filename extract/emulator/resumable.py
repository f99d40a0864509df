"""The resumable upload on the wire: `x-goog-upload-*` headers in and out."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from pydantic_core import from_json

from extract.emulator.messages import JSON_TYPE, Refusal, WireRequest, WireResponse, compact, rpc_response
from extract.emulator.stored_files import GRANULARITY, FileStore, Upload, file_refusal
from extract.json_types import JsonObject

__all__ = ["Uploads"]

BROKEN = WireResponse(status=0, reset=True)
OVERLOADED = rpc_response(503, "UNAVAILABLE", "The service is overloaded. Send it again later.", [])


class Uploads:
    """Receives uploads into a `FileStore`. `fault` names what goes wrong with the next chunk, None for nothing."""

    def __init__(self, files: FileStore, *, fault: Callable[[], str | None], strict: bool) -> None:
        self._files, self._fault, self._strict = files, fault, strict

    def begin(self, request: WireRequest, version: str, identity: str, now: float) -> WireResponse:
        """Return the response to the announcement of a file, which names the address for its bytes."""
        headers = request.headers
        if headers.get("x-goog-upload-protocol") != "resumable" or headers.get("x-goog-upload-command") != "start":
            raise file_refusal(HTTPStatus.BAD_REQUEST, "An upload begins with protocol 'resumable', command 'start'.")
        size = headers.get("x-goog-upload-header-content-length", "")
        if not size.isdecimal():
            raise file_refusal(HTTPStatus.BAD_REQUEST, "X-Goog-Upload-Header-Content-Length must be the file's size.")
        metadata = metadata_in(request.body)
        self._files.begin(
            identity,
            metadata,
            size=int(size),
            mime_type=str(
                headers.get("x-goog-upload-header-content-type")
                or metadata.get("mime_type")
                or metadata.get("mimeType")
                or "application/octet-stream"
            ),
            label=str(metadata.get("display_name") or metadata.get("displayName") or "")[:512],
            origin=request.origin,
            version=version,
            now=now,
        )
        address = f"{request.origin}/upload/{version}/files?upload_id={identity}&upload_protocol=resumable"
        return reply(
            {}, "active", ("x-goog-upload-url", address), ("x-goog-upload-chunk-granularity", str(GRANULARITY))
        )

    def resume(self, request: WireRequest, identity: str, now: float) -> WireResponse:
        """Return the response to a chunk of bytes, to a query of how many arrived, or to a cancellation."""
        upload = self._files.find_upload(identity)
        commands = {word.strip() for word in request.headers.get("x-goog-upload-command", "").lower().split(",")}
        if upload is None:
            return reply({"file": self._files.file_of(identity, now)}, "final")
        if commands == {"query"}:
            return reply({}, "active", arrived(upload))
        if commands == {"cancel"}:
            self._files.cancel(upload)
            return reply({}, "cancelled")
        if not commands or not commands <= {"upload", "finalize"}:
            raise file_refusal(HTTPStatus.BAD_REQUEST, "X-Goog-Upload-Command is upload, finalize, query or cancel.")
        return self._receive(upload, request, now, last="finalize" in commands)

    def _receive(self, upload: Upload, request: WireRequest, now: float, *, last: bool) -> WireResponse:
        self._check(upload, request, last=last)
        data, fault = request.body, self._fault()
        if fault == "upload_503":
            return OVERLOADED
        if fault == "upload_cut":
            half = len(data) // 2 // GRANULARITY * GRANULARITY
            self._files.add(upload, data[:half])
            return BROKEN
        self._files.add(upload, data)
        if last:
            body: JsonObject = {"file": self._files.finish(upload, now, failed=fault == "file_failed")}
        response = reply(body, "final", arrived(upload)) if last else reply({}, "active", arrived(upload))
        return BROKEN if fault == "upload_lost" else response

    def _check(self, upload: Upload, request: WireRequest, *, last: bool) -> None:
        """Raise Refusal for bytes that do not continue the upload, or do not make up the file."""
        offset, length = request.headers.get("x-goog-upload-offset", ""), len(request.body)
        if offset != str(upload.received):
            raise misplaced(upload, f"the upload is at offset {upload.received}, not at {offset!r}")
        if last and upload.received + length != upload.size:
            raise misplaced(upload, f"{upload.size} bytes were announced, not {upload.received + length}")
        if upload.received + length > upload.size:
            raise misplaced(upload, f"more than the announced {upload.size} bytes")
        if self._strict and not last and length % GRANULARITY:
            raise misplaced(upload, f"all chunks but the last are multiples of {GRANULARITY} bytes, not {length}")


def metadata_in(body: bytes) -> JsonObject:
    """Return the file's metadata in the body of an announcement."""
    try:
        announced = from_json(body) if body else {}
    except ValueError:
        raise file_refusal(HTTPStatus.BAD_REQUEST, "Invalid JSON payload received.") from None
    file = announced.get("file", {}) if isinstance(announced, dict) else None
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
