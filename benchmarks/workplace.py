"""A folder with a pipeline and its input, the command that runs it, and what must come out."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workload import TOPICS, messages

__all__ = ["command", "truth", "truth_of", "whole", "workplace"]

PIPELINE = Path(__file__).with_name("pipeline_for_benchmarks.py").read_text()


def truth_of(body: dict[str, Any]) -> str:
    number = int(str(body["input"][0]["content"][0]["text"]).split("message ")[1].split(":")[0])
    return json.dumps({"topic": TOPICS[number % 4], "score": number % 11})


def truth(count: int) -> list[tuple[int, str, int]]:
    return [(n, TOPICS[n % 4], n % 11) for n in range(count)]


def command(url: str, *more: str) -> list[str]:
    words = [
        "run",
        "pipeline.py",
        "in.parquet",
        "-o",
        "out.parquet",
        "--base-url",
        url,
        "--id",
        "id",
        "--json",
        "--quiet",
    ]
    return [sys.executable, "-m", "extract", *words, *more]


@contextmanager
def workplace(count: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pipeline.py").write_text(PIPELINE)
        messages(count).write_parquet(folder / "in.parquet")
        yield folder


def whole(url: str, folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(command(url, *more), cwd=folder, capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        raise RuntimeError(done.stderr)
    return done.returncode, json.loads(done.stdout)
