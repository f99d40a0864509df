"""`tune`: tries variants of an extractor on gold rows, chooses one, and proves it on rows that nobody has looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import polars as pl

from extract.errors import BudgetExceeded, ConfigError
from extract.evaluation.compare import mcnemar
from extract.evaluation.split import DEFAULT_SHARES, Split
from extract.extractor.extractor import Extractor
from extract.extractor.plan import compile_extractor
from extract.interactions.client import Client
from extract.io.cache.response_cache import ResponseCache
from extract.io.sources import open_source, read_table
from extract.limits.budget import Budget
from extract.runner.estimate import estimate
from extract.runner.options import RunKeywords
from extract.runner.service import OFFLINE, offline_client
from extract.tuning.gold import TuningGold, read_gold
from extract.tuning.halving import Left, Standing, leaving, ranked, rounds_of
from extract.tuning.trials import Spending, Trial, Trials
from extract.tuning.tuning import Proof, Tuning, VariantScore, front_of
from extract.tuning.variants import AS_IT_IS, Variant

__all__ = ["tune"]

_PROOF_SHARE: Final = Decimal("0.5")  # of a budget, at most, is kept for the proof
_ROOM: Final = Decimal("0.9")  # rows of the proof may cost more than those before
_MIN_ROUND: Final = 10  # rows of a round that the budget must reach for


def tune(
    data: Any,
    extractor: Extractor,
    gold: Any,
    variants: Sequence[Variant],
    *,
    on: str,
    answer: str | None = None,
    client: Client | None = None,
    offline: bool = False,
    cache: ResponseCache | str | PathLike[str] | None = None,
    budget: Decimal | float | None = None,
    shares: Mapping[Split, float] = DEFAULT_SHARES,
    seed: int = 0,
    keywords: RunKeywords | None = None,
    on_round: Callable[[str], None] = lambda _: None,
) -> Tuning:
    """Try variants of an extractor on gold rows of `data` and return the best, with its accuracy on untouched rows.

    `gold` has the right fields of some rows, by the column `on`; `answer` names the column of a single value. Its rows
    are split by hash into `shares`: some may be shown as examples, by some the choice is made, and some prove it. All
    variants, and the extractor as it is, are asked about a first part of the tuning rows; the better ones go on to
    twice as many, until all rows were asked. Then the winner and the extractor as it is are asked about the proof rows.

    With `budget`, in US dollars, no more is spent in all. All answers go through `cache`: a second call asks only what
    is new. `keywords` are further keywords of `run`, such as `limits`. `on_round` is told of each round in a line.
    Raises ConfigError before anything is sent, and what stopped a run.

    >>> rows = [{"id": n, "text": f"{'bug' if n % 2 else 'praise'} number {n}"} for n in range(200)]
    >>> gold = [{"id": row["id"], "value": row["text"].split()[0]} for row in rows]
    >>> variants = [Variant(name="short", prompt="{text}")]
    >>> tune(rows, Extractor(["bug", "praise"], "Which? {text}"), gold, variants, on="id", offline=True).proof.right
    118
    """
    if client is not None and offline:
        raise ConfigError("offline=True brings its own service; leave out client=")
    every = _checked([Variant(name=AS_IT_IS), *variants])
    limit = Budget.of(budget)
    with _service(client, offline=offline) as service, _opened(cache) as answers:
        plan = compile_extractor(extractor, service.endpoint)
        table = read_table(data)
        parts = read_gold(table, gold, plan, on=on, answer=answer, shares=shares, seed=seed)
        source = open_source(data) if isinstance(data, str | PathLike) else None
        options: RunKeywords = {**(keywords or {})}
        if source is not None and "root" not in options and source.folder is not None:
            options["root"] = [source.folder, "."]
        spending = Spending(None if limit is None else limit.dollars)
        asker = Trials(on, parts.answers, service, answers, spending, options)
        shown = parts.shown(plan)
        columns = parts.inputs["tuning"].columns
        trials = [asker.trial(one.name, one.extractor(extractor, shown), one.samples, columns) for one in every]
        return _Search(every, trials, parts, asker, on_round, offline=service.endpoint.service == OFFLINE).result()


def _checked(variants: Sequence[Variant]) -> list[Variant]:
    names = [one.name for one in variants]
    if len(names) < 2:
        raise ConfigError(
            "name a variant to try: at least one of --models, --prompts, --examples, --samples, --pack and --variants"
        )
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"two variants have the name {twice[0]!r}")
    return list(variants)


@contextmanager
def _service(client: Client | None, *, offline: bool) -> Iterator[Client]:
    if client is not None:
        yield client
        return
    with offline_client() if offline else Client.from_env() as opened:
        yield opened


@contextmanager
def _opened(cache: ResponseCache | str | PathLike[str] | None) -> Iterator[ResponseCache]:
    if isinstance(cache, ResponseCache):
        yield cache
        return
    with (
        TemporaryDirectory(prefix="extract-tune-") as folder,
        ResponseCache(cache or Path(folder) / "answers") as opened,
    ):
        yield opened


@dataclass(slots=True)
class _Search:
    """The rounds of one tuning."""

    variants: Sequence[Variant]
    trials: Sequence[Trial]
    gold: TuningGold
    asker: Trials
    on_round: Callable[[str], None]
    offline: bool

    def result(self) -> Tuning:
        left = self._rounds()
        winner = self._by_name(self._ranked([one for one in self.trials if one.name not in left])[0].name)
        proof = self._proof(winner)
        ordered = [winner, *(self._by_name(one.name) for one in self._order(winner, left))]
        fronts = front_of([(one.hits() / max(1, len(one.right)), one.cost) for one in ordered])
        scores = [self._score(one, left.get(one.name), front) for one, front in zip(ordered, fronts, strict=True)]
        spending = self.asker.spending
        return Tuning(
            scores=tuple(scores),
            proof=proof,
            extractor=winner.extractor,
            requests=spending.requests,
            cost=spending.dollars,
            offline=self.offline,
        )

    def _rounds(self) -> dict[str, Left]:
        rows = self.gold.inputs["tuning"]
        sizes = rounds_of(len(self.trials), rows.height)
        looks = len(sizes) * (len(self.trials) - 1)
        left: dict[str, Left] = {}
        for number, size in enumerate(sizes):
            going = [one for one in self.trials if one.name not in left]
            if len(going) == 1:
                break
            size = self._affordable(going, size, len(sizes) - number, left)
            going = [one for one in going if one.name not in left]
            if not self._ask_all(going, rows.head(size)):
                self.on_round(f"round {number + 1}: the budget is used up; the rounds before decide")
                break
            left |= leaving(self._standings(going), looks=looks)
            best = self._ranked([one for one in going if one.name not in left])[0]
            self.on_round(
                f"round {number + 1}: {len(going)} variants on {size:,} rows, best {best.name!r} with "
                f"{best.hits / max(1, len(best.right)):.1%} right; {len(self.trials) - len(left)} go on"
            )
        return left

    def _ask_all(self, trials: Sequence[Trial], rows: pl.DataFrame) -> bool:
        """Ask all of these variants; where the budget ends on the way, none of them has been asked about these rows."""
        known = [len(one.right) for one in trials]
        try:
            for trial in trials:
                self.asker.ask(trial, rows)
        except BudgetExceeded:
            if not all(known):
                raise
            for trial, count in zip(trials, known, strict=True):
                trial.right = dict(list(trial.right.items())[:count])
            return False
        return True

    def _affordable(self, going: Sequence[Trial], size: int, rounds: int, left: dict[str, Left]) -> int:
        """Return how many rows the budget of a round reaches for; where too few, the worst variants leave.

        ConfigError where it does not even reach for a first round.
        """
        budget = self.asker.spending.left
        if budget is None or self.offline:
            return size
        costs = {one.name: self._cost(one) for one in going}
        reserved = min(budget * _PROOF_SHARE, 2 * max(costs.values()) * self.gold.inputs["proof"].height)
        share = (budget - reserved) / min(rounds, 2)  # half of it, so that something is left for the better ones
        order = self._ranked(going) if any(one.right for one in going) else []
        while True:
            staying = [one for one in going if one.name not in left]
            needed = sum((costs[one.name] * max(0, size - len(one.right)) for one in staying), Decimal())
            if needed <= share or len(staying) == 1:
                return size
            if not order:
                reach = int(share / max(sum(costs.values(), Decimal()), Decimal("1e-12")))
                if reach < _MIN_ROUND:
                    enough = sum(costs.values(), Decimal()) * _MIN_ROUND * min(rounds, 2) * 2
                    raise ConfigError(
                        f"the budget reaches for {reach} rows of each variant; it takes about ${enough:.4f}"
                    )
                return min(size, reach)
            worst = order.pop()
            left[worst.name] = Left("budget", len(worst.right), 1.0)

    def _cost(self, trial: Trial) -> Decimal:
        """Return what a row of a variant costs: as measured, else as estimated."""
        if (measured := trial.cost) is not None:
            return measured
        rows = self.gold.inputs["tuning"]
        guess = estimate(rows, trial.extractor, endpoint=self.asker.client.endpoint, samples=trial.samples)
        cost = guess.costs["standard"]
        if cost is None:
            raise ConfigError(f"the price of {trial.extractor.model!r} is unknown, so a budget cannot be kept")
        return cost / max(1, rows.height)

    def _proof(self, winner: Trial) -> Proof | None:
        """Ask the winner and the extractor as it is about rows that played no part in the choice."""
        rows, before = self.gold.inputs["proof"], self.trials[0]
        compared = [winner] if winner is before else [winner, before]
        if (budget := self.asker.spending.left) is not None and not self.offline:
            each = sum((self._cost(one) for one in compared), Decimal())
            rows = rows.head(int(budget * _ROOM / max(each, Decimal("1e-12"))))
        if rows.height < _MIN_ROUND or not self._ask_all(compared, rows):
            return None
        keys = rows[self.gold.on].to_list()
        ahead = sum(winner.right[key] and not before.right[key] for key in keys)
        behind = sum(before.right[key] and not winner.right[key] for key in keys)
        result = Proof(
            rows=len(keys), right=winner.hits(keys), right_before=before.hits(keys), p_value=mcnemar(ahead, behind)
        )
        for trial in compared:  # the scores are about the rows by which the choice was made
            for key in keys:
                del trial.right[key]
                trial.usages.pop(key, None)
        return result

    def _standings(self, trials: Sequence[Trial]) -> list[Standing]:
        places = {one.name: place for place, one in enumerate(self.trials)}
        return [Standing(one.name, places[one.name], dict(one.right), one.cost) for one in trials]

    def _ranked(self, trials: Sequence[Trial]) -> list[Standing]:
        return ranked(self._standings(trials))

    def _order(self, winner: Trial, left: Mapping[str, Left]) -> list[Standing]:
        """Return the other variants: those that were asked longest first, then the better ones."""
        others = self._ranked([one for one in self.trials if one is not winner])
        return sorted(others, key=lambda one: (one.name in left, -len(one.right)))

    def _by_name(self, name: str) -> Trial:
        return next(one for one in self.trials if one.name == name)

    def _score(self, trial: Trial, left: Left | None, on_front: bool) -> VariantScore:
        variant = next(one for one in self.variants if one.name == trial.name)
        return VariantScore(
            variant=variant,
            rows=len(trial.right),
            right=trial.hits(),
            cost=trial.cost,
            tokens=trial.tokens,
            on_front=on_front,
            left=left,
        )
