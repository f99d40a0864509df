"""`extract estimate`: tokens and money before anything is sent."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

from extract.cli.pipelines import load_pipeline
from extract.cli.terminal import say_warnings
from extract.estimate import Estimate, estimate
from extract.schema import compile_schema
from extract.sources import open_source, take_rows

__all__ = ["estimate_command"]


def estimate_command(pipeline: str, data: str, *, model: str | None, limit: int | None, as_json: bool) -> None:
    """Print the estimate, as text for people or as one JSON object."""
    extractor = load_pipeline(pipeline)
    if model:
        extractor = replace(extractor, model=model)
    source = open_source(data)
    found = estimate(source if limit is None else take_rows(source, limit), extractor)
    if not as_json:
        say_warnings(compile_schema(extractor.schema))
    sys.stdout.write(json.dumps(found.as_json()) + "\n" if as_json else _text(found))


def _text(found: Estimate) -> str:
    low, high = found.input_interval
    lines = [
        f"{found.rows:,} rows, one request each, for {found.model}",
        f"about {found.input_tokens:,} tokens in ({low:,} to {high:,} at 95 %, from {found.sampled:,} prompts)",
        f"about {found.output_tokens:,} tokens out (a guess from the schema; thoughts, retries and repairs on top)",
    ]
    for tier, cost in found.costs.items():
        lines.append(f"{tier}: " + ("price unknown" if cost is None else f"about ${cost:,.4f}"))
    return "\n".join(lines) + "\n"
