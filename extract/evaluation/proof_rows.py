"""Gold rows that shall prove something: they count in every figure, and nobody looks at what is wrong in them.

Who chooses a prompt by the mistakes on some rows, and then proves by the same rows how good it is, proves nothing.
"""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from extract.evaluation.split import SPLIT

__all__ = ["proof_keys", "without_proof"]

_PROOF: Final = "proof"


def proof_keys(gold: pl.DataFrame, on: str) -> pl.Series:
    """Return the keys of the proof rows of gold; none where gold does not say what its rows are for."""
    if SPLIT not in gold.columns or on == SPLIT:
        return gold[on].head(0)
    return gold.filter(pl.col(SPLIT).cast(pl.String, strict=False) == _PROOF)[on]


def without_proof(listed: pl.DataFrame, proof: pl.Series) -> pl.DataFrame:
    """Return a list of values, whose first column is the key, without those of proof rows."""
    key: Any = pl.nth(0)
    return listed.filter(~key.is_in(proof.implode())) if len(proof) else listed
