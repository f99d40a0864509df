"""The review page on a port of this machine. Nothing is logged: an address may be in no file, a token in no line."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import uvicorn
from starlette.types import ASGIApp

from extract.errors import ConfigError
from extract.review.api import build_routes
from extract.review.pictures import Pictures
from extract.review.review import Review
from extract.review.security import Guard

__all__ = ["ReviewServer"]

_BACKLOG = 128
_TOKEN_BYTES = 32


class ReviewServer:
    """Serves one review; `link` opens its page. Port 0 picks a free one.

    `serve` answers until it is interrupted, `start` from a thread until `close`. `allowed` are names of this machine
    that a browser may call it by, beside localhost and the addresses of the loopback.
    """

    def __init__(self, review: Review, pictures: Pictures, *, port: int = 0, allowed: Collection[str] = ()) -> None:
        self._stack = ExitStack()
        self._socket = self._stack.enter_context(_listening(port))
        self._token = secrets.token_urlsafe(_TOKEN_BYTES)
        store = self._stack.enter_context(ThreadPoolExecutor(1, "review"))
        drawing = self._stack.enter_context(ThreadPoolExecutor(1, "review-pictures"))
        self._server = _server(Guard(build_routes(review, pictures, store, drawing), self._token, allowed))
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """Where the page is, without the token."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    @property
    def link(self) -> str:
        """The address with the token behind a #, which browsers keep to themselves."""
        return f"{self.address}/#token={self._token}"

    def serve(self) -> None:
        """Answer until interrupted."""
        with suppress(KeyboardInterrupt):
            self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Answer from a thread of its own, until `close`."""
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="review-server", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering, and let go of the port."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._stack.close()


def _server(app: ASGIApp) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            access_log=False,
            log_config=None,
            lifespan="off",
            ws="none",
            backlog=_BACKLOG,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
    )


def _listening(port: int) -> socket.socket:
    # asyncio turns off Nagle's delay only where the protocol is named.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot listen on port {port}: {reason}; leave --port out for a free one") from None
    return listening
