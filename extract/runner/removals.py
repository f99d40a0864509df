"""Deleting files from the service, as far as that goes in good time."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from extract.errors import BadRequest, ExtractError
from extract.interactions.files import AsyncFiles
from extract.io.cache.uploaded_files import FileTable

__all__ = ["GONE", "Removals"]

GONE = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
"""How the service refuses what names a file that it does not know (any more)."""

_AT_ONCE = 8
_DELETE_SECONDS = 15.0
_MAX_FAILED = 3  # before the rest is left to the next run with the cache, or to the service's 48 hours


class Removals:
    """Deletes files and forgets them. `failed` are the names of those that could not be deleted.

    `cut_off` are the names of files whose upload was broken off: their last bytes may still arrive, so that they stay
    in the table even where the service does not know them yet.
    """

    def __init__(self, files: AsyncFiles, table: FileTable) -> None:
        self._files, self._table = files, table
        self.failed: set[str] = set()
        self.cut_off: set[str] = set()

    async def delete_all(self, names: list[str]) -> int:
        """Delete files, several at once; return how many are left. Stops where too many cannot be deleted."""
        remaining = names[::-1]
        await asyncio.gather(*(self._delete_some(remaining) for _ in range(_AT_ONCE)))
        return len(remaining) + len(self.failed)

    async def _delete_some(self, remaining: list[str]) -> None:
        """Delete files from the end of a list that several share."""
        while remaining and len(self.failed) < _MAX_FAILED:
            await self.delete(remaining.pop())

    async def delete(self, name: str) -> None:
        """Delete a file and forget it, or note that it cannot be deleted."""
        gone = False
        try:
            async with asyncio.timeout(_DELETE_SECONDS):
                await self._files.delete(name)
        except (ExtractError, TimeoutError) as error:
            gone = isinstance(error, BadRequest) and error.status in GONE
            if not gone:
                self.failed.add(name)
                return
        if not (gone and name in self.cut_off):
            self._table.forget(name)
