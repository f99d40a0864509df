"""Two hundred files that nobody should send: each is a part or a bad record with its reason, and none costs memory."""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest
from pdfs import assembled, bomb_pdf, locked_pdf, pdf_of

from extract import BadRecord, Extractor, run
from extract.documents.files import printable
from extract.documents.loader import load_parts
from extract.documents.pdf_opening import has_pdfium

ENDINGS = ["pdf", "docx", "xlsx", "png", "jpg", "txt", "csv", "html", "json", "md", "mp3", "wav", "mp4", "doc", "tiff"]
SEED = 20
MAX_MEGABYTES = 400

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(17)
OLE = bytes.fromhex("d0cf11e0a1b11ae1")


def zip_of(**entries: bytes) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def office(folder: str, size: int = 10) -> bytes:
    return zip_of(**{"[Content_Types].xml": b"<Types/>", f"{folder}/document.xml": bytes(size)})


def liar() -> bytes:
    """Return a docx whose list of entries promises 4 GB."""
    data = bytearray(office("word"))
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)
    return bytes(data)


def crowd() -> bytes:
    """Return a zip whose list of entries is 5 MB long."""
    return b"PK\x03\x04" + bytes(64) + b"PK\x05\x06" + bytes(6) + struct.pack("<HII", 0xFFFF, 5_000_000, 4) + bytes(2)


def contents() -> Iterator[tuple[str, bytes, str | None]]:
    """Yield name, bytes and what the reason says; None where the file is a part, "" where either will do."""
    whole, draw = pdf_of("Total: 12.50", "more"), random.Random(SEED)
    bomb = zip_of(bomb=bytes(50_000_000))
    for ending in ENDINGS:
        yield f"empty.{ending}", b"", "the file is empty"
        yield f"bomb.{ending}", bomb, "a zip file that is no office document"
        yield f"pdf.{ending}", whole, None
        yield f"picture.{ending}", PNG, None
        yield f"docx.{ending}", office("word"), None
        yield f"cut.docx.{ending}", office("word", 500)[:90], "damaged|cut off"
        yield f"locked.{ending}", locked_pdf(), "encrypted; save it without a password"
        yield f"random.{ending}", draw.randbytes(5_000), "" if ending == "mp3" else "binary data|something else"
        yield f"cut.pdf.{ending}", whole[: len(whole) // 2], "its end is missing"
        yield f"blank.{ending}", b" \r\n\t \xef\xbb\xbf\n" * 9, "nothing but blanks|it holds text"
        yield f"page.{ending}", b"<!DOCTYPE html><p>Not found</p>", "" if ending in TEXTS else "it holds text"
        yield f"old.{ending}", OLE + bytes(600), "neither a Word, an Excel nor a PowerPoint"
    for size in range(0, len(whole) - 9, len(whole) // 12):
        yield f"at{size}.pdf", whole[:size], "is empty|end is missing|something else"
    for number in range(8):
        spoilt = bytearray(whole)
        for _ in range(40):
            spoilt[draw.randrange(len(spoilt))] = draw.randrange(256)
        yield f"spoilt{number}.pdf", bytes(spoilt), ""
    yield "liar.docx", liar(), "would unpack to more than"
    yield "crowd.docx", crowd(), "very many entries"
    yield "bomb2.pdf", bomb_pdf(64), "unpack to many times its size"
    yield "locked.docx", OLE + bytes(64) + "EncryptedPackage".encode("utf-16-le") + bytes(64), "by a password"
    yield "loop.pdf", assembled([b"<</Type/Catalog/Pages 1 0 R>>"]), ""
    yield "deep.pdf", assembled([b"<</Type/Catalog/Pages " + b"[" * 90_000]), "damaged" if has_pdfium() else ""
    yield "many.pdf", assembled([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 2000000000>>"]), ""
    yield "drawing.svg", b"<svg/>", "save it as PNG"
    yield "letter.rtf", b"{\\rtf1 hello}", "save it as docx or PDF"
    yield "shift.txt", "請求書、合計".encode("shift_jis"), None
    yield "short.txt", "東京".encode("shift_jis"), "save it as UTF-8"
    yield "wide.txt", b"\xff\xfe\x00\xd8\x00\xd8ab", "damaged"
    yield "two\nlines.pdf", b"x", r"two\\nlines\.pdf: "
    yield "tab\tand 'quote'.txt", b"\0", "binary data"


TEXTS = frozenset({"txt", "csv", "html", "json", "md", "doc"})
FILES = list(contents())


def special(folder: Path) -> dict[str, str]:
    """Put links, pipes and a giant into a folder and return what each reason says."""
    (folder / "loop.txt").symlink_to(folder / "loop.txt")
    (folder / "ping.pdf").symlink_to(folder / "pong.pdf")
    (folder / "pong.pdf").symlink_to(folder / "ping.pdf")
    (folder / "gone.pdf").symlink_to(folder / "nothing.pdf")
    (folder / "device.txt").symlink_to("/dev/zero")
    (folder / "endless.pdf").symlink_to("/dev/urandom")
    (folder / "system.txt").symlink_to("/proc/kmsg")
    os.mkfifo(folder / "pipe.pdf")
    os.mkfifo(folder / "pipe.txt")
    (folder / "cycle").symlink_to(folder, target_is_directory=True)
    for name in ("giant.txt", "giant.pdf", "giant.mp4"):
        with (folder / name).open("wb") as file:
            file.truncate(1 << 30)
    Path(os.fsdecode(bytes(folder) + b"/caf\xe9.txt")).write_bytes(b"Total: 3.00")
    Path(os.fsdecode(bytes(folder) + b"/caf\xe9.pdf")).write_bytes(b"%PDF-1.4")
    links = dict.fromkeys(("loop.txt", "ping.pdf", "pong.pdf"), "Too many levels")
    devices = dict.fromkeys(("device.txt", "endless.pdf"), "a device")
    pipes = dict.fromkeys(("pipe.pdf", "pipe.txt"), "a pipe")
    giants = dict.fromkeys(("giant.txt", "giant.pdf"), "1,073,741,824 bytes is too large")
    giants["giant.mp4"] = "it holds something else, or damaged"
    return links | devices | pipes | giants | {"gone.pdf": "No such file", "system.txt": "", "caf\udce9.pdf": "missing"}


def refusal(path: Path) -> str | None:
    try:
        load_parts(path, "path")
    except BadRecord as error:
        return str(error)
    return None


def test_there_are_two_hundred() -> None:
    assert len(FILES) >= 200


@pytest.mark.parametrize(("name", "data", "reason"), FILES, ids=[name.replace("\n", "") for name, _, _ in FILES])
def test_each_is_a_part_or_has_its_reason(tmp_path: Path, name: str, data: bytes, reason: str | None) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    message = refusal(path)
    if reason is None:
        assert message is None
    elif reason or message is not None:
        assert message is not None
        assert message.startswith(printable(path) + ": ")
        assert len(message.splitlines()) == 1
        with pytest.raises(BadRecord, match=reason or "."):
            load_parts(str(path), "path")


@pytest.mark.skipif(sys.platform != "linux", reason="devices and names of bytes are Linux's")
def test_links_pipes_devices_and_giants_are_not_read(tmp_path: Path) -> None:
    for name, reason in special(tmp_path).items():
        message = refusal(tmp_path / name)
        assert message is not None
        assert reason in message
        assert message.isprintable()
    assert refusal(tmp_path / "caf\udce9.txt") is None


PROGRAM = """
import sys
from pathlib import Path
from extract import Extractor, run
result = run(sys.argv[1], Extractor({"type": "object", "properties": {"total": {"type": ["number", "null"]}}}, "Read.",
             media=("path",)), offline=True)
rows = result.frame.with_row_index("row_id").cast({"row_id": int}).join(result.errors, on="row_id", how="left")
rows.select("name", "code", "message").write_parquet(sys.argv[2])
# Not ru_maxrss: that begins with the peak of the parent process, which here is a whole suite.
status = Path("/proc/self/status").read_text().splitlines()
print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="devices and names of bytes are Linux's")
def test_a_folder_of_them_is_run_to_the_end(tmp_path: Path, environment: dict[str, str]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, data, _ in FILES:
        (folder / name).write_bytes(data)
    expected = {name: reason for name, _, reason in FILES} | special(folder)
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder), str(tmp_path / "rows.parquet")]
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "left out of the input: links to folders (1)\n")
    assert int(done.stdout) < MAX_MEGABYTES, done.stdout
    rows = {row["name"]: row for row in pl.read_parquet(tmp_path / "rows.parquet").to_dicts()}
    assert len(rows) == len(expected) + 1  # and the one whose name is no Unicode, which is read
    for name, reason in expected.items():
        row = rows[printable(name)]
        if reason != "":
            assert (row["code"] is None) == (reason is None), row
        assert row["code"] in (None, "bad_record")


def test_a_column_of_bytes_is_judged_alike() -> None:
    pytest.importorskip("pypdfium2")
    frame = pl.DataFrame({"scan": [pdf_of("Total: 12.50"), b"", b"\0\1\2", locked_pdf(), None, b"Total: 9.00"]})
    schema = {"type": "object", "properties": {"total": {"type": ["number", "null"]}}}
    result = run(frame, Extractor(schema, "Read it.", media=("scan",)), offline=True)
    assert result.errors["row_id"].to_list() == [1, 2, 3, 4]
    assert [message.startswith("column 'scan': ") for message in result.errors["message"]] == [True, True, True, False]
    assert json.dumps(result.frame["total"].to_list()) == "[12.5, null, null, null, null, 9.0]"
