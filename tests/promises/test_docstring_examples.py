"""The `>>>` examples in the docstrings of runs, sources and errors work as they are written."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ("errors", "io.sources", "runner.estimate", "runner.lazy", "runner.run", "runner.service", "runner.tasks")


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_work(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"extract.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
