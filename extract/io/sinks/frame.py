"""A run that stays in memory."""

from __future__ import annotations

import polars as pl

from extract.io.sinks.base import Sink
from extract.json_types import JsonObject

__all__ = ["FrameSink"]


class FrameSink(Sink):
    """Keeps everything in memory, as one typed frame."""

    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = []

    def open(self, schema: pl.Schema, manifest: JsonObject) -> None:  # noqa: ARG002 - a frame holds no manifest
        self._frames = [schema.to_frame()]

    def write(self, frame: pl.DataFrame) -> None:
        self._frames.append(frame)

    def abandon(self) -> None:
        self._frames.clear()

    def scan(self, schema: pl.Schema) -> pl.LazyFrame:  # noqa: ARG002 - that of `open`
        return self.frame.lazy()

    @property
    def frame(self) -> pl.DataFrame:
        """All rows in one piece."""
        if len(self._frames) > 1:  # joined once, so that no second copy stays
            self._frames = [pl.concat(self._frames, rechunk=True)]
        return self._frames[0]
