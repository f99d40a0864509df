"""The routes beside the Interactions API: files, models, token counts, decisions."""

from __future__ import annotations

import random
import re
from collections import deque
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, TypeAlias

from pydantic_core import from_json

from extract.emulator.answers import Reader
from extract.emulator.decisions import check_decision, decide, decision_tokens
from extract.emulator.faults import UPLOAD_FAULTS
from extract.emulator.messages import WireRequest, WireResponse, json_response, refusal
from extract.emulator.models import model, models, nothing_there
from extract.emulator.resumable import Uploads
from extract.emulator.stored_files import FileStore, file_refusal
from extract.emulator.tokens import counted
from extract.errors import ConfigError
from extract.json_types import JsonObject

__all__ = ["Decide", "OtherRoutes", "is_upload"]

Decide: TypeAlias = Callable[[JsonObject], JsonObject]
Admit: TypeAlias = Callable[[int, float], Callable[[WireResponse], WireResponse]]

UPLOAD = re.compile(r"/upload/(?P<version>v1(?:beta)?)/files")
PATH = re.compile(
    r"/v1(?:beta)?/(?:(?P<files>files)|(?P<file>files/[^/:]+)|models/[^/:]+(?P<count>:countTokens)"
    r"|(?P<models>models)|models/(?P<model>[^/:]+)|(?P<decisions>decisions))"
)
PAGE_SIZE, MAX_PAGE_SIZE = 10, 100
FILE_MARK = b"/files/"


def is_upload(request: WireRequest) -> bool:
    """Return whether a request is to the address of one upload, which needs no key: nobody else knows the address."""
    return "upload_id" in request.query and UPLOAD.fullmatch(request.path) is not None


class OtherRoutes:
    """Serves files, models, token counts and decisions. `decisions` answers these from the body, else the reader does.

    `script` names the faults of the chunks of uploads in order, None for nothing; after it `draw` gives them. `note`
    is called with the name of every fault that strikes.
    """

    def __init__(
        self,
        files: FileStore,
        reader: Reader,
        *,
        decisions: Decide | None,
        script: Sequence[str | None],
        draw: Callable[[], str | None],
        note: Callable[[str], None],
        strict: bool,
        seed: int,
    ) -> None:
        if unknown := [name for name in script if name is not None and name not in UPLOAD_FAULTS]:
            raise ConfigError(f"no fault of uploads is called {unknown[0]!r}; known: {', '.join(UPLOAD_FAULTS)}")
        self._files, self._reader, self._decisions, self._strict = files, reader, decisions, strict
        self._script, self._draw, self._note = deque(script), draw, note
        self._uploads = Uploads(files, fault=self._fault, strict=strict)
        self._names = random.Random(seed)  # noqa: S311 - names guard nothing

    def serve(self, request: WireRequest, now: float, admit: Admit) -> WireResponse:
        """Return the response to a request; Refusal for a path that does not exist. `admit` applies the quota."""
        if (upload := UPLOAD.fullmatch(request.path)) is not None:
            return self._upload(request, upload["version"], now)
        place = PATH.fullmatch(request.path)
        if place is None:
            raise nothing_there(request.path)
        match request.method, place.lastgroup:
            case "GET", "files":
                return json_response(self._page(request, now))
            case "GET", "file":
                return json_response(self._files.show(place["file"], now))
            case "DELETE", "file":
                self._files.delete(place["file"], now)
                return json_response({})
            case "GET", "models":
                return json_response(models())
            case "GET", "model":
                return json_response(model(place["model"]))
            case "POST", "count":
                return json_response(counted(parsed(request.body)))
            case "POST", "decisions":
                return self._decide(parsed(request.body), now, admit)
        raise refusal("Method not allowed here.", status=HTTPStatus.METHOD_NOT_ALLOWED, code="method_not_allowed")

    def check_files(self, request: WireRequest, body: Any, now: float) -> None:
        """Raise Refusal where a create request names an uploaded file that cannot be used."""
        if self._strict and FILE_MARK in request.body and isinstance(body, dict):
            self._files.check_used(body, now, request.origin)

    def _upload(self, request: WireRequest, version: str, now: float) -> WireResponse:
        if request.method != "POST":
            raise refusal("Method not allowed here.", status=HTTPStatus.METHOD_NOT_ALLOWED, code="method_not_allowed")
        if identity := request.query.get("upload_id"):
            return self._uploads.resume(request, identity, now)
        return self._uploads.begin(request, version, f"{self._names.getrandbits(160):040x}", now)

    def _page(self, request: WireRequest, now: float) -> JsonObject:
        query = request.query
        size = query.get("pageSize") or query.get("page_size") or str(PAGE_SIZE)
        if not size.isdecimal() or not 1 <= int(size) <= MAX_PAGE_SIZE:
            raise file_refusal(400, f"Invalid value at 'pageSize': 1 to {MAX_PAGE_SIZE}, not {size!r}.")
        return self._files.page(int(size), query.get("pageToken") or query.get("page_token") or "", now)

    def _decide(self, given: Any, now: float, admit: Admit) -> WireResponse:
        body = check_decision(given)
        deliver = admit(decision_tokens(body), now)
        answer = decide(body, self._reader) if self._decisions is None else self._decisions(body)
        return deliver(json_response(answer))

    def _fault(self) -> str | None:
        name = self._script.popleft() if self._script else self._draw()
        if name is not None:
            self._note(name)
        return name


def parsed(body: bytes) -> Any:
    """Return the JSON value in `body`. Refusal where it is none."""
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError:
        raise refusal("Invalid JSON payload received.") from None
