"""What can be done with stored files besides uploading: get, list, delete, and wait until they can be used."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Literal
from urllib.parse import urlencode

from extract.errors import AnswerTimeout, ApiError, BadRecord, BadRequest
from extract.interactions.http.calls import Call, Operation, Order, Reply
from extract.interactions.http.retrying import Deadline, Retry, send
from extract.interactions.remote_file import RemoteFile, json_object, read_file

__all__ = ["delete", "fetch", "list_all", "wait_until_active"]

_PAGE_SIZE = 100
_FIRST_POLL, _MAX_POLL = 0.5, 5.0


def fetch(name: str, retry: Retry, deadline: Deadline | None = None) -> Operation[Order, RemoteFile]:
    """Get a file's resource as it is now."""
    reply = yield from _about(name, "GET", retry, deadline)
    return read_file(json_object(reply.body))


def delete(name: str, retry: Retry) -> Operation[Order, None]:
    """Delete a file before its time."""
    yield from _about(name, "DELETE", retry)


def _about(
    name: str, method: Literal["GET", "DELETE"], retry: Retry, deadline: Deadline | None = None
) -> Operation[Order, Reply]:
    try:
        return (yield from send(Call(method, f"/{name}"), retry, deadline))
    except ApiError as error:
        if error.status not in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            raise
        message = f"{name}: no such file in this project; files are gone after 48 hours ({error})"
        raise BadRequest(message, status=error.status, reason=error.reason) from None


def list_all(retry: Retry, page_size: int = _PAGE_SIZE) -> Operation[Order, tuple[RemoteFile, ...]]:
    """Get all files of the project, page after page."""
    files: list[RemoteFile] = []
    tokens = {""}
    token = ""
    while True:
        query = urlencode({"pageSize": page_size} | ({"pageToken": token} if token else {}))
        reply = yield from send(Call("GET", f"/files?{query}"), retry)
        page = json_object(reply.body)
        listed = page.get("files")
        files += [read_file(one) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        token = str(page.get("nextPageToken") or "")
        if token in tokens:  # the last page names none; one named again would lead in circles
            return tuple(files)
        tokens.add(token)


def wait_until_active(
    name: str, retry: Retry, deadline: float, clock: Callable[[], float]
) -> Operation[Order, RemoteFile]:
    """Get a file until it is ACTIVE. BadRecord where it became FAILED, AnswerTimeout past the deadline."""
    end, delay = Deadline(deadline, clock, f"GET /{name}"), _FIRST_POLL
    while True:
        file = yield from fetch(name, retry, end)
        if file.is_active:
            return file
        if file.state == "FAILED":
            error = file.raw.get("error")
            message = error.get("message") if isinstance(error, dict) else None
            raise BadRecord(f"{name}: the service could not read this file ({message or 'it did not say why'})")
        if end.left <= 0:
            raise AnswerTimeout(f"{name} is still {file.state} after {deadline:g} s: wait for it again, or longer")
        yield end.sleep(delay)
        delay = min(_MAX_POLL, delay * 2)
