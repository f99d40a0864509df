"""`open_review`: the review page beside a notebook or a program."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from extract.errors import ConfigError
from extract.extractor.extractor import Extractor
from extract.io.sinks.parquet import footer
from extract.results.run import Run
from extract.review.opened import OpenReview
from extract.review.start import DECISIONS, Choice, default_path, make_file
from extract.schema import compile_schema

__all__ = ["open_review"]


def open_review(
    data: Run | str | os.PathLike[str],
    extractor: Extractor | None = None,
    *,
    decisions: str | os.PathLike[str] | None = None,
    fields: Sequence[str] = (),
    blind: bool = False,
    sample: int | None = None,
    queue: bool | str = False,
    seed: int = 0,
    on: str | None = None,
    person: str | None = None,
    root: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    port: int = 0,
    allow_hosts: Iterable[str] = (),
) -> OpenReview:
    """Serve the review page of a Run, an output, an input or a decision file, and return it with its link.

    A notebook shows the link. The page is answered from a thread, on this machine only, until `close`; each decision is
    in the file `decisions` before the next one. That file is made on the first call, by default beside the output: a
    `sample` of rows drawn by `seed` (200), or a `queue` of those that something speaks against. Later calls go on with
    it. `fields` are those under review, by default all; `blind` hides the answers, as gold that proves something needs.
    `extractor` says what answers are where the data does not, and brings back Python types. `on` names the column that
    names a row, `person` who decides, `root` more folders from which documents are shown.

    Raises ConfigError for what cannot be reviewed. Needs the extra `review`.

        with open_review("out.parquet", sample=50) as page:
            print(page.link)
    """
    choice = Choice(sample=sample, queue=queue, seed=seed, fields=tuple(fields), blind=blind, on=on)
    path = _decisions(data, decisions, choice)
    if not path.exists():
        schema = None if extractor is None else compile_schema(extractor.schema, extra=extractor.extra)
        make_file(path, _table(data, path), choice, schema=schema).close()
    source = None if isinstance(data, Run) or _is_decisions(data) else os.fspath(data)
    page = _open_file()(
        path, extractor=extractor, source=source, person=person, root=root, port=port, allowed=allow_hosts
    )
    page.start()
    return page


def _open_file() -> Callable[..., OpenReview]:
    """Return the function that serves a decision file. ConfigError where the extra is not installed."""
    try:
        serving: Callable[..., OpenReview] = import_module("extract.review.serving").open_file
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is needed: pip install 'extract-interactions[review]'") from None
    return serving


def _decisions(data: Any, decisions: str | os.PathLike[str] | None, choice: Choice) -> Path:
    """Return the path of the decision file: the one named, else beside the output."""
    if not isinstance(data, Run) and _is_decisions(data):
        if not Path(data).is_file():
            raise ConfigError(f"there is no decision file {os.fspath(data)!r}")
        return Path(data)
    if decisions is not None:
        return Path(decisions)
    address = data.output if isinstance(data, Run) else data
    if address is None:
        raise ConfigError("this run has no output beside which its decisions could be: name a file, decisions=")
    return default_path(os.fspath(address), choice.kind, blind=choice.blind)


def _is_decisions(data: str | os.PathLike[str]) -> bool:
    return os.fspath(data).lower().endswith(DECISIONS)


def _table(data: Run | str | os.PathLike[str], decisions: Path) -> str:
    """Return the path of the rows; those of a Run in memory are written beside the decisions."""
    if not isinstance(data, Run):
        return os.fspath(data)
    if data.output is not None:
        return os.fspath(data.output)
    path = decisions.with_suffix(".parquet")
    if path.exists():
        raise ConfigError(f"{path} is there already: the rows of the run would go there; name another file, decisions=")
    data.frame.write_parquet(path, metadata=footer(data.details.manifest))
    return os.fspath(path)
