"""What can be uploaded: a path, bytes or a seekable stream, opened, measured and given a type and a name."""

from __future__ import annotations

import io
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from extract.documents.files import MAX_UPLOADED_BYTES, StoredFile
from extract.documents.mime import mime_type_of, sniff_type
from extract.documents.opening import Place, open_file
from extract.errors import BadRecord, ConfigError
from extract.interactions.remote_file import name_of

__all__ = ["CHUNK_BYTES", "GRANULARITY", "Source", "UploadOptions", "UploadPlan", "opened", "reason_of"]

GRANULARITY = 256 * 1024
"""Every chunk but the last must be a multiple of this many bytes."""

CHUNK_BYTES = 8 * 1024 * 1024

Source: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | StoredFile


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPlan:
    """What is uploaded and how. `read(offset, n)` returns n bytes from an offset, or fewer at the end."""

    read: Callable[[int, int], bytes]
    size: int
    mime_type: str
    name: str
    label: str
    chunk_bytes: int = CHUNK_BYTES
    on_progress: Callable[[int, int], None] | None = None


@contextmanager
def opened(source: Source) -> Iterator[tuple[BinaryIO, str]]:
    """Yield a seekable stream and its name. BadRecord where a path cannot be read, ConfigError for no such source."""
    if isinstance(source, str | os.PathLike | StoredFile):
        path = source.path if isinstance(source, StoredFile) else Path(source)
        with _open(path, source.place if isinstance(source, StoredFile) else None) as stream:
            yield stream, path.name
    elif isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source), "bytes"
    elif callable(getattr(source, "seek", None)) and callable(getattr(source, "read", None)):
        named = getattr(source, "name", None)
        yield source, Path(named).name if isinstance(named, str) else "stream"
    else:
        raise ConfigError(f"upload takes a path, bytes or a seekable binary stream, not a {type(source).__name__}")


def _open(path: Path, place: Place | None) -> BinaryIO:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for somebody to write into it
            raise BadRecord(f"{path}: not a regular file")
        return open_file(path, place)
    except (OSError, ValueError) as error:
        raise BadRecord(f"{str(path)!r}: {reason_of(error)}") from None


def reason_of(error: OSError | ValueError) -> str:
    """Return why a file cannot be read, without its path."""
    return getattr(error, "strerror", None) or str(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadOptions:
    """What the caller of an upload chose; None leaves it to the file itself."""

    mime_type: str | None = None
    name: str | None = None
    label: str | None = None
    chunk_bytes: int = CHUNK_BYTES
    on_progress: Callable[[int, int], None] | None = None

    def __post_init__(self) -> None:
        if self.chunk_bytes < GRANULARITY or self.chunk_bytes % GRANULARITY:
            raise ConfigError(f"chunk_bytes must be a multiple of {GRANULARITY:,} (256 KiB), not {self.chunk_bytes:,}")

    def plan(self, stream: BinaryIO, file_name: str) -> UploadPlan:
        """Return how to upload `stream`. BadRecord for a file that is empty or too large."""
        label = self.label or file_name
        try:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            opening = stream.read(1024)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{label}: the stream must be open, and seekable: {reason_of(error)}") from None
        if not isinstance(opening, bytes):
            raise ConfigError(f"{label}: the stream must be binary: open it with 'rb'")
        if not size:
            raise BadRecord(f"{label}: the file is empty")
        if size > MAX_UPLOADED_BYTES:
            raise BadRecord(
                f"{label}: {size:,} bytes is too large; the service takes files up to {MAX_UPLOADED_BYTES:,}"
            )
        mime_type = self.mime_type or mime_type_of(file_name) or mime_type_of(label) or sniff_type(opening)
        if mime_type is None:
            raise ConfigError(f"{label}: its type is not known: give mime_type, such as 'application/pdf'")

        def read(offset: int, count: int) -> bytes:
            stream.seek(offset)
            return stream.read(count)

        return UploadPlan(
            read=read,
            size=size,
            mime_type=mime_type,
            # A name chosen on this side: a file whose last reply was lost can still be looked up.
            name=name_of(self.name) if self.name else f"files/{secrets.token_hex(16)}",
            label=label,
            chunk_bytes=self.chunk_bytes,
            on_progress=self.on_progress,
        )
