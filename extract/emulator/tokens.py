"""The answer to `countTokens`: a token per four characters, and as many per file as an interaction counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extract.emulator.conversation import MEDIA_TOKENS, count_tokens
from extract.emulator.stored_files import file_refusal
from extract.json_types import JsonObject

__all__ = ["counted"]

MODALITIES = ("IMAGE", "AUDIO", "VIDEO")


def counted(body: Any) -> JsonObject:
    """Return the response to a count of `contents`; Refusal for what holds none."""
    if isinstance(body, dict) and isinstance(body.get("generateContentRequest"), dict):
        body = body["generateContentRequest"]
    contents = body.get("contents") if isinstance(body, dict) else None
    if not isinstance(contents, list) or not contents:
        raise file_refusal(400, "contents is not specified")
    tokens: dict[str, int] = {}
    for part in parts_of(contents):
        kind, number = tokens_of(part)
        tokens[kind] = tokens.get(kind, 0) + number
    details = [{"modality": kind, "tokenCount": number} for kind, number in tokens.items()]
    return {"totalTokens": sum(tokens.values()), "promptTokensDetails": details}


def parts_of(contents: list[Any]) -> Iterator[JsonObject]:
    """Yield the parts of all contents."""
    for content in contents:
        parts = content.get("parts") if isinstance(content, dict) else None
        if not isinstance(parts, list):
            raise file_refusal(400, "Invalid value at 'contents': each holds parts.")
        yield from (part for part in parts if isinstance(part, dict))


def tokens_of(part: JsonObject) -> tuple[str, int]:
    """Return the modality of a part and its tokens."""
    if isinstance(part.get("text"), str):
        return "TEXT", count_tokens(part["text"])
    data = part.get("inlineData") or part.get("inline_data") or part.get("fileData") or part.get("file_data") or {}
    mime_type = str(data.get("mimeType") or data.get("mime_type") or "") if isinstance(data, dict) else ""
    major = mime_type.partition("/")[0].upper()
    return (major if major in MODALITIES else "DOCUMENT"), MEDIA_TOKENS
