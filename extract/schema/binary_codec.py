"""The codec of bytes, which JSON holds as text."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

import polars as pl

from extract.schema.codecs import Codec, ConversionError, conversion_error, unwrapped

__all__ = ["binary"]


def binary(format_: str) -> Codec:
    """Return the codec of bytes, which JSON holds as UTF-8 text, Base64 or hexadecimal digits."""
    encode = _BYTES_ENCODERS.get(format_, bytes.decode)

    def cell(value: Any) -> bytes | None:
        inner = unwrapped(value)
        if inner is None or isinstance(inner, bytes):
            return inner
        if isinstance(inner, PurePath):  # `os.PathLike[bytes]`
            return os.fsencode(inner)
        raise conversion_error(value, "bytes")

    def plain(value: Any) -> str | None:
        inner = cell(value)
        try:
            return None if inner is None else encode(inner)
        except UnicodeDecodeError:
            raise ConversionError(
                "bytes that are UTF-8 text expected; set val_json_bytes to base64 for others"
            ) from None

    return Codec(pl.Binary(), cell, plain, plain)


_BYTES_ENCODERS: Mapping[str, Callable[[bytes], str]] = {
    "base64": lambda value: base64.b64encode(value).decode(),
    "base64url": lambda value: base64.urlsafe_b64encode(value).decode(),
    "hex": bytes.hex,
}
