"""The Files API as `client.files`, for scripts and for event loops: what is uploaded lives 48 hours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from extract.interactions.endpoint import Endpoint
from extract.interactions.file_operations import delete, fetch, list_all, wait_until_active
from extract.interactions.http.calls import Operation, Order
from extract.interactions.http.drivers import drive, drive_async
from extract.interactions.http.retrying import Retry
from extract.interactions.remote_file import RemoteFile, name_of
from extract.interactions.upload import upload
from extract.interactions.upload_source import CHUNK_BYTES, Source, UploadOptions

__all__ = ["AsyncFiles", "Files"]


class _FileOperations:
    """The operations of both kinds of `client.files`."""

    def __init__(self, endpoint: Endpoint, retry: Retry, clock: Callable[[], float]) -> None:
        self._retry, self._clock = retry, clock
        base, version = endpoint.root.rsplit("/", 1)
        self._upload_url = f"{base}/upload/{version}/files"  # beside the version's root, not below it

    def _upload(self, source: Source, options: UploadOptions) -> Operation[Order, RemoteFile]:
        return upload(source, options, self._upload_url, self._retry)

    def _wait(self, file: RemoteFile | str, deadline: float) -> Operation[Order, RemoteFile]:
        return wait_until_active(name_of(file), self._retry, deadline, self._clock)

    def _get(self, file: RemoteFile | str) -> Operation[Order, RemoteFile]:
        return fetch(name_of(file), self._retry)

    def _list(self) -> Operation[Order, tuple[RemoteFile, ...]]:
        return list_all(self._retry)

    def _delete(self, file: RemoteFile | str) -> Operation[Order, None]:
        return delete(name_of(file), self._retry)


class Files(_FileOperations):
    """The files of a project, as `client.files`. Files live 48 hours; every call that fails in passing is repeated."""

    def __init__(
        self, perform: Callable[[Order], Any], endpoint: Endpoint, retry: Retry, clock: Callable[[], float]
    ) -> None:
        super().__init__(endpoint, retry, clock)
        self._perform = perform

    def upload(
        self,
        source: Source,
        *,
        mime_type: str | None = None,
        name: str | None = None,
        label: str | None = None,
        chunk_bytes: int = CHUNK_BYTES,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> RemoteFile:
        """Send a file, a seekable stream or bytes, in chunks; a chunk that is lost on the way is sent again.

        `label` is what the service shows as its name. `on_progress` gets the bytes that arrived, and all bytes. The
        file may still be PROCESSING: see `wait`.
        """
        options = UploadOptions(
            mime_type=mime_type, name=name, label=label, chunk_bytes=chunk_bytes, on_progress=on_progress
        )
        return drive(self._upload(source, options), self._perform)

    def wait(self, file: RemoteFile | str, *, deadline: float = 300.0) -> RemoteFile:
        """Return the file once it is ACTIVE. BadRecord where it became FAILED, AnswerTimeout past the deadline."""
        return drive(self._wait(file, deadline), self._perform)

    def get(self, file: RemoteFile | str) -> RemoteFile:
        """Return the file as it is now. BadRequest where there is none."""
        return drive(self._get(file), self._perform)

    def list(self) -> tuple[RemoteFile, ...]:
        """Return all files of the project."""
        return drive(self._list(), self._perform)

    def delete(self, file: RemoteFile | str) -> None:
        """Remove a file. BadRequest where there is none."""
        drive(self._delete(file), self._perform)


class AsyncFiles(_FileOperations):
    """`Files` for event loops. Chunks are read from disk in the loop: milliseconds each on a local disk."""

    def __init__(
        self, perform: Callable[[Order], Awaitable[Any]], endpoint: Endpoint, retry: Retry, clock: Callable[[], float]
    ) -> None:
        super().__init__(endpoint, retry, clock)
        self._perform = perform

    async def upload(
        self,
        source: Source,
        *,
        mime_type: str | None = None,
        name: str | None = None,
        label: str | None = None,
        chunk_bytes: int = CHUNK_BYTES,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> RemoteFile:
        """Send a file, a seekable stream or bytes: see `Files.upload`."""
        options = UploadOptions(
            mime_type=mime_type, name=name, label=label, chunk_bytes=chunk_bytes, on_progress=on_progress
        )
        return await drive_async(self._upload(source, options), self._perform)

    async def wait(self, file: RemoteFile | str, *, deadline: float = 300.0) -> RemoteFile:
        """Return the file once it is ACTIVE. BadRecord where it became FAILED, AnswerTimeout past the deadline."""
        return await drive_async(self._wait(file, deadline), self._perform)

    async def get(self, file: RemoteFile | str) -> RemoteFile:
        """Return the file as it is now. BadRequest where there is none."""
        return await drive_async(self._get(file), self._perform)

    async def list(self) -> tuple[RemoteFile, ...]:
        """Return all files of the project."""
        return await drive_async(self._list(), self._perform)

    async def delete(self, file: RemoteFile | str) -> None:
        """Remove a file. BadRequest where there is none."""
        await drive_async(self._delete(file), self._perform)
