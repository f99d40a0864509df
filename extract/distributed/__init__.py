"""The same extractor on a Ray cluster. Needs the extra `ray`, which is loaded when one of these names is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from extract.errors import ConfigError

if TYPE_CHECKING:
    from extract.distributed.cluster import ClusterSpec as ClusterSpec
    from extract.distributed.dataset import extract_dataset as extract_dataset
    from extract.distributed.run import run_on_ray as run_on_ray

__all__ = ["ClusterSpec", "extract_dataset", "run_on_ray"]

_MODULE_OF = {
    "ClusterSpec": "extract.distributed.cluster",
    "extract_dataset": "extract.distributed.dataset",
    "run_on_ray": "extract.distributed.run",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'extract.distributed' has no attribute {name!r}")
    try:
        import_module("ray.data")
    except ImportError:
        raise ConfigError("Ray is not installed; pip install 'extract-interactions[ray]'") from None
    return getattr(import_module(_MODULE_OF[name]), name)
