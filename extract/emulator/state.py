"""What the emulator remembers of its requests: counters, how much quota is left, and a mapping that forgets."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic_core import to_json

from extract.emulator.conversation import Kind
from extract.emulator.messages import WireResponse, error_response, rpc_response
from extract.errors import ConfigError
from extract.json_types import JsonObject

__all__ = ["Bounded", "Counters", "Quota", "SeenRequest"]

Key = TypeVar("Key")
Value = TypeVar("Value")
SECONDS = {"Minute": 60.0, "Day": 86_400.0}
ROUNDING = 1e-6
"""A client that waits as long as told must not be refused for the last bits of a float."""


class Bounded(Generic[Key, Value]):
    """A mapping that forgets what was used least recently once it holds `size` values."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def put(self, key: Key, value: Value) -> None:
        """Remember `value` under `key`."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._size:
            self._values.popitem(last=False)

    def find(self, key: Key) -> Value | None:
        """Return the value of `key`, None where there is none."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def drop(self, key: Key) -> Value | None:
        """Forget `key` and return its value, None where there is none."""
        return self._values.pop(key, None)


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One create request as it came. `status` is the HTTP status it got, None where the connection was reset.

    `body` is empty for JSON that is not an object; `at` is in seconds on the emulator's clock.
    """

    body: JsonObject
    kind: Kind
    status: int | None
    at: float


@dataclass(slots=True)
class Bucket:
    """A token bucket that holds one window's worth and fills evenly."""

    size: float
    window: float
    level: float = field(init=False)
    filled_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.level = self.size
        self.filled_at = float("-inf")

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until `amount` may be taken; what is larger than the bucket needs a full one."""
        if self.filled_at != now:
            gain = (now - self.filled_at) * self.size / self.window
            self.level = min(self.size, self.level + max(0.0, gain))
            self.filled_at = now
        missing = min(amount, self.size) - self.level
        return missing * self.window / self.size if missing > ROUNDING else 0.0

    def inherit(self, old: Bucket, now: float) -> None:
        """Go on from the level of another bucket."""
        old.wait(0.0, now)
        self.level, self.filled_at = min(self.size, old.level), now

    def take(self, amount: float) -> None:
        """Take `amount`; the level may fall below zero."""
        self.level -= amount


@dataclass(frozen=True, slots=True)
class Allowance:
    """One dimension of the quota: what it is called in errors, and its bucket."""

    metric: str
    period: str
    bucket: Bucket

    @property
    def quota_id(self) -> str:
        """The name of the quota, which tells its window."""
        return f"Generate{self.metric}Per{self.period}PerProjectPerModel"


class Quota:
    """Requests per minute, input tokens per minute and requests per day; None is no limit.

    `retry_after` adds the `Retry-After` header (whole seconds, rounded up) to the delay in the body. Without `details`
    a refusal is the documented envelope alone, which names neither the quota nor a delay.
    """

    def __init__(
        self, *, rpm: int | None, tpm: int | None, rpd: int | None, retry_after: bool = False, details: bool = True
    ) -> None:
        self._retry_after, self._details = retry_after, details
        self._allowances: list[Allowance] = []
        self.change(rpm=rpm, tpm=tpm, rpd=rpd, now=0.0)

    def change(self, *, rpm: int | None, tpm: int | None, rpd: int | None, now: float) -> None:
        """Let another quota hold; what was spent of the old one is not given back."""
        for name, limit in (("rpm", rpm), ("tpm", tpm), ("rpd", rpd)):
            if limit is not None and limit < 1:
                raise ConfigError(f"{name} must be at least 1, not {limit}; leave it out for no limit")
        spent = {one.quota_id: one.bucket for one in self._allowances}
        limits = (("Requests", "Minute", rpm), ("InputTokens", "Minute", tpm), ("Requests", "Day", rpd))
        self._allowances = [
            Allowance(metric, period, Bucket(limit, SECONDS[period]))
            for metric, period, limit in limits
            if limit is not None
        ]
        for one in self._allowances:
            if (old := spent.get(one.quota_id)) is not None:
                one.bucket.inherit(old, now)

    def admit(self, tokens: int, now: float) -> WireResponse | None:
        """Take one request of `tokens` from every bucket, or return the 429 of the slowest one and take nothing."""
        if not self._allowances:
            return None
        amounts = [tokens if one.metric == "InputTokens" else 1 for one in self._allowances]
        waits = [one.bucket.wait(amount, now) for one, amount in zip(self._allowances, amounts, strict=True)]
        longest = max(waits)
        if longest > 0:
            return self._refuse(self._allowances[waits.index(longest)], longest)
        for one, amount in zip(self._allowances, amounts, strict=True):
            one.bucket.take(amount)
        return None

    def _refuse(self, spent: Allowance, wait: float) -> WireResponse:
        headers = (("retry-after", str(math.ceil(wait))),) if self._retry_after else ()
        if not self._details:
            code = "quota_exceeded" if spent.period == "Day" else "rate_limit_exceeded"
            return error_response(429, code, "You exceeded your current quota.", headers)
        delay = f"{math.ceil(wait * 1000) / 1000:.3f}s"
        violation = {
            "quotaMetric": f"generativelanguage.googleapis.com/generate_{spent.metric.lower()}",
            "quotaId": spent.quota_id,
            "quotaValue": str(int(spent.bucket.size)),
        }
        details: list[JsonObject] = [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
        ]
        message = f"You exceeded your current quota {spent.quota_id}. Please retry in {delay}."
        return rpc_response(429, "RESOURCE_EXHAUSTED", message, details, headers)


def fingerprint(body: Any) -> int:
    """Return 64 bits of the SHA-256 of `body` as compact JSON: white space does not count, the order of keys does."""
    return int.from_bytes(hashlib.sha256(to_json(body)).digest()[:8], "big")


class Counters:
    """What happened so far; `seen` is None without `keep_requests`.

    `count_distinct` keeps one integer per distinct request; without it `distinct` and `repeats` are reported as None.
    """

    def __init__(self, *, keep_requests: bool, count_distinct: bool) -> None:
        self.seen: list[SeenRequest] | None = [] if keep_requests else None
        self._distinct: set[int] | None = set() if count_distinct else None
        self._status: Counter[str] = Counter()
        self._ignored: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._tokens = (0, 0, 0)
        self._counts = Counter(requests=0, repeats=0, store_true=0, store_false=0, refused_by_quota=0, other_requests=0)
        self._in_flight = self._peak = 0

    def arrive(self) -> None:
        """Note that a request is being answered."""
        self._in_flight += 1
        self._peak = max(self._peak, self._in_flight)

    def leave(self, delivered: WireResponse | None) -> None:
        """Note that a request is done with; `delivered` is what went out, None where the client left before the end."""
        self._in_flight -= 1
        if delivered is not None and delivered.whole:
            (entering, leaving, thought), more = self._tokens, delivered.tokens
            self._tokens = (entering + more[0], leaving + more[1], thought + more[2])

    def note_create(self, body: Any) -> None:
        """Note the arrival of a create request."""
        self._counts["requests"] += 1
        if self._distinct is not None:
            mark = fingerprint(body)
            self._counts["repeats"] += mark in self._distinct
            self._distinct.add(mark)
        stored = not (isinstance(body, dict) and body.get("store") is False)
        self._counts["store_true" if stored else "store_false"] += 1

    def note_status(self, status: int) -> None:
        """Note how a create request was answered; 0 is a reset connection."""
        self._status[str(status) if status else "reset"] += 1

    def note_other(self) -> None:
        """Note a request that creates nothing: get, delete, cancel, unknown paths."""
        self._counts["other_requests"] += 1

    def note_ignored(self, keywords: Counter[str]) -> None:
        """Note schema keywords that the service reads over."""
        self._ignored.update(keywords)

    def note_fault(self, name: str) -> None:
        """Note that a fault struck."""
        self._faults[name] += 1

    def note_quota_refusal(self) -> None:
        """Note a request refused for the quota."""
        self._counts["refused_by_quota"] += 1

    def report(self) -> JsonObject:
        """Return all counters; `peak_in_flight` counts a request from its arrival to the end of its delivery."""
        return {
            **self._counts,
            "by_status": dict(self._status),
            "repeats": None if self._distinct is None else self._counts["repeats"],
            "distinct": None if self._distinct is None else len(self._distinct),
            "in_flight": self._in_flight,
            "peak_in_flight": self._peak,
            "input_tokens": self._tokens[0],
            "output_tokens": self._tokens[1],
            "thought_tokens": self._tokens[2],
            "faults": dict(self._faults),
            "ignored_keywords": dict(self._ignored),
        }
