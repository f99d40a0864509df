"""`extract init`: a pipeline file to start from, and a few rows to try it on."""

from __future__ import annotations

import sys
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from shlex import quote
from typing import Literal

from rich.text import Text

from extract.cli.terminal import console_for, plain
from extract.errors import ConfigError

__all__ = ["Kind", "init_command"]

Kind = Literal["classify", "moderate", "documents"]

_SAMPLES = {"classify": "messages.csv", "moderate": "comments.jsonl", "documents": "invoices"}


def init_command(kind: Kind, path: Path | None, *, force: bool) -> None:
    """Write the pipeline, and beside it a sample of its input where there is none; say what to do next.

    ConfigError where the pipeline exists and `force` is False.
    """
    starters = files("extract.cli.starters")
    target = _target(kind, path)
    sample = target.with_name(_SAMPLES[kind])
    text = starters.joinpath(f"{kind}.py").read_text(encoding="utf-8")
    has_sample = sample.exists()
    try:
        with target.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(text.replace(f" {kind}.py", f" {target.name}"))
        if not has_sample:
            _copy(starters.joinpath(sample.name), sample)
    except FileExistsError:
        raise ConfigError(f"{plain(target)} exists already; --force replaces it, or name another file") from None
    except OSError as error:
        raise ConfigError(f"{plain(error.filename or target)} cannot be written: {error.strerror}") from None
    _say(target, sample, is_new=not has_sample)


def _say(target: Path, sample: Path, *, is_new: bool) -> None:
    console = console_for(sys.stderr)
    shown, tried = plain(target, console), plain(sample, console)
    console.print(Text.assemble(("wrote ", "bold green"), shown), soft_wrap=True)
    if is_new:
        note = ": a small sample, to be replaced by your own"
        console.print(Text.assemble(("wrote ", "bold green"), tried, (note, "dim")), soft_wrap=True)
    typed = f"{quote(shown)} {quote(tried)}"
    console.print(Text(f"try it: extract run {typed} --limit 5 --show --offline"), soft_wrap=True)


def _copy(source: Traversable, target: Path) -> None:
    """Copy a file of the package, or a folder of files."""
    if source.is_file():
        target.write_bytes(source.read_bytes())
        return
    target.mkdir()
    for inner in source.iterdir():
        _copy(inner, target / inner.name)


def _target(kind: Kind, path: Path | None) -> Path:
    if path is None or path.is_dir():
        return (path or Path()) / f"{kind}.py"
    if path.suffix != ".py":
        raise ConfigError(f"a pipeline is a Python file: {plain(path)} should end in .py")
    return path
