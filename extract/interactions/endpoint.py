"""Where calls go, with which key and headers, and which error a refusal becomes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from importlib.metadata import version
from math import inf
from typing import Any

import httpx

from extract.errors import ConfigError
from extract.interactions.dialects import DIALECTS, Dialect, DialectName
from extract.interactions.failures import refusal
from extract.interactions.http.bodies import HELD_BYTES, Allowance
from extract.interactions.http.calls import Bounds, Call, Reply
from extract.interactions.http.origins import check_url, is_loopback
from extract.interactions.http.transport import headers, read_timeout, total_timeout
from extract.interactions.operations import CREATE_PATH
from extract.interactions.requests import Request, wants_media
from extract.interactions.secrets import holds_secret, struck_out

__all__ = ["GOOGLE_URL", "Endpoint", "service_of"]

GOOGLE_URL = "https://generativelanguage.googleapis.com"
_KEY_VARIABLES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
_URL_VARIABLE = "GOOGLE_GEMINI_BASE_URL"
_ANSWER_BYTES, _MEDIA_BYTES = 16 * 2**20, 256 * 2**20


def service_of(base_url: str) -> str:
    """Return who answers at an address, as it stands in content keys: `google`, or the origin of the address."""
    url, google = httpx.URL(base_url), httpx.URL(GOOGLE_URL)
    is_google = (url.scheme, url.host) == (google.scheme, google.host)
    return "google" if is_google else f"{url.scheme}://{url.netloc.decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where calls go and with which key. The key never shows in a `repr`.

    `read_timeout` is the longest silence and `request_timeout` the time from sending a request to the last byte of its
    answer, both in seconds; None is what the service tier needs: 300 and 600, on flex 900 and 1,200. The second does
    not hold for streams, agents, background work and uploads. `max_answer_bytes` bounds one answer, as it comes and
    unpacked; None is 16 MiB, and 256 MiB where an answer may hold images, audio or video. `max_held_bytes` bounds what
    the answers in flight of an AsyncClient or a run hold together: above it only the oldest is read on, the others
    wait. `name` stands in content keys for who answers; by default it is `google`, or the origin of another base URL.

        >>> Endpoint(api_key="key", request_timeout=120, max_answer_bytes=1_000_000).service
        'google'
    """

    api_key: str = field(repr=False)
    base_url: str = GOOGLE_URL
    dialect: DialectName = "steps"
    read_timeout: float | None = None
    name: str | None = None
    request_timeout: float | None = None
    max_answer_bytes: int | None = None
    max_held_bytes: int = HELD_BYTES

    def __post_init__(self) -> None:
        for name in ("read_timeout", "request_timeout", "max_answer_bytes", "max_held_bytes"):
            value = getattr(self, name)
            if value is not None and not value > 0:  # not `value <= 0`: NaN must fail too
                raise ConfigError(f"{name} must be above 0, not {value!r}")
        if not self.api_key.isascii() or not self.api_key.isprintable() or not self.api_key or " " in self.api_key:
            raise ConfigError("the API key is empty or holds a character that no key has: check GEMINI_API_KEY")
        if self.dialect not in DIALECTS:
            raise ConfigError(f"no dialect {self.dialect!r}; there are {', '.join(DIALECTS)}")
        check_url(self.base_url, with_key=True)

    @classmethod
    def from_env(cls, *, base_url: str | None = None, dialect: DialectName = "steps") -> Endpoint:
        """Read the key from GEMINI_API_KEY, then GOOGLE_API_KEY; the URL from GOOGLE_GEMINI_BASE_URL if not given.

        An endpoint on this machine needs no key. Raises ConfigError where a key is needed and there is none.
        """
        url = base_url or os.environ.get(_URL_VARIABLE) or GOOGLE_URL
        key = next((os.environ[name].strip() for name in _KEY_VARIABLES if os.environ.get(name, "").strip()), None)
        if key is None:
            if not is_loopback(check_url(url, with_key=False).host):
                raise ConfigError(
                    "no API key: set GEMINI_API_KEY, or try it without one: --offline (in Python: offline=True)"
                )
            key = "none-needed-on-loopback"
        return cls(api_key=key, base_url=url, dialect=dialect)

    @property
    def wire(self) -> Dialect:
        return DIALECTS[self.dialect]

    @property
    def service(self) -> str:
        """Who answers, as it stands in content keys."""
        return service_of(self.base_url) if self.name is None else self.name

    @property
    def root(self) -> str:
        return f"{self.base_url.rstrip('/')}/{self.wire.api_version}"

    @property
    def default_timeout(self) -> float:
        """Seconds of silence after which a call is given up, where it names none itself."""
        return self.read_timeout or read_timeout(None)

    def headers(self, *, bare: bool = False) -> dict[str, str]:
        """Return the headers of every call; the key travels here and nowhere else, and not with a bare one."""
        return headers(None if bare else self.api_key, f"extract-interactions/{version('extract-interactions')}")

    def httpx_call(self, call: Call) -> dict[str, Any]:
        """Return a call as arguments of httpx, complete: the client that sends it may be the user's own."""
        return {
            "method": call.method,
            "url": call.url or self.root + call.path,
            "content": call.body,
            "headers": self.headers(bare=call.bare) | {"accept-encoding": "gzip"} | dict(call.headers),
            "timeout": httpx.Timeout(call.timeout or self.default_timeout, connect=15.0),
        }

    def bounds(self, call: Call) -> Bounds:
        """Return what the answer to a call may take."""
        silence = call.timeout or self.default_timeout
        seconds = (self.request_timeout or total_timeout(None)) if call.total is None else call.total
        return Bounds(silence, seconds, self.max_answer_bytes or (_MEDIA_BYTES if call.media else _ANSWER_BYTES))

    def allowance(self) -> Allowance:
        """Return what the answers in flight of one client share."""
        return Allowance(self.max_held_bytes)

    def create_call(self, request: Request, body: bytes) -> Call:
        """Return the call that sends a request's `body`, with the time and the room that its answer needs."""
        timeout, total = self.timeout_for(request), self._total_for(request)
        return Call("POST", CREATE_PATH, body, timeout=timeout, total=total, media=wants_media(request))

    def _total_for(self, request: Request) -> float | None:
        """Return the seconds that a request may take in all, None where the endpoint's own are enough."""
        if request.background or request.agent:
            return inf
        needed = total_timeout(request.service_tier)
        return needed if self.request_timeout is None and needed != total_timeout(None) else None

    def timeout_for(self, request: Request) -> float | None:
        """Return the seconds of silence that a request's tier needs, or None where the endpoint's own are enough."""
        needed = read_timeout(request.service_tier)
        return needed if self.read_timeout is None and needed != read_timeout(None) else None

    def checked(self, reply: Reply) -> Reply:
        """Return a reply with status 200, without the key; raise the error that any other stands for."""
        if reply.status == 200:
            return reply._replace(body=self.scrub(reply.body)) if holds_secret(reply.body, self.api_key) else reply
        raise refusal(reply._replace(body=self.scrub(reply.body)))

    def scrub(self, body: bytes) -> bytes:
        """Strike the key out of a body before it is read, in any escaping: a service may echo what it was sent."""
        return struck_out(body, self.api_key)
