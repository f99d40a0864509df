"""What one request cost, divided among the rows it asked about: the shares add up to the whole, to the last token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from extract.interactions.usage import Attempt, Usage

__all__ = ["divided", "shares_of"]

Price = Callable[[str, "str | None", Usage], "Decimal | None"]

_SMALLEST = Decimal("1e-12")  # US dollars: shares are rounded to it, and the last one takes what is left


def divided(total: int, weights: Sequence[int]) -> list[int]:
    """Return whole parts of a number in proportion to weights. They add up to it; equal ones where all weights are 0.

    >>> divided(10, [1, 1, 1])
    [4, 3, 3]
    """
    if not sum(weights):
        weights = [1] * len(weights)
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda place: (-(total * weights[place] % whole), place))
    for place in by_remainder[: total - sum(parts)]:
        parts[place] += 1
    return parts


def shares_of(attempt: Attempt, read: Sequence[int], written: Sequence[int], price: Price) -> list[Attempt]:
    """Return each row's share of a request: input by what was `read` for it, output by what was `written`.

    `read` and `written` are sizes, one for each row. Money follows the tokens; where these are unknown it is divided
    like the input.
    """
    usage = attempt.usage
    if usage is None:
        costs, bounds = _money(attempt.cost, read), _money(attempt.bound, read)
        return [replace(attempt, cost=cost, bound=bound) for cost, bound in zip(costs, bounds, strict=True)]
    inputs, cached, tools = (
        divided(count, read) for count in (usage.input_tokens, usage.cached_tokens, usage.tool_use_tokens)
    )
    outputs, thoughts = (divided(count, written) for count in (usage.output_tokens, usage.thought_tokens))
    usages = [
        Usage(input_tokens=a, output_tokens=b, thought_tokens=c, cached_tokens=d, tool_use_tokens=e)
        for a, b, c, d, e in zip(inputs, outputs, thoughts, cached, tools, strict=True)
    ]
    costs = _costs(attempt, usages, price)
    return [replace(attempt, usage=one, cost=cost) for one, cost in zip(usages, costs, strict=True)]


def _costs(attempt: Attempt, usages: Sequence[Usage], price: Price) -> list[Decimal | None]:
    """Return the costs of the shares; prices are linear, and what they are not the last share takes."""
    if attempt.cost is None:
        return [None] * len(usages)
    costs = [price(attempt.model, attempt.tier, usage) or Decimal(0) for usage in usages]
    return [*costs[:-1], attempt.cost - sum(costs[:-1], Decimal(0))]


def _money(amount: Decimal | None, weights: Sequence[int]) -> list[Decimal | None]:
    if amount is None:
        return [None] * len(weights)
    units = int(amount / _SMALLEST)
    parts: list[Decimal | None] = [part * _SMALLEST for part in divided(units, weights)]
    rest = amount - units * _SMALLEST
    return parts if not rest else [*parts[:-1], (parts[-1] or Decimal(0)) + rest]
