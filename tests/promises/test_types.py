"""What type checkers see of the package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from installing import node_with

import extract

pytestmark = pytest.mark.installs

PYRIGHT = "1.1.414"


def environment_with_a_copy(folder: Path) -> dict[str, str]:
    """Return an environment whose Python has a copy of the package: pyright looks for no editable installs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("Lib/site-packages") if sys.platform == "win32" else folder.glob("lib/*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    shutil.copytree(Path(extract.__file__).parent, site / "extract", ignore=shutil.ignore_patterns("__pycache__"))
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    return os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": ""}


def test_every_public_type_is_known_to_pyright(tmp_path: Path) -> None:
    node = node_with(f"pyright@{PYRIGHT}", tmp_path)
    environment = environment_with_a_copy(tmp_path / "venv")
    pyright = tmp_path / "node_modules" / "pyright" / "index.js"
    command = [node, str(pyright), "--verifytypes", "extract", "--ignoreexternal"]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600
    )
    shutil.rmtree(tmp_path)
    wrong = [line.strip() for line in done.stdout.splitlines() if " error: " in line]
    assert not wrong, "\n".join(wrong)
    assert re.search(r"Type completeness score: 100%", done.stdout), done.stdout[-2_000:]
