"""The uploaded files of a run: one worker's table of them, copied to the table in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ray.exceptions import RayError

from extract.distributed.actors import as_extract_error
from extract.io.cache.uploaded_files import FileRow, FileTable

__all__ = ["SharedFileTable"]


class SharedFileTable(FileTable):
    """A worker's table of files in memory; each change is repeated in the table of the cache.

    It begins with `known` files that others have uploaded; the worker may use those, and never deletes them.
    """

    def __init__(self, cache: Any, known: Sequence[FileRow]) -> None:
        super().__init__()
        for row in known:
            super().add(row)
        self._foreign = {row.name for row in known}
        self._cache = cache
        self._last_change: Any = None

    def add(self, row: FileRow) -> None:
        super().add(row)
        self._repeat("add", row)

    def adopt(self, name: str) -> None:
        super().adopt(name)
        self._repeat("adopt", name)

    def arrived(self, name: str, uri: str) -> None:
        super().arrived(name, uri)
        self._repeat("arrived", name, uri)

    def forget(self, name: str) -> None:
        super().forget(name)
        self._repeat("forget", name)

    def unused(self, service: str) -> list[FileRow]:
        return [row for row in super().unused(service) if row.name not in self._foreign]

    async def settled(self) -> None:
        try:
            await self._last_change  # the actor makes changes in this order, so this is the last
        except RayError as error:
            raise as_extract_error(error) from None

    def _repeat(self, change: str, *arguments: object) -> None:
        self._last_change = self._cache.change_files.remote(change, *arguments)
