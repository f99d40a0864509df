"""Whether a request is served: the quota first, then the fault that may strike it."""

from __future__ import annotations

import random
from collections.abc import Callable
from threading import Lock

from extract.emulator.conversation import ParsedRequest
from extract.emulator.faults import KINDS, NO_FAULT, FaultPlan
from extract.emulator.messages import Refusal, WireResponse
from extract.emulator.options import Quotas
from extract.emulator.state import Counters, QuotaMeter

__all__ = ["Admission"]


class Admission:
    """Applies quota and faults to requests, and counts what it refuses. Safe to use from several threads."""

    def __init__(self, quotas: Quotas, faults: str | None, counters: Counters, *, seed: int) -> None:
        self._quota = QuotaMeter(quotas)
        self._counters = counters
        self.set_faults(faults)
        # Uploads draw from a source of their own, so that they do not change which requests are struck.
        self._draws, self._upload_draws = random.Random(seed), random.Random(seed)  # noqa: S311 - they guard nothing
        self._lock = Lock()

    def set_faults(self, spec: str | None) -> None:
        """Let other faults strike from now on; ConfigError for a spec that cannot be read."""
        self._plan = FaultPlan.parse(spec)

    def set_quotas(self, quotas: Quotas, now: float) -> None:
        """Let other limits hold from now on; what was spent of the old ones is not given back."""
        with self._lock:
            self._quota.change(quotas, now)

    def admit(self, request: ParsedRequest, at: float) -> str | None:
        """Return the fault drawn for a create request within the quota; Refusal for one beyond it."""
        name = self._admit(sum(request.input_tokens.values()), at)
        # The rest of an answer is sent as it was made: only its delivery can still go wrong.
        alters = name is not None and (KINDS[name].alter is not None or KINDS[name].parts > 1)
        return None if request.kind == "continue" and alters else name

    def admit_decision(self, tokens: int, at: float) -> Callable[[WireResponse], WireResponse]:
        """Return how the answer to a decision is delivered; Refusal beyond the quota or for a fault that refuses.

        Faults that alter an interaction leave decisions as they are.
        """
        name = self._admit(tokens, at)
        fault = KINDS[name] if name else NO_FAULT
        if name and (fault.response or fault.deliver):
            self._counters.note_fault(name)
        if fault.response is not None:
            raise Refusal(fault.response)
        return fault.deliver or (lambda response: response)

    def draw_upload_fault(self) -> str | None:
        """Return the fault that strikes the next chunk of an upload, None where none does."""
        with self._lock:
            return self._plan.draw_upload(self._upload_draws)

    def _admit(self, tokens: int, at: float) -> str | None:
        with self._lock:
            refused = self._quota.admit(tokens, at)
            # A refused request draws no fault: the draws of the others do not depend on when they are sent.
            name = None if refused is not None else self._plan.draw(self._draws)
        if refused is not None:
            self._counters.note_quota_refusal()
            raise Refusal(refused)
        return name
