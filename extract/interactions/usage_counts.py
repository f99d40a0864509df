"""What an answer tells of its usage: counts by name, what is missing, what follows from the total."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

from extract.interactions.interaction import Interaction
from extract.interactions.usage import Usage
from extract.json_types import JsonObject

__all__ = ["reported_counts", "usage_of"]

_NAMES = {
    "input_tokens": ("total_input_tokens",),
    "output_tokens": ("total_output_tokens",),
    "thought_tokens": ("total_thought_tokens", "total_reasoning_tokens"),
    "cached_tokens": ("total_cached_tokens",),
    "tool_use_tokens": ("total_tool_use_tokens",),
}
_ALWAYS_COUNTED = ("input_tokens", "output_tokens")
_BILLED = ("input_tokens", "output_tokens", "thought_tokens", "tool_use_tokens")
# No answer has that many tokens: such a count is unknown. Sums of lower ones fit 64 bits, in databases and in columns.
_ABSURD_COUNT = 2**40


def usage_of(value: Any) -> Usage | None:
    """Return the usage of an answer, None where a part of it is unknown: what was not told is not 0.

    A count that was not told is what is left of `total_tokens`, if that was told and only one is missing.
    """
    if not isinstance(value, dict):
        return None
    if (usage := _everyday(value)) is not None:
        return usage
    counted = _counts(value)
    missing = [name for name in _NAMES if name not in counted and _is_owed(name, value)]
    if (total := value.get("total_tokens")) is not None:
        missing = _filled(counted, missing, total)
    return None if missing else Usage(**counted)


def _everyday(value: JsonObject) -> Usage | None:
    """Return the usage of an answer that tells its input and output, and whose counts add up to its total, else None.

    Counts that stand nowhere are 0 then. Any answer passes here, nearly all end here.
    """
    read: Callable[[str], Any] = value.get
    inputs, outputs = read("total_input_tokens"), read("total_output_tokens")
    thoughts, tools, cached = read("total_thought_tokens"), read("total_tool_use_tokens"), read("total_cached_tokens")
    if thoughts is None:
        thoughts = read("total_reasoning_tokens") or 0
    tools, cached = 0 if tools is None else tools, 0 if cached is None else cached
    if not type(inputs) is type(outputs) is type(thoughts) is type(cached) is type(tools) is int:
        return None
    total = inputs + outputs + thoughts + tools
    if (
        0 < total == read("total_tokens") < _ABSURD_COUNT > cached
        and min(inputs, outputs, thoughts, cached, tools) >= 0
    ):
        return Usage(inputs, outputs, thoughts, cached, tools)
    return None


def _counts(value: JsonObject) -> dict[str, int]:
    """Return the counts that a usage tells, by the names of `Usage`."""
    counted: dict[str, int] = {}
    for name, words in _NAMES.items():
        for word in words:
            count = value.get(word)
            if _is_count(count):
                counted[name] = count
                break
    return counted


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < _ABSURD_COUNT


def _is_owed(name: str, usage: JsonObject) -> bool:
    """True for a count that is always told, or stands there as what is no count. Services leave out the others at 0."""
    return name in _ALWAYS_COUNTED or any(usage.get(word) is not None for word in _NAMES[name])


def _filled(counted: dict[str, int], missing: list[str], total: Any) -> list[str]:
    """Enter what is left of the total for the one count that is missing; return those that still are.

    A rest that nobody explains counts as thoughts, the dearest kind, before it counts as nothing.
    """
    rest = total - sum(counted.get(name, 0) for name in _BILLED) if _is_count(total) else -1
    untold = missing or [name for name in ("thought_tokens", "tool_use_tokens") if name not in counted]
    if rest < 0 or not untold or len(missing) > 1 or untold[0] not in _BILLED:
        return missing
    counted[untold[0]] = rest
    return []


def reported_counts(interaction: Interaction) -> dict[str, int]:
    """Return what an answer tells of its usage, by the names of `Usage`: also where a part of it is missing."""
    usage = interaction.raw.get("usage")
    return _counts(usage) if isinstance(usage, dict) else {}
