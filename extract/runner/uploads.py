"""The files of a run: what is too large to travel inside a request is uploaded once, named by its uri, and deleted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from extract.documents.parts import MediaPart, Turn
from extract.errors import BadRecord, BadRequest, ConfigError, NotRun
from extract.interactions.files import AsyncFiles
from extract.interactions.http.retrying import Retry
from extract.io.cache.uploaded_files import FileTable
from extract.runner.event_loop import in_thread
from extract.runner.inline_files import MAX_INLINE_BYTES, Content, contents, large_files, size_of, with_uris
from extract.runner.options import UploadPolicy
from extract.runner.removals import GONE, Removals
from extract.runner.transfers import StoredFile, Through, Transfers, straight_through

__all__ = ["LostFile", "Uploads"]

_PROJECT_BYTES = 20 * 1024**3


class LostFile(BadRequest):
    """The service does not know (any more) a file that the request named: uploaded anew, it may be sent again."""


@dataclass(slots=True)
class Uploads:
    """Puts the large files of requests on the service, each distinct one once, and deletes them again at the end.

    What the table of the cache knows from an earlier run is used again while it lives. Never more than `max_bytes` are
    there at once: a request that needs more room waits until files that nobody needs have been deleted, the least
    recently used first. `is_closed` tells that nothing new may be sent. Belongs to one event loop.
    """

    files: AsyncFiles
    service: str
    table: FileTable = field(default_factory=FileTable)
    policy: UploadPolicy = UploadPolicy()
    is_closed: Callable[[], bool] = lambda: False
    max_bytes: int = _PROJECT_BYTES
    max_inline_bytes: int = MAX_INLINE_BYTES
    clock: Callable[[], float] = time.time
    retry: Retry = Retry()
    through: Through = straight_through
    _transfers: Transfers = field(init=False)
    _removals: Removals = field(init=False)
    _stored: dict[Content, StoredFile] = field(default_factory=dict, init=False)  # the least recently used first
    _left: int = field(default=0, init=False)
    _admission: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        if self.policy.inline_limit < 0:
            raise ConfigError(f"inline_limit must be 0 or more bytes, not {self.policy.inline_limit}")
        self._transfers = Transfers(
            self.files, self.service, self.table, self.is_closed, self.clock, self.retry, self.through
        )
        self._removals = Removals(self.files, self.table)

    @property
    def left(self) -> int:
        """How many files are still on the service though the run has ended, and were not to be kept."""
        return self._left

    @asynccontextmanager
    async def placed(self, turns: Sequence[Turn]) -> AsyncIterator[Sequence[Turn]]:
        """Give the turns with the uri of an uploaded file in place of each large one; they are there until the end.

        Raises BadRecord for a file that the service cannot read, and what an upload ended in. LostFile where the
        request is refused since a file is gone: the next one uploads it anew.
        """
        large = large_files(turns, self.policy.inline_limit, self.max_inline_bytes)
        if not large:
            yield turns
            return
        content_of = await in_thread(partial(contents, large))  # it hashes whole files
        wanted = {content_of[id(part)]: part for part in large}
        used = await self._take_when_room(wanted)
        try:
            # Shielded: other records may wait for the same arrival, which must outlive this record's deadline.
            uris = {content: await asyncio.shield(file.arrival) for content, file in used.items()}
            yield with_uris(turns, {one: uris[content] for one, content in content_of.items()})
        except BadRequest as error:
            if error.status not in GONE:
                raise
            for content, file in used.items():
                self._drop(content, file)
            raise LostFile(str(error), status=error.status, reason=error.reason) from None
        finally:
            for file in used.values():
                file.users -= 1
            self._changed.set()

    async def close(self) -> None:
        """Delete the files of this run and those that earlier ones left; to be kept, only what never arrived.

        What cannot be deleted in good time stays known to the cache; `left` counts it.
        """
        arrivals = [file.arrival for file in self._stored.values()]
        self._removals.cut_off = {file.name for file in self._stored.values() if not file.arrival.done()}
        for arrival in arrivals:  # an upload that went on would leave its file behind
            arrival.cancel()
        await asyncio.gather(*arrivals, return_exceptions=True)
        for content, file in list(self._stored.items()):
            self._drop(content, file)
        self.table.disown()  # from here on another process may use or delete what this one leaves
        unused = self.table.unused(self.service)
        names = [row.name for row in unused if row.uri is None or not self.policy.keep_files]
        self._left = await self._removals.delete_all(names)

    async def _take_when_room(self, wanted: dict[Content, MediaPart]) -> dict[Content, StoredFile]:
        """Return the files that a request needs, all at once.

        Requests that took one file after the other could each wait for the room of another, for ever. Those whose files
        are there already wait for nobody; the others wait in line.
        """
        if all(self._alive(content) for content in wanted):
            return self._take(wanted)
        if sum(map(size_of, wanted.values())) > self.max_bytes:
            raise BadRecord(f"the files of this record take more than the {self.max_bytes:,} bytes of a project")
        async with self._admission:
            while not self._fits(wanted) and await self._make_room(wanted):
                pass
            return self._take(wanted)

    def _fits(self, wanted: dict[Content, MediaPart]) -> bool:
        missing = (
            part for content, part in wanted.items() if not self._alive(content) and not self._transfers.find(content)
        )
        return self.table.size(self.service) + sum(map(size_of, missing)) <= self.max_bytes

    async def _make_room(self, wanted: dict[Content, MediaPart]) -> bool:
        """Delete a file that nobody needs, or wait for one. False where there will be none: the service may judge."""
        # First what earlier runs have left: this run's own files may be needed by a later record.
        for row in self.table.unused(self.service):
            if (row.hash, row.mime_type) not in wanted and row.name not in self._removals.failed:
                await self._removals.delete(row.name)
                return True
        for content, file in self._stored.items():
            if not file.users and content not in wanted and file.arrival.done():
                self._drop(content, file)
                await self._removals.delete(file.name)
                return True
        if not any(file.users or not file.arrival.done() for file in self._stored.values()):
            return False
        if self.is_closed():  # what failed to be brought leaves no room behind
            raise NotRun("the run was stopped")
        self._changed.clear()  # nothing was awaited since the last look: no change is missed
        await self._changed.wait()
        return True

    def _take(self, wanted: dict[Content, MediaPart]) -> dict[Content, StoredFile]:
        """Use files that are there and start to bring the others; no await, so that none can be deleted in between."""
        used: dict[Content, StoredFile] = {}
        try:
            for content, part in wanted.items():
                file = self._stored.pop(content) if self._alive(content) else self._start(content, part)
                file.users += 1
                used[content] = self._stored[content] = file  # last: the most recently used
        except BaseException:  # a table that cannot be written: others must not wait for what nobody uses
            for file in used.values():
                file.users -= 1
            self._changed.set()
            raise
        return used

    def _alive(self, content: Content) -> bool:
        """True where a file can be used; one that is about to expire is let go."""
        file = self._stored.get(content)
        if file is not None and self._transfers.expires_soon(file):
            self._drop(content, file)
        return content in self._stored

    def _start(self, content: Content, part: MediaPart) -> StoredFile:
        file = self._transfers.start(content, part)
        file.arrival.add_done_callback(lambda arrival: self._note_end(content, file, arrival))
        return file

    def _note_end(self, content: Content, file: StoredFile, arrival: asyncio.Task[str]) -> None:
        """Let the next row try again where an upload failed; what the service cannot read, it cannot read again."""
        self._changed.set()
        if arrival.cancelled() or not isinstance(arrival.exception(), BadRecord | None):
            self._drop(content, file)

    def _drop(self, content: Content, file: StoredFile) -> None:
        """Use a file no more. It stays in the table until it is deleted."""
        if self._stored.get(content) is file:
            del self._stored[content]
            self._transfers.let_go(file)
