"""The garbage collector during a run: there is nothing for it to find, and much to look through."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["gc_paused"]

_COLLECTOR = threading.Lock()
_NEW_OBJECTS = 10_000  # before the garbage collector looks at them


@contextmanager
def gc_paused() -> Iterator[None]:
    """Keep the garbage collector from going again and again through all that was there before the run.

    It also looks less often at what is new: a record leaves hundreds of objects behind, and none in a circle.
    """
    with _COLLECTOR:
        mine = not gc.get_freeze_count()  # else another run, or the program, has done so
        often, *rest = gc.get_threshold()
        if mine:
            gc.freeze()
            gc.set_threshold(max(often, _NEW_OBJECTS) if often else 0, *rest)
    try:
        yield
    finally:
        if mine:
            with _COLLECTOR:
                gc.set_threshold(often, *rest)
                gc.unfreeze()
