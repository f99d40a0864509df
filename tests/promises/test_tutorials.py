"""The notebooks in docs/tutorials hold what their sources say, and what a kernel showed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
make_notebooks = pytest.importorskip("make_notebooks")

SOURCES = sorted(make_notebooks.FOLDER.glob("*.py"))
every_tutorial = pytest.mark.parametrize("source", [pytest.param(path, id=path.stem) for path in SOURCES])


def code_of(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(notebook: Any) -> list[list[str]]:
    """Return the texts that each cell shows, but for the progress of runs, which tells of time."""
    return [
        [
            "".join(output.get("text", "") or output["data"]["text/plain"])
            for output in cell.outputs
            if output.output_type != "display_data"
        ]
        for cell in code_of(notebook)
    ]


def test_there_is_one_for_each_use() -> None:
    assert {path.stem for path in SOURCES} == {"classify", "documents", "improve", "moderate"}


@every_tutorial
def test_a_stored_notebook_is_valid_and_was_run_as_its_source_stands(source: Path) -> None:
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(notebook)
    of_source = make_notebooks.notebook_of(source)
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        (cell.cell_type, cell.source) for cell in of_source.cells
    ], f"run `python scripts/make_notebooks.py {source.stem}`"
    assert [cell.execution_count for cell in code_of(notebook)] == list(range(1, len(code_of(notebook)) + 1))
    kinds = {output.output_type for cell in code_of(notebook) for output in cell.outputs}
    assert kinds <= {"execute_result", "display_data", "stream"}
    assert any("Run(" in text for texts in shown(notebook) for text in texts)


@every_tutorial
def test_a_stored_notebook_tells_nothing_of_the_machine_that_made_it(source: Path) -> None:
    text = source.with_suffix(".ipynb").read_text("utf-8")
    for name in (str(Path.home()), "/tmp/", str(make_notebooks.FOLDER)):
        assert name not in text


@pytest.mark.notebook
@every_tutorial
def test_a_notebook_runs_without_a_key_and_shows_what_is_stored(source: Path) -> None:
    stored = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    assert shown(make_notebooks.executed(source)) == shown(stored)
