"""Whether a client or transport that a user brings is one of httpx, and what to pass where it is not."""

from __future__ import annotations

import httpx

from extract.errors import ConfigError

__all__ = ["check_asynchronous", "check_choice", "check_httpx", "check_synchronous"]

_KINDS: dict[str, tuple[type, type]] = {
    "transport": (httpx.BaseTransport, httpx.AsyncBaseTransport),
    "http_client": (httpx.Client, httpx.AsyncClient),
}
_NAMES = {
    "transport": ("httpx.HTTPTransport(...)", "httpx.AsyncHTTPTransport(...)"),
    "http_client": ("httpx.Client(...)", "httpx.AsyncClient(...)"),
}


def check_choice(transport: object, http_client: object) -> None:
    """Raise ConfigError where both are given."""
    if transport is not None and http_client is not None:
        raise ConfigError("http_client= brings its own transport: leave out transport=, or http_client=")


def check_httpx(name: str, given: object) -> None:
    """Raise ConfigError for what httpx knows nothing of, such as a client of httpx2."""
    if given is not None and not isinstance(given, _KINDS[name]):
        raise ConfigError(_refusal(name, given, " or ".join(_NAMES[name])))


def check_synchronous(name: str, given: object) -> None:
    """Raise ConfigError where what is given cannot serve a `Client`; a run with that client may still use it."""
    if given is not None and not isinstance(given, _KINDS[name][0]):
        raise ConfigError(_refusal(name, given, _NAMES[name][0]) + "; an AsyncClient or a run takes it")


def check_asynchronous(name: str, given: object, *, whose: str) -> None:
    """Raise ConfigError where what is given cannot serve an event loop."""
    if given is not None and not isinstance(given, _KINDS[name][1]):
        raise ConfigError(f"{whose} needs an asynchronous {name}: {_refusal(name, given, _NAMES[name][1])}")


def _refusal(name: str, given: object, wanted: str) -> str:
    kind = type(given)
    package = kind.__module__.partition(".")[0]
    own = kind.__name__ if package == "builtins" else f"{package}.{kind.__name__}"
    other = f" ({package} is another library)" if package not in ("httpx", "builtins") else ""
    return f"{name} is {own}{other}; pass {wanted}"
