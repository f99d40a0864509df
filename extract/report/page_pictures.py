"""Pictures of PDF pages for a report, bounded in number and bytes: each PDF is drawn in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

__all__ = ["MAX_PAGES", "PagePictures", "Picture"]

MAX_PAGES = 3
"""The most pages of one document that are drawn."""

_MAX_DOCUMENTS = 60
_MAX_CHARACTERS = 12_000_000  # of all pictures of a report, in base64
_MAX_BYTES = 400_000  # of one picture
_WIDTH = 900  # pixels
_SECONDS = 40.0  # for the pages of one document
_PROGRAM = Path(__file__).with_name("render_pages.py")
# What Python needs to find its packages; the environment may hold a key, which a hostile file must not come near.
_PASSED_ON = ("PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "HOME", "LD_LIBRARY_PATH", "SYSTEMROOT", "APPDATA")


class Picture(NamedTuple):
    """A page, counted from 1, as a data: URI, and its size in points."""

    page: int
    address: str
    width: float
    height: float


@dataclass(slots=True)
class PagePictures:
    """Draws pages until a report has as many pictures as it may hold; `skipped` counts the documents after that."""

    documents: int = _MAX_DOCUMENTS
    characters: int = _MAX_CHARACTERS
    seconds: float = _SECONDS
    drawn: int = 0
    skipped: int = 0

    @property
    def has_room(self) -> bool:
        """False once the report holds as many pictures as it may."""
        return self.drawn < self.documents and self.characters > 0

    def draw(self, pdf: bytes, pages: Sequence[int]) -> list[Picture]:
        """Return pictures of pages; [] without room, and of a PDF that cannot be drawn. Takes a tenth of a second."""
        if not self.has_room:
            self.skipped += 1
            return []
        pictures = [picture for picture in _drawn(pdf, pages[:MAX_PAGES], self.seconds) if self._fits(picture)]
        self.drawn += bool(pictures)
        return pictures

    def _fits(self, picture: Picture) -> bool:
        self.characters -= len(picture.address)
        return self.characters >= 0


def _drawn(pdf: bytes, pages: Sequence[int], seconds: float) -> list[Picture]:
    command = [sys.executable, "-P", str(_PROGRAM), str(_WIDTH), str(_MAX_BYTES), *map(str, pages)]
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603 - our own program, and page numbers
            command,
            input=pdf,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=seconds,
            check=True,
        )
        pictures = json.loads(done.stdout)
        return [
            Picture(int(page), f"data:image/png;base64,{one['png']}", one["width"], one["height"])
            for page, one in pictures.items()
            if one is not None
        ]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return []
