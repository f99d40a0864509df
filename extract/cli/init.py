"""`extract init`: a pipeline file to start from."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path
from typing import Literal

from rich.text import Text

from extract.cli.terminal import console_for, plain
from extract.errors import ConfigError

__all__ = ["Kind", "init_command"]

Kind = Literal["classify", "moderate", "documents"]

_INPUT = {"classify": "messages.csv", "moderate": "comments.jsonl", "documents": "folder/"}


def init_command(kind: Kind, path: Path | None, *, force: bool) -> None:
    """Write the pipeline and say what to do next. ConfigError where the file exists and `force` is False."""
    target = _target(kind, path)
    text = files("extract.cli.starters").joinpath(f"{kind}.py").read_text(encoding="utf-8")
    try:
        with target.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(text.replace(f" {kind}.py", f" {target.name}"))
    except FileExistsError:
        raise ConfigError(f"{plain(target)} exists already; --force replaces it, or name another file") from None
    except OSError as error:
        raise ConfigError(f"{plain(target)} cannot be written: {error.strerror}") from None
    console = console_for(sys.stderr)
    shown = plain(target, console)
    console.print(Text.assemble(("wrote ", "bold green"), shown), soft_wrap=True)
    console.print(Text(f"try it: extract run {shown} {_INPUT[kind]} --limit 5 --show --offline"), soft_wrap=True)


def _target(kind: Kind, path: Path | None) -> Path:
    if path is None or path.is_dir():
        return (path or Path()) / f"{kind}.py"
    if path.suffix != ".py":
        raise ConfigError(f"a pipeline is a Python file: {plain(path)} should end in .py")
    return path
