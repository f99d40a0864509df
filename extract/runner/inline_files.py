"""Which files of a request travel inside it, and which are named by the uri of an upload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from extract.documents.parts import MediaPart, Part, Turn

__all__ = ["MAX_INLINE_BYTES", "Content", "contents", "large_files", "size_of", "with_uris"]

# Of all files of one request: base64 makes nearly 100 MB of them, the API's own limit.
MAX_INLINE_BYTES = 70_000_000

Content: TypeAlias = tuple[bytes, str]
"""What makes two files one: the hash of the bytes, and the type."""


def size_of(part: MediaPart) -> int:
    """Return the bytes of a part."""
    return part.size


def large_files(turns: Sequence[Turn], inline_limit: int, max_inline_bytes: int) -> list[MediaPart]:
    """Return the files to upload: those above the limit, and the largest others until the rest fits a request."""
    local = [part for turn in turns for part in turn.parts if isinstance(part, MediaPart) and part.size]
    local.sort(key=size_of, reverse=True)
    total = sum(map(size_of, local))
    large: list[MediaPart] = []
    for part in local:
        if part.size <= inline_limit and total <= max_inline_bytes:
            break
        total -= part.size
        large.append(part)
    return large


def contents(parts: Iterable[MediaPart]) -> dict[int, Content]:
    """Return what is in each part, by its identity in memory: equal files may be named twice. Reads the files."""
    return {id(part): (part.sha256 or b"", part.mime_type) for part in parts}


def with_uris(turns: Sequence[Turn], uris: Mapping[int, str]) -> list[Turn]:
    """Return the turns with a uri in place of the content of each part that has one, by its identity in memory."""

    def named(part: Part) -> Part:
        uri = uris.get(id(part))
        return replace(part, data=None, file=None, uri=uri) if isinstance(part, MediaPart) and uri else part

    return [replace(turn, parts=tuple(map(named, turn.parts))) for turn in turns]
