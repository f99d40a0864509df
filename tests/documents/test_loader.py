from __future__ import annotations

import os
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pdfs import pdf_of

from extract import BadRecord, Client, ConfigError, Emulator, Extractor, MediaPart, Request, TextPart, run
from extract.documents.loader import load_parts
from extract.documents.pdf import count_pages


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
    assert load_parts(str(tmp_path / name), "path") == (MediaPart(kind=kind, mime_type=mime_type, data=data),)


@pytest.mark.parametrize(
    "data", ["Grüße".encode(), "Grüße".encode("cp1252"), "Grüße".encode("utf-8-sig"), "Grüße".encode("utf-16")]
)
def test_a_text_file_becomes_text_whatever_its_encoding(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    assert load_parts(tmp_path / "a.txt", "path") == (TextPart("Grüße"),)


def test_bytes_are_known_by_their_opening() -> None:
    (part,) = load_parts(pdf_of("x"), "scan")
    assert isinstance(part, MediaPart)
    assert part.mime_type == "application/pdf"
    assert load_parts(b"plain words", "scan") == (TextPart("plain words"),)


def test_an_address_is_passed_on_unread() -> None:
    assert load_parts("https://example.com/scan.png?x=1", "u") == (
        MediaPart(kind="image", mime_type="image/png", uri="https://example.com/scan.png?x=1"),
    )


def test_null_is_no_part() -> None:
    assert load_parts(None, "path") == ()


@pytest.mark.parametrize("value", ["missing.pdf", ".", "a\0b.pdf", 17, b"", b"\x00\x01\x02\x03"])
def test_what_cannot_be_sent_is_a_bad_record(value: object) -> None:
    with pytest.raises(BadRecord):
        load_parts(value, "path")


@pytest.mark.parametrize(("name", "size"), [("a.pdf", 200_000_001), ("a.docx", 70_000_001)])
def test_a_giant_is_refused_by_its_size(tmp_path: Path, name: str, size: int) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(size)
    with pytest.raises(BadRecord, match="too large"):
        load_parts(tmp_path / name, "path")


@given(st.binary(max_size=64))
def test_any_bytes_are_a_part_or_a_bad_record(data: bytes) -> None:
    try:
        (part,) = load_parts(data, "scan")
    except BadRecord as error:
        assert "scan" in str(error)
    else:
        assert isinstance(part, TextPart | MediaPart)


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    for path in (str(tmp_path / "pipe.txt"), "/dev/zero"):
        with pytest.raises(BadRecord, match="regular"):
            load_parts(path, "path")


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
    (part,) = load_parts(b"\0\0\0\x20ftyp" + brand, "clip")
    assert isinstance(part, MediaPart)
    assert part.mime_type == mime_type


def test_a_type_that_is_toldis_taken_at_its_word(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"x")
    part = MediaPart.from_path(tmp_path / "a.pdf", mime_type="application/x-new")
    assert (part.kind, part.mime_type) == ("document", "application/x-new")
    assert MediaPart.from_uri("https://example.com/a", mime_type="text/csv").kind == "document"


OFFICE = "application/vnd.openxmlformats-officedocument."
OPEN = "application/vnd.oasis.opendocument."
PNG = b"\x89PNG\r\n\x1a\n"
PICTURE = MediaPart(kind="image", mime_type="image/png", data=PNG)
LETTER = "Grüße aus Köln, schöne Tage für Jürgen: "
OLE = bytes.fromhex("d0cf11e0a1b11ae1")


def zip_of(*names: str, mimetype: str = "") -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        if mimetype:
            archive.writestr("mimetype", mimetype)
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()


def compound(stream: str) -> bytes:
    return OLE + bytes(504) + stream.encode("utf-16-le") + bytes(64)


@pytest.mark.parametrize(
    ("name", "data", "mime_type"),
    [
        ("a.png", pdf_of("x"), "application/pdf"),
        ("a.txt", pdf_of("x"), "application/pdf"),
        ("a.pdf", b"\x89PNG\r\n\x1a\n", "image/png"),
        ("a.jpg", b"RIFF0000WEBP", "image/webp"),
        ("a.zip", zip_of("[Content_Types].xml", "word/document.xml"), OFFICE + "wordprocessingml.document"),
        ("a.docx", zip_of("[Content_Types].xml", "xl/workbook.xml"), OFFICE + "spreadsheetml.sheet"),
        ("a.dotx", zip_of("[Content_Types].xml", "word/document.xml"), OFFICE + "wordprocessingml.template"),
        ("a.pptx", zip_of("[Content_Types].xml", "ppt/slides.xml"), OFFICE + "presentationml.presentation"),
        ("a.odt", zip_of(mimetype=OPEN + "text"), OPEN + "text"),
        ("a.bin", zip_of(mimetype=OPEN + "spreadsheet"), OPEN + "spreadsheet"),
        ("a.doc", compound("WordDocument"), "application/msword"),
        ("a.doc", compound("Workbook"), "application/vnd.ms-excel"),
        ("a.ppt", compound("PowerPoint Document"), "application/vnd.ms-powerpoint"),
        ("a.bmp", b"BM" + bytes(12) + b"\x28\0\0\0", "image/bmp"),
        ("a.tif", b"II*\0", "image/tiff"),
        ("a.heif", b"\0\0\0\x18ftypheic", "image/heif"),
        ("a.mp3", b"\xff\xfb\x90\x64", "audio/mpeg"),
        ("a.flac", b"fLaC\0", "audio/flac"),
        ("a.m4a", b"\0\0\0\x18ftypisom", "audio/m4a"),
        ("a.mov", b"\0\0\0\x08wide", "video/mov"),
        ("a.aiff", b"FORM0000AIFF", "audio/aiff"),
        ("a.webm", b"\x1a\x45\xdf\xa3\0\x42\x82\x84webm", "video/webm"),
    ],
)
def test_content_goes_before_the_ending(tmp_path: Path, name: str, data: bytes, mime_type: str) -> None:
    (tmp_path / name).write_bytes(data)
    (part,) = load_parts(tmp_path / name, "path")
    assert isinstance(part, MediaPart)
    assert part.mime_type == mime_type


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.pdf", b"<html>Not found</html>", "should be application/pdf, but it holds text"),
        ("a.png", b"\0\1\2", "should be image/png, but it holds something else"),
        ("a.mp3", b"just words", "should be audio/mpeg, but it holds text"),
        ("a.docx", zip_of("a.txt"), "a zip file that is no office document; unpack it"),
        ("a.docx", compound("EncryptedPackage"), "protected by a password; save it without one"),
        ("a.xls", compound("nothing"), "neither a Word, an Excel nor a PowerPoint file; save it as PDF"),
        ("a.svg", b"<svg/>", r"takes no files of type image/svg\+xml; save it as PNG"),
        ("a.mkv", b"\x1a\x45\xdf\xa3\0", "takes no files of type video/x-matroska; save it as MP4"),
        ("a.txt", b"\x7fELF\0\0", "binary data, not text; give it the ending|binary data, not text"),
        ("a.txt", "\ufeff \n\u200b".encode(), "nothing but blanks"),
        ("a.csv", b"\x80\x81\x8d\x90", "its bytes do not tell which it is; save it as UTF-8"),
    ],
)
def test_what_a_file_is_not_is_said_in_one_line(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadRecord, match=message) as raised:
        load_parts(tmp_path / name, "path")
    assert str(raised.value).startswith(f"{tmp_path / name}: ")


def test_a_table_saved_as_excel_is_the_text_it_is(tmp_path: Path) -> None:
    (tmp_path / "export.xls").write_bytes(b"<table><tr><td>12.50</td></tr></table>")
    assert load_parts(tmp_path / "export.xls", "path") == (TextPart("<table><tr><td>12.50</td></tr></table>"),)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'<meta charset="windows-1251">' + "счёт".encode("cp1251"), '<meta charset="windows-1251">счёт'),
        (b"<?xml encoding='shift_jis'?>" + "請求".encode("shift_jis"), "<?xml encoding='shift_jis'?>請求"),
        (b'<meta charset="iso-8859-1">12 \x80', '<meta charset="iso-8859-1">12 €'),
        (b'<meta charset="zlib">Stra\xdfe', '<meta charset="zlib">Straße'),
        ("Grüße".encode("utf-16-le"), "Grüße"),
        ("Grüße".encode("utf-16-be"), "Grüße"),
        ("Grüße".encode("utf-32"), "Grüße"),
        (LETTER.encode() + b"\xc3", LETTER + "\ufffd"),
    ],
)
def test_an_encoding_is_found(tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "a.html").write_bytes(data)
    assert load_parts(tmp_path / "a.html", "path") == (TextPart(text),)


@pytest.mark.parametrize(
    ("uri", "part"),
    [
        ("data:,two%20words", TextPart("two words")),
        ("data:text/plain;charset=cp1251;base64,8ffl8g==", TextPart("счет")),
        ("data:image/png;base64,iVBORw0KGgo=", PICTURE),
        ("DATA:image/jpeg;base64,iVBO Rw0K Ggo=", PICTURE),
    ],
)
def test_an_address_that_holds_the_data_is_opened(uri: str, part: TextPart | MediaPart) -> None:
    assert load_parts(uri, "u") == (part,)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("data:image/png;base64,????", "no base64"),
        ("data:image/png;base64", "has a comma"),
        ("data:application/pdf,words", "data:application/pdf: it should be application/pdf, but it holds text"),
        ("file://server/share/a.pdf", "no file of this machine; write file:///path"),
        ("file:a.pdf", "no file of this machine"),
        ("file:///no/such%20file.pdf", r"^/no/such file\.pdf: No such file"),
        ("https://example.com/a.html", "fetch it and name its path"),
        (" ", "holds an empty text"),
        ("no/such.pdf", "No such file or directory; relative paths start at "),
    ],
)
def test_an_address_that_leads_nowhere_says_so(uri: str, message: str) -> None:
    with pytest.raises(BadRecord, match=message):
        load_parts(uri, "u")


@pytest.mark.parametrize("name", ["a b.txt", "100%.txt", "ü#?.txt", "caf\udce9.txt"])
def test_a_file_address_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("words")
    for start in ("file://", "file://localhost", "FILE:"):
        assert load_parts(start + quote(os.fsencode(path)), "u") == (TextPart("words"),)


def test_a_recording_too_large_for_a_request_stays_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with path.open("wb") as file:
        file.write(b"\0\0\0\x20ftypisom")
        file.truncate(80_000_000)
    (part,) = load_parts(path, "path")
    assert isinstance(part, MediaPart)
    assert part.file is not None
    assert (part.data, part.size, part.kind, part.mime_type) == (None, 80_000_000, "video", "video/mp4")
    assert part.sha256 == sha256(path.read_bytes()).digest()
    with Client("key", transport=Emulator().transport) as client, pytest.raises(ConfigError, match="too large for a"):
        client.create(Request(model="gemini-3.1-flash-lite", input=(part,)))


def test_a_text_too_large_for_a_request_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "log.txt").open("wb") as file:
        file.truncate(80_000_000)
    with pytest.raises(BadRecord, match="80,000,000 bytes is too large to send"):
        load_parts(tmp_path / "log.txt", "path")


def test_a_pdf_of_too_many_pages_becomes_several(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2")
    path = tmp_path / "book.pdf"
    path.write_bytes(pdf_of(*(f"page {number}" for number in range(1, 1_203))))
    parts = load_parts(path, "path")
    assert [count_pages(part.data) for part in parts if isinstance(part, MediaPart) and part.data] == [1_000, 202]
    assert parts == load_parts(path, "path")
    with pytest.raises(BadRecord, match="1,202 pages are too many"):
        MediaPart.from_path(path)


def test_a_pdf_of_too_many_pages_is_one_record_whose_values_are_found_on_their_pages(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2")
    (tmp_path / "book.pdf").write_bytes(pdf_of(*(f"page {number} of the book" for number in range(1, 1_203))))
    seen: list[int] = []

    def answer(body: dict[str, Any]) -> str:
        seen.append(sum(content["type"] == "document" for content in body["input"][0]["content"]))
        return '{"last": "page 1202"}'

    client = Client("key", transport=Emulator(answers=answer).transport)
    schema = {"type": "object", "properties": {"last": {"type": "string"}}}
    extractor = Extractor(schema, "Which page is the last?", media=("path",), grounding=("path",))
    (row,) = run(tmp_path, extractor, client=client).frame.to_dicts()
    assert seen == [2]
    assert (row["last"], row["_spans"][0]["page"], row["_spans"][0]["status"]) == ("page 1202", 1202, "exact")
