"""Tests and benchmarks run this checkout, also where another `extract` is installed beside it."""

from __future__ import annotations

import ast
import os
import subprocess
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import ROOT, without_checkout

import extract

WHERE = "import extract; print(extract.__file__)"
OURS = ROOT / "extract" / "__init__.py"


def programs() -> Iterator[Path]:
    """Yield the benchmarks that import `extract` and are started by themselves."""
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        text = path.read_text("utf-8")
        if "__main__" in text and any(name.partition(".")[0] == "extract" for name in imported(path)):
            yield path


def imported(path: Path) -> list[str]:
    names: list[str] = []
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return names


@pytest.fixture(scope="module")
def decoy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment in whose site-packages another `extract` is installed."""
    folder = tmp_path_factory.mktemp("decoy")
    venv.create(folder, symlinks=os.name != "nt")
    (site,) = folder.glob("[Ll]ib/**/site-packages")
    (site / "extract").mkdir()
    (site / "extract" / "__init__.py").write_text("# an old one\n")
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder / ("Scripts" if os.name == "nt" else "bin") / "python"


def shown(command: list[str | Path], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_the_tests_import_this_checkout() -> None:
    assert Path(extract.__file__) == OURS


def test_the_decoy_is_imported_where_nothing_is_done_about_it(decoy: Path, tmp_path: Path) -> None:
    assert shown([decoy, "-c", WHERE], tmp_path, without_checkout()).startswith(str(decoy.parents[1]))


def test_a_process_with_the_environment_of_the_tests_imports_the_checkout(
    decoy: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    assert shown([decoy, "-c", WHERE], tmp_path, environment) == str(OURS)
    assert shown([decoy, "-c", WHERE], tmp_path, dict(os.environ)) == str(OURS)


def test_a_benchmark_and_its_children_import_the_checkout(decoy: Path, tmp_path: Path) -> None:
    code = f"import checkout, subprocess, sys\n{WHERE}\nsubprocess.run([sys.executable, '-c', {WHERE!r}], check=True)"
    (tmp_path / "benchmark.py").write_text(code)
    (tmp_path / "checkout.py").symlink_to(ROOT / "benchmarks" / "checkout.py")
    assert shown([decoy, tmp_path / "benchmark.py"], tmp_path, without_checkout()).splitlines() == [str(OURS)] * 2


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in programs()])
def test_a_benchmark_imports_the_checkout_first(path: Path) -> None:
    names = imported(path)
    local = {one.stem for one in path.parent.glob("*.py")}
    first = next(name for name in names if name.partition(".")[0] in local | {"extract", "peers"})
    assert first == "checkout", f"{path.name} imports {first} before checkout"


def test_the_suite_runs_this_checkout_from_any_folder(decoy: Path, tmp_path: Path) -> None:
    test = f"{__file__}::test_the_tests_import_this_checkout"
    options = ["-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    assert "1 passed" in shown([decoy, "-m", "pytest", *options, test], tmp_path, without_checkout())
