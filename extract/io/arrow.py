"""Reads frames and columns of other libraries through Arrow (pandas, pyarrow, DuckDB); what Polars lacks is text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeAlias
from uuid import UUID

import polars as pl

from extract.errors import ORDERS, ConfigError

__all__ = ["INDEX", "exported", "frame_of_rows", "read_arrow", "read_parquet", "uuids_as_text", "uuids_of_parquet"]

Notes: TypeAlias = tuple[str, ...]

INDEX = "__index_level_{}__"  # pyarrow's name for an unnamed level of a pandas index
_NAME = "text"  # for a column that has none
_UUID = "arrow.uuid"
_DECIMAL_DIGITS = 38
_PLACES = ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))  # of the hexadecimal digits of a UUID
# Polars panics at these, or refuses them.
_NOT_TAKEN = ("is_interval", "is_union", "is_decimal256", "is_run_end_encoded", "is_list_view", "is_large_list_view")
_PANDAS_ONLY = ("period", "interval", "complex")  # dtypes whose Arrow form says something else, or that have none


def read_arrow(data: Any) -> tuple[pl.DataFrame, Notes] | None:
    """Return a frame or a column of another library as a Polars frame, with notes on columns that are left out.

    None where it has no Arrow stream. The index of a pandas frame becomes columns where it is more than the numbers of
    the rows. UUIDs become text, and so does a column whose type Polars does not take; one that has no text either is
    left out. ConfigError where nothing is left.
    """
    if not hasattr(data, "__arrow_c_stream__"):
        return None
    if hasattr(data, "reset_index"):
        return _read_pandas(_with_index(data))
    if any(hasattr(data, name) for name in ("columns", "column_names", "schema")):
        try:
            return _read_table(_pyarrow().RecordBatchReader.from_stream(data).read_all())
        except (ImportError, ValueError, TypeError, NotImplementedError):  # no table, or nothing that pyarrow knows
            pass
    column = _series(data, "")
    if isinstance(column.dtype, pl.Struct):
        return column.struct.unnest(), ()
    return column.to_frame(_name_of(data)), ()


def read_parquet(paths: list[str]) -> tuple[pl.DataFrame, Notes] | None:
    """Return Parquet files with a column that Polars does not read, with notes as `read_arrow` does.

    None without pyarrow, or where that fails, too.
    """
    try:
        import pyarrow.parquet  # noqa: PLC0415 - optional

        frames, notes = zip(*(_read_table(pyarrow.parquet.read_table(path)) for path in paths), strict=True)
        return pl.concat(frames, how="vertical_relaxed"), notes[0]
    except (ImportError, OSError, ValueError, NotImplementedError):
        return None


def uuids_of_parquet(path: str) -> list[str]:
    """Return the columns of UUIDs in a Parquet file: Polars shows their bytes alone. None without pyarrow."""
    try:
        import pyarrow.parquet  # noqa: PLC0415 - optional

        schema = pyarrow.parquet.read_schema(path)
    except (ImportError, OSError, ValueError, NotImplementedError):
        return []
    return [one.name for one in schema if _extension(one.type) == _UUID]


def uuids_as_text(name: str) -> pl.Expr:
    """Return a column of the 16 bytes of UUIDs as they are written."""
    digits = pl.col(name).bin.encode("hex")
    return pl.concat_str([digits.str.slice(*place) for place in _PLACES], separator="-").alias(name)


def exported(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame that other libraries read: Arrow has no integers of 128 bits, so these are decimals, or text.

    Those in lists and structs are text.
    """
    wide = [one for one in frame.get_columns() if _is_wide(one.dtype)]
    return frame.with_columns(map(_narrowed, wide)) if wide else frame


def _is_wide(dtype: Any) -> bool:
    if isinstance(dtype, pl.List | pl.Array):
        return _is_wide(dtype.inner)
    if isinstance(dtype, pl.Struct):
        return any(_is_wide(field.dtype) for field in dtype.fields)
    return dtype in (pl.Int128, pl.UInt128)


def _as_texts(dtype: Any) -> Any:
    """Return a type with text in place of the integers of 128 bits in it."""
    if isinstance(dtype, pl.List):
        return pl.List(_as_texts(dtype.inner))
    if isinstance(dtype, pl.Array):
        return pl.Array(_as_texts(dtype.inner), dtype.size)
    if isinstance(dtype, pl.Struct):
        return pl.Struct({field.name: _as_texts(field.dtype) for field in dtype.fields})
    return pl.String() if _is_wide(dtype) else dtype


def _narrowed(column: pl.Series) -> pl.Series:
    if column.dtype.is_nested():
        return column.cast(_as_texts(column.dtype))
    texts = column.cast(pl.String)
    fits = (texts.str.strip_prefix("-").str.len_bytes() <= _DECIMAL_DIGITS).all()
    return texts.cast(pl.Decimal(_DECIMAL_DIGITS, 0)) if fits else texts


def frame_of_rows(rows: list[Any]) -> pl.DataFrame:
    """Return mappings as a frame. A column of values that share no type becomes text."""
    try:
        frame = pl.DataFrame(rows, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OverflowError, TypeError, ValueError):
        names = dict.fromkeys(name for row in rows for name in row)
        frame = pl.DataFrame({name: _of_values([row.get(name) for row in rows]) for name in names})
    objects = [column for column in frame.get_columns() if column.dtype == pl.Object]
    with suppress(TypeError):
        return frame.with_columns(_as_text(column.to_list()).alias(column.name) for column in objects)
    return frame


def _pyarrow() -> Any:
    import pyarrow  # noqa: PLC0415 - optional

    return pyarrow


def _read_table(table: Any) -> tuple[pl.DataFrame, Notes]:
    return _read_columns(table.column_names, table.columns, _arrow_column)


def _read_columns(
    names: list[str], columns: Iterable[Any], read: Callable[[Any, str], pl.Series]
) -> tuple[pl.DataFrame, Notes]:
    """Return a frame of columns that are read one by one: one that cannot be is no trouble to the others."""
    if doubled := [name for place, name in enumerate(names) if name in names[:place]]:
        raise ConfigError(f"two columns are named {doubled[0]!r}: rename one of them")
    series, failures = [], []
    for name, column in zip(names, columns, strict=True):
        try:
            series.append(read(column, name))
        except ConfigError as failure:
            failures.append(failure)
    if failures and not series:
        raise failures[0]
    return pl.DataFrame(series), tuple(f"{failure}: it is left out" for failure in failures)


def _arrow_column(column: Any, name: str) -> pl.Series:
    extension = _extension(column.type)
    if extension == _UUID:
        return _series(column.cast(column.type.storage_type), name).to_frame(name).select(uuids_as_text(name))[name]
    if extension is None and _holds_uuids(column.type):
        return pl.Series(name, [_written_out(value) for value in column.to_pylist()])
    if extension is not None:
        column = column.cast(column.type.storage_type)
    if not _is_taken(column.type):
        return _text_of(column.to_pylist, name, column.type)
    try:
        return _series(column, name)
    except ConfigError:
        return _text_of(column.to_pylist, name, column.type)


def _extension(dtype: Any) -> str | None:
    """Return the name of an extension type, None for any other."""
    name = getattr(dtype, "extension_name", None)
    return name if isinstance(name, str) else None


def _holds_uuids(dtype: Any) -> bool:
    inner = (dtype.field(place).type for place in range(dtype.num_fields))
    return any(_extension(one) == _UUID or _holds_uuids(one) for one in inner)


def _written_out(value: Any) -> Any:
    """Return a value with the UUIDs in it as text."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, list):
        return [_written_out(one) for one in value]
    return {name: _written_out(one) for name, one in value.items()} if isinstance(value, dict) else value


def _is_taken(dtype: Any) -> bool:
    tests = (getattr(_pyarrow().types, name, None) for name in _NOT_TAKEN)
    return not any(test is not None and test(dtype) for test in tests)


def _series(data: Any, name: str) -> pl.Series:
    """Return a stream as a Polars series. ConfigError where Polars does not take it; a panic is no Exception."""
    try:
        return pl.Series(_Stream(data)).alias(name)
    except ORDERS:
        raise
    except BaseException as error:
        what = f"the column {name!r}" if name else f"the {type(data).__name__}"
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(f"{what} has a type that cannot be read: {reason[:200]}") from None


def _text_of(values: Callable[[], Iterable[Any]], name: str, dtype: Any) -> pl.Series:
    try:
        return _as_text(values()).alias(name)
    except Exception:  # an object may do anything when it is asked for its text
        raise ConfigError(f"the column {name!r} is of the type {dtype}, which cannot be read") from None


def _as_text(values: Iterable[Any]) -> pl.Series:
    """Return values as they print. TypeError for one that prints nothing but where it lies in memory."""
    return pl.Series([None if value is None else _printed(value) for value in values], dtype=pl.String)


def _printed(value: Any) -> str:
    if all(getattr(type(value), name) is getattr(object, name) for name in ("__str__", "__repr__")):
        raise TypeError(f"a {type(value).__name__} has no text")
    return str(value)


def _of_values(values: list[Any]) -> pl.Series:
    try:
        return pl.Series(values)
    except (pl.exceptions.PolarsError, OverflowError, TypeError, ValueError):
        with suppress(TypeError):
            return _as_text(values)
        return pl.Series(values, dtype=pl.Object)


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


def _read_pandas(frame: Any) -> tuple[pl.DataFrame, Notes]:
    """Return a pandas frame; a column of values that share no type becomes text."""
    columns = (frame.iloc[:, place] for place in range(frame.shape[1]))
    return _read_columns([str(name) for name in frame.columns], columns, _pandas_column)


def _pandas_column(column: Any, name: str) -> pl.Series:
    values = column.astype(object).where(column.notna(), None)
    if str(column.dtype).startswith(_PANDAS_ONLY):
        return _text_of(values.tolist, name, column.dtype)
    try:
        array = _pyarrow().Array.from_pandas(column.to_numpy() if str(column.dtype).startswith("Sparse") else column)
        return _arrow_column(_pyarrow().chunked_array(getattr(array, "chunks", [array]), array.type), name)
    except ImportError:
        made = _of_values(values.tolist())
        return _text_of(values.tolist, name, column.dtype) if made.dtype == pl.Object else made.alias(name)
    except (TypeError, ValueError, NotImplementedError, OverflowError):
        return _text_of(values.tolist, name, column.dtype)
