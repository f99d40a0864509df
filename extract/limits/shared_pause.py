"""The wait that a refusal names: for all requests, or only for the one that was refused. No clock: callers pass it."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["SharedPause"]

_MIN_ACCEPTED = 3  # requests that show that a wait is not for all
_MAX_REFUSED = 0.25  # refusals for each of these: at a used-up quota, most of what is sent is refused
_IN_A_ROW = 4  # refusals that show that it is; one request in twenty refused at random is so once in 160,000 times


@dataclass(slots=True)
class SharedPause:
    """Holds all requests back for as long as a refusal asks for, unless others are let in meanwhile.

    Who names a quota means all requests. A mere wait is taken for one for all, too, until requests that were sent after
    the refused one are accepted: then it was for that one alone, which waits by itself. From then on single refusals
    hold nobody else; several in a row do, and are looked at anew.
    """

    until: float = 0.0
    by: str = ""
    _is_for_all: bool = True
    _is_open: bool = field(default=True)  # to evidence: False while a quota that was named holds
    _refused_at: float = 0.0  # when the request was sent whose refusal began the pause
    _accepted: int = 0  # of those sent later
    _refused: int = 0
    _in_a_row: int = 0

    def refuse(self, sent_at: float, now: float, wait: float, by: str, *, is_quota: bool) -> None:
        """Note a refusal that names a wait; `is_quota`: it also names the quota that is used up."""
        self._in_a_row += 1
        self._is_for_all = self._is_for_all or is_quota or self._in_a_row >= _IN_A_ROW
        if not self._is_for_all:
            return
        if self.until <= now:
            self._refused_at, self._accepted, self._refused, self._is_open = sent_at, 0, 0, True
        self._is_open = self._is_open and not is_quota
        self._refused += sent_at > self._refused_at
        self.until, self.by = max(self.until, now + wait), by

    def accept(self, sent_at: float, now: float) -> None:
        """Note that a request was not refused."""
        self._in_a_row = 0
        if not self._is_open or not self._refused_at < sent_at or now >= self.until:
            return
        self._accepted += 1
        if self._accepted >= _MIN_ACCEPTED and self._refused <= _MAX_REFUSED * self._accepted:
            self._is_for_all, self.until = False, now
