"""The routes of the review page: its own files, and the data behind `/api/`, which takes the token."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Executor
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any, Final

from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from extract.errors import ExtractError, InvalidAnswer
from extract.json_types import JsonObject
from extract.review.pictures import Pictures
from extract.review.review import Review
from extract.review.security import BodyTooLarge, refusal

__all__ = ["build_routes"]

_PAGE_NAME: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.(?:js|css|svg|html)")
_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
_STATUS: Final = {"invalid_answer": 422, "not_found": 404, "changed": 409, "bad_record": 404}
_NAMED: Final = {"invalid_answer": "invalid", "bad_record": "not_found"}
_MAX_NUMBER: Final = 2**53


class BadBody(ExtractError):
    """The body of a request is no JSON object, or its path no number."""

    code = "bad_body"


def build_routes(review: Review, pictures: Pictures, store: Executor, drawing: Executor) -> ASGIApp:
    """Return the application behind the guard.

    What reads rows and stores decisions runs in `store`, one call after the other; pictures are drawn in `drawing`, so
    that nobody waits for them.
    """

    def data(answer: Callable[[Request], JsonObject]) -> Callable[[Request], Any]:
        async def route(request: Request) -> Response:
            await _read_body(request)
            return await _in(store, lambda: _as_json(answer, request))

        return route

    def media(answer: Callable[[Request], Response]) -> Callable[[Request], Any]:
        async def route(request: Request) -> Response:
            return await _in(drawing, lambda: _answered(answer, request))

        return route

    return Router(
        [
            Route("/", _index),
            Route("/page/{name}", _page),
            Route("/api/task", data(lambda _: review.task())),
            Route("/api/rows/{number}", data(lambda request: review.row(_number(request)))),
            Route(
                "/api/rows/{number}/decisions", data(lambda r: review.decide(_number(r), _body(r))), methods=["POST"]
            ),
            Route("/api/rows/{number}/media", media(lambda request: pictures.media(_number(request)))),
            Route(
                "/api/rows/{number}/pages/{page}.png",
                media(lambda r: pictures.page(_number(r), _number(r, "page"), _query_number(r, "width", 1_200))),
            ),
            Route(
                "/api/rows/{number}/pages/{page}/words",
                media(lambda request: pictures.words(_number(request), _number(request, "page"))),
            ),
            Route("/api/undo", data(lambda _: review.undo()), methods=["POST"]),
            Route("/api/progress", data(lambda _: review.progress())),
            Route("/api/next", data(lambda request: review.next(_query_number(request, "after", 0)))),
            Route("/api/tasks", data(lambda request: _listed(review, request))),
        ],
        default=_nothing,
        redirect_slashes=False,
    )


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    await refusal(404, "not_found", "there is no such address")(scope, receive, send)


async def _in(executor: Executor, call: Callable[[], Response]) -> Response:
    return await asyncio.get_running_loop().run_in_executor(executor, call)


def _index(_: Request) -> Response:
    return _file("index.html")


def _page(request: Request) -> Response:
    return _file(request.path_params["name"])


def _file(name: str) -> Response:
    if _PAGE_NAME.fullmatch(name):
        file = files("extract.review") / "page" / name
        if file.is_file():
            return Response(file.read_bytes(), media_type=_TYPES[PurePosixPath(name).suffix])
    return refusal(404, "not_found", "there is no such file")


async def _read_body(request: Request) -> None:
    if request.method != "POST":
        return
    try:
        request.state.body = await request.body()
    except BodyTooLarge:
        request.state.body = None


def _as_json(answer: Callable[[Request], JsonObject], request: Request) -> Response:
    return _answered(lambda given: JSONResponse(answer(given)), request)


def _answered(answer: Callable[[Request], Response], request: Request) -> Response:
    """Return the response of a route, or the error that it raised; what nobody foresaw says its class only."""
    try:
        if request.method == "POST":
            _check_body(request)
        return answer(request)
    except InvalidAnswer as error:
        issues = [{"path": issue.path, "message": issue.message} for issue in error.issues]
        return refusal(422, "invalid", str(error), errors=issues)
    except _Refused as refused:
        return refused.response
    except BadBody as error:
        return refusal(400, error.code, str(error))
    except ExtractError as error:
        code = _NAMED.get(error.code, error.code)
        return refusal(_STATUS.get(error.code, 500), code, str(error))
    except Exception as error:
        return refusal(500, "failed", f"this cannot be answered: {type(error).__name__}")


class _Refused(Exception):
    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def _check_body(request: Request) -> None:
    if request.state.body is None:
        raise _Refused(refusal(413, "too_large", "the request is too large"))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise _Refused(refusal(415, "no_json", "send application/json"))


def _body(request: Request) -> JsonObject:
    try:
        body = from_json(request.state.body, allow_inf_nan=False)
    except ValueError as error:
        raise BadBody(f"the request is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadBody("the request is no JSON object")
    return body


def _listed(review: Review, request: Request) -> JsonObject:
    return review.tasks(_query_number(request, "start", 1), _query_number(request, "count", 50))


def _number(request: Request, name: str = "number") -> int:
    return _as_number(request.path_params[name])


def _as_number(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 17 and int(text) < _MAX_NUMBER:
        return int(text)
    raise BadBody(f"{text[:40]!r} is no number")


def _query_number(request: Request, name: str, default: int) -> int:
    return _as_number(request.query_params[name]) if name in request.query_params else default
