"""The Interactions API in a box, for tests and for `--offline`. The server face is in `extract.emulator.server`."""

from __future__ import annotations

from extract.emulator.acts import Calls, Steps
from extract.emulator.core import Emulator
from extract.emulator.faults import FAULTS, Fault
from extract.emulator.state import SeenRequest
from extract.emulator.wire import WireRequest, WireResponse

__all__ = ["FAULTS", "Calls", "Emulator", "Fault", "SeenRequest", "Steps", "WireRequest", "WireResponse"]
