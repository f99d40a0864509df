"""What a wire form cannot carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Loss"]


@dataclass(frozen=True, slots=True)
class Loss:
    """A schema keyword the service will not enforce; it is checked locally instead."""

    path: str
    keyword: str
    value: Any
