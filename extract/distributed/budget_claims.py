"""One budget for several workers: claims that never add up to more than the budget, whatever messages are lost.

Each worker has an allowance: the most that it may spend and reserve in all. Two rules keep the sum within the budget:

- Only the reply to a worker's newest claim raises its allowance.
- A worker lowers its allowance before it reports the lower figure.

So an amount is free for others exactly when a claim says that it is no longer held. Where a reply is lost, the worker
uses less than it was granted, and its next claim frees the rest. A worker that dies keeps its allowance for ever, as
nobody knows how much of it was spent.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from extract.errors import BudgetExceeded
from extract.json_types import JsonObject
from extract.limits.budget import Amount, Budget, BudgetMeter

__all__ = ["BudgetClaims", "Claim", "ClaimedBudgetMeter"]


class Claim(NamedTuple):
    """What a worker reports and requests; all four are its totals since it began.

    `spent` is settled. `held` is the most that it may come to use before it is granted more, `wanted` the allowance
    that it would like, `needed` the one without which its next request cannot be sent.
    """

    spent: Amount = Amount()
    held: Amount = Amount()
    wanted: Amount = Amount()
    needed: Amount = Amount()


@dataclass(slots=True)
class _Account:
    """What one worker was granted and has spent, by its newest claim.

    `inherited`: read from a checkpoint, which may be newer than the first claim that arrives after it.
    """

    granted: Amount = Amount()
    spent: Amount = Amount()
    inherited: bool = False


class BudgetClaims:
    """Divides a budget among workers. `peak` is the most that was granted and not yet spent, in US dollars."""

    def __init__(self, budget: Budget | None) -> None:
        self.peak: Decimal = Decimal(0)
        self._budget = budget or Budget()
        self._accounts: dict[str, _Account] = {}

    @property
    def spent(self) -> Amount:
        """What all workers have reported as spent."""
        return sum((account.spent for account in self._accounts.values()), Amount())

    @property
    def granted(self) -> Amount:
        """What all workers together may use now."""
        return sum((account.granted for account in self._accounts.values()), Amount())

    def allowance(self, worker: str) -> Amount:
        """Return what a worker may use in all."""
        return self._accounts.setdefault(worker, _Account()).granted

    def update(self, worker: str, claim: Claim, alive: Container[str]) -> bool:
        """Set a worker's allowance by its claim. A worker's claims must come in the order in which they were made.

        Returns True where the budget is used up for this worker: what it needs does not fit, and no worker that is
        alive can give anything back.
        """
        account = self._accounts.setdefault(worker, _Account())
        # After a restart a late claim may name less than the predecessor granted in reply to a later one.
        held = _larger(claim.held, account.granted) if account.inherited else claim.held
        room = _room(self._budget, self.granted - account.granted)
        fits = _smaller(claim.needed, room) == claim.needed
        # What is too little for this worker's next request is left to others, whose requests may be smaller.
        account.granted = _larger(held, _smaller(claim.wanted, room)) if fits else held
        account.spent, account.inherited = claim.spent, False
        self.peak = max(self.peak, self.granted.dollars - self.spent.dollars)
        others = (other for name, other in self._accounts.items() if name != worker and name in alive)
        return not fits and all(other.granted == other.spent for other in others)

    def state(self) -> JsonObject:
        """Return as JSON what a successor needs."""
        claims = {name: [_as_json(one.granted), _as_json(one.spent)] for name, one in self._accounts.items()}
        return {"peak": str(self.peak), "claims": claims}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Continue from the `state` of a predecessor that was lost."""
        self.peak = Decimal(state["peak"])
        for name, (granted, spent) in state["claims"].items():
            self._accounts[name] = _Account(_from_json(granted), _from_json(spent), inherited=True)


class ClaimedBudgetMeter(BudgetMeter):
    """The meter of one worker: what it spends and reserves stays within its `allowance` of the run's budget.

    `on_report_due` is called when the allowance is too small for the next request.
    """

    def __init__(self, budget: Budget, on_report_due: Callable[[], None]) -> None:
        super().__init__(budget)
        self.allowance: Amount = Amount()
        self._is_final = False
        self._needs_more = False
        self._worst = Amount()
        self._on_report_due = on_report_due

    def fits(self, amount: Amount) -> bool:
        """True where `amount` is within the allowance; else a report that asks for more is due."""
        self._worst = amount
        after = self.used + amount
        within = (
            (self.budget.dollars is None or after.dollars <= self.allowance.dollars)
            and (self.budget.tokens is None or after.tokens <= self.allowance.tokens)
            and (self.budget.requests is None or after.requests <= self.allowance.requests)
        )
        if not within:
            self._needs_more = True
            self._on_report_due()
        return within

    @property
    def used(self) -> Amount:
        """What is spent or reserved."""
        return self.spent + self.reserved

    @property
    def waits(self) -> bool:
        """True while this worker or another may still give something back."""
        return self.reserved.requests > 0 or not self._is_final

    def claim(self, requests: int) -> Claim:
        """Return the claim for `requests` more requests, and give up at once what they do not need.

        A worker with too little for its next request gives up all that it does not use. Two workers that each hold a
        half of what they need would otherwise wait for each other.
        """
        used, worst = self.used, self._worst
        count = max(requests, 1) if self._needs_more else requests
        wanted = used + Amount(worst.dollars * count, worst.tokens * count, worst.requests * count)
        # Lowered here, before the claim is sent: from now on nothing above it can be used, even if the reply is lost.
        self.allowance = _smaller(self.allowance, used if self._needs_more else wanted)
        # An answer may have used more than was reserved for it, so that even `used` is above the allowance.
        held = _larger(self.allowance, used)
        return Claim(self.spent, held, wanted, used + worst if self._needs_more else used)

    def accept(self, allowance: Amount, *, is_final: bool) -> None:
        """Set the allowance to the reply to the newest claim. `is_final`: no other worker will give anything back."""
        self.allowance, self._is_final, self._needs_more = allowance, is_final, False

    def exceeded(self, amount: Amount) -> BudgetExceeded:  # noqa: ARG002 - it is the budget of all that is used up
        budget = self.budget
        limits = (
            f"${budget.dollars:,.4f} (--budget)" if budget.dollars is not None else "",
            f"{budget.tokens:,} tokens (--budget-tokens)" if budget.tokens is not None else "",
            f"{budget.requests:,} requests" if budget.requests is not None else "",
        )
        named = " or ".join(filter(None, limits))
        return BudgetExceeded(f"the budget of {named} is used up by all workers; raise it and run again to go on")


_UNLIMITED = 2**62


def _room(budget: Budget, granted: Amount) -> Amount:
    """Return what a budget has left; a huge amount where it has no limit."""
    return Amount(
        Decimal("Infinity") if budget.dollars is None else budget.dollars - granted.dollars,
        _UNLIMITED if budget.tokens is None else budget.tokens - granted.tokens,
        _UNLIMITED if budget.requests is None else budget.requests - granted.requests,
    )


def _smaller(one: Amount, other: Amount) -> Amount:
    """Return the smaller of two amounts, each unit by itself."""
    return Amount(min(one.dollars, other.dollars), min(one.tokens, other.tokens), min(one.requests, other.requests))


def _larger(one: Amount, other: Amount) -> Amount:
    return Amount(max(one.dollars, other.dollars), max(one.tokens, other.tokens), max(one.requests, other.requests))


def _as_json(amount: Amount) -> list[Any]:
    return [str(amount.dollars), amount.tokens, amount.requests]


def _from_json(amount: list[Any]) -> Amount:
    dollars, tokens, requests = amount
    return Amount(Decimal(dollars), int(tokens), int(requests))
