"""A variant asked about gold rows: which it has right, and what its answers use. All answers go through one cache."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import polars as pl

from extract.errors import TooManyFailures
from extract.evaluation.evaluate import evaluate
from extract.evaluation.labels import label_fields
from extract.extractor.extractor import Extractor
from extract.extractor.plan import CompiledExtractor, compile_extractor
from extract.interactions.client import Client
from extract.interactions.usage import Usage
from extract.io.cache.response_cache import ResponseCache
from extract.io.source import records_of
from extract.limits.pricing import find_price
from extract.runner.estimate import stored_usage
from extract.runner.options import RunKeywords
from extract.runner.run import run

__all__ = ["Spending", "Trial", "Trials"]

_PREFIX = "answer."


@dataclass(slots=True)
class Spending:
    """What all trials together have sent and cost; `dollars` is None where a price is unknown."""

    budget: Decimal | None = None
    requests: int = 0
    dollars: Decimal | None = field(default_factory=Decimal)

    @property
    def left(self) -> Decimal | None:
        """What is left of the budget, None without one."""
        return None if self.budget is None else self.budget - (self.dollars or Decimal())


@dataclass(slots=True)
class Trial:
    """One variant and what is known of it: which gold rows it has right, and the usage of its stored answers."""

    name: str
    extractor: Extractor
    samples: int
    plan: CompiledExtractor
    right: dict[Hashable, bool] = field(default_factory=dict)
    usages: dict[Hashable, Usage] = field(default_factory=dict)

    def hits(self, keys: Any = None) -> int:
        """Return how many of these rows, by default of all, it has right."""
        return sum(self.right.values()) if keys is None else sum(self.right[key] for key in keys)

    @property
    def tokens(self) -> float | None:
        """Tokens of all kinds for a row, None where nothing is known."""
        known = [one.input_tokens + one.output_tokens + one.thought_tokens for one in self.usages.values()]
        return sum(known) / len(known) if known else None

    @property
    def cost(self) -> Decimal | None:
        """US dollars for a row at the price of its model, None where that is unknown.

        It is that of the first answers, whether they were paid for now or are from the cache.
        """
        price = find_price(self.extractor.model)
        if price is None or not self.usages:
            return None
        return sum((price.cost(one) for one in self.usages.values()), Decimal()) / len(self.usages)


@dataclass(slots=True)
class Trials:
    """Asks variants about gold rows. `keywords` are those of `run` for all of them."""

    on: str
    answers: pl.DataFrame
    client: Client
    cache: ResponseCache
    spending: Spending
    keywords: RunKeywords

    def trial(self, name: str, extractor: Extractor, samples: int, columns: list[str]) -> Trial:
        """Return a trial of which nothing is known yet. ConfigError for an extractor that does not fit the input."""
        plan = compile_extractor(extractor, self.client.endpoint).fitted(columns)
        return Trial(name, extractor, samples, plan)

    def ask(self, trial: Trial, rows: pl.DataFrame) -> None:
        """Ask about those of these rows that were not asked yet. Raises what stopped the run."""
        new = rows.filter(~pl.col(self.on).is_in(list(trial.right)))
        if new.is_empty():
            return
        options: RunKeywords = {**self.keywords, "errors": "null", "prefix": _PREFIX, "samples": trial.samples}
        options["client"], options["cache"] = self.client, self.cache
        if (left := self.spending.left) is not None:
            options["budget"] = max(left, Decimal("0.000001"))
        result = run(new, trial.extractor, **options)
        self.spending.requests += result.totals.requests
        known = self.spending.dollars is not None and result.cost is not None
        self.spending.dollars = (self.spending.dollars or Decimal()) + (result.cost or 0) if known else None
        if result.interrupted:
            raise KeyboardInterrupt
        if result.stopped is not None:
            if not isinstance(result.stopped, TooManyFailures) or result.totals.errors.get("unreachable"):
                raise result.stopped
            # A variant without one valid answer is wrong about all rows: the others go on.
            trial.right.update(dict.fromkeys(new[self.on].to_list(), False))
            return
        trial.right.update(self._right(result, new, trial))
        trial.usages.update(self._usages(new, trial))

    def _right(self, result: Any, rows: pl.DataFrame, trial: Trial) -> Mapping[Hashable, bool]:
        """Return for each row whether all fields of its answer are right, as `extract eval` judges."""
        keys = rows[self.on].to_list()
        if not result.totals.valid:
            return dict.fromkeys(keys, False)
        gold = self.answers.filter(pl.col(self.on).is_in(keys))
        labels = list(label_fields(trial.plan.schema.dtypes.items()))
        wrong = evaluate(result, gold, on=self.on, labels=labels, resamples=0).mistakes()
        mistaken = set(wrong[wrong.columns[0]].to_list())
        return {key: key not in mistaken for key in keys}

    def _usages(self, rows: pl.DataFrame, trial: Trial) -> Mapping[Hashable, Usage]:
        usages = [stored_usage(record, trial.plan, self.cache, trial.samples) for record in records_of(rows)]
        known = zip(rows[self.on].to_list(), usages, strict=True)
        return {key: usage for key, usage in known if usage is not None}
