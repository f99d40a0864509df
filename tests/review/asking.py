"""A page's requests to a review server, without a page: over a socket of this machine, with the token or without."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from extract.review.opened import OpenReview

__all__ = ["Answer", "Asking"]


@dataclass(frozen=True)
class Answer:
    """What a server has answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Asking:
    """Asks the server of an open review, which it closes at the end of the block."""

    def __init__(self, review: OpenReview) -> None:
        self.review = review
        address, _, self.token = review.link.partition("/#token=")
        self.host = address.removeprefix("http://")

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.review.close()

    def get(self, path: str) -> Any:
        """Return the JSON that a page gets."""
        answer = self.send("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    def decide(self, number: int, **body: Any) -> Any:
        """Return what the server says of a decision, whatever that is."""
        return self.send("POST", f"/api/rows/{number}/decisions", body).json

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """Send a request as the page does; `headers` change its own, None takes one away."""
        sent: dict[str, str | None] = {"Host": self.host, "X-Review-Token": self.token}
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        if data is not None:
            sent |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in (sent | dict(headers or {})).items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(data)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()
