"""Slows the garbage collector down during a run, where it finds nothing and has much to search."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["gc_paused"]

_LOCK = threading.Lock()
_NEW_OBJECTS = 10_000  # that are allocated between two collections of the youngest generation


@contextmanager
def gc_paused() -> Iterator[None]:
    """Exclude all objects that exist now from garbage collection, and collect new ones less often.

    A record leaves hundreds of objects behind, and none in a reference cycle: reference counting frees them.
    """
    with _LOCK:
        is_first = not gc.get_freeze_count()  # else another run, or the program, has frozen them
        threshold, *rest = gc.get_threshold()
        if is_first:
            gc.freeze()
            gc.set_threshold(max(threshold, _NEW_OBJECTS) if threshold else 0, *rest)
    try:
        yield
    finally:
        if is_first:
            with _LOCK:
                gc.set_threshold(threshold, *rest)
                gc.unfreeze()
