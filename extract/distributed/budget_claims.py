"""One budget for several workers: claims that never add up to more than it, whatever becomes of the messages.

A claim is what a worker may use in all: spend, and reserve. Only the answer to its newest bid raises it, and the worker
lowers it before it says so. So what a bid does not hold any more is free, and nothing else is. An answer that is lost
leaves the purse with less than was granted; the next bid frees the rest. A worker that is lost takes with it what it
may have spent.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from extract.errors import BudgetExceeded
from extract.json_types import JsonObject
from extract.limits.budget import Amount, Budget, BudgetMeter

__all__ = ["Bid", "Claims", "LeasedPurse"]


class Bid(NamedTuple):
    """What a worker says about money; all are totals of its own.

    `held` is the most that it may come to use before it is granted more, `wish` the claim that it wants, `least` the
    one that it needs to go on.
    """

    spent: Amount = Amount()
    held: Amount = Amount()
    wish: Amount = Amount()
    least: Amount = Amount()


@dataclass(slots=True)
class _Claim:
    """`inherited`: granted by a predecessor, perhaps in answer to a later bid than the first that is heard here."""

    granted: Amount = Amount()
    spent: Amount = Amount()
    inherited: bool = False


class Claims:
    """Shares a budget out. `peak` is the most that was set aside beyond what is spent, in US dollars."""

    def __init__(self, budget: Budget | None) -> None:
        self.peak = Decimal(0)
        self._budget = budget or Budget()
        self._claims: dict[str, _Claim] = {}

    @property
    def spent(self) -> Amount:
        """What all workers have told that they spent."""
        return sum((claim.spent for claim in self._claims.values()), Amount())

    @property
    def granted(self) -> Amount:
        """What all workers together may use now."""
        return sum((claim.granted for claim in self._claims.values()), Amount())

    def of(self, worker: str) -> Amount:
        """Return what a worker may use in all."""
        return self._claims.setdefault(worker, _Claim()).granted

    def take(self, worker: str, bid: Bid, living: Container[str]) -> bool:
        """Set a worker's claim; bids of one worker come in the order they were made.

        Returns True where what it needs does not fit, and none of the living can give anything back.
        """
        claim = self._claims.setdefault(worker, _Claim())
        held = _largest(bid.held, claim.granted) if claim.inherited else bid.held
        room = _left(self._budget, self.granted - claim.granted)
        fits = _smallest(bid.least, room) == bid.least
        # What is too little to go on with stays for others: they may have smaller requests.
        claim.granted = _largest(held, _smallest(bid.wish, room)) if fits else held
        claim.spent, claim.inherited = bid.spent, False
        self.peak = max(self.peak, self.granted.dollars - self.spent.dollars)
        others = (one for name, one in self._claims.items() if name != worker and name in living)
        return not fits and all(one.granted == one.spent for one in others)

    def state(self) -> JsonObject:
        """Return as JSON what a successor needs."""
        claims = {name: [_as_json(claim.granted), _as_json(claim.spent)] for name, claim in self._claims.items()}
        return {"peak": str(self.peak), "claims": claims}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on with the claims of one that was lost."""
        self.peak = Decimal(state["peak"])
        for name, (granted, spent) in state["claims"].items():
            self._claims[name] = _Claim(_from_json(granted), _from_json(spent), inherited=True)


class LeasedPurse(BudgetMeter):
    """The part of a budget that one worker may use: its `claim`, in all that it spends and reserves.

    `on_want` hears that the claim is to be raised.
    """

    def __init__(self, budget: Budget, on_want: Callable[[], None]) -> None:
        super().__init__(budget)
        self.claim = Amount()
        self._is_final = False
        self._lacks = False
        self._worst = Amount()
        self._on_want = on_want

    def fits(self, amount: Amount) -> bool:
        """True where `amount` is within the claim; else the claim is to be raised."""
        self._worst = amount
        after = self.used + amount
        within = (
            (self.budget.dollars is None or after.dollars <= self.claim.dollars)
            and (self.budget.tokens is None or after.tokens <= self.claim.tokens)
            and (self.budget.requests is None or after.requests <= self.claim.requests)
        )
        if not within:
            self._lacks = True
            self._on_want()
        return within

    @property
    def used(self) -> Amount:
        """What is spent or reserved."""
        return self.spent + self.reserved

    @property
    def waits(self) -> bool:
        """True while this worker or another may still give something back."""
        return self.reserved.requests > 0 or not self._is_final

    def bid(self, requests: int) -> Bid:
        """Return the bid for so many more requests. What is not needed for them is given up at once.

        A worker with too little for its next request gives up all that it does not use: it may be enough for another.
        """
        used, worst = self.used, self._worst
        more = max(requests, 1) if self._lacks else requests
        wish = used + Amount(worst.dollars * more, worst.tokens * more, worst.requests * more)
        self.claim = _smallest(self.claim, used if self._lacks else wish)
        # An answer may have taken more than was set aside for it.
        held = _largest(self.claim, used)
        return Bid(self.spent, held, wish, used + worst if self._lacks else used)

    def grant(self, claim: Amount, *, is_final: bool) -> None:
        """Take over what the newest bid was answered. `is_final`: no more will come back from others."""
        self.claim, self._is_final, self._lacks = claim, is_final, False

    def exceeded(self, amount: Amount) -> BudgetExceeded:  # noqa: ARG002 - it is the budget of all that is used up
        budget = self.budget
        limits = (
            f"${budget.dollars:,.4f} (--budget)" if budget.dollars is not None else "",
            f"{budget.tokens:,} tokens (--budget-tokens)" if budget.tokens is not None else "",
            f"{budget.requests:,} requests" if budget.requests is not None else "",
        )
        named = " or ".join(filter(None, limits))
        return BudgetExceeded(f"the budget of {named} is used up by all workers; raise it and run again to go on")


_MANY = 2**62


def _left(budget: Budget, taken: Amount) -> Amount:
    """Return what is left of a budget; very much where it has no limit."""
    return Amount(
        Decimal("Infinity") if budget.dollars is None else budget.dollars - taken.dollars,
        _MANY if budget.tokens is None else budget.tokens - taken.tokens,
        _MANY if budget.requests is None else budget.requests - taken.requests,
    )


def _smallest(one: Amount, other: Amount) -> Amount:
    """Return the smaller of two amounts, each unit for itself."""
    return Amount(min(one.dollars, other.dollars), min(one.tokens, other.tokens), min(one.requests, other.requests))


def _largest(one: Amount, other: Amount) -> Amount:
    return Amount(max(one.dollars, other.dollars), max(one.tokens, other.tokens), max(one.requests, other.requests))


def _as_json(amount: Amount) -> list[Any]:
    return [str(amount.dollars), amount.tokens, amount.requests]


def _from_json(told: list[Any]) -> Amount:
    dollars, tokens, requests = told
    return Amount(Decimal(dollars), int(tokens), int(requests))
