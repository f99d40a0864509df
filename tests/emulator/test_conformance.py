"""The official SDK tells the examples of the API's page to the emulator. Others: `test_sdks.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conformance.current import CASES
from google import genai

from extract.emulator import Emulator
from extract.testing import running_server


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_server(Emulator(background_seconds=0.3)) as served:
        yield served


@pytest.mark.parametrize("name", CASES)
def test_an_example_of_the_page_works_with_the_official_sdk(name: str, url: str) -> None:
    with genai.Client(api_key="none-needed", http_options={"base_url": url}) as client:
        CASES[name](client)
