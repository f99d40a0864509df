"""Whether this program is the kernel of a notebook. Nothing of Jupyter is imported to find out."""

from __future__ import annotations

import sys

__all__ = ["in_kernel"]


def in_kernel() -> bool:
    """Return True where cells of a notebook are run, False in scripts and in IPython's terminal."""
    shell_of = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return shell_of is not None and getattr(shell_of(), "kernel", None) is not None
