"""A Ray cluster for a run: one that is there, or one of this machine's own, for as long as the run lasts."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray

from extract.errors import ConfigError

__all__ = ["FROM_OUTSIDE", "ClusterSpec", "cluster"]


FROM_OUTSIDE = (
    "a ray:// address is for programs outside of the cluster, and the cache would lie on another machine than theirs: "
    "start the run on a node of the cluster, with --address auto"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """Which cluster asks, and with how many workers. `offline`: each worker asks a built-in emulator of its own."""

    workers: int = 2
    address: str | None = None
    offline: bool = False


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Connect to a cluster ("auto": the one of this machine), or start one here for as long as the context lasts.

    ConfigError where there is none at the address. A cluster that is already connected to is used, and left alone.
    """
    if address is not None and address.startswith("ray://"):
        raise ConfigError(FROM_OUTSIDE)
    if ray.is_initialized():
        yield
        return
    # Nothing is told to anybody, and nothing listens beyond this machine, in a cluster that we start.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    here: dict[str, Any] = {} if address else {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **here)
    except (ConnectionError, RuntimeError, ValueError) as error:
        said = str(error).strip().partition("\n")[0]
        raise ConfigError(f"no Ray cluster at {address or 'this machine'}: {said[:200]}") from None
    try:
        yield
    finally:
        ray.shutdown()
