"""The folders under which the files must lie that paths in records name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from extract.documents.files import printable
from extract.documents.opening import Place
from extract.errors import BadRecord, ConfigError

__all__ = ["Root", "Roots"]


@dataclass(frozen=True, slots=True)
class Roots:
    """The folders, resolved, under which the files that paths in records name must lie.

    `base` is the folder of the input: a relative path that is not there from the current folder is looked up from it.
    """

    folders: tuple[Path, ...]
    base: Path | None = None

    @classmethod
    def of(cls, root: Any) -> Roots | None:
        """Return the value of the option `root`: None, one path or several. ConfigError for what is no folder."""
        if root is None or isinstance(root, Roots):
            return root
        if not isinstance(root, str | os.PathLike | Iterable):
            raise ConfigError(f"root is a folder or a list of folders, not a {type(root).__name__}")
        named = [root] if isinstance(root, str | os.PathLike) else list(root)
        return cls(tuple(map(_folder, named)))

    @staticmethod
    def joined(root: Roots | None, folder: Path | None) -> Roots | None:
        """Return the roots of an input: for one from a file, `folder`, the current folder and those of the option.

        `folder` is None for what a program made itself: then only the option counts, and None is no limit.
        """
        if folder is None:
            return root
        here: list[Path] = []
        with suppress(OSError):  # the current folder may have been deleted
            here.append(Path.cwd().resolve())
        given = () if root is None else root.folders
        return Roots(tuple(dict.fromkeys((*here, folder, *given))), folder)

    def find(self, path: Path) -> Place:
        """Return where the file lies that a path leads to, through all links.

        Raises BadRecord where it lies under none; whether there is such a file is not looked at then.
        """
        where = printable(path)
        try:
            real = Path(os.path.realpath(self._looked_up(path)))
        except (OSError, ValueError) as error:
            raise BadRecord(f"{where}: {error}") from None
        root = next((root for root in self.folders if real.is_relative_to(root)), None)
        if root is None:
            raise BadRecord(_refusal(where, real))
        return Place(real, root)

    def _looked_up(self, path: Path) -> Path:
        if self.base is None or path.is_absolute() or os.path.lexists(path):
            return path
        beside = self.base / path
        return beside if os.path.lexists(beside) else path


Root: TypeAlias = str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | Roots | None
"""A folder, or several, that the files named in records must lie under."""


def _folder(named: Any) -> Path:
    if not isinstance(named, str | os.PathLike):
        raise ConfigError(f"root is a folder or a list of folders, not a {type(named).__name__} in one")
    try:
        folder = Path(named).resolve()
        if folder.is_dir():
            return folder
    except (OSError, RuntimeError, ValueError):  # RuntimeError: links that lead in a circle
        pass
    raise ConfigError(f"--root {printable(named)}: there is no such folder")


def _refusal(where: str, real: Path) -> str:
    leads = "" if where == str(real) else f" (it is {printable(real)})"
    return (
        f"{where}{leads}: outside of the current folder and that of the input, so it is not sent; if it is to be: "
        f"--root {printable(real.parent)} (in Python: root=)"
    )
