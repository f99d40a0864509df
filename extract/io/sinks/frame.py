"""A run that stays in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from extract.io.sinks.base import ROWS_AT_ONCE

__all__ = ["FrameSink"]


class FrameSink:
    """Keeps everything in memory, as one typed frame."""

    rows_at_once = ROWS_AT_ONCE

    def __init__(self) -> None:
        self._schema = pl.Schema()
        self._frames: list[pl.DataFrame] = []

    def open(self, schema: pl.Schema, metadata: Mapping[str, str]) -> None:  # noqa: ARG002 - a frame has no footer
        self._schema = schema

    def write(self, frame: pl.DataFrame) -> None:
        self._frames.append(frame)

    def close(self, *, whole: bool) -> Path | None:  # noqa: ARG002 - a frame in memory is kept either way
        return None

    def abandon(self) -> None:
        self._frames.clear()

    @property
    def frame(self) -> pl.DataFrame:
        return pl.concat([self._schema.to_frame(), *self._frames], rechunk=True)
