"""The SDKs that people use, each release in an environment of its own, tell the API's examples to the emulator."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from installing import done, node_with, python_with

from extract.emulator import Emulator
from extract.testing import running_server

pytestmark = pytest.mark.installs

EXAMPLES = Path(__file__).parents[1] / "conformance"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for one release, removed at once: pytest would keep those of three runs."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize(
    ("make", "package", "dialect", "examples"),
    [
        (python_with, "google-genai==1.55.0", "outputs", "original.py"),
        (python_with, "google-genai==3.6.1", "steps", "current.py"),
        (node_with, "@google/genai@1.33.0", "outputs", "original.mjs"),
        (node_with, "@google/genai@latest", "steps", "current.mjs"),
    ],
    ids=["python-1.55.0", "python-3.6.1", "javascript-1.33.0", "javascript-latest"],
)
def test_every_example_of_the_page_works_with_every_sdk(
    make: Callable[[str, Path], str], package: str, dialect: str, examples: str, folder: Path
) -> None:
    program = make(package, folder)
    script = shutil.copy(EXAMPLES / examples, folder)  # Node looks for packages from there upward
    emulator = Emulator(dialect="steps" if dialect == "steps" else "outputs", background_seconds=0.3)
    with running_server(emulator) as url:
        ran = done(program, script, url)
    print(ran.stdout)  # noqa: T201 - shown with -rP: which release it was
    assert ran.returncode == 0, ran.stderr
    counted = re.search(r"(\d+) of (\d+) examples passed", ran.stdout)
    assert counted is not None
    assert counted[1] == counted[2] == "23"
