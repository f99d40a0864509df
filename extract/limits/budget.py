"""What a run may spend. The worst case is reserved before a request and settled after it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from extract.errors import BudgetExceeded, ConfigError, ExtractError

__all__ = ["Amount", "Budget", "BudgetMeter", "Forecast"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The most one run may spend: US dollars, tokens of all kinds together, requests. None is no limit.

    `total` is the most, in US dollars, that all runs with the same cache may spend together: it counts what the ledger
    of the cache says, and what other runs at work have set aside.

    Raises ConfigError for a value that is not above 0.

        >>> Budget(dollars=Decimal("2.50"), requests=10_000)
        Budget(dollars=Decimal('2.50'), tokens=None, requests=10000, total=None)
    """

    dollars: Decimal | None = None
    tokens: int | None = None
    requests: int | None = None
    total: Decimal | None = None

    @classmethod
    def of(cls, value: Budget | Decimal | float | None) -> Budget | None:
        """Return the budget for a number of US dollars. Raises ConfigError for what is neither that nor a Budget."""
        if value is None or isinstance(value, Budget):
            return value
        if isinstance(value, bool) or not isinstance(value, Decimal | float | int):
            raise ConfigError(f"budget is a number of US dollars or a Budget, not a {type(value).__name__}")
        return cls(dollars=Decimal(str(value)))

    def __post_init__(self) -> None:
        for name in ("dollars", "tokens", "requests", "total"):
            value = getattr(self, name)
            if value is not None and (Decimal(value).is_nan() or value <= 0):
                unit = "dollars in total" if name == "total" else name
                raise ConfigError(f"a budget of {value} {unit} would stop the run before its first request")


@dataclass(frozen=True, slots=True)
class Amount:
    """What one or more requests take: US dollars, tokens, requests."""

    dollars: Decimal = Decimal(0)
    tokens: int = 0
    requests: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.dollars + other.dollars, self.tokens + other.tokens, self.requests + other.requests)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.dollars - other.dollars, self.tokens - other.tokens, self.requests - other.requests)


@dataclass(slots=True)
class BudgetMeter:
    """How a budget is used: what is spent, and what is reserved for requests in flight.

    `spent` exceeds the budget by no more than what answers took beyond their reservations. `peak` is the most that was
    reserved at one time, in US dollars.
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
        """Replace a reservation by what was really spent."""
        self.reserved -= amount
        self.spent += spent

    def exceeded(self, amount: Amount) -> ExtractError:
        """Return the error that says why `amount` does not fit."""
        after = self.spent + self.reserved + amount
        limits = (
            ("$", "--budget", self.budget.dollars, self.spent.dollars, amount.dollars, after.dollars),
            ("tokens ", "--budget-tokens", self.budget.tokens, self.spent.tokens, amount.tokens, after.tokens),
            ("requests ", "the budget", self.budget.requests, self.spent.requests, amount.requests, after.requests),
        )
        unit, option, maximum, spent, needed, _ = next(
            limit for limit in limits if limit[2] is not None and limit[-1] > limit[2]
        )
        return BudgetExceeded(
            f"the budget of {unit}{_short(maximum)} is used up: {unit}{_short(spent)} spent, the next request may take "
            f"{unit}{_short(needed)}; raise {option} and run again to go on"
        )


def _short(value: Decimal | int | None) -> str:
    return f"{value:,.4f}" if isinstance(value, Decimal) else f"{value:,}"


@dataclass(slots=True)
class Forecast:
    """The most that the next request is expected to take, in tokens.

    Output: `limit` (`max_output_tokens`, thoughts included) where there is one, else twice the `largest` answer to a
    row so far, at least `typical`, for each row of the request, and no less than the largest answer of all, `longest`:
    what a model thinks does not shrink with the number of rows. Input: the estimate, times the worst `ratio` of billed
    to estimated input so far.
    """

    typical: int
    limit: int | None = None
    largest: int = 0
    ratio: float = 1.0
    longest: int = 0

    def output_tokens(self, limit: int | None = None, rows: int = 1) -> int:
        limit = limit or self.limit
        return limit if limit is not None else max(rows * max(self.typical, 2 * self.largest), self.longest)

    def input_tokens(self, estimated: int) -> int:
        return int(estimated * self.ratio) + 1

    def note(self, *, estimated: int, input_tokens: int, output_tokens: int, rows: int = 1) -> None:
        """Learn from an answer to `rows` rows; `output_tokens` include thoughts."""
        self.largest = max(self.largest, -(-output_tokens // rows))
        self.longest = max(self.longest, output_tokens)
        if estimated > 0:
            self.ratio = max(self.ratio, input_tokens / estimated)
