from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract import BadRecord, ConfigError, Extractor
from extract.documents.parts import MediaPart, TextPart, Turn
from extract.extractor.plan import compile_extractor
from extract.interactions.endpoint import Endpoint

PLAN = compile_extractor(Extractor(["bug", "praise"], "{text}"), Endpoint(api_key="key"))


def written_out(rounds: int, repair: int, turns: list[Any], *limit: int) -> bytes:
    """Return the content key as it was first defined: the hash of one canonical JSON text."""
    text = json.dumps([rounds, repair, turns, *limit], ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return sha256(PLAN.key + text.encode()).digest()


SAID = st.text(min_size=1).filter(str.strip)


@given(SAID, st.integers(0, 3), st.integers(0, 3), st.none() | st.integers(1, 9_999))
def test_content_keys_are_what_earlier_versions_have_paid_for(
    text: str, rounds: int, repair: int, limit: int | None
) -> None:
    question = PLAN.question({"text": text})
    turns = [["user", [text]]]
    assert PLAN.answer_key(question, rounds, repair, limit=limit) == written_out(
        rounds, repair, turns, *([limit] if limit else [])
    )


@given(SAID, st.text(), st.binary())
def test_what_is_said_later_is_part_of_the_key(first: str, second: str, data: bytes) -> None:
    image = MediaPart(kind="image", mime_type="image/png", data=data)
    question = PLAN.question({"text": first}).followed_by(Turn.model(second), Turn("user", (image, TextPart("x"))))
    of_image = ["image", "image/png", sha256(data).hexdigest(), None]
    turns = [["user", [first]], ["model", [second]], ["user", [of_image, "x"]]]
    assert PLAN.answer_key(question, 0, 1) == written_out(0, 1, turns)
    assert len(question.turns) == 3


def test_half_a_character_is_told_before_anything_is_sent() -> None:
    with pytest.raises(BadRecord, match="no Unicode"):
        PLAN.question({"text": "a\ud800"})


@pytest.mark.parametrize("name", ["media", "optional", "grounding"])
def test_columns_are_given_as_names(name: str) -> None:
    options: dict[str, Any] = {name: True}
    with pytest.raises(ConfigError, match=f"{name} takes a tuple of column names"):
        Extractor(["spam", "ham"], "{text}", **options)
