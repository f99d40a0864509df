"""Frames come out the same however the bytes are cut up and whichever line ends they have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.interactions.streaming.sse import Frame, SseParser

STREAM = (
    b'\xef\xbb\xbf: hello\nevent: a\nid: e1\ndata: {"n":1}\n\n: beat\nretry: 10\n\ndata: {"n":\ndata:2}\n\n'
    b"strange: field\nevent: \xc3\xa4\ndata\ndata:  two blanks\n\nevent: done\ndata: [DONE]\n\n"
)
FRAMES = [
    Frame(b'{"n":1}', "a", "e1"),
    Frame(b'{"n":\n2}', "", "e1"),
    Frame(b"\n two blanks", "ä", "e1"),
    Frame(b"[DONE]", "done", "e1"),
]


def frames_of(*chunks: bytes) -> list[Frame]:
    parser = SseParser()
    frames = [frame for chunk in chunks for frame in parser.feed(chunk)]
    return [*frames, *parser.close()]


def ended_by(stream: bytes, *ends: bytes) -> bytes:
    """Return the stream with its line ends replaced in turn."""
    lines = stream.split(b"\n")
    return b"".join(
        line + (ends[number % len(ends)] if number < len(lines) - 1 else b"") for number, line in enumerate(lines)
    )


ENDS = [(b"\n",), (b"\r",), (b"\r\n",), (b"\r\n", b"\n"), (b"\n", b"\r", b"\r\n")]


@pytest.mark.parametrize("ends", ENDS)
def test_every_line_end_means_the_same_wherever_the_bytes_are_cut(ends: tuple[bytes, ...]) -> None:
    # A CR right before an LF is one line end: a mixture must not make one of two.
    stream = ended_by(STREAM, *ends) if ends != ENDS[4] else ended_by(STREAM, b"\n", b"\r\n", b"\r\n")
    assert frames_of(stream) == FRAMES
    assert frames_of(*(stream[at : at + 1] for at in range(len(stream)))) == FRAMES
    for cut in range(len(stream) + 1):
        assert frames_of(stream[:cut], stream[cut:]) == FRAMES


@given(st.data())
def test_any_bytes_cut_anywhere_give_the_same_frames(data: st.DataObject) -> None:
    alphabet = st.sampled_from(
        [b"data: x", b"data", b":", b"id: 1", b"event: e", b"\n", b"\r", b"[", b"{", b"\xef", b"\xbb\xbf", b"y"]
    )
    stream = b"".join(data.draw(st.lists(alphabet, max_size=30)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert frames_of(*chunks) == frames_of(stream) == frames_of(*(bytes([byte]) for byte in stream))


def test_an_event_without_its_last_blank_line_is_taken_at_the_end() -> None:
    assert frames_of(b"data: 1") == [Frame(b"1")]


def test_json_in_place_of_an_event_is_kept_apart() -> None:
    parser = SseParser()
    frames = [*parser.feed(b'data: 1\n\n[{"error":\n{"code": 504}}'), *parser.feed(b"]"), *parser.close()]
    assert frames == [Frame(b"1")]
    assert parser.stray == b'[{"error":\n{"code": 504}}]\n'


def test_json_in_place_of_an_event_ends_where_a_field_begins() -> None:
    parser = SseParser()
    frames = [*parser.feed(b'{}\n\ndata: 1\n\n{"error":\n 1}\nevent: x\ndata: 2\n\n'), *parser.close()]
    assert frames == [Frame(b"1"), Frame(b"2", "x")]
    assert parser.stray == b'{"error":\n 1}\n'
