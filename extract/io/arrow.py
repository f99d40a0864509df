"""Reads frames and columns of other libraries (pandas, pyarrow, DuckDB) through their Arrow C stream."""

from __future__ import annotations

from typing import Any

import polars as pl

__all__ = ["INDEX", "read_arrow"]

INDEX = "__index_level_{}__"  # pyarrow's name for an unnamed level of a pandas index
_NAME = "text"  # for a column that has none


def read_arrow(data: Any) -> pl.DataFrame | None:
    """Return a frame or a column of another library as a Polars frame; None where it has no Arrow stream.

    The index of a pandas frame becomes columns where it is more than the numbers of the rows.
    """
    if not hasattr(data, "__arrow_c_stream__"):
        return None
    if hasattr(data, "reset_index"):
        data = _with_index(data)
    try:
        column = pl.Series(_Stream(data))
    except ImportError:  # pandas needs pyarrow for its stream
        return _read_pandas(data)
    if isinstance(column.dtype, pl.Struct):
        return column.struct.unnest()
    return column.to_frame(_name_of(data))


class _Stream:
    """Shows only the stream of an object, so that Polars does not treat it as what else it is."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._data.__arrow_c_stream__(requested_schema)


def _name_of(data: Any) -> str:
    name = getattr(data, "name", None)
    return name if isinstance(name, str) and name else _NAME


def _with_index(data: Any) -> Any:
    """Return a pandas frame or column as a frame with its index as columns, which a stream may leave out."""
    frame = data if hasattr(data, "columns") else data.to_frame(_name_of(data))
    index = frame.index
    if type(index).__name__ == "RangeIndex" and (index.start, index.step, index.name) == (0, 1, None):
        return frame
    names = [INDEX.format(level) if name is None else name for level, name in enumerate(index.names)]
    return frame.rename_axis(index=names).reset_index()


def _read_pandas(data: Any) -> pl.DataFrame:
    return pl.DataFrame({str(name): _column(column) for name, column in data.items()})


def _column(column: Any) -> pl.Series:
    return pl.Series(column.astype(object).where(column.notna(), None).tolist())
