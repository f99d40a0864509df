"""`df.extract`: the same run, said from the frame's side. Registered with Polars by `import extract`."""

from __future__ import annotations

from typing import Any

import polars as pl

from extract.extractor.extractor import Extractor
from extract.results.run import Run
from extract.runner.lazy import lazy_run
from extract.runner.run import run
from extract.runner.tasks import classify, moderate

__all__ = ["FrameNamespace", "LazyFrameNamespace"]


class FrameNamespace:
    """Extraction over the rows of a DataFrame."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def run(self, extractor: Extractor, **options: Any) -> Run:
        """Ask `extractor` of every row; options as in `extract.run`."""
        return run(self._frame, extractor, **options)

    def classify(self, labels: Any, **options: Any) -> Run:
        """Choose a label for every row; options as in `extract.classify`."""
        return classify(self._frame, labels, **options)

    def moderate(self, policies: Any = None, **options: Any) -> Run:
        """Judge every row by policies; options as in `extract.moderate`."""
        return moderate(self._frame, policies, **options)


class LazyFrameNamespace:
    """Extraction over the rows of a LazyFrame."""

    def __init__(self, frame: pl.LazyFrame) -> None:
        self._frame = frame

    def run(self, extractor: Extractor, **options: Any) -> pl.LazyFrame:
        """Return a LazyFrame that asks `extractor` of the rows as they are wanted; see `lazy_run`."""
        return lazy_run(self._frame, extractor, **options)
