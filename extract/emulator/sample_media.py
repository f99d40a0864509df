"""The smallest valid picture and sound: the emulator's answer where an image or audio is requested."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from base64 import b64encode
from functools import cache

from extract.json_types import JsonObject

__all__ = ["sample_media"]

SIDE = 8
"""Width and height of the picture in pixels."""
SAMPLE_RATE, SAMPLES = 24_000, 2_400


@cache
def sample_media(kind: str) -> JsonObject | None:
    """Return a content of `kind`: a PNG, a WAV of silence, None for a kind that the emulator cannot make."""
    if kind == "image":
        return {"type": "image", "mime_type": "image/png", "data": b64encode(picture()).decode()}
    if kind == "audio":
        return {"type": "audio", "mime_type": "audio/wav", "data": b64encode(silence()).decode()}
    return None


def picture() -> bytes:
    """Return a PNG of one colour."""
    row = b"\x00" + b"\x30\x60\x90" * SIDE
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * SIDE)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def silence() -> bytes:
    """Return a tenth of a second of silence as WAV: mono, 16 bits."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SAMPLE_RATE)
        sound.writeframes(bytes(2 * SAMPLES))
    return file.getvalue()
