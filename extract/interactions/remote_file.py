"""A file that the service stores: what its resource says, and its name in each of the forms people write it in.

What the service's pages leave open is read with tolerance: a `state` may be unknown, times and hash may be missing.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json

from extract.documents.mime import kind_of
from extract.documents.parts import MediaPart, Processing, Resolution
from extract.errors import ConfigError, Unreachable
from extract.json_types import JsonObject

__all__ = ["RemoteFile", "byte_count", "json_object", "name_of", "read_file"]

_NAME = re.compile(r"(?:https?://[^?#]*/)?(?:files/)?(?P<id>[A-Za-z0-9][A-Za-z0-9._-]{0,127})")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file that the service stores for 48 hours. `uri` is what requests name; `expires` is when it is gone.

    `sha256` is in hexadecimal digits, None where the service sent no hash that can be read.

        >>> file = offline_client().files.upload(b"%PDF-1.4 ...", mime_type="application/pdf")
        >>> file.state, file.part().uri == file.uri
        ('ACTIVE', True)
    """

    name: str
    uri: str
    mime_type: str
    size: int | None = None
    state: str = "ACTIVE"
    expires: datetime | None = None
    sha256: str | None = None
    raw: JsonObject = field(default_factory=dict, repr=False)

    @property
    def is_active(self) -> bool:
        return self.state == "ACTIVE"

    def part(self, *, resolution: Resolution | None = None, processing: Processing | None = None) -> MediaPart:
        """Return the part that puts this file into a request. ConfigError where it cannot be used yet, or no more."""
        if not self.is_active:
            raise ConfigError(f"{self.name} is {self.state}, not ACTIVE: files.wait() returns it once it can be used")
        return MediaPart(
            kind=kind_of(self.mime_type) or "document",  # text too: the service reads it as a bare document
            mime_type=self.mime_type,
            uri=self.uri,
            resolution=resolution,
            processing=processing,
        )


def read_file(raw: JsonObject, *, name: str | None = None, mime_type: str | None = None) -> RemoteFile:
    """Read a file resource; `name` and `mime_type` stand in for what it leaves out. Unreachable without a name."""
    identity = raw.get("name") or name
    if not isinstance(identity, str):
        raise Unreachable("the service described a file without a name")
    return RemoteFile(
        name=identity,
        uri=str(raw.get("uri") or ""),
        mime_type=str(raw.get("mimeType") or mime_type or "application/octet-stream"),
        size=byte_count(raw.get("sizeBytes")),
        state=str(raw.get("state") or "ACTIVE"),
        expires=_time(raw.get("expirationTime")),
        sha256=_hash(raw.get("sha256Hash")),
        raw=raw,
    )


def byte_count(value: Any) -> int | None:
    """Return a number of bytes, which the service writes as text. None for anything else, and for endless digits."""
    if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdecimal():
        return int(value)
    return value if type(value) is int and 0 <= value < 2**63 else None


def _time(value: Any) -> datetime | None:
    try:
        when = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _hash(value: Any) -> str | None:
    """Return a SHA-256 in hexadecimal digits; it has been seen as base64 of the bytes and of their digits."""
    try:
        data = b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return None
    if len(data) == 64:
        return data.decode("ascii", "replace").lower()
    return data.hex() if len(data) == 32 else None


def json_object(body: bytes) -> JsonObject:
    """Return the object in a reply's body. Unreachable where it holds none: then no whole reply arrived."""
    try:
        value = from_json(body)
    except ValueError as error:
        raise Unreachable(f"the reply's body is not whole JSON ({error})") from None
    if not isinstance(value, dict):
        raise Unreachable(f"the reply's body is a JSON {type(value).__name__}, not an object")
    return value


def name_of(file: RemoteFile | str) -> str:
    """Return `files/...` for a file, its name, its bare id or its uri. ConfigError for anything else."""
    if isinstance(file, RemoteFile):
        return file.name
    match = _NAME.fullmatch(file)
    if match is None:
        raise ConfigError(f"{file!r} is not a name of a file, such as files/abc-123")
    return f"files/{match['id']}"
