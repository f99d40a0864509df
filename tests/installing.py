"""What tests marked `installs` share: programs from PyPI and npm, each in a folder of its own, or why there is none."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

__all__ = ["done", "node_with", "python_with"]

MAX_SECONDS = 50  # of one command: pytest ends a test that takes 120, and a registry may not even refuse


def done(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=MAX_SECONDS)


def python_with(package: str, folder: Path) -> str:
    """Return a Python that has a package."""
    own = folder / "venv"
    _install(package, sys.executable, "-m", "venv", own)
    python = own / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    _install(package, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package)
    return str(python)


def node_with(package: str, folder: Path) -> str:
    """Return Node, for scripts in a folder that has a package."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed")
    (folder / "package.json").write_text("{}")
    _install(package, npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, package)
    return node


def _install(package: str, *command: str | Path) -> None:
    """Run an installer; skip, with what it says, where it cannot reach its registry."""
    try:
        ran = done(*command)
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"{package} cannot be installed: {error}")
    if ran.returncode:
        lines = (ran.stderr or ran.stdout).strip().splitlines() or ["no message"]
        reason = lines[0] if lines[0].startswith("npm") else lines[-1]  # npm ends with the name of its log
        pytest.skip(f"{package} cannot be installed: {reason[:200]}")
