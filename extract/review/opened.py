"""`OpenReview`: a review page that is open, as a program or a notebook holds it."""

from __future__ import annotations

from contextlib import ExitStack
from html import escape
from pathlib import Path
from typing import Protocol

from extract.review.decision_file import DecisionFile
from extract.review.progress import Progress

__all__ = ["OpenReview"]


class _Server(Protocol):
    @property
    def link(self) -> str: ...
    def serve(self) -> None: ...
    def start(self) -> None: ...


class OpenReview:
    """A review page on this machine. `link` opens it; `close` ends it, and so does the end of a `with` block.

    `decisions` is the file that every decision goes to at once.
    """

    def __init__(self, decisions: DecisionFile, person: str, server: _Server, stack: ExitStack) -> None:
        self.decisions: Path = decisions.path
        self.person: str = person
        self._file = decisions
        self._server = server
        self._stack = stack

    @property
    def link(self) -> str:
        """The address of the page with its token. Whoever has it may read and decide all rows."""
        return self._server.link

    @property
    def progress(self) -> Progress:
        """How far this person is, and how right the answers are so far."""
        return self._file.progress(self.person)

    def serve(self) -> None:
        """Answer until interrupted."""
        self._server.serve()

    def start(self) -> None:
        """Answer from a thread."""
        self._server.start()

    def close(self) -> None:
        """Stop answering; every decision is in its file already."""
        self._stack.close()

    def __repr__(self) -> str:
        return f"OpenReview({str(self.decisions)!r}, person={self.person!r})"  # without the token: logs have it

    def _repr_html_(self) -> str:
        opening = (
            f'<a href="{escape(self.link)}" target="_blank" rel="noopener">review {escape(self.decisions.name)}</a>'
        )
        return f"<div>{opening} ({escape(self.person)})</div>"

    def __enter__(self) -> OpenReview:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
