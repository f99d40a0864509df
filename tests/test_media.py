from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pdfs import pdf_of

from extract import BadRecord, MediaPart, TextPart
from extract.media import is_document, load_part


@pytest.mark.parametrize(
    ("name", "data", "kind", "mime_type"),
    [
        ("a.pdf", pdf_of("x"), "document", "application/pdf"),
        ("a.PNG", b"\x89PNG\r\n\x1a\n", "image", "image/png"),
        ("a.jpeg", b"\xff\xd8\xff", "image", "image/jpeg"),
        ("a.webp", b"RIFF0000WEBP", "image", "image/webp"),
        ("a.wav", b"RIFF0000WAVE", "audio", "audio/wav"),
        ("a.mp4", b"0000ftypisom", "video", "video/mp4"),
    ],
)
def test_a_file_travels_inline_with_its_type(tmp_path: Path, name: str, data: bytes, kind: str, mime_type: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert load_part(str(tmp_path / name), "path") == MediaPart(kind=kind, mime_type=mime_type, data=data)
    assert is_document(tmp_path / name)


@pytest.mark.parametrize(
    "data", ["Grüße".encode(), "Grüße".encode("cp1252"), "Grüße".encode("utf-8-sig"), "Grüße".encode("utf-16")]
)
def test_a_text_file_becomes_text_whatever_its_encoding(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    assert load_part(tmp_path / "a.txt", "path") == TextPart("Grüße")


def test_bytes_are_known_by_their_opening() -> None:
    part = load_part(pdf_of("x"), "scan")
    assert isinstance(part, MediaPart)
    assert part.mime_type == "application/pdf"
    assert load_part(b"plain words", "scan") == TextPart("plain words")


def test_an_address_is_passed_on_unread() -> None:
    assert load_part("https://example.com/scan.png?x=1", "u") == MediaPart(
        kind="image", mime_type="image/png", uri="https://example.com/scan.png?x=1"
    )


def test_null_is_no_part() -> None:
    assert load_part(None, "path") is None


@pytest.mark.parametrize("value", ["missing.pdf", ".", "a\0b.pdf", 17, b"", b"\x00\x01\x02\x03"])
def test_what_cannot_be_sent_is_a_bad_record(value: object) -> None:
    with pytest.raises(BadRecord):
        load_part(value, "path")


@pytest.mark.parametrize(("name", "size"), [("a.pdf", 50_000_001), ("a.png", 70_000_001)])
def test_a_giant_is_refused_by_its_size(tmp_path: Path, name: str, size: int) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(size)
    with pytest.raises(BadRecord, match="too large"):
        load_part(tmp_path / name, "path")


@given(st.binary(max_size=64))
def test_any_bytes_are_a_part_or_a_bad_record(data: bytes) -> None:
    try:
        part = load_part(data, "scan")
    except BadRecord as error:
        assert "scan" in str(error)
    else:
        assert isinstance(part, TextPart | MediaPart)


def test_hidden_and_unknown_files_are_no_documents() -> None:
    assert not is_document(Path(".hidden.txt"))
    assert not is_document(Path("program.exe"))
    assert not is_document(Path("noending"))


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    for path in (str(tmp_path / "pipe.txt"), "/dev/zero"):
        with pytest.raises(BadRecord, match="regular"):
            load_part(path, "path")


@pytest.mark.parametrize(
    ("name", "kind", "mime_type"),
    [
        ("a.ogg", "audio", "audio/ogg"),
        ("a.aiff", "audio", "audio/aiff"),
        ("a.MOV", "video", "video/mov"),
        ("a.avi", "video", "video/avi"),
        ("a.flv", "video", "video/x-flv"),
        ("a.wmv", "video", "video/wmv"),
        ("a.m4v", "video", "video/mp4"),
        ("a.3gp", "video", "video/3gpp"),
        ("a.odt", "document", "application/vnd.oasis.opendocument.text"),
        ("a.ods", "document", "application/vnd.oasis.opendocument.spreadsheet"),
        ("a.odp", "document", "application/vnd.oasis.opendocument.presentation"),
        ("a.dotx", "document", "application/vnd.openxmlformats-officedocument.wordprocessingml.template"),
    ],
)
def test_endings_have_the_types_of_the_api(name: str, kind: str, mime_type: str) -> None:
    part = MediaPart.from_uri(f"https://example.com/{name}")
    assert (part.kind, part.mime_type) == (kind, mime_type)


@pytest.mark.parametrize(
    ("brand", "mime_type"),
    [(b"M4A ", "audio/m4a"), (b"qt  ", "video/mov"), (b"3gp5", "video/3gpp"), (b"isom", "video/mp4")],
)
def test_mpeg_4_files_are_told_apart_by_their_brand(brand: bytes, mime_type: str) -> None:
    part = load_part(b"\0\0\0\x20ftyp" + brand, "clip")
    assert isinstance(part, MediaPart)
    assert part.mime_type == mime_type


def test_a_type_that_is_toldis_taken_at_its_word(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"x")
    told = MediaPart.from_path(tmp_path / "a.pdf", mime_type="application/x-new")
    assert (told.kind, told.mime_type) == ("document", "application/x-new")
    assert MediaPart.from_uri("https://example.com/a", mime_type="text/csv").kind == "document"
