"""`pack="auto"`: a trial on rows of the input finds how many may share a request."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import polars as pl
from polars.selectors import by_name
from pydantic_core import to_json

from extract.errors import ConfigError, ExtractError, NotRun
from extract.evaluation.pack_agreement import PACKS, Agreement, agreement_of
from extract.extractor.pack import Pack
from extract.extractor.plan import CompiledExtractor
from extract.interactions.client import AsyncClient
from extract.io.cache.answer_store import AnswerStore
from extract.io.cache.response_cache import ResponseCache
from extract.io.sinks.frame import FrameSink
from extract.io.sources import Source, open_source
from extract.json_types import JsonObject
from extract.limits.limiter import Limiter
from extract.limits.total_budget import TotalBudgetMeter
from extract.results.columns import OutputShape
from extract.results.progress import Totals
from extract.runner.assembly import make_parts
from extract.runner.options import RunOptions
from extract.runner.parts import RunParts
from extract.runner.scheduler import Scheduler

__all__ = ["PackTrial", "with_chosen_pack"]

_SIZES = (8, 16, 32)
_SHARE = 0.1  # of what the run would cost with single rows: a trial that costs more is not made
_PACK_COST = (
    0.25  # of a request with several rows, per row, compared with one of its own: what it saves is not known yet
)
_READ_ROWS = 100_000  # from which the rows of a trial are drawn
_SEED = 11
_INTERRUPTED = "the trial was interrupted"

_log = logging.getLogger("extract.runner")

MakeParts = Callable[[CompiledExtractor], RunParts]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackTrial:
    """How many rows share a request, and why: `tried` are the sizes, `totals` what the trial has used.

    `interrupted`: the user has ended the trial, and the run with it, before it could say anything.
    `limiter` is what has let its requests in: it has learned what the service allows, and the run goes on with it.
    """

    rows: int
    reason: str
    limiter: Limiter
    totals: Totals
    tried: tuple[Agreement, ...] = ()
    interrupted: bool = False

    def as_json(self) -> JsonObject:
        """Return what the output's manifest says of it."""
        names = ("rows", "packed", "single", "lower", "requests", "passed")
        tried = [{name: getattr(one, name) for name in names} for one in self.tried]
        return {"rows": self.rows, "reason": self.reason, "tried": tried, "trial_requests": self.totals.requests}


class _Interrupted(NotRun):
    """The user has ended the run while its trial was under way: rows that were not asked say nothing."""


@dataclass(slots=True)
class _Arms:
    """The arms of a trial: rows in a fixed order, and their answers by rows in a request and repetition."""

    plan: CompiledExtractor
    pack: Pack
    frame: pl.DataFrame
    make_parts: MakeParts
    on_start: Callable[[Scheduler], None]
    totals: Totals

    async def answers(self, size: int, repetition: int, rows: int) -> list[bytes]:
        """Return the answers to the first `rows` rows, as JSON; b"" where there is none."""
        plan = replace(
            self.plan, pack=None if size == 1 else replace(self.pack, rows=size), trial=_tag(size, repetition)
        )
        parts = self.make_parts(plan)
        sink = FrameSink()
        runner = Scheduler(open_source(self.frame.head(rows)), parts.extractor, sink, OutputShape(prefix="answer."))
        self.on_start(runner)
        sink.open(runner.check(), {})
        try:
            await runner.run()
        finally:
            if parts.extractor.packer is not None:
                self.totals.add_spending(await parts.extractor.packer.close())
        self.totals.add_spending(runner.totals)
        if runner.stopped is not None:
            raise runner.stopped
        if runner.interrupted:
            raise _Interrupted(_INTERRUPTED)
        failed = set(runner.failed_rows().to_list())
        names = [f"answer.{name}" for name in self.plan.schema.dtypes]
        cells = sink.frame.select(by_name(*names)).rows()
        return [b"" if place in failed else to_json(row, fallback=str) for place, row in enumerate(cells)]


async def with_chosen_pack(
    plan: CompiledExtractor,
    source: Source,
    client: AsyncClient,
    cache: ResponseCache | None,
    options: RunOptions,
    on_start: Callable[[Scheduler], None],
) -> tuple[CompiledExtractor, PackTrial | None]:
    """Return the plan with the number of rows that a trial allows in one request, and the trial, where one was wanted.

    Raises ConfigError for an input that can be read only once, and what would stop a run.
    """
    pack = plan.pack
    if pack is None or pack.rows != "auto":
        return plan, None
    if source.once:
        raise ConfigError("pack='auto' tries some rows first, and this input can be read only once: name a number")
    limiter = make_parts(replace(plan, pack=None), client, cache, options).limiter
    frame, height = _drawn(source, plan, max(pack.trial, PACKS * _SIZES[-1]))
    sizes = [size for size in _SIZES if PACKS * size <= frame.height and _cost(size, pack) <= _SHARE * height]
    if not sizes:
        needed = _cost(_SIZES[0], pack) / _SHARE
        reason = f"a trial would cost more than a tenth of this run; it needs some {needed:,.0f} different rows"
        _log.warning("each row has a request of its own: %s. Name a number with pack= (--pack)", reason)
        return replace(plan, pack=None), PackTrial(rows=1, reason=reason, limiter=limiter, totals=Totals())
    arms = _Arms(
        plan, pack, frame, lambda arm: make_parts(arm, client, cache, options, limiter=limiter), on_start, Totals()
    )
    try:
        rows, tried = await _largest(arms, sizes)
    except _Interrupted:
        trial = PackTrial(rows=1, reason=_INTERRUPTED, limiter=limiter, totals=arms.totals, interrupted=True)
        return replace(plan, pack=None), trial
    except BaseException:
        if isinstance(meter := limiter.meter, TotalBudgetMeter):
            meter.close()
        raise
    if cache is not None:
        await _copied(plan, pack, frame, rows, cache)
    shown = next((one for one in tried if one.rows == rows), tried[0])
    reason = (
        f"answers of {shown.rows} rows together agree with single ones in {shown.packed:.1%}, "
        f"two single ones in {shown.single:.1%}"
    )
    _log.warning("%d rows a request: %s", rows, reason)
    trial = PackTrial(rows=rows, reason=reason, limiter=limiter, totals=arms.totals, tried=tuple(tried))
    return replace(plan, pack=None if rows == 1 else replace(pack, rows=rows)), trial


async def _largest(trial: _Arms, sizes: list[int]) -> tuple[int, list[Agreement]]:
    """Try larger and larger sizes until one fails; return the largest that passed, 1 where none did."""
    again = await trial.answers(1, 1, trial.pack.trial)
    tried: list[Agreement] = []
    chosen = 1
    for size in sizes:
        rows = PACKS * size
        alone = await trial.answers(1, 0, max(rows, trial.pack.trial))
        packed = await trial.answers(size, 0, rows)
        pairs = list(zip(alone, packed, strict=False))
        packs = [pairs[start : start + size] for start in range(0, rows, size)]
        tried.append(agreement_of(size, packs, list(zip(alone, again, strict=False)), trial.pack.tolerance))
        if not tried[-1].passed:
            break
        chosen = size
    return chosen, tried


def _cost(size: int, pack: Pack) -> float:
    """Return what it costs to try all sizes up to one, in single requests."""
    alone = max(pack.trial, PACKS * size)
    packed = sum(PACKS * one for one in _SIZES if one <= size)
    return pack.trial + alone + _PACK_COST * packed


def _tag(size: int, repetition: int) -> bytes:
    return b";t%d.%d" % (size, repetition)


def _drawn(source: Source, plan: CompiledExtractor, rows: int) -> tuple[pl.DataFrame, int]:
    """Return different rows drawn at random from the beginning of a source, and about how many there are in all."""
    frames: list[pl.DataFrame] = []
    read = 0
    for frame in source.batches(_READ_ROWS):
        frames.append(frame.select(by_name(*plan.columns)))
        read += frame.height
        if read >= _READ_ROWS:
            break
    whole = pl.concat(frames) if frames else pl.DataFrame()
    different = whole.unique(maintain_order=True)
    height = max(different.height, (source.height or 0) * different.height // max(1, read))
    chosen = random.Random(_SEED).sample(range(different.height), min(rows, different.height))  # noqa: S311
    return different[chosen], height


async def _copied(plan: CompiledExtractor, pack: Pack, frame: pl.DataFrame, size: int, store: AnswerStore) -> None:
    """Store the answers of the chosen size under the keys that the run asks by: it does not ask these rows again."""
    source = replace(plan, pack=None if size == 1 else replace(pack, rows=size), trial=_tag(size, 0))
    target = replace(source, trial=b"")
    for record in frame.to_dicts():
        try:
            question = target.question(record)
        except ExtractError:
            continue
        if (answer := await store.fetch(source.answer_key(question, 0))) is not None:
            await store.keep(target.answer_key(question, 0), answer, service=plan.service)
