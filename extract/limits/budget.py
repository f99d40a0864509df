"""What a run may spend, kept by reservation: the worst case is set aside before a request and settled after it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from extract.errors import BudgetExceeded, ConfigError

__all__ = ["Amount", "Budget", "BudgetMeter", "Forecast"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The most one run may spend: US dollars, tokens of all kinds together, requests. None is no limit."""

    dollars: Decimal | None = None
    tokens: int | None = None
    requests: int | None = None

    @classmethod
    def of(cls, value: Budget | Decimal | float | None) -> Budget | None:
        """Return the budget that a number of US dollars stands for. ConfigError for what is no sum of money."""
        if value is None or isinstance(value, Budget):
            return value
        if isinstance(value, bool) or not isinstance(value, Decimal | float | int):
            raise ConfigError(f"budget is a number of US dollars or a Budget, not a {type(value).__name__}")
        return cls(dollars=Decimal(str(value)))

    def __post_init__(self) -> None:
        for name in ("dollars", "tokens", "requests"):
            value = getattr(self, name)
            if value is not None and (Decimal(value).is_nan() or value <= 0):
                raise ConfigError(f"a budget of {value} {name} would stop the run before its first request")


@dataclass(frozen=True, slots=True)
class Amount:
    """What one or more requests take."""

    dollars: Decimal = Decimal(0)
    tokens: int = 0
    requests: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.dollars + other.dollars, self.tokens + other.tokens, self.requests + other.requests)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.dollars - other.dollars, self.tokens - other.tokens, self.requests - other.requests)


@dataclass(slots=True)
class BudgetMeter:
    """The money of a run: spent, and reserved for requests in flight.

    Spending passes the budget by no more than the answers in flight took beyond their reservations.
    `peak` is the most that was reserved at one time, in US dollars.
    """

    budget: Budget
    spent: Amount = Amount()
    reserved: Amount = Amount()
    peak: Decimal = Decimal(0)

    def fits(self, amount: Amount) -> bool:
        """True where `amount` can be reserved within the budget."""
        after = self.spent + self.reserved + amount
        budget = self.budget
        return not (
            (budget.dollars is not None and after.dollars > budget.dollars)
            or (budget.tokens is not None and after.tokens > budget.tokens)
            or (budget.requests is not None and after.requests > budget.requests)
        )

    @property
    def waits(self) -> bool:
        """True while requests in flight may still give back a part of what they reserved."""
        return self.reserved.requests > 0

    def reserve(self, amount: Amount) -> None:
        self.reserved += amount
        self.peak = max(self.peak, self.reserved.dollars)

    def settle(self, amount: Amount, spent: Amount) -> None:
        """Replace a reservation by what was really spent: all of it where nobody knows."""
        self.reserved -= amount
        self.spent += spent

    def exceeded(self, amount: Amount) -> BudgetExceeded:
        """Return the error that says why `amount` does not fit."""
        after = self.spent + self.reserved + amount
        limits = (
            ("$", "--budget", self.budget.dollars, self.spent.dollars, amount.dollars, after.dollars),
            ("tokens ", "--budget-tokens", self.budget.tokens, self.spent.tokens, amount.tokens, after.tokens),
            ("requests ", "the budget", self.budget.requests, self.spent.requests, amount.requests, after.requests),
        )
        unit, option, most, spent, needed, _ = next(
            limit for limit in limits if limit[2] is not None and limit[-1] > limit[2]
        )
        return BudgetExceeded(
            f"the budget of {unit}{_short(most)} is used up: {unit}{_short(spent)} spent, the next request may take "
            f"{unit}{_short(needed)}; raise {option} and run again to go on"
        )


def _short(value: Decimal | int | None) -> str:
    return f"{value:,.4f}" if isinstance(value, Decimal) else f"{value:,}"


@dataclass(slots=True)
class Forecast:
    """The most that the next answer is expected to take, in tokens.

    With `limit` (`max_output_tokens`, thoughts included) it is that; without, twice the largest answer seen, at first
    `typical`. The input is as estimated, or larger by the worst ratio of billed to estimated input seen so far.
    """

    typical: int
    limit: int | None = None
    largest: int = 0
    ratio: float = 1.0

    def output_tokens(self, limit: int | None = None) -> int:
        most = limit or self.limit
        return most if most is not None else max(self.typical, 2 * self.largest)

    def input_tokens(self, estimated: int) -> int:
        return int(estimated * self.ratio) + 1

    def note(self, *, estimated: int, input_tokens: int, output_tokens: int) -> None:
        """Learn from an answer; `output_tokens` include thoughts."""
        self.largest = max(self.largest, output_tokens)
        if estimated > 0:
            self.ratio = max(self.ratio, input_tokens / estimated)
