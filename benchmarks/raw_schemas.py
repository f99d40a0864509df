"""What a JSON Schema costs beside the Pydantic class that it came from. Offline: `python benchmarks/raw_schemas.py`.

Both read the same answers, of about 0.3, 3 and 30 kB, in turns within one process: a ratio is that of two passes side
by side, and the median of many. "judge" is what jsonschema takes without the quick yes of `extract.schema.quick`.
"""

from __future__ import annotations

import gc
import json
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from time import process_time
from typing import Any, Literal

import checkout  # noqa: F401 - before extract: the checkout's, not an installed one
from pydantic import BaseModel, Field

from extract import OutputSchema, compile_schema
from extract.schema.drafts import LATEST
from extract.schema.validate import schema_reader, schema_validator

PASSES = 41
TARGET = 2.0


class Line(BaseModel):
    sku: str = Field(pattern=r"^[A-Z]-\d+$")
    name: str = Field(max_length=80)
    quantity: int = Field(ge=1)
    price: float
    unit: Literal["piece", "kg", "hour"]
    note: str | None


class Order(BaseModel):
    number: str
    country: Literal["DE", "FR", "US"]
    paid: bool
    total: float = Field(ge=0)
    tags: list[str]
    lines: list[Line]


def answer(index: int, lines: int) -> str:
    entries = [
        {
            "sku": f"A-{index}{line}",
            "name": f"Part number {line} of {index}",
            "quantity": line + 1,
            "price": index + line / 4,
            "unit": ("piece", "kg", "hour")[line % 3],
            "note": None if line % 4 else "as discussed",
        }
        for line in range(lines)
    ]
    head = {"number": f"2024/{index}", "country": "DE", "paid": index % 2 == 0, "total": index * 1.5}
    return json.dumps(head | {"tags": ["new", f"no {index}"], "lines": entries})


def seconds(read: Callable[[str], Any], answers: Sequence[str]) -> float:
    started = process_time()
    for text in answers:
        read(text)
    return process_time() - started


def judged(schema: OutputSchema) -> Callable[[str], Any]:
    return schema_reader(schema_validator(schema.full, LATEST, assert_formats=True), lambda _: False)


def compared(readers: dict[str, Callable[[str], Any]], answers: Sequence[str]) -> dict[str, list[float]]:
    """Return the times of all readers, pass by pass: each pass runs every reader."""
    times: dict[str, list[float]] = {name: [] for name in readers}
    for number in range(PASSES):
        gc.collect()
        for name in sorted(readers, reverse=number % 2 == 0):
            times[name].append(seconds(readers[name], answers))
    return times


def main() -> int:
    versions = ", ".join(f"{name} {version(name)}" for name in ("pydantic", "jsonschema", "jsonschema-rs"))
    print(f"Python {platform.python_version()}, {versions}; median of {PASSES} interleaved passes, CPU time")
    model, raw = compile_schema(Order), compile_schema(Order.model_json_schema())
    worst = 0.0
    for lines, count in ((2, 300), (26, 50), (260, 8)):
        answers = [answer(index, lines) for index in range(count)]
        times = compared({"pydantic": model.validate, "raw": raw.validate, "judge": judged(raw)}, answers)
        ratios = {
            name: statistics.median(one / two for one, two in zip(times[name], times["pydantic"], strict=True))
            for name in ("raw", "judge")
        }
        micros = {name: statistics.median(each) / count * 1e6 for name, each in times.items()}
        worst = max(worst, ratios["raw"])
        print(
            f"{len(answers[-1]) / 1000:5.1f} kB  pydantic {micros['pydantic']:8.1f} us  raw {micros['raw']:8.1f} us"
            f" = {ratios['raw']:.2f} x  (judge alone {ratios['judge']:.1f} x)   target {TARGET:.0f} x"
        )
    return int(worst > TARGET)


if __name__ == "__main__":
    sys.exit(main())
