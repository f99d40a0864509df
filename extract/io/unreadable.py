"""What reading a file back may raise where it is damaged."""

from __future__ import annotations

import polars as pl

__all__ = ["NO_MANIFEST", "UNREADABLE"]

UNREADABLE: tuple[type[BaseException], ...] = (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""Of a file, whatever has become of it: over some damaged ones Polars panics, which is no Exception."""

NO_MANIFEST: tuple[type[BaseException], ...] = (*UNREADABLE, ValueError, KeyError, TypeError, RecursionError)
"""Of what a file says about itself, as JSON."""
