"""The two actors that all workers of a run share: who grants permits and money, and who keeps the answers."""

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
from extract.distributed.quota import Lease, Leases, Report
from extract.distributed.service import Service
from extract.errors import ConfigError, ExtractError, OutputError
from extract.interactions.usage import Attempt
from extract.io.cache.ledger import Spending
from extract.io.cache.response_cache import ResponseCache
from extract.io.cache.uploaded_files import FileRow
from extract.limits.budget import Amount, Budget
from extract.limits.daily_quota import Day, day_began
from extract.limits.limits import Limits
from extract.runner.uploads import Uploads

__all__ = ["Actors", "Answer", "AnswerKeeper", "Quota", "State", "answered", "failure_of", "raised"]

Answer = tuple[bytes, bytes, int]
"""What is kept: the content key, the interaction as JSON text, and the rung of its schema."""

_SAVE_EVERY = 0.5  # seconds between two checkpoints of what was learned; claims are saved before they are granted


class State(NamedTuple):
    """How far a run is: requests that passed, what was spent, the most US dollars set aside, and what ended it."""

    requests: int
    spent: Amount
    peak: Decimal
    stopped: ExtractError | None


class Quota:
    """The actor that makes many workers one client: see `leases`.

    Its state is written to `checkpoint` before a claim is granted. One that takes its place goes on from there: with
    the same claims, at the rates that were learned, and with no permits saved up.
    """

    def __init__(self, limits: Limits, budget: Budget | None, day: Day | None, checkpoint: Path) -> None:
        self._leases = Leases(limits, budget, day=day)
        self._checkpoint = checkpoint
        if checkpoint.exists():
            self._leases.resume(json.loads(checkpoint.read_text(encoding="utf-8")), time.monotonic())
        self._saved_at, self._saved = 0.0, self._leases.promised

    def exchange(self, report: Report) -> Lease:
        """Take a worker's report and return its next lease."""
        now = time.monotonic()
        lease = self._leases.exchange(report, now, time.time())
        if self._leases.promised != self._saved or now - self._saved_at >= _SAVE_EVERY:
            self._save(now)
        return lease

    def _save(self, now: float) -> None:
        temporary = self._checkpoint.with_name(f"{self._checkpoint.name}.part")
        temporary.write_text(json.dumps(self._leases.state(now)), encoding="utf-8")
        temporary.replace(self._checkpoint)
        self._saved_at, self._saved = now, self._leases.promised

    def stop(self, error: ExtractError) -> None:
        """End the run: every worker hears of it with its next lease."""
        self._leases.stopped = self._leases.stopped or error
        self._save(time.monotonic())

    def state(self) -> State:
        """Return what the run has taken so far, and what has ended it."""
        leases = self._leases
        return State(leases.requests, leases.claims.spent, leases.claims.peak, leases.stopped)


class AnswerKeeper:
    """The actor that holds the cache of a run: one file, written by one process, so that it may lie on any disk.

    What a worker hands in is committed when the call returns, together with what others hand in meanwhile. It also
    knows the files that workers have brought to `service`, and deletes them once the run is over.
    """

    def __init__(self, path: Path, service: Service, *, keep_files: bool) -> None:
        self._cache = ResponseCache(path)
        self._service, self._name, self._keep_files = service, service.endpoint.service, keep_files
        self._files_left: int | None = None

    async def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return those of the answers that are kept."""
        return self._cache.find(keys)

    async def keep(self, worker: str, number: int, answers: Sequence[Answer], attempts: Sequence[Attempt]) -> None:
        """Keep a worker's next group. One that comes twice, after a lost reply, is entered into the ledger once."""
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
        """Do what a worker has done to its table of files: `add`, `adopt`, `arrived` or `forget`."""
        getattr(self._cache.files, change)(*arguments)

    async def close_files(self) -> int:
        """Delete the files of the run, unless they are to be kept; return how many could not be deleted."""
        if self._files_left is None:
            self._files_left = await self._deleted() if self._cache.files.size(self._name) else 0
        return self._files_left

    async def _deleted(self) -> int:
        async with self._service.client() as client:
            uploads = Uploads(client.files, self._name, self._cache.files, keep=self._keep_files)
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
    keeper: Any
    checkpoint: Path

    @classmethod
    def start(
        cls, limits: Limits, budget: Budget | None, cache: Path, service: Service, *, keep_files: bool = False
    ) -> Actors:
        """Start both. OutputError or ConfigError where the cache cannot be used, or the program is no node's."""
        if client_mode.is_connected():
            raise ConfigError(FROM_OUTSIDE)
        run = uuid.uuid4().hex[:12]
        checkpoint = cache.with_name(f"{cache.name}.quota-{run}")
        keeper = _start(AnswerKeeper, f"extract-answers-{run}", cache, service, keep_files=keep_files)
        day = answered(keeper.day.remote) if limits.rpd is not None else None
        answered(lambda: keeper.rung.remote(b""))  # whether the cache can be used is known before a row is read
        quota = _start(Quota, f"extract-quota-{run}", limits, budget, day, checkpoint)
        return cls(quota, keeper, checkpoint)

    def end(self) -> None:
        """Stop both; what was kept is committed, and the checkpoint is of no more use."""
        if ray.is_initialized():  # else they have gone with the connection to the cluster
            with suppress(ExtractError):
                answered(self.keeper.close.remote)
            for actor in (self.quota, self.keeper):
                ray.kill(actor)
        self.checkpoint.unlink(missing_ok=True)


def _start(kind: type, name: str, *arguments: Any, **options: Any) -> Any:
    """Start an actor on this node; where it dies it comes back as often as it takes, and calls wait for it."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(kind).options(
        name=name, num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here
    )
    return actor.remote(*arguments, **options)


def answered(call: Callable[[], Any]) -> Any:
    """Return what a call to an actor comes to. Errors of ours come back as they were raised there."""
    try:
        return ray.get(call())
    except RayError as error:
        raise raised(error) from None


def failure_of(reply: Any) -> ExtractError | None:
    """Return why a call to an actor failed, None where it did not."""
    try:
        answered(lambda: reply)
    except ExtractError as failure:
        return failure
    return None


def raised(error: RayError) -> ExtractError:
    """Return the error of ours behind one of Ray's."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, ExtractError):
        return cause
    said = next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
    return OutputError(f"an actor of the run cannot be reached: {said[:300]}")
