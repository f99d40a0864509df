"""What users import: complete, lazy, and cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import extract

INIT = Path(extract.__file__)


def names_for_type_checkers() -> dict[str, str]:
    """Return every name that `__init__` imports for type checkers, with its module."""
    (block,) = [node for node in ast.parse(INIT.read_text()).body if isinstance(node, ast.If)]
    return {alias.asname or alias.name: node.module or "" for node in block.body for alias in node.names}


def test_the_lazy_table_and_the_imports_for_types_are_equal() -> None:
    assert names_for_type_checkers() == extract._MODULE_OF


@pytest.mark.parametrize("name", dir(extract))
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(extract, name) is getattr(import_module(extract._MODULE_OF[name]), name)


def test_every_error_is_public() -> None:
    errors = import_module("extract.errors")
    assert set(errors.__all__) <= set(extract.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        extract.nonsense  # noqa: B018


def loaded_by(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_import_extract_loads_nothing_heavy() -> None:
    heavy = {
        "polars",
        "pydantic",
        "aiohttp",
        "httpx",
        "genai_prices",
        "jsonschema",
        "extract.runner.run",
        "extract.runner.scheduler",
    }
    assert not loaded_by("import extract") & heavy


def test_help_loads_no_transport_frames_or_prices() -> None:
    loaded = loaded_by("import extract.cli.app")
    assert not loaded & {"polars", "aiohttp", "httpx", "genai_prices", "pydantic"}


def test_frames_get_their_namespace_whichever_is_imported_first() -> None:
    for imports in ("import polars, extract", "import extract, polars; extract.Extractor"):
        done = subprocess.run(
            [sys.executable, "-c", f"{imports}; print(type(polars.DataFrame().extract).__name__)"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == "FrameNamespace"


def test_the_package_says_that_it_is_typed() -> None:
    assert INIT.with_name("py.typed").is_file()


def test_the_reference_is_what_the_docstrings_say(environment: dict[str, str]) -> None:
    command = [sys.executable, "scripts/make_reference.py", "--check"]
    done = subprocess.run(command, cwd=INIT.parents[1], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run `python scripts/make_reference.py`: {done.stderr}"
