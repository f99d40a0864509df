"""E-mails as parts: the text that a reader sees, with its headers, and each attachment as a part of its own."""

from __future__ import annotations

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.header import decode_header
from email.message import Message
from typing import TypeAlias

from extract.documents.decoding import decode_text, read_encoded
from extract.documents.files import printable
from extract.documents.mime import mime_type_of
from extract.documents.parts import Part, TextPart
from extract.errors import BadRecord

__all__ = ["read_mail"]

Load: TypeAlias = Callable[[bytes, "str | None", str], "tuple[Part, ...]"]

_SHOWN = ("From", "To", "Cc", "Date", "Subject")
_MAX_HEADER = 2_000  # characters that are shown of one
_MAX_DEPTH = 20  # of parts within parts
_MAX_ATTACHMENTS = 200
_ANY = "application/octet-stream"
_MARKS = (BOM_UTF8, BOM_UTF16_LE, BOM_UTF16_BE)


@dataclass(slots=True)
class _Mail:
    """What was read of an e-mail so far."""

    where: str
    load: Load
    texts: list[str] = field(default_factory=list)
    encodings: list[str] = field(default_factory=list)
    attachments: list[Part] = field(default_factory=list)
    count: int = 0

    def add_message(self, message: Message, depth: int) -> None:
        """Add the headers of a message and all that is in it."""
        self.texts.append("\n".join(_headers(message)))
        self.add(message, depth)

    def add(self, part: Message, depth: int) -> None:
        """Add a part, and those within it. BadRecord for text whose encoding cannot be told."""
        if depth > _MAX_DEPTH:
            raise BadRecord(f"{self.where}: damaged: it has parts within parts without end")
        if part.get_content_type() == "message/rfc822":
            for inner in _inner(part):
                self.add_message(inner, depth + 1)
        elif part.get_content_type() == "multipart/alternative":
            self.add_best(_inner(part), depth)
        elif part.get_content_type() == "message/delivery-status":
            self.texts += ["\n".join(_fields(inner)) for inner in _inner(part)]
        elif part.is_multipart():
            for inner in _inner(part):
                self.add(inner, depth + 1)
        elif _is_text(part):
            self.add_text(part)
        else:
            self.add_attachment(part)

    def add_best(self, ways: list[Message], depth: int) -> None:
        """Add one of several ways to say the same, plain text if there is any, and the files in the others."""
        plain = [one for one in ways if one.get_content_type() == "text/plain" and _bytes_of(one).strip()]
        best = (plain or ways[-1:])[:1]
        for one in ways:
            if one in best:
                self.add(one, depth + 1)
            else:
                self.add_files(one, depth + 1)

    def add_files(self, part: Message, depth: int) -> None:
        """Add what is attached within a part whose text is not wanted."""
        if depth > _MAX_DEPTH:
            raise BadRecord(f"{self.where}: damaged: it has parts within parts without end")
        for inner in _inner(part):
            if inner.is_multipart():
                self.add_files(inner, depth + 1)
            elif inner.get_content_maintype() != "text" or _is_attached(inner):
                self.add_attachment(inner)

    def add_text(self, part: Message) -> None:
        data = _bytes_of(part)
        if data.strip():
            text, encoding = decode_text(data, self.where, part.get_content_charset())
            self.texts.append(text.strip())
            self.encodings.append(encoding)

    def add_attachment(self, part: Message) -> None:
        """Add a file. One that cannot be sent is named in the text with the reason: the others still count."""
        self.count += 1
        name = printable(_filename(part) or f"attachment {self.count}")
        declared = part.get_content_type()
        kind = mime_type_of(name) or (None if declared == _ANY else declared)
        try:
            if self.count > _MAX_ATTACHMENTS:
                raise BadRecord(f"{name}: one of more than {_MAX_ATTACHMENTS} attachments")
            parts = self.load(_bytes_of(part), kind, name)
        except BadRecord as error:
            self.texts.append(f"[attachment not sent: {error}]")
            return
        self.texts.append(f"[attachment: {name}]")
        self.attachments += [
            replace(one, text=f"[attachment: {name}]\n{one.text}") if isinstance(one, TextPart) else one
            for one in parts
        ]


def read_mail(data: bytes, where: str, load: Load) -> tuple[Part, ...] | None:
    """Return an e-mail as one text, and its attachments after it, as `load` makes parts of their bytes.

    None for text that is no e-mail. BadRecord for one that is damaged, or whose encoding cannot be told.
    """
    mail = _Mail(where, load)
    if data.startswith(_MARKS):
        data = decode_text(data, where).text.encode()
    try:
        message = message_from_bytes(data)
        if not any(name in message for name in (*_SHOWN, "Received", "MIME-Version", "Content-Type")):
            return None
        mail.add_message(message, 0)
    except BadRecord:
        raise
    except Exception:  # the parser of the standard library raises many classes for what is damaged
        raise BadRecord(f"{where}: damaged: it cannot be read as an e-mail") from None
    text = "\n\n".join(filter(None, mail.texts))
    if not text:
        raise BadRecord(f"{where}: the e-mail is empty")
    return (TextPart(text, ", ".join(dict.fromkeys(mail.encodings)) or None), *mail.attachments)


def _inner(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []


def _bytes_of(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _is_text(part: Message) -> bool:
    """True for what is shown; of several parts that no line divides, all is."""
    kind = part.get_content_maintype()
    return kind == "multipart" or (kind == "text" and not _is_attached(part))


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or _filename(part) is not None


def _filename(part: Message) -> str | None:
    try:
        name = part.get_filename()
    except (ValueError, LookupError):  # an encoding that is none
        return None
    return _decoded(name) if name else None


def _fields(message: Message) -> Iterator[str]:
    """Yield all headers, as of a report on a mail that did not arrive."""
    yield from (f"{name}: {_decoded(str(value))[:_MAX_HEADER]}" for name, value in message.raw_items())


def _headers(message: Message) -> Iterator[str]:
    raw = dict(reversed([(name.title(), value) for name, value in message.raw_items()]))  # the first of each counts
    for name in _SHOWN:
        if text := _decoded(str(raw.get(name, "")))[:_MAX_HEADER]:
            yield f"{name}: {text}"


def _decoded(value: str) -> str:
    """Return a header as it is to be read, on one line."""
    data = value.encode("utf-8", "surrogateescape")
    try:
        if not data.isascii():
            return " ".join(read_encoded(data).text.split())
        return " ".join("".join(_words(value)).split())
    except ValueError:  # no encoding that can be told, or none at all
        return " ".join(data.decode("utf-8", "replace").split())


def _words(value: str) -> Iterator[str]:
    """Yield the words of a header, those in an encoding decoded. ValueError for what is none."""
    for word, charset in decode_header(value):
        if isinstance(word, str):
            yield word
            continue
        try:
            yield word.decode(charset or "ascii", "replace")
        except LookupError:
            yield word.decode("utf-8", "replace")
