"""Makes this process and those that it starts import the checkout's `extract`, whatever else is installed.

Benchmarks and tests import it before `extract`: a program in a folder, or a child in another one, would otherwise
import an installed copy, and measure or test old code.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["ROOT", "without_checkout"]

ROOT = Path(__file__).resolve().parents[1]


def without_checkout() -> dict[str, str]:
    """Return the environment for a process that is to import what is installed for it."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _put_first(root: str) -> None:
    sys.path[:] = [root, *(place for place in sys.path if place != root)]
    others = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place not in ("", root)]
    os.environ["PYTHONPATH"] = os.pathsep.join([root, *others])


_put_first(str(ROOT))
