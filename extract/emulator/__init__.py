"""The Interactions API in a box, for tests and for `--offline`. The server face is in `extract.emulator.server`."""

from __future__ import annotations

from extract.emulator.emulator import Emulator
from extract.emulator.faults import FAULTS, Fault
from extract.emulator.messages import WireRequest, WireResponse
from extract.emulator.state import SeenRequest
from extract.emulator.tool_use import Calls, Steps

__all__ = ["FAULTS", "Calls", "Emulator", "Fault", "SeenRequest", "Steps", "WireRequest", "WireResponse"]
