"""Pickles an extractor for other machines, together with the user's own classes and functions that it refers to."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ray import cloudpickle

from extract.errors import ConfigError
from extract.extractor.extractor import Extractor

__all__ = ["pack"]

_INSTALLED = {"site-packages", "dist-packages"}  # the user's, the system's and an environment's have these names


def pack(extractor: Extractor) -> bytes:
    """Return an extractor pickled, with the classes of modules that are not installed: workers cannot import these.

    ConfigError for what cannot be pickled, such as a function that holds an open file.
    """
    with _by_value(_own_modules()):
        try:
            return bytes(cloudpickle.dumps(extractor))
        except Exception as error:  # whatever the user's objects raise
            raise ConfigError(f"the extractor cannot be sent to the workers: {error}") from None


def _own_modules() -> list[ModuleType]:
    """Return the loaded modules that belong neither to Python, nor to an installed package, nor to this library."""
    return [
        module
        for name, module in list(sys.modules.items())
        # Under another name than its own, a module is an alias, or nothing that pickle could look up.
        if name == getattr(module, "__name__", None)
        and name.partition(".")[0] not in ("extract", "__main__")
        and _is_own(getattr(module, "__file__", None))
    ]


def _is_own(file: object) -> bool:
    if not isinstance(file, str):
        return False
    standard = (Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))
    folders = Path(file).parents
    return not any(folder.name in _INSTALLED for folder in folders) and not any(one in folders for one in standard)


@contextmanager
def _by_value(modules: list[ModuleType]) -> Iterator[None]:
    """Have the classes of modules pickled by value while the context lasts; the user's own registrations stay."""
    registered = cloudpickle.list_registry_pickle_by_value()
    new = [module for module in modules if module.__name__ not in registered]
    for module in new:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in new:
            cloudpickle.unregister_pickle_by_value(module)
