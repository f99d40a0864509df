"""Pieces of content as frozen values: text, media inline or by address, and the turns they make up."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypeAlias

from extract.documents.files import StoredFile, check_size, printable, read_file, type_of
from extract.documents.mime import MediaKind, kind_of, mime_type_of
from extract.errors import BadRecord, ConfigError
from extract.json_types import JsonObject

__all__ = ["Clip", "MediaPart", "Pages", "Part", "TextPart", "Turn"]

Resolution: TypeAlias = Literal["low", "medium", "high", "ultra_high"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """The part of an audio or video file to look at, in seconds from its beginning; `fps` frames a second of video."""

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
        chosen: JsonObject = {"type": "static"}
        if self.start is not None:
            chosen["start_offset"] = f"{self.start:.9g}s"
        if self.end is not None:
            chosen["end_offset"] = f"{self.end:.9g}s"
        return chosen | ({"fps": self.fps} if self.fps is not None else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """The pages of a document to look at, counted from 1, the last one included."""

    first: int | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        if (self.first is not None and self.first < 1) or (self.last is not None and self.last < (self.first or 1)):
            raise ConfigError(f"pages count from 1, first to last; {self.first!r} to {self.last!r} is no such range")

    def as_wire(self) -> JsonObject:
        """Return the `processing` of the content."""
        named = {"start_page": self.first, "end_page": self.last}
        return {"type": "static", "page_options": {name: page for name, page in named.items() if page is not None}}


Processing: TypeAlias = Clip | Pages | Mapping[str, Any] | Literal["static", "agentic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPart:
    """A file: its bytes inline (`data`), a `uri` the service can read, or a `file` for a run to upload: one of them.

    `uri` is a public https address or that of an uploaded file. `processing` says which part of it to look at: a
    `Clip` of audio or video, `Pages` of a document, or an object of the API's own. What a model has drawn or said
    comes back as such a part too; a part of an answer whose data cannot be read has neither.
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
        """Read a file; its type is told by its first bytes, else by its name. BadRecord for what cannot be sent.

        A `mime_type` that is given is taken at its word, as a document where it is of no other kind.
        """
        where = printable(path)
        data = read_file(Path(path))
        found = mime_type or type_of(data, mime_type_of(Path(path).name), where)
        kind = kind_of(found) or ("document" if mime_type else None)
        if kind is None:
            raise BadRecord(f"{where}: {found} is text; send it as such: TextPart(path.read_text())")
        check_size(len(data), found, where)
        return cls(kind=kind, mime_type=found, data=data, resolution=resolution, processing=processing)

    @classmethod
    def from_uri(
        cls,
        uri: str,
        *,
        mime_type: str | None = None,
        resolution: Resolution | None = None,
        processing: Processing | None = None,
    ) -> MediaPart:
        """Name a file by its address; its type is told by the ending of its path. ConfigError where it tells none."""
        found = mime_type or mime_type_of(uri.partition("?")[0].partition("#")[0])
        kind = kind_of(found) if found else None
        if kind is None and mime_type:
            kind = "document"
        if found is None or kind is None:
            raise ConfigError(f"{uri}: {found or 'an unknown type'} cannot be sent by address; name one: mime_type=")
        return cls(kind=kind, mime_type=found, uri=uri, resolution=resolution, processing=processing)

    @property
    def size(self) -> int:
        """Bytes of the file, 0 for one that is named by its address."""
        return self.file.size if self.file is not None else len(self.data or b"")

    @property
    def sha256(self) -> bytes | None:
        """Return the hash of the file's bytes, None for one that is named by its address."""
        if self.file is not None:
            return self.file.sha256
        return None if self.data is None else sha256(self.data).digest()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the bytes to a file and return its path. ConfigError where there are none."""
        if self.data is None:
            raise ConfigError(f"this {self.kind} holds no bytes to save" + (f"; it is at {self.uri}" * bool(self.uri)))
        target = Path(path)
        target.write_bytes(self.data)
        return target


Part: TypeAlias = TextPart | MediaPart


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said: the user's input or the model's answer."""

    role: Literal["user", "model"]
    parts: tuple[Part, ...]

    @classmethod
    def user(cls, *parts: Part | str) -> Turn:
        return cls("user", tuple(TextPart(part) if isinstance(part, str) else part for part in parts))

    @classmethod
    def model(cls, text: str) -> Turn:
        return cls("model", (TextPart(text),))
