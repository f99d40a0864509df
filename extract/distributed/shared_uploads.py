"""The uploaded files of a run, as one worker knows them, and as the cache keeps them for the time after it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from ray.exceptions import RayError

from extract.distributed.actors import raised
from extract.io.cache.uploaded_files import CREATE_FILES, FileRow, FileTable

__all__ = ["SharedFileTable"]


class SharedFileTable(FileTable):
    """A worker's own table of files, of which each change is made in the table of the cache, too.

    It begins with `known` files that others have brought to the service; those it may use, and never deletes.
    """

    def __init__(self, keeper: Any, known: Sequence[FileRow]) -> None:
        database = sqlite3.connect(":memory:", check_same_thread=False)
        database.execute(CREATE_FILES)
        super().__init__(database)
        for row in known:
            super().add(row)
        self._others = {row.name for row in known}
        self._keeper = keeper
        self._told: Any = None

    def add(self, row: FileRow) -> None:
        super().add(row)
        self._tell("add", row)

    def adopt(self, name: str) -> None:
        super().adopt(name)
        self._tell("adopt", name)

    def arrived(self, name: str, uri: str) -> None:
        super().arrived(name, uri)
        self._tell("arrived", name, uri)

    def forget(self, name: str) -> None:
        super().forget(name)
        self._tell("forget", name)

    def unused(self, service: str) -> list[FileRow]:
        return [row for row in super().unused(service) if row.name not in self._others]

    async def settled(self) -> None:
        try:
            await self._told  # the keeper does what it is told in this order
        except RayError as error:
            raise raised(error) from None

    def _tell(self, change: str, *arguments: object) -> None:
        self._told = self._keeper.change_files.remote(change, *arguments)
