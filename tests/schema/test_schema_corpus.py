"""The compiler against 106 schemas from public projects and against the official conformance suite."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from jsonschema import Draft202012Validator

from extract.errors import InvalidAnswer, SchemaError
from extract.schema import OutputSchema, compile_schema
from extract.schema.keywords import subschemas
from extract.schema.provider_subset import PROVIDER_KEYWORDS

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
PROJECTS = DATA / "json_schemas"
SUITE = DATA / "json_schema_test_suite" / "draft2020-12"

#: Cases that need documents of the suite's own server, which is not here, or a dialect described there.
REMOTE = (
    "localhost:1234",
    "tree.json",
    "extendible-dynamic-ref.json",
    "remote ref",
    "base URI change",
    "retrieved nested",
)
#: `\p{...}` is no regular expression of Python.
FOREIGN_PATTERN = r"\p{Letter}"


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.json"))


def _suite_cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{path.stem}: {case['description']}")
        for path in _files(SUITE)
        for case in json.loads(path.read_text())
    ]


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for inner in subschemas(node):
            yield from _nodes(inner)


def _fault(schema: OutputSchema, answer: Any) -> InvalidAnswer | None:
    try:
        schema.validate(json.dumps(answer))
    except InvalidAnswer as error:
        return error
    return None


def _check(schema: OutputSchema, tests: list[dict[str, Any]], formats: Any) -> Counter[str]:
    """Check one compiled schema against its instances; return how many were valid and invalid."""
    rungs = [schema.relaxed(rung) for rung in range(schema.rungs)]
    for wire in rungs:
        assert all(node.keys() <= PROVIDER_KEYWORDS.keys() for node in _nodes(wire))
        assert all("$ref" not in node or len(node) == 1 for node in _nodes(wire))
        Draft202012Validator.check_schema(wire)
    judges, counts, rows = [Draft202012Validator(wire, format_checker=formats) for wire in rungs], Counter[str](), []
    for test in tests:
        answer = {"value": test["data"]} if schema.wrapped else test["data"]
        fault = _fault(schema, answer)
        assert (fault is None) == test["valid"], test
        assert fault is None or fault.issues
        counts["valid" if test["valid"] else "invalid"] += 1
        if test["valid"]:
            assert all(judge.is_valid(answer) for judge in judges), test
            rows.append(schema.row(schema.validate(json.dumps(answer))))
    _check_frame(schema, rows)
    return counts


def _check_frame(schema: OutputSchema, rows: list[tuple[Any, ...]]) -> None:
    frame = schema.frame([*rows, None])
    assert frame.schema == schema.frame([]).schema == pl.Schema(schema.dtypes)
    stored = io.BytesIO()
    frame.write_parquet(stored)
    stored.seek(0)
    assert pl.read_parquet(stored).equals(frame)


@pytest.mark.skipif(not PROJECTS.exists(), reason="the schemas of public projects are not beside this checkout")
@pytest.mark.parametrize("path", _files(PROJECTS), ids=lambda path: path.stem)
def test_a_real_schema_compiles_judges_its_instances_and_holds_them_in_columns(path: Path) -> None:
    case = json.loads(path.read_text())
    counts = _check(compile_schema(case["schema"]), case["tests"], Draft202012Validator.FORMAT_CHECKER)
    assert counts["valid"] >= 1


@pytest.mark.skipif(not PROJECTS.exists(), reason="the schemas of public projects are not beside this checkout")
def test_all_real_schemas_were_found() -> None:
    assert len(_files(PROJECTS)) == 106


def _compiled(source: Any) -> OutputSchema | SchemaError:
    try:
        return compile_schema(source, assert_formats=False)
    except SchemaError as refusal:
        return refusal


def _may_be_refused(case: dict[str, Any]) -> bool:
    text = json.dumps(case["schema"]).replace("\\\\", "\\") + case["description"]
    return any(word in text for word in (*REMOTE, FOREIGN_PATTERN))


@pytest.mark.skipif(not SUITE.exists(), reason="the conformance suite is not beside this checkout")
@pytest.mark.parametrize("case", _suite_cases())
def test_the_conformance_suite_gets_its_verdicts(case: dict[str, Any]) -> None:
    schema = _compiled(case["schema"])
    if isinstance(schema, SchemaError):
        assert _may_be_refused(case), f"refused without need: {schema}"
    else:
        _check(schema, case["tests"], None)
