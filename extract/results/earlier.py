"""Pickles of a Run that an earlier version made: where they look up its classes, and where these are now."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["earlier_class"]

_NOW_AT = {
    "extract.results": {"Run": "extract.results.run.Run", "Totals": "extract.results.progress.Totals"},
    "extract.types": {"Loss": "extract.schema.losses.Loss", "Usage": "extract.interactions.usage.Usage"},
    "extract.budget": {
        "Amount": "extract.limits.budget.Amount",
        "Budget": "extract.limits.budget.Budget",
        "Purse": "extract.limits.budget.BudgetMeter",
    },
}


def earlier_class(module: str, name: str) -> Any:
    """Return the class that was `name` in `module`. AttributeError for any other name.

    A pickle of a Run asks for Run first. So this is also where the modules that are gone come back, for the names that
    the rest of the pickle asks for.
    """
    if name not in _NOW_AT[module]:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    for gone in _NOW_AT.keys() - sys.modules.keys():
        stand_in = sys.modules[gone] = ModuleType(gone)
        stand_in.__dict__["__getattr__"] = partial(earlier_class, gone)
    now_in, _, now_called = _NOW_AT[module][name].rpartition(".")
    return getattr(import_module(now_in), now_called)
