"""An extractor on its way to other machines, along with the user's own code that it is made of."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ray import cloudpickle

from extract.errors import ConfigError
from extract.extractor import Extractor

__all__ = ["pack"]


def pack(extractor: Extractor) -> bytes:
    """Return an extractor pickled, with the classes of modules that are not installed: workers cannot import these.

    ConfigError for what cannot travel, such as a function that holds an open file.
    """
    with _by_value(list(_own_modules())):
        try:
            return bytes(cloudpickle.dumps(extractor))
        except Exception as error:  # whatever the user's objects raise
            raise ConfigError(f"the extractor cannot travel to the workers: {error}") from None


def _own_modules() -> Iterator[ModuleType]:
    """Yield the loaded modules that are neither Python's, nor installed, nor ours."""
    installed = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is None or name.partition(".")[0] in ("extract", "__main__"):
            continue
        if not any(folder in Path(file).parents for folder in installed):
            yield module


@contextmanager
def _by_value(modules: list[ModuleType]) -> Iterator[None]:
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)
