"""How often the 95 % intervals of an evaluation hold the true figure: a simulation.

    python benchmarks/coverage.py [--rounds 2000] [--write]

Rows are drawn from populations whose true figures are known; each round evaluates one sample of them. `--write` puts
the table into RESULTS.md.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import checkout  # noqa: F401 - before extract: the checkout's, not an installed one
import polars as pl
from results import write_section

from extract import evaluate

Population = list[tuple[str, str, int]]
"""(gold, predicted, how often)."""
Columns = tuple[pl.Series, pl.Series]
"""Predicted, gold."""
Draw = Callable[[random.Random, int], Columns]

POPULATIONS: dict[str, Population] = {
    "three labels, 82 % right": [
        ("a", "a", 50),
        ("a", "b", 6),
        ("b", "b", 22),
        ("b", "a", 7),
        ("c", "c", 10),
        ("c", "a", 5),
    ],
    "two labels, 9 to 1, 93 % right": [("no", "no", 87), ("no", "yes", 3), ("yes", "yes", 6), ("yes", "no", 4)],
    "four labels, 97 % right": [
        *((label, label, 24) for label in "abcd"),
        ("a", "b", 1),
        ("c", "d", 1),
        ("d", "a", 1),
        ("b", "b", 1),
    ],
    "thirty labels, 76 % right": [
        (f"{label:02}", f"{(label + step) % 30:02}", count)
        for label in range(30)
        for step, count in ((0, 16), (1, 3), (7, 2))
    ],
}
SIZES = (100, 300, 1_000)
FIGURES = {"label": ("accuracy", "macro_f1", "kappa"), "list": ("member_f1",)}
HEADER = "| population | rows | figure | held | mean width | no interval |\n|---|---|---|---|---|---|"


@dataclass(slots=True)
class Count:
    """How many intervals there were, how many held the true figure, and how wide they were together."""

    given: int = 0
    held: int = 0
    width: float = 0.0
    none: int = 0

    def add(self, interval: Any, true: float) -> None:
        if interval is None:
            self.none += 1
            return
        self.given += 1
        self.held += interval.low <= true <= interval.high
        self.width += interval.high - interval.low


def kinds_of(cells: Population) -> pl.Enum:
    return pl.Enum(sorted({label for *pair, _ in cells for label in pair}))


def labels(cells: Population) -> Draw:
    kinds = kinds_of(cells)

    def draw(draws: random.Random, n: int) -> Columns:
        pairs = draws.choices(cells, [share for *_, share in cells], k=n)
        return pl.Series([pair[1] for pair in pairs], dtype=kinds), pl.Series([pair[0] for pair in pairs], dtype=kinds)

    return draw


def whole(cells: Population) -> Columns:
    """Return the population itself."""
    rows = [pair for *pair, count in cells for _ in range(count)]
    kinds = kinds_of(cells)
    return pl.Series([pair[1] for pair in rows], dtype=kinds), pl.Series([pair[0] for pair in rows], dtype=kinds)


def lists(draws: random.Random, n: int) -> Columns:
    """Lists of one to six members; each is missed in 1 of 5, and some hold one that is not there."""
    gold = [[str(number) for number in range(draws.randint(1, 6))] for _ in range(n)]
    found = [[name for name in row if draws.random() < 0.8] + ["x"] * (draws.random() < 0.2) for row in gold]
    return pl.Series(found, dtype=pl.List(pl.String)), pl.Series(gold, dtype=pl.List(pl.String))


def anything(draws: random.Random) -> Population:
    """Return a population of 2 to 5 labels of any shares, 60 to 98 % of which are right."""
    kinds = "abcde"[: draws.randint(2, 5)]
    right = draws.uniform(0.6, 0.98)
    cells = []
    for gold in kinds:
        share = draws.uniform(200, 1_000)
        for given in kinds:
            wrong = (1 - right) * draws.uniform(0.5, 1.5) / (len(kinds) - 1)
            cells.append((gold, given, round(share * (right if gold == given else wrong))))
    return cells


def score(columns: Columns, resamples: int, seed: int = 0) -> Any:
    keys = pl.Series("id", range(len(columns[0])))
    predicted, gold = (pl.DataFrame([keys, column.alias("x")]) for column in columns)
    return evaluate(predicted, gold, on="id", resamples=resamples, seed=seed)["x"]


def figures(field_score: Any) -> Iterator[tuple[str, float, Any]]:
    for name in FIGURES[field_score.kind]:
        value = field_score.f1 if name.endswith("f1") else getattr(field_score, name)
        yield name, value or 0.0, field_score.intervals.get(name)


def simulated(title: str, draws_of: Callable[[random.Random], tuple[Draw, Columns]], rounds: int) -> Iterator[str]:
    """Yield the table's lines for a population, or for one that is drawn anew in each round."""
    for n in SIZES:
        counts: dict[str, Count] = {}
        draws = random.Random(f"{title} {n}")
        for number in range(rounds):
            draw, population = draws_of(draws)
            true = {name: value for name, value, _ in figures(score(population, 0))}
            for name, _, interval in figures(score(draw(draws, n), 1_000, seed=number)):
                counts.setdefault(name, Count()).add(interval, true[name])
        for name, count in counts.items():
            held, width = count.held / count.given, count.width / count.given
            yield f"| {title} | {n:,} | {name} | {held:.1%} | {width:.3f} | {count.none / rounds:.1%} |"


def fixed(cells: Population) -> Callable[[random.Random], tuple[Draw, Columns]]:
    pair = labels(cells), whole(cells)
    return lambda _: pair


def changing(draws: random.Random) -> tuple[Draw, Columns]:
    cells = anything(draws)
    return labels(cells), whole(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2_000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    many = lists(random.Random(0), 20_000)
    # The lists' true figure is that of the odds they are drawn with: 3.5 members, 4 of 5 found, 0.2 added.
    members = 2 * 3.5 * 0.8 / (3.5 + 3.5 * 0.8 + 0.2)
    assert abs(members - (score(many, 0).f1 or 0)) < 0.005
    lines = [HEADER]
    print(HEADER)
    cases = {"any labels, 60 to 98 % right": changing, **{name: fixed(cells) for name, cells in POPULATIONS.items()}}
    for title, draws_of in cases.items():
        for line in simulated(title, draws_of, options.rounds):
            print(line, flush=True)
            lines.append(line)
    for line in simulated("lists, members by value", lambda _: (lists, many), options.rounds // 4):
        print(line, flush=True)
        lines.append(line)
    if options.write:
        note = (
            f"{options.rounds:,} rounds (lists: a quarter), 1,000 resamples; chance alone moves a share by about 1 %."
        )
        write_section("Intervals: how often they hold", f"{note}\n\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
