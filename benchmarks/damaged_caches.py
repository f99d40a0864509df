"""A cache with flipped bytes, and what becomes of a run with it: a part of reliability.py."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl

__all__ = ["after_damage", "flipped"]


def flipped(content: bytes, draws: random.Random) -> bytes:
    """Return the bytes with 30 of them changed."""
    changed = bytearray(content)
    for place in draws.sample(range(len(changed)), 30):
        changed[place] ^= draws.randrange(1, 256)
    return bytes(changed)


def after_damage(run: Sequence[str], folder: Path, truth: list[tuple[int, str, int]]) -> Counter[str]:
    """Look at the damaged cache of out.parquet, run with it, and return what became of its rows."""
    seen: Counter[str] = Counter()
    looks = [[sys.executable, "-m", "extract", "cache", what, "out.parquet.cache"] for what in ("show", "verify")]
    done = [
        subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False) for words in (*looks, [*run])
    ]
    seen["tracebacks"] = sum("Traceback" in one.stderr for one in done)
    seen["set aside"] = len(list(folder.glob("*.damaged")))
    if not (folder / "out.parquet").exists():
        return seen
    rows = list(pl.read_parquet(folder / "out.parquet").select("id", "topic", "score").iter_rows())
    seen["wrong"] = len(set(rows) - set(truth))
    seen["blamed"] = len(truth) - len(rows)
    seen["whole"] = rows == truth and done[-1].returncode == 0
    return seen
