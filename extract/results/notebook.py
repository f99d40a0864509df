"""Whether this program is the kernel of a notebook, found out without importing any part of Jupyter."""

from __future__ import annotations

import sys

__all__ = ["in_kernel"]


def in_kernel() -> bool:
    """Return True in the kernel of a notebook, False in scripts and in IPython's terminal."""
    shell_of = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return shell_of is not None and getattr(shell_of(), "kernel", None) is not None
