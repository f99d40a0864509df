"""`extract cache show` and `extract cache verify`: what a cache file holds, and whether all of it can be read."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from extract.cli.terminal import console_for, money, plain
from extract.errors import ConfigError
from extract.interactions.dialects import decode
from extract.io.cache.ledger import Spending
from extract.io.cache.response_cache import ResponseCache
from extract.io.cache.services import StoredAnswers

__all__ = ["show_command", "verify_command"]


def show_command(path: Path, *, as_json: bool) -> None:
    """Print how many answers there are, and what all runs with this cache have used and cost."""
    with _opened(path) as cache:
        answers, span, spent, relaxed = len(cache), cache.statistics.span(), cache.spent(), cache.statistics.relaxed()
        damaged, services = cache.statistics.damaged_entries(), cache.statistics.services()
        set_aside = cache.statistics.set_aside()
    first, last = (None, None) if span is None else (_when(span[0]), _when(span[1]))
    if as_json:
        whose = {"services": services.of, "unknown_service": services.unknown}
        summary: dict[str, Any] = {"answers": answers, "bytes": path.stat().st_size, "first": first, "last": last}
        rungs = [{"schema": key.hex(), "rung": rung} for key, rung in relaxed]
        ledger = {
            "spent": [_as_json(one) for one in spent],
            "damaged_entries": damaged,
            "set_aside_usd": str(set_aside),
        }
        sys.stdout.write(json.dumps(summary | whose | ledger | {"relaxed": rungs}) + "\n")
        return
    console = console_for(sys.stdout)
    console.width = console.width if sys.stdout.isatty() else 120
    console.print(f"{answers:,} answers, {path.stat().st_size:,} bytes" + (f", {first} to {last}" if span else ""))
    if services.of:
        console.print(f"answers of {_whose(services)}", soft_wrap=True)
    if spent:
        console.print(_table(spent, console))
    if set_aside:
        console.print(f"{money(set_aside)} is set aside of a total budget, by runs at work or killed")
    if damaged:
        entries = "1 entry of the ledger is" if damaged == 1 else f"{damaged:,} entries of the ledger are"
        console.print(f"{entries} damaged, and in no sum above")
    for key, rung in relaxed:
        console.print(f"schema {key.hex()[:12]} was too complex for the service: sent {rung} rungs simpler")


def _whose(services: StoredAnswers) -> str:
    """Return how many answers are of which service."""
    known = [f"{plain(name)}: {answers:,}" for name, answers in services.of.items()]
    return ", ".join([*known, *([f"not known: {services.unknown:,}"] if services.unknown else [])])


def verify_command(path: Path, *, as_json: bool) -> int:
    """Print whether every answer can be read; return the exit status."""
    with _opened(path) as cache:
        verification = cache.verify(decode)
    name, damaged = plain(path), [key.hex() for key in verification.damaged]
    if as_json:
        report = {
            "ok": verification.ok,
            "answers": verification.answers,
            "damaged": damaged,
            "problems": verification.problems,
        }
        sys.stdout.write(json.dumps(report) + "\n")
    elif verification.ok:
        sys.stdout.write(f"{name}: {verification.answers:,} answers, all readable" + "\n")
    else:
        for problem in verification.problems[:10]:
            sys.stdout.write(plain(f"{name}: {problem}") + "\n")
        if damaged:
            shown = ", ".join(key[:12] for key in damaged[:10])
            sys.stdout.write(
                f"{name}: {len(damaged):,} answers cannot be read; the next run asks these again: {shown}" + "\n"
            )
    return 0 if verification.ok else 1


def _opened(path: Path) -> ResponseCache:
    if not path.is_file():
        raise ConfigError(f"there is no cache {str(path)!r}")
    return ResponseCache(path, read_only=True)


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _as_json(spending: Spending) -> dict[str, Any]:
    plain: dict[str, Any] = asdict(spending)
    tokens: dict[str, Any] = plain.pop("usage")
    money = {name: None if plain[name] is None else str(plain[name]) for name in ("cost", "bound")}
    return plain | tokens | money


def _table(spent: list[Spending], console: Console) -> Table:
    table = Table("attempts of", "model", "tier", box=None, pad_edge=False)
    for name in ("attempts", "tokens in", "tokens out", "cost", "unknown", "at most"):
        table.add_column(name, justify="right")
    for one in spent:
        table.add_row(
            *(Text(plain(name, console)) for name in (one.kind, one.model, one.tier or "standard")),
            f"{one.attempts:,}",
            f"{one.usage.input_tokens:,}",
            f"{one.usage.output_tokens + one.usage.thought_tokens:,}",
            "unknown" if one.cost is None else f"${one.cost:.4f}",
            f"{one.unknown:,}",
            "unknown" if one.bound is None else f"${one.bound:.4f}",
        )
    return table
