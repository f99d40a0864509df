"""A row's part of the answer to several rows, as an interaction of its own."""

from __future__ import annotations

from extract.interactions.dialects import from_raw
from extract.interactions.interaction import Interaction
from extract.interactions.usage import Attempt, Usage

__all__ = ["part_of"]


def part_of(whole: Interaction, answer: str, share: Attempt | None) -> Interaction:
    """Return a row's part of an answer as an interaction of its own, as it is stored."""
    usage = None if share is None else share.usage
    raw = {
        "status": "completed",
        "model": whole.model,
        "service_tier": whole.service_tier,
        "steps": [{"type": "model_output", "content": [{"type": "text", "text": answer}]}],
    }
    counted = {} if usage is None else {"usage": _as_wire(usage)}
    return from_raw({name: value for name, value in (raw | counted).items() if value is not None})


def _as_wire(usage: Usage) -> dict[str, int]:
    return {
        "total_input_tokens": usage.input_tokens,
        "total_output_tokens": usage.output_tokens,
        "total_thought_tokens": usage.thought_tokens,
        "total_cached_tokens": usage.cached_tokens,
        "total_tool_use_tokens": usage.tool_use_tokens,
        "total_tokens": usage.total,
    }
