"""The Interactions API emulated in this process, for tests and for `--offline`; `extract.emulator.server` serves it."""

from __future__ import annotations

from extract.emulator.emulator import Emulator
from extract.emulator.faults import FAULTS, Fault
from extract.emulator.messages import WireRequest, WireResponse
from extract.emulator.options import Delays, Quotas
from extract.emulator.state import SeenRequest
from extract.emulator.tool_use import Calls, Steps

__all__ = [
    "FAULTS",
    "Calls",
    "Delays",
    "Emulator",
    "Fault",
    "Quotas",
    "SeenRequest",
    "Steps",
    "WireRequest",
    "WireResponse",
]
