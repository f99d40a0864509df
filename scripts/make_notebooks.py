"""Make the notebooks in docs/tutorials from the .py files beside them: run each in a kernel, and keep what it shows.

    python scripts/make_notebooks.py [--check] [NAME ...]

`--check` runs them and writes nothing.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "docs" / "tutorials"
_CELL = re.compile(r"^# %%( \[markdown\])?\n", re.MULTILINE)
# No viewer can draw a stored widget: without them the progress of a run is an output like any other.
_NO_WIDGETS = "--IPKernelApp.exec_lines=import sys; sys.modules['ipywidgets'] = None"


def cells(source: str) -> Iterator[tuple[bool, str]]:
    """Yield the cells of a .py file in the percent format: whether each is code, and its text."""
    _, *parts = _CELL.split(source)
    for mark, text in zip(parts[::2], parts[1::2], strict=True):
        lines = text.strip().splitlines()
        yield mark is None, "\n".join(lines if mark is None else (re.sub("^# ?", "", line) for line in lines))


def notebook_of(path: Path) -> Any:
    """Return the notebook for a .py file, not yet run. Cells are numbered, so that making it again changes no names."""
    notebook = nbformat.v4.new_notebook()
    for number, (is_code, text) in enumerate(cells(path.read_text("utf-8")), start=1):
        make = nbformat.v4.new_code_cell if is_code else nbformat.v4.new_markdown_cell
        notebook.cells.append(make(text, id=f"cell-{number}"))
    return notebook


def executed(path: Path) -> Any:
    """Return the notebook for a .py file with its outputs. Raises CellExecutionError where a cell fails."""
    notebook = notebook_of(path)
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=[_NO_WIDGETS],
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=sorted(path.stem for path in FOLDER.glob("*.py")))
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    for name in options.names:
        notebook = executed(FOLDER / f"{name}.py")
        if not options.check:
            nbformat.write(notebook, FOLDER / f"{name}.ipynb")
        sys.stdout.write(f"{name}: {len(notebook.cells)} cells\n")


if __name__ == "__main__":
    main()
