from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from extract import ConfigError
from extract.interactions.http.calls import Base64, json_body

_PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.floats(allow_nan=False)
_VALUES = st.recursive(
    _PLAIN | st.binary().map(Base64),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def _in_words(value: Any) -> Any:
    """Return a value with base64 text in the place of bytes."""
    if isinstance(value, Base64):
        return b64encode(value.data).decode()
    if isinstance(value, list):
        return [_in_words(item) for item in value]
    return {key: _in_words(item) for key, item in value.items()} if isinstance(value, dict) else value


@given(_VALUES)
def test_a_body_with_files_is_what_it_would_be_with_their_text(value: Any) -> None:
    assert json_body(value) == to_json(_in_words(value))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 393_215, 393_216, 393_217, 1_000_000])
def test_a_file_encoded_in_pieces_is_one_text(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    written = from_json(json_body({"data": Base64(data[:size])}))
    assert b64decode(written["data"], validate=True) == data[:size]


def test_half_a_character_beside_a_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be written as JSON"):
        json_body({"text": json.loads('"\\ud800"'), "data": Base64(b"x")})
