"""The files of a run: what is too large to go inside of a request is uploaded once, named by its uri, and deleted."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from typing import TypeAlias

from extract.documents.files import printable
from extract.documents.parts import MediaPart, Part, Turn
from extract.errors import BadRecord, BadRequest, ConfigError, ExtractError, NotRun
from extract.interactions.files import AsyncFiles
from extract.interactions.remote_file import RemoteFile
from extract.io.cache.uploaded_files import FileRow, FileTable
from extract.runner.event_loop import in_thread
from extract.runner.options import INLINE_BYTES

__all__ = ["LostFile", "Uploads"]

_MOST_INLINE_BYTES = 70_000_000  # of all files of one request: base64 makes nearly 100 MB of them, the API's own limit
_PROJECT_BYTES = 20 * 1024**3
# By this machine's clock, from the begin of the upload: the service's calendar need not be ours. What a request takes
# at most is left out, so that no file dies under way.
_LIFE_SECONDS, _MARGIN_SECONDS = 48 * 3600.0, 3600.0
_AT_ONCE = 8
_DELETE_SECONDS = 15.0
_FAILED_DELETES = 3  # before the rest is left to the next run with the cache, or to the service's 48 hours
_GONE = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)

Content: TypeAlias = tuple[bytes, str]
"""What makes two files one: the hash of the bytes, and the type."""


class LostFile(BadRequest):
    """The service does not know (any more) a file that the request named: uploaded anew, it may be asked again."""


@dataclass(slots=True, eq=False)
class _File:
    """A file on the service, or on its way there: `arrival` ends with its uri. `users` are requests that need it."""

    size: int
    name: str = ""
    known: bool = False
    expires: float = math.inf
    users: int = 0
    arrival: asyncio.Task[str] = field(init=False)


@dataclass(slots=True)
class Uploads:
    """Puts the large files of requests on the service, each distinct one once, and takes them off again at the end.

    What the table of the cache knows from an earlier run is used again while it lives. Never more than `most_bytes` are
    there at once: a request that needs more room waits until files that nobody needs have been deleted, the least
    recently used first. `keep` leaves files on the service when the run ends, for the next run with the same cache.
    `is_closed` tells that nothing new may be sent. Belongs to one event loop.
    """

    files: AsyncFiles
    service: str
    table: FileTable = field(default_factory=FileTable.in_memory)
    inline_limit: int = INLINE_BYTES
    keep: bool = False
    most_bytes: int = _PROJECT_BYTES
    most_inline_bytes: int = _MOST_INLINE_BYTES
    is_closed: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.time
    _files: dict[Content, _File] = field(default_factory=dict)  # the least recently used first
    _cut_off: set[str] = field(default_factory=set)
    _undeletable: set[str] = field(default_factory=set)
    _left: int = 0
    _admission: asyncio.Lock = field(default_factory=asyncio.Lock)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _sending: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    def __post_init__(self) -> None:
        if self.inline_limit < 0:
            raise ConfigError(f"inline_limit must be 0 or more bytes, not {self.inline_limit}")

    @asynccontextmanager
    async def placed(self, turns: Sequence[Turn]) -> AsyncIterator[Sequence[Turn]]:
        """Give the turns with the uri of an uploaded file in place of each large one; they are there until the end.

        Raises BadRecord for a file that the service cannot read, and what an upload ended in. LostFile where the
        request is refused since a file is gone: the next one uploads it anew.
        """
        large = self._large(turns)
        if not large:
            yield turns
            return
        contents = await in_thread(partial(_contents, large))
        wanted = {contents[id(part)]: part for part in large}
        used = await self._take_when_room(wanted)
        try:
            uris = {content: await asyncio.shield(file.arrival) for content, file in used.items()}
            yield _with_uris(turns, {one: uris[content] for one, content in contents.items()})
        except BadRequest as error:
            if error.status not in _GONE:
                raise
            for content, file in used.items():
                self._drop(content, file)
            raise LostFile(str(error), status=error.status, reason=error.reason) from None
        finally:
            for file in used.values():
                file.users -= 1
            self._changed.set()

    async def close(self) -> None:
        """Delete the files of this run and those that earlier ones left; with `keep` only what never arrived.

        What cannot be deleted in good time stays known to the cache; `left` counts it.
        """
        arrivals = [file.arrival for file in self._files.values()]
        self._cut_off = {file.name for file in self._files.values() if not file.arrival.done()}
        for arrival in arrivals:
            arrival.cancel()
        await asyncio.gather(*arrivals, return_exceptions=True)
        for content, file in list(self._files.items()):
            self._drop(content, file)
        self.table.disown()
        unused = self.table.unused(self.service)
        left = [row.name for row in unused if row.uri is None or not self.keep][::-1]
        await asyncio.gather(*(self._delete_some(left) for _ in range(_AT_ONCE)))
        self._left = len(left) + len(self._undeletable)

    @property
    def left(self) -> int:
        """How many files are still on the service though the run has ended, and were not to be kept."""
        return self._left

    def _large(self, turns: Sequence[Turn]) -> list[MediaPart]:
        """Return the files to upload: those above the limit, and the largest others until the rest fits a request."""
        local = [part for turn in turns for part in turn.parts if isinstance(part, MediaPart) and part.size]
        local.sort(key=_size, reverse=True)
        total = sum(map(_size, local))
        large: list[MediaPart] = []
        for part in local:
            if part.size <= self.inline_limit and total <= self.most_inline_bytes:
                break
            total -= part.size
            large.append(part)
        return large

    async def _take_when_room(self, wanted: dict[Content, MediaPart]) -> dict[Content, _File]:
        """Return the files that a request needs, all at once: requests that each wait for the other's room never end.

        Those already there wait for nobody; the others stand in line.
        """
        if all(self._alive(content) for content in wanted):
            return self._take(wanted)
        if sum(map(_size, wanted.values())) > self.most_bytes:
            raise BadRecord(f"the files of this record take more than the {self.most_bytes:,} bytes of a project")
        async with self._admission:
            while not self._fits(wanted) and await self._make_room(wanted):
                pass
            return self._take(wanted)

    def _fits(self, wanted: dict[Content, MediaPart]) -> bool:
        missing = (part for content, part in wanted.items() if not self._alive(content) and not self._find(content))
        return self.table.size(self.service) + sum(map(_size, missing)) <= self.most_bytes

    async def _make_room(self, wanted: dict[Content, MediaPart]) -> bool:
        """Delete a file that nobody needs, or wait for one. False where there will be none: the service may judge."""
        for row in self.table.unused(self.service):
            if (row.hash, row.mime_type) not in wanted and row.name not in self._undeletable:
                await self._delete(row.name)
                return True
        for content, file in self._files.items():
            if not file.users and content not in wanted and file.arrival.done():
                self._drop(content, file)
                await self._delete(file.name)
                return True
        if not any(file.users for file in self._files.values()):
            return False
        self._changed.clear()
        await self._changed.wait()
        return True

    def _take(self, wanted: dict[Content, MediaPart]) -> dict[Content, _File]:
        for content, part in wanted.items():
            file = self._files.pop(content, None) if self._alive(content) else self._begin(content, part)
            assert file is not None, "it is alive"
            file.users += 1
            self._files[content] = file
        return {content: self._files[content] for content in wanted}

    def _alive(self, content: Content) -> bool:
        """Tell whether a file can be used; one that is about to expire is let go."""
        file = self._files.get(content)
        if file is not None and file.expires <= self.clock() + _MARGIN_SECONDS:
            self._drop(content, file)
        return content in self._files

    def _find(self, content: Content) -> FileRow | None:
        return self.table.find(self.service, *content, after=self.clock() + _MARGIN_SECONDS)

    def _begin(self, content: Content, part: MediaPart) -> _File:
        """Start to bring a file to the service, or to look whether it is still there from an earlier run."""
        file = _File(size=part.size)
        if (row := self._find(content)) is not None:
            file.name, file.expires, file.known = row.name, row.expires, True
            self.table.adopt(row.name)
            self.table.held[file.name] += 1
        else:
            self._note(file, content)
        file.arrival = asyncio.create_task(self._arrive(file, content, part))
        file.arrival.add_done_callback(lambda arrival: self._note_end(content, file, arrival))
        return file

    def _note(self, file: _File, content: Content) -> None:
        """Write down what will be sent, under a name of our own: it can be found whatever happens."""
        now = self.clock()
        file.name, file.expires = f"files/{secrets.token_hex(16)}", now + _LIFE_SECONDS
        self.table.add(FileRow(file.name, self.service, *content, file.size, None, now, file.expires))
        self.table.held[file.name] += 1

    async def _arrive(self, file: _File, content: Content, part: MediaPart) -> str:
        """Return the uri of a file once it can be used."""
        async with self._sending:
            if self.is_closed():
                raise NotRun("the run was stopped")
            remote = await self._known(file) if file.known else None
            if remote is None:
                if file.known:
                    self._let_go(file)
                    self._note(file, content)
                await self.table.settled()
                remote = await self._upload(file, content, part)
            self.table.arrived(file.name, remote.uri)
            return remote.uri

    async def _known(self, file: _File) -> RemoteFile | None:
        """Return a file of an earlier run, None where it never arrived or is gone."""
        try:
            return await self.files.wait(file.name)
        except BadRequest:
            return None

    async def _upload(self, file: _File, content: Content, part: MediaPart) -> RemoteFile:
        digest, mime_type = content
        source = part.file.path if part.file is not None else part.data or b""
        remote = await self.files.upload(source, mime_type=mime_type, name=file.name, label=digest.hex())
        if part.file is not None and remote.sha256 not in (None, digest.hex()):
            raise BadRecord(f"{printable(part.file.path)}: the file was changed while it was uploaded")
        return remote if remote.is_active and remote.uri else await self.files.wait(file.name)

    def _note_end(self, content: Content, file: _File, arrival: asyncio.Task[str]) -> None:
        """Let the next row try again where an upload failed; what the service cannot read, it cannot read again."""
        self._changed.set()
        if arrival.cancelled() or not isinstance(arrival.exception(), BadRecord | None):
            self._drop(content, file)

    def _drop(self, content: Content, file: _File) -> None:
        """Use a file no more. It stays in the table until it is deleted."""
        if self._files.get(content) is file:
            del self._files[content]
            self._let_go(file)

    def _let_go(self, file: _File) -> None:
        self.table.held[file.name] -= 1

    async def _delete_some(self, names: list[str]) -> None:
        """Delete files from the end of a list that several share, until too many cannot be deleted."""
        while names and len(self._undeletable) < _FAILED_DELETES:
            await self._delete(names.pop())

    async def _delete(self, name: str) -> None:
        """Delete a file and forget it, or note that it cannot be deleted."""
        gone = False
        try:
            async with asyncio.timeout(_DELETE_SECONDS):
                await self.files.delete(name)
        except (ExtractError, TimeoutError) as error:
            gone = isinstance(error, BadRequest) and error.status in _GONE
            if not gone:
                self._undeletable.add(name)
                return
        if not (gone and name in self._cut_off):  # the last bytes of one that was cut off may still be on their way
            self.table.forget(name)


def _size(part: MediaPart) -> int:
    return part.size


def _contents(parts: Iterable[MediaPart]) -> dict[int, Content]:
    """Return what is in each part, by its identity in memory: equal files may be named twice."""
    return {id(part): (part.sha256 or b"", part.mime_type) for part in parts}


def _with_uris(turns: Sequence[Turn], uris: dict[int, str]) -> list[Turn]:
    def named(part: Part) -> Part:
        uri = uris.get(id(part))
        return replace(part, data=None, file=None, uri=uri) if isinstance(part, MediaPart) and uri else part

    return [replace(turn, parts=tuple(map(named, turn.parts))) for turn in turns]
