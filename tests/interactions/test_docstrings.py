"""The examples in the docstrings of this room's public names, run as they stand."""

from __future__ import annotations

import asyncio
import doctest
from decimal import Decimal
from typing import Any

import pytest

import extract
from extract.interactions.interaction import FunctionCall

NAMES = sorted(name for name, module in extract._MODULE_OF.items() if module.startswith("extract.interactions."))
AVAILABLE: dict[str, Any] = {
    **{name: getattr(extract, name) for name in dir(extract)},
    "Decimal": Decimal,
    "FunctionCall": FunctionCall,
    "asyncio": asyncio,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_shows_an_example_that_works(name: str) -> None:
    docstring = getattr(extract, name).__doc__ or ""
    example = doctest.DocTestParser().get_doctest(docstring, dict(AVAILABLE), name, None, 0)
    assert example.examples, f"{name} has no example"
    assert len(example.examples) <= 6
    report: list[str] = []
    doctest.DocTestRunner().run(example, out=report.append)
    assert not report, "".join(report)
