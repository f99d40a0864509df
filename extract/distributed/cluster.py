"""The Ray cluster of a run: an existing one, or one on this machine for as long as the run lasts."""

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
    "a ray:// address is for programs outside of the cluster, and the cache would then be on another machine: "
    "start the run on a node of the cluster, with --address auto"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """Which cluster to use, and how many workers on it.

    `address` is None for a new cluster on this machine, "auto" for the one that runs here. With `offline` each worker
    has a built-in emulator in place of the service.
    """

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
    # A cluster that is started here sends no telemetry and listens on loopback only.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    here: dict[str, Any] = {} if address else {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **here)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(f"no Ray cluster at {address or 'this machine'}: {reason[:200]}") from None
    try:
        yield
    finally:
        ray.shutdown()
