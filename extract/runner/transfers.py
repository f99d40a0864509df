"""One file on its way to the service, or left there by an earlier run."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from extract.documents.files import printable
from extract.documents.parts import MediaPart
from extract.errors import BadRecord, BadRequest, NotRun, RateLimited, ending_in_one_line
from extract.interactions.files import AsyncFiles
from extract.interactions.http.retrying import Retry, is_too_long
from extract.interactions.remote_file import RemoteFile
from extract.io.cache.uploaded_files import FileRow, FileTable
from extract.runner.inline_files import Content
from extract.runner.stops import come_back_later

__all__ = ["StoredFile", "Through", "Transfers", "straight_through"]

Through: TypeAlias = Callable[[Callable[[], Awaitable[str]], object], Awaitable[str]]
"""Returns what the first argument returns, also through an outage; the second stands for what is sent."""

_AT_ONCE = 8
# By this machine's clock, from the start of the upload: the service's calendar may differ. The longest time that a
# request takes is left out, so that no file expires under way.
_LIFE_SECONDS, _MARGIN_SECONDS = 48 * 3600.0, 3600.0


async def straight_through(attempt: Callable[[], Awaitable[str]], _: object) -> str:
    """Return what `attempt` returns: for uploads of which nobody holds any back."""
    return await attempt()


@dataclass(slots=True, eq=False)
class StoredFile:
    """A file on the service, or on its way there: `arrival` ends with its uri. `users` are requests that need it.

    `known`: an earlier run has uploaded it, and it must be looked up whether it is still there.
    """

    size: int
    name: str = ""
    known: bool = False
    expires: float = math.inf
    users: int = 0
    arrival: asyncio.Task[str] = field(init=False)


class Transfers:
    """Brings files to the service, up to eight at once. Each is in the table before its first byte is sent.

    `is_closed` tells that nothing new may be sent.
    """

    def __init__(
        self,
        files: AsyncFiles,
        service: str,
        table: FileTable,
        is_closed: Callable[[], bool],
        clock: Callable[[], float],
        retry: Retry,
        through: Through,
    ) -> None:
        self._files, self._service, self._table, self._retry = files, service, table, retry
        self._is_closed, self._clock, self._through = is_closed, clock, through
        self._sending = asyncio.Semaphore(_AT_ONCE)

    def expires_soon(self, file: StoredFile) -> bool:
        return file.expires <= self._clock() + _MARGIN_SECONDS

    def find(self, content: Content) -> FileRow | None:
        """Return a file of an earlier run with this content that lives long enough."""
        return self._table.find(self._service, *content, after=self._clock() + _MARGIN_SECONDS)

    def start(self, content: Content, part: MediaPart) -> StoredFile:
        """Start to bring a file to the service, or to look up whether it is still there from an earlier run."""
        file = StoredFile(size=part.size)
        if (row := self.find(content)) is not None:
            file.name, file.expires, file.known = row.name, row.expires, True
            self._table.adopt(row.name)
            self._table.held[file.name] += 1
        else:
            self._note(file, content)
        file.arrival = asyncio.create_task(self._arrival(file, content, part))
        return file

    def let_go(self, file: StoredFile) -> None:
        """Note that this run needs a file no more. It stays in the table until it is deleted."""
        self._table.held[file.name] -= 1

    def _note(self, file: StoredFile, content: Content) -> None:
        """Write down what will be sent, under a name of our own: it can be found whatever happens."""
        now = self._clock()
        file.name, file.expires = f"files/{secrets.token_hex(16)}", now + _LIFE_SECONDS
        self._table.add(FileRow(file.name, self._service, *content, file.size, None, now, file.expires))
        self._table.held[file.name] += 1

    async def _arrival(self, file: StoredFile, content: Content, part: MediaPart) -> str:
        try:
            with ending_in_one_line("a file cannot be uploaded"):
                return await self._through(partial(self._arrive, file, content, part), file)
        except RateLimited as error:
            raise come_back_later(error) if is_too_long(error, self._retry) else error from None

    async def _arrive(self, file: StoredFile, content: Content, part: MediaPart) -> str:
        """Return the uri of a file once it can be used."""
        async with self._sending:
            if self._is_closed():
                raise NotRun("the run was stopped")
            remote = await self._known(file) if file.known else None
            if remote is None:
                if file.known:  # it is gone: uploaded anew, under another name
                    self.let_go(file)
                    self._note(file, content)
                await self._table.settled()
                remote = await self._upload(file, content, part)
            self._table.arrived(file.name, remote.uri)
            return remote.uri

    async def _known(self, file: StoredFile) -> RemoteFile | None:
        """Return a file of an earlier run, None where it never arrived or is gone."""
        try:
            return await self._files.wait(file.name)
        except BadRequest:
            return None

    async def _upload(self, file: StoredFile, content: Content, part: MediaPart) -> RemoteFile:
        digest, mime_type = content
        source = part.file if part.file is not None else part.data or b""
        remote = await self._files.upload(source, mime_type=mime_type, name=file.name, label=digest.hex())
        # The content key was made from the file as it was read first: an answer to another content would be wrong.
        if part.file is not None and remote.sha256 not in (None, digest.hex()):
            raise BadRecord(f"{printable(part.file.path)}: the file was changed while it was uploaded")
        return remote if remote.is_active and remote.uri else await self._files.wait(file.name)
