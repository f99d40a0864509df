"""Which part of gold a row belongs to, told from the hash of the row alone: the same in every file and every draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from extract.errors import ConfigError
from extract.review.tasks import Split

__all__ = ["DEFAULT_SHARES", "parse_shares", "split_of"]

DEFAULT_SHARES: Final[Mapping[Split, float]] = {"examples": 0.2, "tuning": 0.2, "proof": 0.6}
_DIGITS: Final = 13  # of the hash, in hexadecimal: 52 bits, which a double holds


def split_of(row_hash: str, shares: Mapping[Split, float] = DEFAULT_SHARES, *, proof: bool = True) -> Split:
    """Return the part of gold that a row belongs to.

    Without `proof` the row is one that people or prompts have seen together with its answer: it is never a proof row.

        >>> split_of("8f" + "0" * 30)
        'proof'
    """
    part = int(row_hash[:_DIGITS], 16) / 16**_DIGITS
    if not proof:  # what the two other parts would be without the third
        seen = shares["examples"] + shares["tuning"]
        return "examples" if seen and part < shares["examples"] / seen else "tuning"
    if part < shares["examples"]:
        return "examples"
    return "tuning" if part < shares["examples"] + shares["tuning"] else "proof"


def parse_shares(text: str) -> Mapping[Split, float]:
    """Return the shares that a text such as `20/20/60` names. ConfigError for any other text."""
    try:
        parts = [float(part) for part in text.split("/")]
    except ValueError:
        parts = []
    total = sum(parts)
    if len(parts) != len(get_args(Split)) or min(parts) < 0 or not 0 < total < float("inf"):
        raise ConfigError(f"{text!r} names no shares: write examples/tuning/proof, such as 20/20/60")
    return dict(zip(get_args(Split), (part / total for part in parts), strict=True))
