"""The winner as a pipeline file: the old file with what the winner does otherwise at its end, and the difference."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Any

from extract.errors import ConfigError, OutputError
from extract.evaluation.tables import share
from extract.extractor.nearest import Nearest
from extract.extractor.prompts import Example, Template, value_text
from extract.tuning.tuning import Tuning

__all__ = ["TunedFiles", "check_target", "tuned_files"]


class TunedFiles:
    """A pipeline file that is to be written, the gold rows that it shows beside it, and how it differs from the old."""

    def __init__(self, target: Path, old: str, text: str, rows: Nearest | None, *, source: str) -> None:
        self.target: Path = target
        self.text: str = text
        self.diff: str = "".join(unified_diff(old.splitlines(True), text.splitlines(True), source, str(target)))
        self._rows = rows

    @property
    def rows_file(self) -> Path | None:
        """The file of the gold rows that are shown, None without any."""
        return None if self._rows is None else _rows_file(self.target)

    def write(self) -> None:
        """Write them. OutputError where that cannot be."""
        try:
            if self._rows is not None:
                self._rows.rows.write_ndjson(_rows_file(self.target))
            self.target.write_text(self.text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise OutputError(f"{self.target} cannot be written: {error.strerror}") from None


def check_target(target: Path, pipeline: str, *, force: bool) -> None:
    """Raise ConfigError for a file that must not be written, before anything is paid for."""
    if target.suffix != ".py":
        raise ConfigError(f"{target}: a pipeline file ends in .py")
    if pipeline.endswith(".py") and Path(pipeline).resolve() == target.resolve():
        raise ConfigError(f"{target} is the pipeline itself: name another file, and compare the two")
    if not force and (present := next((one for one in (target, _rows_file(target)) if one.exists()), None)):
        raise ConfigError(f"{present} exists already; --force replaces it, or name another file")
    if not target.resolve().parent.is_dir():
        raise ConfigError(f"{target} cannot be written: there is no folder {str(target.parent)!r}")


def tuned_files(pipeline: str, result: Tuning, target: Path) -> TunedFiles:
    """Return the files of a winner. The pipeline is a file, or `module:name`, which the new file imports from."""
    if pipeline.endswith(".py"):
        old = Path(pipeline).read_text(encoding="utf-8")
    else:
        module, _, name = pipeline.partition(":")
        old = f"from {module} import {name} as extractor\n"
    shown = result.extractor.examples if "nearest" in result.winner.changes else None
    rows = shown if isinstance(shown, Nearest) else None
    text = old.rstrip("\n") + "\n\n\n" + "\n".join(_lines(result, target)) + "\n"
    return TunedFiles(target, old, text, rows, source=pipeline)


def _rows_file(target: Path) -> Path:
    return target.with_suffix(".examples.jsonl")


def _lines(result: Tuning, target: Path) -> Iterator[str]:
    changes = result.winner.changes
    yield f"# Chosen by `extract tune`: {' '.join(result.winner.name.split())}."
    if (proof := result.proof) is not None:
        right = share(proof.accuracy, proof.interval)
        yield f"# On {proof.rows:,} gold rows that played no part in the choice {right} were right."
    if "samples" in changes:
        yield f"# Each row is to be asked {changes['samples']} times: extract run ... --samples {changes['samples']}"
    yield "from dataclasses import replace  # noqa: E402"
    if "nearest" in changes:
        yield "from pathlib import Path  # noqa: E402"
    names = [("nearest", "Nearest"), ("examples", "Example"), ("pack", "Pack")]
    if used := sorted(
        name for option, name in names if changes.get(option) and (option, changes[option]) != ("pack", 1)
    ):
        yield f"from extract import {', '.join(used)}  # noqa: E402"
    yield ""
    yield "extractor = replace("
    yield "    extractor,"
    for name in ("model", "prompt", "system"):
        if name in changes:
            yield f"    {name}={changes[name]!r},"
    if "pack" in changes:
        rows = changes["pack"]
        yield f"    pack={f'Pack(rows={rows})' if rows > 1 else None},"
    yield from _example_lines(result, target)
    yield ")"


def _example_lines(result: Tuning, target: Path) -> Iterator[str]:
    examples = result.extractor.examples
    if "nearest" in result.winner.changes and isinstance(examples, Nearest):
        name, on = _rows_file(target).name, examples.on
        yield f"    examples=Nearest(Path(__file__).with_name({name!r}), k={examples.k}, on={on!r}),"
    elif "examples" in result.winner.changes and not isinstance(examples, Nearest):
        columns = Template.parse(result.extractor.prompt).columns
        yield "    examples=("
        yield from (f"        Example({_written(one, columns)})," for one in examples)
        yield "    ),"


def _plain(cell: Any) -> Any:
    """Return a cell as a literal: dates and other types as the prompt shows them."""
    return cell if isinstance(cell, str | int | float | None) else value_text(cell)


def _written(example: Example, columns: tuple[str, ...]) -> str:
    record = {name: _plain(example.record[name]) for name in columns}
    return f"{record!r}, {example.answer!r}"
