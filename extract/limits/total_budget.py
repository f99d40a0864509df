"""A budget that all runs of a cache share: each sets money aside in the cache before it sends."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Protocol

from extract.errors import BudgetExceeded, ExtractError
from extract.limits.budget import Amount, Budget, BudgetMeter
from extract.limits.pricing import money

__all__ = ["Funds", "TotalBudgetMeter"]

_AHEAD = 32  # requests for which money is set aside at a time: one look into the cache for all of them


class Funds(Protocol):
    """The money of all runs; a cache keeps it. `spent` and `others` are as of the last look."""

    spent: Decimal
    others: Decimal

    def set_aside(self, total: Decimal, held: Decimal, wanted: Decimal) -> Decimal: ...
    def close(self) -> None: ...


class TotalBudgetMeter(BudgetMeter):
    """The meter of a run whose budget has a `total`: what it spends and reserves stays within what it has set aside.

    Invariant: what is spent since money was last set aside, and what is reserved, are together at most that money.
    """

    def __init__(self, budget: Budget, total: Decimal, funds: Funds) -> None:
        super().__init__(budget)
        self._total, self._funds = total, funds
        self._allowance = Decimal(0)  # of all that this run spends and reserves
        self._failure: ExtractError | None = None

    def fits(self, amount: Amount) -> bool:
        """True where `amount` can be reserved within the run's own budget and within the total."""
        if not super().fits(amount):
            return False
        after = self.spent.dollars + self.reserved.dollars + amount.dollars
        return after <= self._allowance or after <= self._widened(amount.dollars)

    @property
    def waits(self) -> bool:
        """True while requests in flight may still give something back, and the cache can be read."""
        return self._failure is None and super().waits

    def used(self) -> BudgetMeter:
        """Return how the budget was used, without what belongs to the cache."""
        return BudgetMeter(self.budget, self.spent, self.reserved, self.peak)

    def close(self) -> None:
        """Give back what was set aside; where requests may still be in flight, it stays set aside."""
        if not self.reserved.requests:
            with suppress(ExtractError):
                self._funds.close()

    def _widened(self, dollars: Decimal) -> Decimal:
        """Return the allowance, with money set aside for requests like this one."""
        held = self.reserved.dollars
        try:
            aside = self._funds.set_aside(self._total, held, held + _AHEAD * dollars)
            self._allowance = self.spent.dollars + aside
        except ExtractError as error:  # raised by `exceeded`: only there somebody waits for it
            self._failure, self._allowance = error, Decimal(-1)
        return self._allowance

    def exceeded(self, amount: Amount) -> ExtractError:
        """Return the error that says why `amount` does not fit."""
        if self._failure is not None:
            return self._failure
        if not super().fits(amount):
            return super().exceeded(amount)
        others = f", {money(self._funds.others)} set aside by other runs" if self._funds.others else ""
        return BudgetExceeded(
            f"the total budget of {money(self._total)} for all runs with this cache is used up: "
            f"{money(self._funds.spent)} spent{others}, the next request may take {money(amount.dollars)}; "
            "raise --budget-total and run again to go on"
        )
