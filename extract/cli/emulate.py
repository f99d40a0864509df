"""`extract emulate`: the emulator as a server, on a port of this machine."""

from __future__ import annotations

import signal
import sys
from typing import Literal

from extract.emulator import FAULTS, Emulator
from extract.errors import ConfigError

__all__ = ["emulate_command"]


def emulate_command(
    *,
    port: int,
    dialect: Literal["steps", "outputs"],
    latency: float,
    rpm: float | None,
    faults: str,
    seed: int,
    latency_spread: float = 0.0,
    bare_quota: bool = False,
    tpm: int | None = None,
    rpd: int | None = None,
    background_seconds: float = 0.0,
) -> None:
    """Serve until interrupted; the first line on stdout is the base URL. Times are in seconds."""
    if faults == "list":
        width = max(map(len, FAULTS))
        sys.stdout.writelines(f"{name:<{width}}  {description}\n" for name, description in FAULTS.items())
        return
    try:
        from extract.emulator.server import serve
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is needed: pip install 'extract-interactions[emulator]'") from None
    emulator = Emulator(
        dialect=dialect,
        latency=latency,
        latency_spread=latency_spread,
        rpm=int(rpm) if rpm else None,
        tpm=tpm,
        rpd=rpd,
        background_seconds=background_seconds,
        quota_details=not bare_quota,
        faults=faults or None,
        seed=seed,
        keep_requests=False,
        count_distinct=True,
    )
    # The server raises the signal again once it has shut down. Python must still exit normally, as that removes the
    # temporary folder with uploaded files.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    serve(emulator, port=port, on_ready=_print_url)


def _print_url(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
