"""Every block of the README runs as it stands there; `console` blocks need a key or a second terminal."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
DOCS = [
    pytest.param(page.name, code, id=f"{page.stem}-{number}")
    for page in sorted((ROOT / "docs").glob("*.md"))
    for number, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    )
]
COMMANDS = [line for language, code in BLOCKS if language == "sh" for line in code.splitlines() if line.strip()]
TYPED = [line[2:] for language, code in BLOCKS if language == "console" for line in code.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("sample_data", "pipelines"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_there_are_blocks_and_the_readme_is_short() -> None:
    assert len(PYTHON) >= 2
    assert len(COMMANDS) >= 5
    assert len(README.splitlines()) < 200


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_a_python_block_runs_and_prints_a_table(code: str, folder: Path, environment: dict[str, str]) -> None:
    environment |= {"PYTHONWARNINGS": "error", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "┌" in done.stdout


@pytest.mark.parametrize(("page", "code"), DOCS)
def test_a_block_of_the_docs_runs(page: str, code: str, tmp_path: Path, environment: dict[str, str]) -> None:
    environment |= {"PYTHONWARNINGS": "error", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{page}: {done.stderr}"
    assert done.stdout.strip()


def test_the_commands_run_one_after_the_other(folder: Path, environment: dict[str, str]) -> None:
    for command in COMMANDS:
        first, *rest = shlex.split(command)
        if first == "sh":
            assert (ROOT / rest[0]).is_file()
            continue
        assert first == "extract"
        done = subprocess.run(
            [sys.executable, "-m", "extract", *rest],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 3), done.stderr


@pytest.mark.parametrize("command", [line for line in TYPED if line.startswith("extract ")])
def test_what_is_shown_uses_flags_that_exist(command: str, environment: dict[str, str]) -> None:
    _, name, *rest = shlex.split(command)
    shown = subprocess.run(
        [sys.executable, "-m", "extract", name, "--help"], env=environment, capture_output=True, text=True, check=True
    )
    assert {word for word in rest if word.startswith("-")} <= set(re.findall(r"-{1,2}[\w-]+", shown.stdout))
