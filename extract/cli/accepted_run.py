"""The part of `extract run` that states a promise: its options, and what the summary says of the accepted rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from extract.cli.terminal import money
from extract.errors import ConfigError
from extract.results.run import Run
from extract.runner.accept import Accept

__all__ = ["accept_of", "accepted_lines"]

_NEEDS_RIGHT = {
    "gold": "--gold",
    "on": "--on",
    "escalate": "--escalate",
    "accept_all": "--accept-all",
    "score": "--score",
    "fields": "--fields",
    "used_gold": "--used-gold",
}


def accept_of(typed: Mapping[str, Any]) -> Accept | None:
    """Return the promise for options by their names in `extract.cli.app.run`; ConfigError for half a promise."""
    if typed["right"] is None:
        if alone := [option for name, option in _NEEDS_RIGHT.items() if typed[name]]:
            raise ConfigError(f"{alone[0]} needs --right: the share of accepted rows that is to be right, such as 0.95")
        return None
    if typed["engine"] == "ray":
        raise ConfigError("--right asks gold rows first, which a cluster cannot: run it here, without --engine ray")
    if typed["show"] and typed["output"] is not None and not typed["accept_all"]:
        raise ConfigError(
            "--show prints rows in turn, and --right leaves some out of OUTPUT: add --accept-all, or look later"
        )
    if typed["gold"] is None or typed["on"] is None:
        raise ConfigError("--right needs rows with right answers, --gold FILE, and the column that names them, --on ID")
    return Accept(
        right=typed["right"],
        confidence=typed["confidence"],
        gold=typed["gold"],
        on=typed["on"],
        score=typed["score"],
        fields=[name for names in typed["fields"] or () for name in names.split(",")] or None,
        used_gold=typed["used_gold"],
        all=typed["accept_all"],
    )


def accepted_lines(run: Run) -> Iterator[tuple[str, str]]:
    """Yield rows of the summary's table: what was accepted on which promise, and by which step."""
    acceptance = run.details.manifest.get("acceptance")
    if not isinstance(acceptance, dict) or "right" not in acceptance:
        return
    share = f"{acceptance['accepted']:,} of {acceptance['rows']:,} rows ({acceptance['share']:.1%})"
    promise = (
        f"at least {_percent(acceptance['right'])} are right, with {_percent(acceptance['confidence'])} confidence"
    )
    gold = acceptance["gold"]
    if acceptance["reason"] is not None:
        yield "accepted", f"{share}: that {promise}, cannot be proved for any: {acceptance['reason']}"
    else:
        wrong = f"{gold['accepted']:,} of {gold['rows']:,} gold rows accepted, {gold['wrong']:,} wrong"
        yield "accepted", f"{share}: {promise} ({wrong})"
    for step in acceptance["steps"]:
        cost = money(step["cost_usd"])
        line = f"{step['accepted']:,} accepted of {step['rows']:,} asked, {step['requests']:,} requests, {cost}"
        yield f"step {step['step']}", f"{step['model']}: {line}, {_level(step)}"
    for note in acceptance["notes"]:
        yield "note", note


def _level(step: Mapping[str, Any]) -> str:
    if step["accepts"] == "scores":
        return f"score >= {step['threshold']:.4g}"
    return "every answer" if step["accepts"] == "all" else "closed: it proves nothing"


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"
