"""Which class writes which ending. `open_sink`, the command line's help, completion and messages are made from it."""

from __future__ import annotations

__all__ = ["SINKS", "one_of"]

#: Ending of an output -> the class that writes it, as module:name. Names, so that `extract --help` loads no Polars and
#: a sink may need a package that is not always installed. The class is a `FileSink`.
SINKS = {
    ".parquet": "extract.io.sinks.parquet:ParquetSink",
    ".csv": "extract.io.sinks.text:TextSink",
    ".jsonl": "extract.io.sinks.text:TextSink",
    ".ndjson": "extract.io.sinks.text:TextSink",
    ".xlsx": "extract.io.sinks.excel:ExcelSink",
}


def one_of(endings: tuple[str, ...] = tuple(SINKS)) -> str:
    """Return the endings as a person says them: `.parquet, .csv, .jsonl, .ndjson or .xlsx`."""
    *others, last = endings
    return f"{', '.join(others)} or {last}" if others else last
