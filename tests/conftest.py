"""Nothing in the suite may leave this machine, and real data from outside the repository is found in one place."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

import checkout  # noqa: F401 - tests and the processes they start import this checkout, not an installed extract
import pytest
from hypothesis import settings

# Without deadlines: a busy machine is no fault. In continuous integration the examples are the same every time.
settings.register_profile("extract", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("extract")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def _is_loopback(host: Any) -> bool:
    if host in ("localhost", "", None):
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail on any connection or name look-up that would leave this machine."""
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def refuse(address: Any) -> None:
        if isinstance(address, tuple) and not _is_loopback(address[0]):
            pytest.fail(f"a test tried to reach {address!r}")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        refuse(address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        refuse(address)
        return connect_ex(self, address)

    def guarded_look_up(host: Any, *rest: Any, **options: Any) -> Any:
        refuse((host,))
        return look_up(host, *rest, **options)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)


@pytest.fixture(autouse=True)
def plain_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in asyncio's own loops: uvloop connects below the sockets that are watched here."""
    monkeypatch.setattr("extract.runner.event_loop._maker", lambda: asyncio.new_event_loop)


@pytest.fixture(autouse=True)
def no_key_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def shared_data() -> Path:
    """The folder with third-party data; tests that need it are skipped where it is not there."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the shared data folder is not beside this repository")
    return SHARED_DATA


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment for a command line started by a test: without keys, proxies and colours."""
    inherited = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")
    return {name: os.environ[name] for name in inherited if name in os.environ} | {"NO_COLOR": "1", "COLUMNS": "120"}
