"""What is left of a run: outcomes, totals, the Run and its manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from extract.results.earlier import earlier_class

if not TYPE_CHECKING:  # for pickles alone: code imports from the modules

    def __getattr__(name: str) -> Any:
        return earlier_class(__name__, name)
