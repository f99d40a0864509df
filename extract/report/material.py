"""What a report is made of: an output, the rejected rows beside it, its footer, and its cache."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import polars as pl

from extract.documents.roots import Roots
from extract.errors import ConfigError, ExtractError
from extract.io.read_options import ReadKeywords
from extract.io.sinks.formats import SINKS
from extract.io.sinks.open import errors_path, keeps_manifest, read_manifest
from extract.io.sources import Source, open_source
from extract.io.unreadable import UNREADABLE
from extract.json_types import JsonObject
from extract.results.columns import error_schema
from extract.results.rerun import Rerun
from extract.results.run import Run
from extract.schema import OutputSchema, compile_schema

__all__ = ["AGREEMENT", "PROVENANCE", "SPANS", "Columns", "Material", "open_material", "texts_of"]

SPANS, PROVENANCE, AGREEMENT = "_spans", "_extract", "_agreement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The rows of a run, not yet read, and what is known about it.

    `rows` is the output, `errors` the rejected rows, `failed` their places in the input, `manifest` the output's footer
    ({} where another program wrote it). `cache` is the path of the cache, `source` the run's input, which holds the
    texts of rows that were left out of the output. All of these but `rows` are None where they are not available.
    `roots` are the folders that the documents of the records must lie under, None for no limit.
    """

    name: str
    rows: pl.LazyFrame
    errors: pl.LazyFrame | None
    manifest: JsonObject
    failed: pl.Series | None = None
    cache: Path | None = None
    source: Source | None = None
    roots: Roots | None = None

    @property
    def keeps_rejected(self) -> bool:
        """True where the output has the rejected rows too, with nulls."""
        return self.manifest.get("rejected_rows") == "null"

    @property
    def codes(self) -> dict[str, int] | None:
        """The number of rows without an answer by error code, from the footer; None where it does not say."""
        run = self.manifest.get("run")
        errors = run.get("errors") if isinstance(run, dict) else None
        if not isinstance(errors, dict):
            return None
        return {str(code): rows for code, rows in errors.items() if type(rows) is int and 0 < rows < 2**53}


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of an output by role. `answer` maps a column to the field of the schema that it came from.

    `keys` and `names` map wire keys to the names of fields, at the top and below, where these differ.
    """

    source: tuple[str, ...]
    answer: dict[str, str]
    spans: bool
    provenance: bool
    agreement: bool
    schema: OutputSchema | None
    keys: dict[str, str]
    names: dict[str, str]

    @classmethod
    def of(cls, material: Material) -> Columns:
        """Read the roles from the footer; without one, every column counts as an answer.

        The columns that an earlier run added are input for a later one; the footer says which run added what.
        """
        columns, manifest = material.rows.collect_schema(), material.manifest
        schema = _schema_of(manifest)
        prefix = str(manifest.get("prefix") or "")
        known = list(columns) if schema is None else list(schema.dtypes)
        fields = texts_of(manifest.get("fields")) or known
        added = _added(columns, manifest)
        answer = {prefix + name: name for name in fields if prefix + name in columns and prefix + name not in added}
        return cls(
            source=tuple(name for name in columns if name not in answer and name not in added),
            answer=answer,
            spans=SPANS in added,
            provenance=PROVENANCE in added,
            agreement=AGREEMENT in added,
            schema=schema,
            keys={key: name for name, key in _pairs_of(manifest.get("keys")).items()},
            names=_pairs_of(manifest.get("names")),
        )


def _added(columns: pl.Schema, manifest: JsonObject) -> set[str]:
    """Return the columns that the run of this footer added besides its answers."""
    is_added = {
        SPANS: _holds_spans(columns.get(SPANS)) and manifest.get("grounding") != [],
        PROVENANCE: isinstance(columns.get(PROVENANCE), pl.Struct) and manifest.get("provenance") is not False,
        AGREEMENT: isinstance(columns.get(AGREEMENT), pl.Struct) and manifest.get("samples", 1) != 1,
    }
    return {name for name, added in is_added.items() if added}


def texts_of(value: Any) -> list[str]:
    """Return the texts of a list in a footer; [] for what is none."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _pairs_of(value: Any) -> dict[str, str]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {str(key): text for key, text in pairs if isinstance(text, str)}


def _holds_spans(dtype: Any) -> bool:
    if not isinstance(dtype, pl.List) or not isinstance(dtype.inner, pl.Struct):
        return False
    fields = dtype.inner.to_schema()
    return {"path", "status"} <= fields.keys() and all(fields.get(n, pl.Int64()).is_integer() for n in ("start", "end"))


def _schema_of(manifest: JsonObject) -> OutputSchema | None:
    if not isinstance(manifest.get("schema"), dict):
        return None
    try:
        return compile_schema(manifest["schema"], extra="keep" if manifest.get("extra") == "keep" else "drop")
    except (ExtractError, RecursionError):
        return None  # a footer may say anything


def open_material(
    output: Run | str | os.PathLike[str],
    *,
    cache: str | os.PathLike[str] | None = None,
    source: Any = None,
    root: Any = None,
    **reading: Unpack[ReadKeywords],
) -> Material:
    """Return the material for a report about an output. Raises ConfigError for what cannot be read.

    `cache` is by default the one beside the output; `source` is the input, anything that `run` takes but an iterator,
    and `reading` says how its file is written. `root` are folders that documents may lie under, beside the current one
    and that of the input; those of a Run may lie where they might in the run.
    """
    if cache is not None and not Path(cache).is_file():
        raise ConfigError(f"there is no cache {os.fspath(cache)!r}")
    material = _of_run(output) if isinstance(output, Run) else _of_file(Path(output))
    opened = None if source is None else open_source(source, **reading)
    if opened is not None and opened.once:
        raise ConfigError("source is an iterator, which was read by the run: give a list, a frame or a path")
    roots = _roots(output, opened, Roots.of(root))
    return replace(material, cache=material.cache if cache is None else Path(cache), source=opened, roots=roots)


def _roots(output: Run | str | os.PathLike[str], source: Source | None, given: Roots | None) -> Roots | None:
    """Return the folders of documents. What is in a file may come from anywhere: its paths lead no further than these.

    The paths of a Run were the program's own choice where its rows were, and those of its input otherwise.
    """
    rerun = output.details.rerun if isinstance(output, Run) else None
    if isinstance(rerun, Rerun):
        roots = Roots.of(rerun.options.get("root"))
        return None if roots is None else Roots((*roots.folders, *(given.folders if given else ())), roots.base)
    return Roots.joined(given, (source and source.folder) or Path.cwd().resolve())


def _of_run(run: Run) -> Material:
    return Material(
        name=str(run.details.manifest.get("pipeline") or "run") if run.output is None else run.output.name,
        rows=run.scan(),
        errors=None if run.errors.is_empty() else run.errors.lazy(),
        manifest=run.details.manifest,
        failed=run.details.failed_places,
        cache=None if run.output is None else _cache_of(run.output),
    )


def _cache_of(output: Path) -> Path | None:
    path = output.with_name(output.name + ".cache")
    return path if path.is_file() else None


def _of_file(path: Path) -> Material:
    if not path.is_file():
        raise ConfigError(f"there is no output {str(path)!r}")
    if path.suffix.lower() not in SINKS or not keeps_manifest(path):
        raise ConfigError(f"{path}: a report is made of .parquet, or in Python of the Run: write_report(run, ...)")
    # The .partial file of an interrupted run has the cache and the errors file of the complete output.
    whole = path.with_name(path.stem.removesuffix(".partial") + path.suffix)
    beside = errors_path(whole)
    manifest = read_manifest(path)
    material = Material(
        name=path.name,
        rows=_scan(path),
        errors=_scan_errors(beside if path == whole else beside.with_name(f"{beside.stem}.partial{beside.suffix}")),
        manifest=manifest,
        cache=_cache_of(_owner(whole, manifest)),
    )
    return material if _belongs(material) else replace(material, errors=None)


def _owner(output: Path, manifest: JsonObject) -> Path:
    """Return the output whose cache the run has used: that which a smaller output was kept beside, else itself."""
    course = manifest.get("run")
    beside = course.get("beside") if isinstance(course, dict) else None
    # The name only: a footer may come from anywhere.
    return output.with_name(Path(beside).name) if isinstance(beside, str) and Path(beside).name else output


def _belongs(material: Material) -> bool:
    """Return whether the rejected rows are those of the run that wrote the output, as far as its footer says."""
    if material.errors is None or material.codes is None:
        return True
    try:
        counted = material.errors.group_by(pl.col("code").cast(pl.String)).len().collect(engine="streaming")
    except UNREADABLE as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise ConfigError(f"the rejected rows beside {material.name} cannot be read: {reason}") from None
    return dict(counted.iter_rows()) == material.codes


def _scan(path: Path) -> pl.LazyFrame:
    try:
        rows = pl.scan_parquet(path, glob=False)
        rows.collect_schema()
    except UNREADABLE as error:
        raise ConfigError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0][:200]}") from None
    return rows


def _scan_errors(path: Path) -> pl.LazyFrame | None:
    if not path.is_file():
        return None
    errors = _scan(path)
    schema = errors.collect_schema()
    if any(name not in schema for name in error_schema(pl.Int64())):
        raise ConfigError(f"{path} holds no rejected rows: it has the columns {list(schema)!r}; move it away")
    return errors
