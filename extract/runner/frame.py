"""`df.extract`: the functions of this library as methods of frames. Registered with Polars by `import extract`.

Type checkers do not see what is registered at run time; for them there are `run`, `classify`, `moderate`, `lazy_run`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Unpack

import polars as pl

from extract.extractor.extractor import Extractor
from extract.results.run import Run
from extract.runner.keywords import checks_keywords
from extract.runner.lazy import SINK_INSTEAD, lazy_run
from extract.runner.options import LazyKeywords, RunKeywords
from extract.runner.run import run
from extract.runner.tasks import ClassifyKeywords, ModerateKeywords, classify, moderate

__all__ = ["FrameNamespace", "LazyFrameNamespace"]


class FrameNamespace:
    """Extraction over the rows of a DataFrame."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    @checks_keywords(RunKeywords, as_in=run)
    def run(self, extractor: Extractor, **options: Unpack[RunKeywords]) -> Run:
        """Ask `extractor` of every row and return the Run; options as in `extract.run`."""
        return run(self._frame, extractor, **options)

    @checks_keywords(ClassifyKeywords, as_in=classify)
    def classify(
        self, labels: Iterable[str] | Mapping[str, str] | type[Enum], **options: Unpack[ClassifyKeywords]
    ) -> Run:
        """Choose a label for every row and return the Run; options as in `extract.classify`."""
        return classify(self._frame, labels, **options)

    @checks_keywords(ModerateKeywords, as_in=moderate)
    def moderate(
        self, policies: Iterable[str] | Mapping[str, str] | None = None, **options: Unpack[ModerateKeywords]
    ) -> Run:
        """Judge every row by policies and return the Run; options as in `extract.moderate`."""
        return moderate(self._frame, policies, **options)


class LazyFrameNamespace:
    """Extraction over the rows of a LazyFrame."""

    def __init__(self, frame: pl.LazyFrame) -> None:
        self._frame = frame

    @checks_keywords(LazyKeywords, as_in=run, instead=SINK_INSTEAD)
    def run(self, extractor: Extractor, **options: Unpack[LazyKeywords]) -> pl.LazyFrame:
        """Return a LazyFrame that asks `extractor` of the rows as they are read; see `lazy_run`."""
        return lazy_run(self._frame, extractor, **options)
