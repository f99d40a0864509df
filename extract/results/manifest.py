"""What the footer of an output says about the run that wrote it: extractor, service, input, and how it went."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import PurePath
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from extract.errors import ExtractError
from extract.extractor.plan import CompiledExtractor
from extract.interactions.endpoint import Endpoint
from extract.json_types import JsonObject
from extract.limits.outage import Outage
from extract.results.columns import OutputShape
from extract.results.progress import Totals
from extract.results.timeline import Timeline

__all__ = ["course_of", "manifest_of"]


class Course(Protocol):
    """How a run went: a scheduler, or the collector of many workers."""

    @property
    def seconds(self) -> float: ...
    @property
    def stopped(self) -> ExtractError | None: ...
    @property
    def interrupted(self) -> bool: ...
    @property
    def totals(self) -> Totals: ...
    @property
    def timeline(self) -> Timeline: ...
    @property
    def outages(self) -> tuple[Outage, ...]: ...


def manifest_of(
    pipeline: str, plan: CompiledExtractor, endpoint: Endpoint, shape: OutputShape, data: Any, *, samples: int = 1
) -> JsonObject:
    """Return what is known before the first request. It holds no API key, and of an input's path only the name."""
    extractor = plan.extractor
    return {
        "pipeline": pipeline,
        "note": shape.note,
        "extractor": plan.key.hex(),
        "model": extractor.model,
        "version": version("extract-interactions"),
        "schema": plan.schema.full,
        "fields": list(plan.schema.dtypes),
        "keys": {name: key for name, key in plan.schema.keys.items() if name != key},
        "names": plan.schema.names,
        "extra": plan.schema.extra,
        "service": endpoint.service,
        "dialect": endpoint.dialect,
        "service_tier": plan.request.service_tier,
        "system": extractor.system,
        "prompt": extractor.prompt,
        "examples": len(extractor.examples),
        "generation": extractor.generation.as_wire(),
        "input": _name_of(data),
        "columns": list(plan.columns),
        "media": list(extractor.media),
        "grounding": list(extractor.grounding),
        "row_id": shape.row_id,
        "prefix": shape.prefix,
        "provenance": shape.provenance,
        "samples": samples,
        "rejected_rows": "left out" if shape.split_errors else "null",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def course_of(runner: Course) -> JsonObject:
    """Return how a run went: seconds, counts, and its timeline as (seconds, rows done, requests in flight)."""
    return {
        "seconds": round(runner.seconds, 3),
        "stopped": None if runner.stopped is None else str(runner.stopped),
        "interrupted": runner.interrupted,
        "totals": runner.totals.counts(),
        "errors": dict(sorted(runner.totals.errors.items())),
        "outages": [outage.as_json() for outage in runner.outages],
        "timeline": [(round(seconds, 3), rows, in_flight) for seconds, rows, in_flight in runner.timeline.samples],
    }


def _name_of(data: Any) -> str | None:
    """Return the last part of a path or URL, without the query, which may hold a signature."""
    if not isinstance(data, str | os.PathLike):
        return None
    address = os.fspath(data)
    path = unquote(urlsplit(address).path) if "://" in address else address
    return PurePath(path).name or None
