"""The content of a request as frozen values: text, media inline or by URI, and the turns of a conversation."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypeAlias

from extract.documents.files import StoredFile, check_size, printable, read_file, type_of
from extract.documents.mime import MediaKind, kind_of, mime_type_of
from extract.errors import BadRecord, ConfigError
from extract.json_types import JsonObject

__all__ = ["Clip", "MediaPart", "Pages", "Part", "TextPart", "Turn", "encodings_of", "hash_of"]

Resolution: TypeAlias = Literal["low", "medium", "high", "ultra_high"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text; `encoding` is what the file was written in that it comes from, None without a file.

    >>> TextPart("Total: 12.50 EUR").text
    'Total: 12.50 EUR'
    """

    text: str
    encoding: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """The part of an audio or video file to use: `start` and `end` in seconds, `fps` frames per second of video.

    >>> Clip(start=60, end=90.5).as_wire()
    {'type': 'static', 'start_offset': '60s', 'end_offset': '90.5s'}
    """

    start: float | None = None
    end: float | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        if (self.start or 0.0) < 0 or (self.end is not None and self.end <= (self.start or 0.0)):
            raise ConfigError(f"a clip ends after it starts; {self.start!r} to {self.end!r} s does not")
        if self.fps is not None and not self.fps > 0:
            raise ConfigError(f"a clip's fps must be more than 0, not {self.fps!r}")

    def as_wire(self) -> JsonObject:
        """Return the `processing` of the content."""
        wire: JsonObject = {"type": "static"}
        if self.start is not None:
            wire["start_offset"] = f"{self.start:.9g}s"
        if self.end is not None:
            wire["end_offset"] = f"{self.end:.9g}s"
        return wire | ({"fps": self.fps} if self.fps is not None else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """The pages of a document to use, counted from 1, both ends included.

    >>> Pages(first=2, last=5).as_wire()
    {'type': 'static', 'page_options': {'start_page': 2, 'end_page': 5}}
    """

    first: int | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        if (self.first is not None and self.first < 1) or (self.last is not None and self.last < (self.first or 1)):
            raise ConfigError(f"pages count from 1, first to last; {self.first!r} to {self.last!r} is no such range")

    def as_wire(self) -> JsonObject:
        """Return the `processing` of the content."""
        bounds = {"start_page": self.first, "end_page": self.last}
        return {"type": "static", "page_options": {name: page for name, page in bounds.items() if page is not None}}


Processing: TypeAlias = Clip | Pages | Mapping[str, Any] | Literal["static", "agentic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPart:
    """A file: its bytes inline (`data`), a `uri` that the service can read, or a `file` that a run uploads.

    `uri` is a public https address or that of an uploaded file. `processing` selects the part of the file to use: a
    `Clip` of audio or video, `Pages` of a document, or an object in the API's own form. Images and speech that a model
    generates are media parts too; one whose data cannot be read has neither `data` nor `uri`.

    >>> part = MediaPart.from_uri("https://example.com/contract.pdf", processing=Pages(first=1, last=3))
    >>> part.kind, part.mime_type
    ('document', 'application/pdf')
    """

    kind: MediaKind
    mime_type: str
    data: bytes | None = field(default=None, repr=False)
    uri: str | None = None
    resolution: Resolution | None = None
    processing: Processing | None = None
    file: StoredFile | None = None

    def __post_init__(self) -> None:
        if sum(where is not None for where in (self.data, self.uri, self.file)) > 1:
            raise ConfigError("a media part has its bytes inline, a uri or a file to upload, not two of them")
        if self.processing is not None:
            self._check_processing(self.processing)

    def _check_processing(self, processing: Processing) -> None:
        fits = True
        if isinstance(processing, Clip):
            fits = self.kind == "video" or (self.kind == "audio" and processing.fps is None)
        elif isinstance(processing, Pages):
            fits = self.kind == "document"
        if not fits or self.kind == "image":
            raise ConfigError(
                f"processing {processing!r} does not fit {self.kind}: a Clip is for video and audio (fps for video "
                "only), Pages for documents"
            )

    @classmethod
    def from_path(
        cls,
        path: str | os.PathLike[str],
        *,
        mime_type: str | None = None,
        resolution: Resolution | None = None,
        processing: Processing | None = None,
    ) -> MediaPart:
        """Return a file's bytes as a part; its type is detected from its first bytes, else from its name.

        A given `mime_type` is used unchecked, as a document if it is of no other kind. Raises BadRecord for a file
        that cannot be sent.
        """
        where = printable(path)
        data = read_file(Path(path))
        detected = mime_type or type_of(data, mime_type_of(Path(path).name), where)
        kind = kind_of(detected) or ("document" if mime_type else None)
        if kind is None:
            raise BadRecord(f"{where}: {detected} is text; send it as such: TextPart(path.read_text())")
        check_size(len(data), detected, where)
        return cls(kind=kind, mime_type=detected, data=data, resolution=resolution, processing=processing)

    @classmethod
    def from_uri(
        cls,
        uri: str,
        *,
        mime_type: str | None = None,
        resolution: Resolution | None = None,
        processing: Processing | None = None,
    ) -> MediaPart:
        """Return a part for the file at an address; its type is that of the path's ending, ConfigError without one."""
        detected = mime_type or mime_type_of(uri.partition("?")[0].partition("#")[0])
        kind = kind_of(detected) if detected else None
        if kind is None and mime_type:
            kind = "document"
        if detected is None or kind is None:
            raise ConfigError(f"{uri}: {detected or 'an unknown type'} cannot be sent by address; name one: mime_type=")
        return cls(kind=kind, mime_type=detected, uri=uri, resolution=resolution, processing=processing)

    @property
    def size(self) -> int:
        """The number of bytes, 0 for a file that is given by its address."""
        return self.file.size if self.file is not None else len(self.data or b"")

    @property
    def sha256(self) -> bytes | None:
        """The SHA-256 hash of the bytes, None for a file that is given by its address."""
        if self.file is not None:
            return self.file.sha256
        return None if self.data is None else sha256(self.data).digest()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the bytes to a file and return its path. ConfigError for a part without bytes."""
        if self.data is None:
            raise ConfigError(f"this {self.kind} holds no bytes to save" + (f"; it is at {self.uri}" * bool(self.uri)))
        target = Path(path)
        target.write_bytes(self.data)
        return target


Part: TypeAlias = TextPart | MediaPart


def encodings_of(parts: Iterable[Part]) -> str | None:
    """Return the encodings of the files among the parts, None where no text comes from a file."""
    names = dict.fromkeys(part.encoding for part in parts if isinstance(part, TextPart) and part.encoding)
    return ", ".join(names) or None


def hash_of(parts: Iterable[Part]) -> str | None:
    """Return the SHA-256 hash of what the files of a record hold, as hex digits; None without a file."""
    hashes = [_hash_of(part) for part in parts]
    return sha256(b"".join(hashes)).hexdigest() if hashes else None


def _hash_of(part: Part) -> bytes:
    if isinstance(part, TextPart):
        return sha256(part.text.encode("utf-8", "surrogatepass")).digest()
    return part.sha256 or sha256((part.uri or "").encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation: the user's input or the model's answer.

    >>> Turn.user("What does the sign say?", MediaPart.from_uri("https://example.com/sign.png")).role
    'user'
    """

    role: Literal["user", "model"]
    parts: tuple[Part, ...]

    @classmethod
    def user(cls, *parts: Part | str) -> Turn:
        """Return a turn of the user; plain strings become text parts."""
        return cls("user", tuple(TextPart(part) if isinstance(part, str) else part for part in parts))

    @classmethod
    def model(cls, text: str) -> Turn:
        """Return a turn of the model, such as an example's answer."""
        return cls("model", (TextPart(text),))
