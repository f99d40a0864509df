"""How many text files in old encodings are read right, refused, or read wrong and believed.

    python benchmarks/text_encodings.py [--all]

Each encoding is written in up to five languages that it holds, in three lengths. One half of the sentences was there to
choose the detector and its bound by; the other half was held back. `--all` names every file that was not read right.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

import checkout  # noqa: F401 - before extract: the checkout's, not an installed one
from encoding_sentences import SENTENCES

from extract.documents.decoding import decode_text
from extract.errors import BadRecord

_WESTERN = ("English", "German", "French", "Spanish", "Danish", "Portuguese", "Italian", "Swedish", "Icelandic")
_CENTRAL = ("Polish", "Czech", "Hungarian", "Croatian", "Slovak", "Romanian", "German")
_BALTIC = ("Lithuanian", "Latvian", "Estonian", "Finnish", "German")
_CYRILLIC = ("Russian", "Ukrainian", "Bulgarian", "Serbian", "Belarusian")
_MIXED = ("French", "Polish", "Russian", "Arabic", "Japanese")

LANGUAGES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("cp1252", "iso8859_1", "iso8859_15", "cp850", "cp858", "cp437", "mac_roman", "cp037", "cp500"), _WESTERN
    ),
    **dict.fromkeys(("cp1250", "iso8859_2", "cp852", "mac_latin2", "iso8859_16"), _CENTRAL),
    **dict.fromkeys(("cp1257", "iso8859_13", "iso8859_4", "cp775"), _BALTIC),
    **dict.fromkeys(("cp1251", "koi8_r", "koi8_u", "iso8859_5", "cp866", "cp855", "mac_cyrillic"), _CYRILLIC),
    **dict.fromkeys(("ptcp154", "kz1048"), ("Kazakh", *_CYRILLIC)),
    **dict.fromkeys(("cp1254", "iso8859_9", "cp857", "mac_turkish"), ("Turkish", *_WESTERN)),
    **dict.fromkeys(("cp1253", "iso8859_7", "cp737", "cp869", "mac_greek"), ("Greek",)),
    **dict.fromkeys(("cp1255", "iso8859_8", "cp862"), ("Hebrew",)),
    **dict.fromkeys(("cp1256", "iso8859_6", "cp864"), ("Arabic", *_WESTERN)),
    "cp1258": ("Vietnamese", *_WESTERN),
    "iso8859_3": ("Maltese", "Esperanto", "Italian", "German", "French"),
    "iso8859_10": ("Icelandic", "Swedish", "Danish", "Finnish", "German"),
    "iso8859_14": ("Welsh", "German", "French", "Italian", "Swedish"),
    "mac_iceland": ("Icelandic", "Swedish", "Danish", "Finnish", "German"),
    "cp865": ("Danish", "Swedish", "German", "Finnish", "French"),
    "cp861": ("Icelandic", "Danish", "Swedish", "German", "Finnish"),
    **dict.fromkeys(("cp874", "tis_620", "iso8859_11"), ("Thai",)),
    **dict.fromkeys(("shift_jis", "cp932", "euc_jp", "iso2022_jp", "euc_jis_2004"), ("Japanese",)),
    **dict.fromkeys(("euc_kr", "cp949", "johab", "iso2022_kr"), ("Korean",)),
    **dict.fromkeys(("gb2312", "gbk", "hz"), ("Chinese, simplified",)),
    "gb18030": ("Chinese, simplified", "Chinese, traditional", "Japanese", "Russian", "Greek"),
    **dict.fromkeys(("big5", "cp950", "big5hkscs"), ("Chinese, traditional",)),
    **dict.fromkeys(
        ("utf_8", "utf_8_sig", "utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be"), _MIXED
    ),
}
HALVES = ("chosen by", "held back")
_SIZES = (1, 2, 3)  # sentences: about 70, 140 and 210 characters, or 30, 60 and 90 of Chinese


def files(half: int) -> Iterator[tuple[str, str, int, str, bytes]]:
    """Yield the files of one half: encoding, language, number of sentences, text and bytes."""
    for encoding, languages in LANGUAGES.items():
        fitting = [name for name in languages if _encoded("".join(SENTENCES[name]), encoding)]
        for language in fitting[:5]:
            sentences = SENTENCES[language][half::2]
            for size in _SIZES:
                text = "\n".join(sentences[:size]) + "\n"
                data = _encoded(text, encoding)
                if data is not None and not text.isascii():
                    yield encoding, language, size, text, data


def _encoded(text: str, encoding: str) -> bytes | None:
    try:
        data = text.encode(encoding)
    except UnicodeEncodeError:
        return None
    return data if data.decode(encoding) == text else None


def verdict(text: str, data: bytes) -> str:
    """Return whether bytes are read as the text that they were made from: right, refused, or wrong."""
    try:
        return "right" if decode_text(data, "a file").text == text else "wrong"
    except BadRecord:
        return "refused"


def main(arguments: list[str]) -> None:
    for half, name in enumerate(HALVES):
        counts: Counter[str] = Counter()
        by_size = {size: Counter[str]() for size in _SIZES}
        encodings, not_right = set(), Counter[str]()
        for encoding, language, size, text, data in files(half):
            result = verdict(text, data)
            counts[result] += 1
            by_size[size][result] += 1
            encodings.add(encoding)
            if result != "right":
                not_right[f"{result} {encoding}"] += 1
                if "--all" in arguments:
                    print(f"  {result:8} {encoding:12} {language:20} {size}")
        total = counts.total()
        shares = ", ".join(f"{counts[one]} {one} ({counts[one] / total:.1%})" for one in ("right", "refused", "wrong"))
        print(f"{name}: {total} files in {len(encodings)} encodings: {shares}")
        for size, counted in by_size.items():
            print(f"  {size} sentences: " + ", ".join(f"{counted[one]} {one}" for one in ("right", "refused", "wrong")))
        print("  " + ", ".join(f"{count} {what}" for what, count in sorted(not_right.items())))


if __name__ == "__main__":
    main(sys.argv[1:])
