"""From `pip install` to the first table in a notebook: how long it takes somebody new, and in how many lines.

    python benchmarks/first_minute.py

Builds the wheel of this tree, installs it into an environment of its own, and runs the first block of the README there
in a Jupyter kernel, without a key. Packages come from wherever pip is set up to get them: most of the time is theirs.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nbformat
from checkout import ROOT, without_checkout
from nbclient import NotebookClient


@dataclass(frozen=True, slots=True)
class FirstMinute:
    """Seconds of each step, lines of code, and what the notebook showed."""

    build: float
    environment: float
    install: float
    jupyter: float
    first_table: float
    lines: int
    shown: str

    @property
    def total(self) -> float:
        """From `pip install` on: what the user waits for who has Python and Jupyter."""
        return self.install + self.first_table


def first_block() -> str:
    """Return the first Python block of the README."""
    found = re.search(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None, "the README begins with code"
    return found[1]


def measure(folder: Path) -> FirstMinute:
    """Do it all once, in an empty folder."""
    python = folder / "venv" / "bin" / "python"
    wheels = ["--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    build = _timed(lambda: _pip(Path(sys.executable), "wheel", *wheels, ROOT))
    (wheel,) = folder.glob("*.whl")
    environment = _timed(lambda: subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True))
    install = _timed(lambda: _pip(python, "install", wheel))
    jupyter = _timed(lambda: _pip(python, "install", "ipykernel"))
    code = first_block()
    started = time.perf_counter()
    shown = _shown(python, code, folder)
    first_table = time.perf_counter() - started
    lines = [line for line in code.splitlines() if line.strip()]
    return FirstMinute(build, environment, install, jupyter, first_table, len(lines), shown)


def _timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _pip(python: Path, *arguments: str | Path) -> None:
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, capture_output=True, text=True, env=without_checkout())


def _shown(python: Path, code: str, folder: Path) -> str:
    """Return what a cell with this code shows, in a kernel of that Python."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    spec = client.create_kernel_manager().kernel_spec  # its own, so that it ends it
    assert spec is not None, "jupyter_client always knows a Python kernel"
    spec.argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    client.execute(env=without_checkout())  # the wheel is to be imported, not the tree it was built from
    return "".join(output.get("text", "") for output in notebook.cells[0].outputs)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder))
    print(found.shown)
    figures = {name: value for name, value in asdict(found).items() if name != "shown"} | {"total": found.total}
    print(json.dumps({name: round(value, 1) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
