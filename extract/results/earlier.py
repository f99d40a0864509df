"""Pickles of a Run that an earlier version made: where they look up its classes, and where these are now."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["earlier_class", "set_state"]

_NOW_AT = {
    "extract.results": {"Run": "extract.results.run.Run", "Totals": "extract.results.progress.Totals"},
    "extract.types": {"Loss": "extract.schema.losses.Loss", "Usage": "extract.interactions.usage.Usage"},
    "extract.budget": {
        "Amount": "extract.limits.budget.Amount",
        "Budget": "extract.limits.budget.Budget",
        "Purse": "extract.limits.budget.BudgetMeter",
    },
}


def set_state(instance: Any, state: Mapping[str, Any]) -> None:
    """Set the fields of a dataclass from its pickle; those that have come since get their defaults."""
    for one in fields(instance):
        if one.name in state:
            setattr(instance, one.name, state[one.name])
        else:
            setattr(instance, one.name, one.default if one.default_factory is MISSING else one.default_factory())


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
