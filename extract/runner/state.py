"""Whether a run still sends, and why not any more."""

from __future__ import annotations

from dataclasses import dataclass, field

from extract.errors import ExtractError
from extract.limits.limiter import Limiter
from extract.limits.outage import OutageWatch
from extract.runner.streak import FailureStreak
from extract.runner.trace import RunningDeadlines

__all__ = ["RunState"]


@dataclass(slots=True, eq=False)
class RunState:
    """Whether a run still sends. All its parts share one: who finds a reason to end the run says so here.

    `stopped` is the error that ended it, `interrupted` is True once the user has. `abandoned`: not even what is in
    flight is waited for. Either way the limiter closes: nothing new is sent, what is in flight may finish. `streak` is
    the rule for a set-up that never works, `deadlines` are those of the records under way, `watch` knows of outages.
    """

    limiter: Limiter
    streak: FailureStreak = field(default_factory=lambda: FailureStreak(0))
    deadlines: RunningDeadlines = field(default_factory=RunningDeadlines)
    watch: OutageWatch = field(default_factory=OutageWatch)
    stopped: ExtractError | None = None
    interrupted: bool = False
    abandoned: bool = False

    @property
    def outage(self) -> float:
        """For how many seconds the service has been down; 0 while it answers."""
        return self.watch.lasted(self.limiter.clock())

    @property
    def stopping(self) -> bool:
        """True once no new request is sent."""
        return self.interrupted or self.stopped is not None

    def stop(self, error: ExtractError) -> None:
        """End the run for a reason; the first one counts."""
        if self.stopped is None and not self.interrupted:
            self.stopped = error
        self.limiter.close()

    def interrupt(self) -> None:
        """End the run for the user."""
        self.interrupted = True
        self.limiter.close()
