"""A run that accepts rows on a promise: its steps are made, its gold rows asked first, its rows divided."""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import polars as pl

from extract.errors import ConfigError
from extract.evaluation.row_scores import SCORE_WAYS
from extract.extractor.plan import CompiledExtractor
from extract.io.cache.response_cache import ResponseCache
from extract.io.sinks.base import FileSink, Sink
from extract.io.sinks.frame import FrameSink
from extract.io.sinks.open import check_output, open_sink
from extract.io.sinks.replaced import Replaced
from extract.io.sinks.routed import Keeps, RoutedSink, review_path
from extract.io.sources import Source, open_source
from extract.json_types import JsonObject
from extract.results.columns import OutputShape
from extract.results.progress import Totals
from extract.runner.accept import Accept
from extract.runner.answer_score import AnswerScore
from extract.runner.cascade import Cascade, CascadeStep
from extract.runner.event_loop import in_thread
from extract.runner.gold_rows import FoundGold, find_gold
from extract.runner.options import OutputTarget
from extract.runner.parts import RunParts
from extract.runner.proven import GoldRow, Proven, prove_steps
from extract.runner.scheduler import Scheduler

__all__ = ["Accepting", "check_plans", "make_accepting", "runner_shape", "temporary_cache"]

_log = logging.getLogger("extract.runner")


@dataclass(slots=True, kw_only=True)
class Accepting:
    """What a run accepts. `cascade` asks its rows; `spent` is what the gold rows have used before them."""

    accept: Accept
    gold: FoundGold
    cascade: Cascade
    spent: Totals = field(default_factory=Totals)
    proven: Proven | None = None

    async def prove(self, on_start: Callable[[Scheduler], None]) -> None:
        """Ask all steps about the gold rows, and fix the thresholds. What stops this stops the run that follows."""
        _log.info("%d gold rows are asked first, of %d steps", self.gold.rows.height, len(self.cascade.steps))
        asker = Cascade(self.cascade.steps, self.cascade.columns)
        runner = Scheduler(open_source(self.gold.rows), asker, sink := FrameSink(), OutputShape(prefix="answer."))
        on_start(runner)
        sink.open(runner.check(), {})
        await runner.run()
        self.spent = runner.totals
        if not runner.whole:
            return
        rows = self._judged(asker)
        self.proven = prove_steps(rows, len(asker.steps), self.accept.promise)
        self.cascade.levels = self.proven.levels
        if (reason := self.proven.reason()) is not None:
            _log.warning("nothing can be accepted: %s", reason)

    def _judged(self, asker: Cascade) -> list[GoldRow]:
        """Return the scores of each gold row, and whether it is right, by step."""
        given = [asker.answers[place] for place in range(self.gold.rows.height)]
        rights = [
            self.gold.judged(step.parts.extractor.plan, [one[place].outcome for one in given])
            for place, step in enumerate(asker.steps)
        ]
        scores = [tuple(one.score for one in row) for row in given]
        return list(zip(scores, zip(*rights, strict=True), strict=True))

    def divided(
        self, sink: Sink, replaced: Replaced | None, target: OutputTarget, shape: OutputShape, pipeline: str
    ) -> tuple[Sink, Replaced | None]:
        """Return the sink that sends rows for people to a file beside the output, and the output that it may replace.

        Without an output all rows stay together.
        """
        if target.path is None:
            return sink, replaced
        path = review_path(target.path)
        check_output(path, pipeline=pipeline, cache=target.cache_path, overwrite=target.overwrite)
        keeps: Keeps = "accepted" if not self.accept.all else "answered" if shape.split_errors else "all"
        columns = {shape.prefix + name: name for name in self.gold.tops(self.cascade.plan)}
        output, review = cast("FileSink", sink), open_sink(path)
        routed = RoutedSink(output, review, on=self.accept.on, columns=columns, spared=self.gold.keys, keeps=keeps)
        return routed, replaced and replace(replaced, keep=routed.keep_beside)

    def as_json(self, totals: Totals | None = None) -> JsonObject:
        """Return what the manifest and the summary say: before the rows are asked, and with their `totals` after."""
        proven = self.proven
        entry: JsonObject = {} if proven is None else proven.as_json()
        entry["gold"] = {**entry.get("gold", {}), "hash": self.gold.digest}
        entry |= {"on": self.accept.on, "fields": list(self.gold.fields), "notes": list(self.gold.notes)}
        if totals is not None:
            accepted = sum(step.accepted for step in self.cascade.steps)
            entry |= {"rows": totals.rows, "accepted": accepted, "share": _share(accepted, totals.rows)}
        entry["steps"] = [self._step(place, totals) for place in range(len(self.cascade.steps))]
        return entry

    def _step(self, place: int, totals: Totals | None) -> JsonObject:
        step, proven = self.cascade.steps[place], self.proven
        plan = step.parts.extractor.plan
        level = math.inf if proven is None else proven.levels[place]
        entry: JsonObject = {
            "step": place + 1,
            "model": plan.extractor.model,
            "extractor": plan.key.hex(),
            "scores": dict(step.scorer.sources),
            "accepts": "none" if level == math.inf else "all" if level == -math.inf else "scores",
            "threshold": level if math.isfinite(level) else None,
        }
        if proven is not None:
            count = proven.by_step()[place]
            entry["gold"] = {"accepted": count.gold, "wrong": count.wrong}
        if totals is not None:
            cost = step.totals.cost
            entry |= {"rows": step.rows, "accepted": step.accepted, "share": _share(step.accepted, totals.rows)}
            entry |= {"requests": step.totals.requests, "cost_usd": None if cost is None else float(cost)}
        return entry


async def make_accepting(accept: Accept, steps: Sequence[RunParts], source: Source, prefix: str) -> Accepting:
    """Find the gold rows in the input, and how answers are scored. Nothing is asked. ConfigError for what cannot be."""
    plans = [one.extractor.plan for one in steps]
    columns = tuple(dict.fromkeys(name for plan in plans for name in plan.columns))
    gold = await in_thread(lambda: find_gold(accept, source, plans[0], columns, prefix))
    schema = pl.Schema({name: source.schema[name] for name in columns})
    sampled = steps[0].extractor.rules.samples > 1
    scorers = [AnswerScore(plan, gold.tops(plan), schema, score=accept.score, sampled=sampled) for plan in plans]
    for place, scorer in enumerate(scorers):
        if not scorer.sources and (len(scorers) == 1 or place < len(scorers) - 1):
            which = "this extractor has" if len(scorers) == 1 else f"step {place + 1} has"
            raise ConfigError(f"{which} no score for {gold.tops(plans[place])!r}: {SCORE_WAYS}")
    made = [CascadeStep(parts, scorer) for parts, scorer in zip(steps, scorers, strict=True)]
    return Accepting(accept=accept, gold=gold, cascade=Cascade(made, columns, (math.inf,) * len(made)))


def check_plans(plans: Sequence[CompiledExtractor]) -> None:
    """Raise ConfigError for steps whose answers do not have equal columns, or that cannot be packed as they say."""
    first = plans[0]
    for place, plan in enumerate(plans, 1):
        if plan.pack is not None and plan.pack.rows == "auto":
            raise ConfigError("pack='auto' tries some rows first, and accept has the gold rows for that: name a number")
        if list(plan.schema.dtypes.items()) != list(first.schema.dtypes.items()):
            raise ConfigError(
                f"all steps must have equal columns: step 1 has {_columns(first)}, step {place} has {_columns(plan)}"
            )


def _columns(plan: CompiledExtractor) -> str:
    return ", ".join(f"{name}: {dtype}" for name, dtype in plan.schema.dtypes.items())[:200]


def _share(part: int, rows: int) -> float:
    return part / rows if rows else 0.0


def temporary_cache(stack: AsyncExitStack) -> ResponseCache:
    """Return a cache that lasts as long as `stack`: the run takes the answers to the gold rows from it."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="extract-"))
    return stack.enter_context(ResponseCache(Path(folder) / "answers.cache"))


def runner_shape(shape: OutputShape, *, divided: bool) -> OutputShape:
    """Return how outcomes become rows where a sink divides these: it needs the rejected ones, too."""
    return replace(shape, errors="null") if divided else shape
