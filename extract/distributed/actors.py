"""The two actors that all workers of a run share: one grants permits and money, one writes the cache of answers."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.client import ray as client_mode
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from extract.distributed.cluster import FROM_OUTSIDE
from extract.distributed.quota import ClusterQuota, Grant, WorkerReport
from extract.distributed.service import Service
from extract.errors import ConfigError, ExtractError, OutputError
from extract.interactions.usage import Attempt
from extract.io.cache.ledger import Spending
from extract.io.cache.response_cache import ResponseCache
from extract.io.cache.uploaded_files import FileRow
from extract.limits.budget import Amount, Budget
from extract.limits.daily_quota import Day, day_began
from extract.limits.limits import Limits
from extract.runner.options import UploadPolicy
from extract.runner.uploads import Uploads

__all__ = [
    "Actors",
    "CacheActor",
    "CachedAnswer",
    "QuotaActor",
    "RunState",
    "as_extract_error",
    "failure_of",
    "result_of",
]

CachedAnswer = tuple[bytes, bytes, int, str | None]
"""One entry of the cache: the content key, the interaction as JSON text, the rung of its schema, and the service."""

_SAVE_EVERY = 0.5  # seconds between two checkpoints of the learned rates; commitments are saved before they are granted


class RunState(NamedTuple):
    """How far a run is: requests sent, what was spent, the most US dollars reserved at a time, and what ended it."""

    requests: int
    spent: Amount
    peak: Decimal
    stopped: ExtractError | None


class QuotaActor:
    """The actor that makes many workers one client: `quota.ClusterQuota`, with a clock and a checkpoint on disk.

    Where it dies, Ray starts it again with the same arguments, and it continues from `checkpoint`: with the same
    allowances, at the learned rates, and with no permits saved up.
    """

    def __init__(self, limits: Limits, budget: Budget | None, day: Day | None, checkpoint: Path) -> None:
        self._quota = ClusterQuota(limits, budget, day=day)
        self._checkpoint = checkpoint
        if checkpoint.exists():
            self._quota.resume(json.loads(checkpoint.read_text(encoding="utf-8")), time.monotonic())
        self._saved_at, self._saved = 0.0, self._quota.commitments

    def exchange(self, report: WorkerReport) -> Grant:
        """Take in a worker's report and return its next grant."""
        now = time.monotonic()
        grant = self._quota.exchange(report, now, time.time())
        # Saved before the worker can act on it: a successor must never grant the same money twice.
        # What changes all the time, the learned rates, may be half a second old.
        if self._quota.commitments != self._saved or now - self._saved_at >= _SAVE_EVERY:
            self._save(now)
        return grant

    def _save(self, now: float) -> None:
        # Written beside it and renamed: whenever the process dies, the checkpoint is whole.
        temporary = self._checkpoint.with_name(f"{self._checkpoint.name}.part")
        temporary.write_text(json.dumps(self._quota.state(now)), encoding="utf-8")
        temporary.replace(self._checkpoint)
        self._saved_at, self._saved = now, self._quota.commitments

    def stop(self, error: ExtractError) -> None:
        """End the run: every worker learns of it with its next grant."""
        self._quota.stopped = self._quota.stopped or error
        self._save(time.monotonic())

    def state(self) -> RunState:
        """Return what the run has used so far, and what has ended it."""
        quota = self._quota
        return RunState(quota.requests, quota.claims.spent, quota.claims.peak, quota.stopped)


class CacheActor:
    """The actor that holds the cache of a run: one file with one writer, so that it may be on any disk.

    What a worker sends is committed when the call returns, together with what others send meanwhile. It also knows the
    files that workers have uploaded to `service`, and deletes them once the run is over.
    """

    def __init__(self, path: Path, service: Service, *, keep_files: bool) -> None:
        self._cache = ResponseCache(path)
        self._service, self._name, self._keep_files = service, service.endpoint.service, keep_files
        self._files_left: int | None = None

    async def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the answers that are in the cache, by their keys."""
        return self._cache.find(keys)

    async def keep(
        self, worker: str, number: int, answers: Sequence[CachedAnswer], attempts: Sequence[Attempt]
    ) -> None:
        """Store a worker's next group. One that comes twice, after a lost reply, is entered into the ledger once."""
        await self._cache.keep_group(worker, number, answers, attempts)

    async def forget(self, key: bytes) -> None:
        self._cache.forget(key)

    async def rung(self, schema: bytes) -> int:
        return self._cache.rung(schema)

    async def remember_rung(self, schema: bytes, rung: int) -> None:
        self._cache.remember_rung(schema, rung)

    async def day(self) -> Day:
        """Return the day of the daily quota, with the requests that the ledger holds since it began."""
        now = time.time()
        return Day.of(now, self._cache.attempts_since(day_began(now)))

    async def files(self) -> list[FileRow]:
        """Return the files that are on the service, of this run and of earlier ones."""
        return [row for row in self._cache.files.unused(self._name) if row.uri is not None]

    async def change_files(self, change: str, *arguments: Any) -> None:
        """Repeat what a worker has done to its table of files: `add`, `adopt`, `arrived` or `forget`."""
        getattr(self._cache.files, change)(*arguments)

    async def close_files(self) -> int:
        """Delete the files of the run, unless they are to stay; return how many could not be deleted."""
        if self._files_left is None:
            self._files_left = await self._deleted() if self._cache.files.size(self._name) else 0
        return self._files_left

    async def _deleted(self) -> int:
        async with self._service.client() as client:
            policy = UploadPolicy(keep_files=self._keep_files)
            uploads = Uploads(client.files, self._name, self._cache.files, policy)
            await uploads.close()
            return uploads.left

    async def close(self) -> None:
        await self.close_files()
        self._cache.close()

    async def spent(self, since: float) -> list[Spending]:
        """Return what was spent since a Unix time."""
        return self._cache.spent(since)


@dataclass(frozen=True, slots=True)
class Actors:
    """Handles to the actors of one run, on the node of the program that started it, where the cache lies."""

    quota: Any
    cache: Any
    checkpoint: Path

    @classmethod
    def start(
        cls, limits: Limits, budget: Budget | None, cache: Path, service: Service, *, keep_files: bool = False
    ) -> Actors:
        """Start both. OutputError or ConfigError where the cache cannot be used, or this program runs on no node."""
        if client_mode.is_connected():
            raise ConfigError(FROM_OUTSIDE)
        run = uuid.uuid4().hex[:12]
        checkpoint = cache.with_name(f"{cache.name}.quota-{run}")
        cache_actor = _start(CacheActor, f"extract-answers-{run}", cache, service, keep_files=keep_files)
        day = result_of(cache_actor.day.remote) if limits.rpd is not None else None
        # Any call fails where the cache cannot be opened: better now than after the first paid request.
        result_of(lambda: cache_actor.rung.remote(b""))
        quota = _start(QuotaActor, f"extract-quota-{run}", limits, budget, day, checkpoint)
        return cls(quota, cache_actor, checkpoint)

    def end(self) -> None:
        """Stop both, once the cache has committed what it holds, and delete the checkpoint."""
        if ray.is_initialized():  # else they ended with the connection to the cluster
            with suppress(ExtractError):
                result_of(self.cache.close.remote)
            for actor in (self.quota, self.cache):
                ray.kill(actor)
        self.checkpoint.unlink(missing_ok=True)


def _start(kind: type, name: str, *arguments: Any, **options: Any) -> Any:
    """Start an actor on this node. Where it dies, Ray starts it again without limit, and calls wait for it."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(kind).options(
        name=name, num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here
    )
    return actor.remote(*arguments, **options)


def result_of(call: Callable[[], Any]) -> Any:
    """Return the result of a call to an actor. Raises an ExtractError as it was raised there."""
    try:
        return ray.get(call())
    except RayError as error:
        raise as_extract_error(error) from None


def failure_of(reply: Any) -> ExtractError | None:
    """Return why a call to an actor failed, None where it did not."""
    try:
        result_of(lambda: reply)
    except ExtractError as failure:
        return failure
    return None


def as_extract_error(error: RayError) -> ExtractError:
    """Return the ExtractError that an actor raised; an OutputError where Ray itself failed."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, ExtractError):
        return cause
    reason = next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
    return OutputError(f"an actor of the run cannot be reached: {reason[:300]}")
