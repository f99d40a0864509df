"""Resumable uploads: a file in chunks, taken up again after a failure where the service stopped receiving."""

from __future__ import annotations

from http import HTTPStatus
from math import inf
from urllib.parse import quote

from extract.errors import ApiError, BadRecord, BadRequest, ExtractError, Unreachable
from extract.interactions.file_operations import fetch
from extract.interactions.http.calls import Call, Operation, Order, Reply, json_body, once
from extract.interactions.http.retrying import Backoff, Retry, send
from extract.interactions.remote_file import RemoteFile, byte_count, json_object, read_file
from extract.interactions.upload_source import Source, UploadOptions, UploadPlan, opened, reason_of

__all__ = ["upload"]

_MAX_WORD = 15  # characters: no key is as short


def upload(source: Source, options: UploadOptions, url: str, retry: Retry) -> Operation[Order, RemoteFile]:
    """Send a file in chunks to the service that takes uploads at `url`, and return its resource.

    After a failure the service is asked how much it has received, and the rest is sent.
    """
    with opened(source) as (stream, file_name):  # closed as soon as the driver ends, whatever ends it
        plan = options.plan(stream, file_name)
        address = yield from _start(plan, url, retry)
        reply = yield from _send_chunks(plan, address, retry)
    return (yield from _uploaded_file(plan, reply, retry))


def _start(plan: UploadPlan, url: str, retry: Retry) -> Operation[Order, str]:
    """Announce the file and return the address to send it to."""
    resource = {"name": plan.name, "display_name": plan.label, "mime_type": plan.mime_type, "size_bytes": plan.size}
    body = json_body({"file": resource})
    headers = {
        "x-goog-upload-protocol": "resumable",
        "x-goog-upload-command": "start",
        "x-goog-upload-header-content-length": str(plan.size),
        "x-goog-upload-header-content-type": plan.mime_type,
        "x-goog-upload-file-name": quote(plan.label),
    }
    reply = yield from send(Call("POST", "/files", body, headers, url, total=inf), retry)
    address = reply.headers.get("x-goog-upload-url")
    if not address:
        raise Unreachable("POST /files: the service named no address to upload to", maybe_sent=True)
    return address


def _send_chunks(plan: UploadPlan, address: str, retry: Retry) -> Operation[Order, Reply]:
    """Send all chunks and return the reply to the last one."""
    received = 0
    while True:
        received, reply = yield from _advance(plan, address, received, retry)
        final = _status(reply) == "final"
        if plan.on_progress is not None:
            plan.on_progress(received, plan.size)
        if final:
            return reply


def _advance(plan: UploadPlan, address: str, offset: int, retry: Retry) -> Operation[Order, tuple[int, Reply]]:
    """Return how much has been received, once that is more than `offset`, and the reply that said so.

    `known` says that `reached` is what the service has. After a failure it is not: a chunk whose reply was lost may
    have been received, so nothing more is sent before the service has been asked. The backoff lasts until the upload
    has advanced, so that a service which answers well and stores nothing is given up, too.
    """
    backoff = Backoff(retry)
    known, reached = True, offset
    while True:
        call = _chunk(plan, address, reached) if known else _to_upload(address, _command("query"))
        try:
            reply: Reply = yield from once(call)
            if _status(reply) == "final":
                return plan.size, reply
            reached = _received(reply, plan, otherwise=reached + len(call.body))
            if reached <= offset and known:
                raise Unreachable("POST /files: the service stored nothing of a chunk")
        except ExtractError as error:  # of the service, or raised above: both leave it open what has arrived
            yield backoff.after(_of_upload(error))
            known = False
            continue
        if reached > offset:
            return reached, reply
        known = True


def _uploaded_file(plan: UploadPlan, reply: Reply, retry: Retry) -> Operation[Order, RemoteFile]:
    """Return the file of the last reply; where that was lost, the file is looked up under the name it was given."""
    try:
        resource = json_object(reply.body).get("file")
    except Unreachable:
        resource = None
    if not isinstance(resource, dict):
        return (yield from fetch(plan.name, retry))
    return read_file(resource, name=plan.name, mime_type=plan.mime_type)


def _of_upload(error: ExtractError) -> ExtractError:
    """Return what an error means at an upload's own address, which needs no key and is valid for some days."""
    if isinstance(error, ApiError) and error.status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        message = f"the service no longer knows this upload: send the file again ({error})"
        return BadRequest(message, status=error.status, reason=error.reason)
    return error


def _chunk(plan: UploadPlan, address: str, offset: int) -> Call:
    """Return the call that sends the next bytes; the last one also ends the upload."""
    count = min(plan.chunk_bytes, plan.size - offset)
    try:
        data = plan.read(offset, count)
    except (OSError, ValueError) as error:
        raise BadRecord(f"{plan.label}: {reason_of(error)}") from None
    if len(data) != count:
        raise BadRecord(f"{plan.label}: the file changed while it was sent; send it again")
    last = offset + count == plan.size
    headers = _command("upload, finalize" if last else "upload") | {"x-goog-upload-offset": str(offset)}
    return _to_upload(address, headers, data)


def _to_upload(address: str, headers: dict[str, str], data: bytes = b"") -> Call:
    """Return a call to an upload's own address, which is its credential: no key is needed, and the host may differ."""
    return Call("POST", "/files", data, headers, address, bare=True, total=inf)


def _command(command: str) -> dict[str, str]:
    return {"x-goog-upload-command": command, "content-type": "application/octet-stream"}


def _status(reply: Reply) -> str:
    """Return `active` or `final`. Unreachable where the reply does not say, BadRequest where the upload has ended."""
    status = reply.headers.get("x-goog-upload-status", "").lower()
    if not status:
        raise Unreachable("POST /files: the reply does not say how the upload stands")
    if status not in ("active", "final"):
        # A word only: a service may echo the key there, and in lower case it would not be recognised.
        word = status if status.isalpha() and len(status) <= _MAX_WORD else "unknown"
        raise BadRequest(f"the upload ended as {word!r}: send the file again", reason=word)
    return status


def _received(reply: Reply, plan: UploadPlan, *, otherwise: int) -> int:
    """Return how many bytes the service says it has; `otherwise` where it does not say."""
    text = reply.headers.get("x-goog-upload-size-received")
    if text is None:
        return otherwise
    received = byte_count(text)
    if received is None or received > plan.size:
        raise Unreachable(f"POST /files: the service does not say how many of {plan.size} bytes it has")
    return received
