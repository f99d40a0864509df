"""An e-mail is what its reader sees: decoded headers and text, and its attachments as parts of the same record."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from pdfs import pdf_of
from pydantic import BaseModel

from extract import BadRecord, Client, Emulator, Extractor, run
from extract.documents.loader import load_parts
from extract.documents.parts import MediaPart, Part, TextPart

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


class Bill(BaseModel):
    total: str


def mail(
    text: str = "Der Gesamtbetrag ist 12,50 €. Grüße", *, charset: str = "utf-8", cte: str = "base64"
) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Jörg Müller <jm@example.com>"
    message["To"] = "rechnung@example.com"
    message["Subject"] = "Rechnung für März – " + "sehr " * 20 + "wichtig"
    message["X-Long"] = "x" * 5_000
    message.set_content(text, charset=charset, cte=cte)
    return message


def parts_of(folder: Path, data: EmailMessage | bytes, name: str = "a.eml") -> tuple[Part, ...]:
    (folder / name).write_bytes(data if isinstance(data, bytes) else bytes(data))
    return load_parts(str(folder / name), "path")


@pytest.mark.parametrize(
    ("charset", "cte"),
    [("utf-8", "base64"), ("utf-8", "quoted-printable"), ("iso-8859-15", "8bit"), ("cp1252", "base64")],
)
def test_headers_and_text_are_decoded(tmp_path: Path, charset: str, cte: str) -> None:
    (part,) = parts_of(tmp_path, mail(charset=charset, cte=cte))
    assert isinstance(part, TextPart)
    assert part.text.startswith(
        "From: Jörg Müller <jm@example.com>\nTo: rechnung@example.com\nSubject: Rechnung für März"
    )
    assert part.text.endswith("wichtig\n\nDer Gesamtbetrag ist 12,50 €. Grüße")
    assert "base64" not in part.text


def test_attachments_are_parts_of_the_record(tmp_path: Path) -> None:
    message = mail()
    pdf = pdf_of("Total: 12.50")
    message.add_attachment(pdf, maintype="application", subtype="octet-stream", filename="Rechnung März.pdf")
    message.add_attachment(PNG, maintype="image", subtype="png", filename="scan.png")
    message.add_attachment("Zeile;1".encode("utf-16"), maintype="text", subtype="csv", filename="zeilen.csv")
    text, *others = parts_of(tmp_path, message)
    assert isinstance(text, TextPart)
    assert "[attachment: Rechnung März.pdf]\n\n[attachment: scan.png]\n\n[attachment: zeilen.csv]" in text.text
    assert others == [
        MediaPart(kind="document", mime_type="application/pdf", data=pdf),
        MediaPart(kind="image", mime_type="image/png", data=PNG),
        TextPart("[attachment: zeilen.csv]\nZeile;1"),
    ]


def test_an_attachment_that_cannot_be_sent_is_named_with_the_reason(tmp_path: Path) -> None:
    message = mail()
    message.add_attachment(b"PK\3\4", maintype="application", subtype="zip", filename="scans.zip")
    message.add_attachment(b"", maintype="application", subtype="pdf", filename="empty.pdf")
    (text,) = parts_of(tmp_path, message)
    assert isinstance(text, TextPart)
    assert "[attachment not sent: scans.zip: damaged: the zip file is cut off; fetch it again]" in text.text
    assert "[attachment not sent: empty.pdf: the file is empty]" in text.text


def test_plain_text_comes_before_html_and_pictures_of_the_html_are_kept(tmp_path: Path) -> None:
    message = mail("in words")
    message.add_alternative("<p>in html <img src='cid:1'></p>", subtype="html")
    payload: Any = message.get_payload()
    payload[1].add_related(PNG, "image", "png", cid="<1>")
    text, picture = parts_of(tmp_path, message)
    assert isinstance(text, TextPart)
    assert "in words" in text.text
    assert "in html" not in text.text
    assert picture == MediaPart(kind="image", mime_type="image/png", data=PNG)


def test_an_html_mail_has_its_html(tmp_path: Path) -> None:
    message = EmailMessage()
    message["Subject"] = "s"
    message.set_content("<p>Grüße</p>", subtype="html", cte="base64")
    assert parts_of(tmp_path, message) == (TextPart("Subject: s\n\n<p>Grüße</p>"),)
    assert parts_of(tmp_path, message, "a.mht") == parts_of(tmp_path, message)


def test_a_forwarded_mail_is_read_like_the_one_around_it(tmp_path: Path) -> None:
    inner, outer = mail("the inner text"), mail("the outer text")
    inner.add_attachment(PNG, maintype="image", subtype="png", filename="scan.png")
    outer.add_attachment(inner)
    text, picture = parts_of(tmp_path, outer)
    assert isinstance(text, TextPart)
    assert text.text.count("Subject: Rechnung für März") == 2
    assert text.text.index("the outer text") < text.text.index("the inner text")
    assert isinstance(picture, MediaPart)


@pytest.mark.parametrize("charset", [None, "x-unknown"])
def test_a_mail_that_names_no_encoding_is_read_like_any_text(tmp_path: Path, charset: str | None) -> None:
    words = "Уважаемая госпожа, направляем вам счёт за заказанные стулья. " * 3
    kind = f"Content-Type: text/plain; charset={charset}\n" if charset else ""
    data = b"Subject: " + words[:57].encode("cp1251") + f"\n{kind}\n".encode() + words.encode("cp1251")
    (part,) = parts_of(tmp_path, data)
    assert isinstance(part, TextPart)
    assert part.text == f"Subject: {words[:57].strip()}\n\n{words.strip()}"
    assert part.encoding == "cp1251"


def nested(depth: int) -> bytes:
    heads = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(depth))
    return f"Subject: s\n{heads}\nwords".encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (nested(60), "parts within parts without end"),
        (nested(5_000), "damaged"),
        (b"Subject: \n\n", "the e-mail is empty"),
        (b"Subject: s\n\nM\xf6skau", "bytes do not tell which it is|^$"),
    ],
)
def test_a_damaged_mail_is_a_bad_record_of_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    try:
        parts = parts_of(tmp_path, data)
    except BadRecord as error:
        assert message.split("|", maxsplit=1)[0] in str(error)
        assert "\n" not in str(error)
    else:
        assert message.endswith("^$")
        assert parts


@pytest.mark.parametrize(
    "data",
    [
        b"Subject: =?utf-8?b?!!!?= =?nope?q?x?=\nContent-Transfer-Encoding: base64\n\n$$$ not base64",
        b"Content-Type: multipart/mixed\nSubject: no boundary\n\nwords",
        b"Content-Type: multipart/mixed; boundary=x\nSubject: no end\n\n--x\n\nwords",
        b"Subject: s\nContent-Type: text/plain; name*=utf-8''%ff%fe\n\nwords",
        b"Content-Type: ;;;\nSubject: s\n\nwords",
    ],
)
def test_what_is_odd_in_a_mail_hides_nothing_else(tmp_path: Path, data: bytes) -> None:
    text, *_ = parts_of(tmp_path, data)
    assert isinstance(text, TextPart)
    assert "Subject: " in text.text


def test_the_reason_why_a_mail_did_not_arrive_is_in_its_text(tmp_path: Path) -> None:
    raw = (
        b"From: daemon@example.com\nSubject: Undelivered\nContent-Type: multipart/report; boundary=B\n\n"
        b"--B\nContent-Type: text/plain\n\nSorry.\n--B\nContent-Type: message/delivery-status\n\n"
        b"Reporting-MTA: dns; mx.example.com\n\nFinal-Recipient: rfc822; a@example.com\nStatus: 5.1.1\n\n--B--\n"
    )
    (part,) = parts_of(tmp_path, raw)
    assert isinstance(part, TextPart)
    assert part.text.endswith(
        "Sorry.\n\nReporting-MTA: dns; mx.example.com\n\nFinal-Recipient: rfc822; a@example.com\nStatus: 5.1.1"
    )


def test_parts_that_nothing_divides_are_text(tmp_path: Path) -> None:
    raw = b"From: a@example.com\nContent-Type: multipart/mixed\n\nThe total is 12.50\n"
    assert parts_of(tmp_path, raw) == (TextPart("From: a@example.com\n\nThe total is 12.50", "utf-8"),)


def test_text_that_is_no_mail_stays_text(tmp_path: Path) -> None:
    assert parts_of(tmp_path, b"just words") == (TextPart("just words"),)
    assert parts_of(tmp_path, b"Subject: a note\n\nwords", "a.txt") == (TextPart("Subject: a note\n\nwords"),)


def test_a_run_over_mails_sends_text_and_attachments_and_finds_values_in_both(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2")
    message = mail()
    message.add_attachment(pdf_of("Total: 99.75"), maintype="application", subtype="pdf", filename="a.pdf")
    (tmp_path / "a.eml").write_bytes(bytes(message))
    sent: list[Any] = []

    def answer(body: Any) -> Any:
        sent.extend(body["input"][0]["content"])
        return {"total": "99.75"}

    client = Client("key", transport=Emulator(answers=answer).transport)
    extractor = Extractor(Bill, "Read this.", media=("path",), grounding=("path",))
    result = run(tmp_path, extractor, client=client, require_grounding=True)
    assert result.totals.valid == 1, result.errors
    assert [one["type"] for one in sent] == ["text", "document", "text"]
    assert result.frame["mime_type"].to_list() == ["message/rfc822"]
    assert result.frame["_spans"][0][0]["status"] == "exact"
