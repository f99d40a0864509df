"""How often the 95 % intervals of an evaluation hold the true figure: a simulation that prints a table.

    python benchmarks/coverage.py [--rounds 2000]

Rows are drawn from populations whose true figures are known; each round evaluates one sample of them.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator

import polars as pl

from extract import evaluate
from extract.evaluation import FieldScore, Interval

Population = list[tuple[str, str, int]]
Draw = Callable[[random.Random, int], tuple[pl.Series, pl.Series]]

# (gold, predicted, share of the population in percent)
POPULATIONS = {
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
}
SIZES = (100, 300, 1_000)
FIGURES = {"label": ("accuracy", "macro_f1", "kappa"), "list": ("member_f1",)}


def kinds_of(cells: Population) -> pl.Enum:
    return pl.Enum(sorted({label for *pair, _ in cells for label in pair}))


def labels(cells: Population) -> Draw:
    kinds = kinds_of(cells)

    def draw(draws: random.Random, n: int) -> tuple[pl.Series, pl.Series]:
        pairs = draws.choices(cells, [share for *_, share in cells], k=n)
        return pl.Series([pair[1] for pair in pairs], dtype=kinds), pl.Series([pair[0] for pair in pairs], dtype=kinds)

    return draw


def whole(cells: Population) -> tuple[pl.Series, pl.Series]:
    """Return the population itself: each pair as often as its share says."""
    shares = pl.Series([share for *_, share in cells])
    columns = (
        pl.DataFrame({"label": [cell[side] for cell in cells]}).select(pl.col("label").repeat_by(shares).explode())
        for side in (1, 0)
    )
    predicted, gold = (column.to_series().cast(kinds_of(cells)) for column in columns)
    return predicted, gold


def lists(draws: random.Random, n: int) -> tuple[pl.Series, pl.Series]:
    """Lists of one to six members; each is missed in 1 of 5, and some hold one that is not there."""
    gold = [[str(number) for number in range(draws.randint(1, 6))] for _ in range(n)]
    found = [[name for name in row if draws.random() < 0.8] + ["x"] * (draws.random() < 0.2) for row in gold]
    return pl.Series(found, dtype=pl.List(pl.String)), pl.Series(gold, dtype=pl.List(pl.String))


def score(predicted: pl.Series, gold: pl.Series, **options: int) -> FieldScore:
    keys = pl.Series("id", range(len(gold)))
    frames = [pl.DataFrame([keys, column.alias("x")]) for column in (predicted, gold)]
    return evaluate(*frames, on="id", **options)["x"]


def figures(found: FieldScore) -> Iterator[tuple[str, float, Interval | None]]:
    for name in FIGURES[found.kind]:
        value = found.f1 if name == "member_f1" else getattr(found, name)
        yield name, value, found.intervals.get(name)


def simulate(title: str, draw: Draw, population: tuple[pl.Series, pl.Series], rounds: int) -> None:
    true = {name: value for name, value, _ in figures(score(*population, resamples=0))}
    for n in SIZES:
        held, widths = dict.fromkeys(true, 0), dict.fromkeys(true, 0.0)
        draws = random.Random(n)
        for number in range(rounds):
            for name, _, interval in figures(score(*draw(draws, n), resamples=1_000, seed=number)):
                assert interval is not None, f"{name} has no interval"
                held[name] += interval.low <= true[name] <= interval.high
                widths[name] += interval.high - interval.low
        for name, count in held.items():
            print(f"{title:32} {n:6,} rows  {name:10} {count / rounds:7.1%} hold  width {widths[name] / rounds:.3f}")


def anything(draws: random.Random) -> Population:
    """Return a population of 2 to 5 labels of any shares, 60 to 98 % of which are right."""
    kinds = "abcde"[: draws.randint(2, 5)]
    right = draws.uniform(0.6, 0.98)
    shares = [draws.uniform(0.2, 1) for _ in kinds]
    cells = [
        (gold, given, share * (right if gold == given else (1 - right) * draws.uniform(0.5, 1.5) / (len(kinds) - 1)))
        for gold, share in zip(kinds, shares, strict=True)
        for given in kinds
    ]
    return [(gold, given, round(1_000 * share)) for gold, given, share in cells]


def simulate_anything(rounds: int) -> None:
    """Draw another population in each round: then no figure's coverage depends on how its shares happen to fall."""
    for n in SIZES:
        held = dict.fromkeys(FIGURES["label"], 0)
        draws = random.Random(n)
        for number in range(rounds):
            cells = anything(draws)
            true = {name: value for name, value, _ in figures(score(*whole(cells), resamples=0))}
            for name, _, interval in figures(score(*labels(cells)(draws, n), resamples=1_000, seed=number)):
                assert interval is not None, f"{name} has no interval"
                held[name] += interval.low <= true[name] <= interval.high
        for name, count in held.items():
            print(f"{'any labels, 60 to 98 % right':32} {n:6,} rows  {name:10} {count / rounds:7.1%} hold", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2_000)
    rounds = parser.parse_args().rounds
    simulate_anything(rounds)
    for title, cells in POPULATIONS.items():
        simulate(title, labels(cells), whole(cells), rounds)
    simulate("lists, members by value", lists, lists(random.Random(0), 400_000), rounds)


if __name__ == "__main__":
    main()
