"""What the way from an answer's text to columns costs. Runs offline: `python benchmarks/schema_speed.py`.

A record's cost is the median, over several passes, of `read`, `row` and one `frame` of the whole pass, in microseconds
per record. Nothing is shared between records: every answer has values of its own.
"""

from __future__ import annotations

import gc
import json
import platform
import statistics
from collections.abc import Callable
from importlib.metadata import version
from time import perf_counter
from typing import Literal

import checkout  # noqa: F401 - before extract: the checkout's, not an installed one
from pydantic import BaseModel

from extract import OutputSchema, compile_schema

RECORDS = 5_000
PASSES = 9
TARGETS = {"flat": 40, "nested": 120}


class Flat(BaseModel):
    """Five plain fields."""

    topic: Literal["billing", "bug", "other"]
    urgent: bool
    score: float
    messages: int
    summary: str


class Line(BaseModel):
    sku: str
    quantity: int
    price: float


class Buyer(BaseModel):
    name: str
    city: str | None


class Nested(BaseModel):
    """An order of ten lines."""

    number: str
    buyer: Buyer
    lines: list[Line]


def flat_answer(index: int) -> str:
    topic = ("billing", "bug", "other")[index % 3]
    text = f"Customer {index} was charged twice and asks for the money back."
    fields = {"topic": topic, "urgent": index % 2 == 0, "score": index / 7, "messages": index, "summary": text}
    return json.dumps(fields)


def nested_answer(index: int) -> str:
    lines = [{"sku": f"A-{index}-{line}", "quantity": line + 1, "price": index + line / 4} for line in range(10)]
    buyer = {"name": f"Buyer {index}", "city": None if index % 5 == 0 else "Lisbon"}
    return json.dumps({"number": f"2024/{index}", "buyer": buyer, "lines": lines})


def median_seconds(work: Callable[[], object]) -> float:
    """Return the median time of several calls, garbage collected before each."""
    times = []
    for _ in range(PASSES):
        gc.collect()
        started = perf_counter()
        work()
        times.append(perf_counter() - started)
    return statistics.median(times)


def report(name: str, model: type[BaseModel], answers: list[str]) -> None:
    schema = compile_schema(model)
    values = [schema.validate(answer) for answer in answers]
    rows = [schema.row(value) for value in values]
    steps = {
        "read": lambda: [schema.read(answer) for answer in answers],
        "row": lambda: [schema.row(value) for value in values],
        "frame": lambda: schema.frame(rows),
        "whole": lambda: whole(schema, answers),
    }
    costs = {step: median_seconds(work) / len(answers) * 1e6 for step, work in steps.items()}
    compiling = median_seconds(lambda: compile_schema(model)) * 1e3
    shown = "  ".join(f"{step} {cost:6.1f}" for step, cost in costs.items())
    print(f"{name:8} {shown}  (target {TARGETS[name]})   compile {compiling:.1f} ms")


def whole(schema: OutputSchema, answers: list[str]) -> object:
    return schema.frame([schema.row(schema.read(answer)[0]) for answer in answers])


def main() -> None:
    versions = ", ".join(f"{name} {version(name)}" for name in ("pydantic", "polars", "jsonschema"))
    print(f"Python {platform.python_version()}, {versions}; {RECORDS:,} records, median of {PASSES} passes")
    print("microseconds per record")
    report("flat", Flat, [flat_answer(index) for index in range(RECORDS)])
    report("nested", Nested, [nested_answer(index) for index in range(RECORDS)])


if __name__ == "__main__":
    main()
