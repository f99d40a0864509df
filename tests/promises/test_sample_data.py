from __future__ import annotations

import ast
import json
import sys
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from extract.documents.pdf import read_pdf
from extract.extractor.plan import compile_extractor
from extract.interactions.endpoint import Endpoint
from extract.schema import OutputSchema, compile_schema

ROOT = Path(__file__).parents[2]
DATA = ROOT / "sample_data"
PIPELINES = sorted((ROOT / "pipelines").glob("*.py"))

# (records, gold, key, rows, pipeline)
SETS = [
    ("support_messages.csv", "support_messages.gold.csv", "id", 120, "classify"),
    ("comments.jsonl", "comments.gold.jsonl", "id", 100, "moderate"),
    ("invoices.jsonl", "invoices.gold.jsonl", "id", 40, "extract_fields"),
]
GOLD_INVOICES = ["invoices.gold.jsonl", "invoices_folder.gold.jsonl", "invoices_pdf.gold.jsonl"]


def read(name: str) -> pl.DataFrame:
    path = DATA / name
    return pl.read_csv(path) if path.suffix == ".csv" else pl.read_ndjson(path)


def read_json_lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text("utf-8").splitlines()]


@cache
def load(pipeline: str) -> Any:
    """The `extractor` that a pipeline file defines."""
    return module_at(ROOT / "pipelines" / f"{pipeline}.py").extractor


def module_at(path: Path) -> Any:
    spec = spec_from_file_location(f"loaded_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


@cache
def schema_of(pipeline: str) -> OutputSchema:
    return compile_schema(load(pipeline).schema)


@pytest.mark.parametrize(("records", "gold", "key", "rows", "pipeline"), SETS)
def test_every_record_that_says_something_has_one_gold_answer(
    records: str, gold: str, key: str, rows: int, pipeline: str
) -> None:
    table = read(records)
    assert len(table) == table[key].n_unique() == rows
    read_by = compile_extractor(load(pipeline), Endpoint(api_key="key")).fitted(table.columns).columns
    readable = table.filter(pl.any_horizontal(pl.col(name).fill_null("").str.strip_chars() != "" for name in read_by))
    assert readable[key].to_list() == read(gold)[key].to_list()


def test_every_message_to_the_bank_has_one_gold_label() -> None:
    messages, gold = read("bank_messages.csv"), read("bank_messages.gold.csv")
    assert messages["id"].n_unique() == messages["text"].n_unique() == messages.height
    assert messages["id"].to_list() == gold["id"].to_list()
    assert gold["topic"].value_counts()["count"].to_list() == [16] * 6


@pytest.mark.parametrize(("records", "gold", "key", "rows", "pipeline"), SETS)
def test_the_prompt_of_the_pipeline_fits_the_columns(
    records: str, gold: str, key: str, rows: int, pipeline: str
) -> None:
    extractor = load(pipeline)
    frame = read(records)
    assert extractor.prompt.format_map(dict.fromkeys(frame.columns, "")) == ""
    for example in extractor.examples:
        assert set(example.record) <= set(frame.columns)


@pytest.mark.parametrize("pipeline", ["classify", "moderate"])
def test_few_shot_examples_are_not_taken_from_the_records(pipeline: str) -> None:
    records = next(item[0] for item in SETS if item[4] == pipeline)
    column = "body" if pipeline == "classify" else "text"
    seen = {example.record[column] for example in load(pipeline).examples}
    assert seen.isdisjoint(read(records)[column].to_list())


@pytest.mark.parametrize(("records", "column"), [("support_messages.csv", "body"), ("comments.jsonl", "text")])
def test_the_texts_are_varied(records: str, column: str) -> None:
    texts = read(records)[column].fill_null("")
    assert texts.n_unique() == len(texts)
    lengths = texts.str.len_chars()
    assert lengths.min() == 0
    assert lengths.filter((lengths > 0) & (lengths < 8)).len() >= 3
    assert lengths.filter(lengths > 400).len() >= 1
    scripts = [
        r"[äöüß]",
        r"[ñ¿¡]",
        r"[àçéè]",
        r"[ãõ]",
        r"\p{Hiragana}",
        r"\p{Devanagari}",
        r"\p{Arabic}",
        r"\p{Cyrillic}",
    ]
    assert [script for script in scripts if not texts.str.contains(script).any()] == []
    assert texts.str.contains("(?i)ignore (all )?previous instructions").any()


def test_the_csv_holds_what_breaks_naive_readers() -> None:
    bodies = read("support_messages.csv")["body"].fill_null("")
    for awkward in ("\n", '"', ",", "🙂"):
        assert bodies.str.contains(awkward, literal=True).any()
    assert read("support_messages.csv")["received"].str.to_datetime().is_sorted()


def test_gold_tickets_fit_the_pipeline() -> None:
    for row in read("support_messages.gold.csv").drop("id").to_dicts():
        schema_of("classify").validate(json.dumps({**row, "confidence": 1.0, "reason": "gold"}))


def test_gold_tickets_use_every_topic_and_both_urgencies() -> None:
    gold = read("support_messages.gold.csv")
    assert set(gold["topic"]) == set(schema_of("classify").dtypes["topic"].categories)
    assert gold["topic"].value_counts()["count"].min() >= 8
    assert 10 <= gold["urgent"].sum() <= 60


def test_gold_moderations_fit_the_pipeline_and_use_every_branch() -> None:
    seen = set()
    for row in read_json_lines("comments.gold.jsonl"):
        decision = schema_of("moderate").validate(json.dumps({"decision": row["decision"]})).decision
        seen.add(getattr(decision, "spam_type", None) or decision.is_safe)
    assert seen == {"phishing", "scam", "unsolicited promotion", "other", True, False}


@pytest.mark.parametrize("name", GOLD_INVOICES)
def test_gold_invoices_fit_the_pipeline(name: str) -> None:
    for row in read_json_lines(name):
        fields = {field: value for field, value in row.items() if field not in ("id", "name")}
        schema_of("extract_fields").validate(json.dumps(fields))


def money(value: float | None) -> Decimal:
    return Decimal(str(value or 0))


@pytest.mark.parametrize("name", GOLD_INVOICES)
def test_gold_invoices_add_up(name: str) -> None:
    for row in read_json_lines(name):
        for item in row["line_items"]:
            if item["unit_price"] is not None:
                amount = money(item["quantity"]) * money(item["unit_price"])
                assert amount.quantize(Decimal("0.01"), ROUND_HALF_UP) == money(item["amount"]), (row, item)
        # Prices come before or after tax, so that the items add up to the one sum or the other.
        sums = {money(row["total"]), money(row["total"] if row["subtotal"] is None else row["subtotal"])}
        assert sum((money(item["amount"]) for item in row["line_items"]), Decimal()) in sums, row
        if row["subtotal"] is not None:
            assert money(row["subtotal"]) + money(row["tax"]) == money(row["total"]), row


def invoice_texts() -> list[tuple[str, dict[str, Any]]]:
    gold = read_json_lines("invoices.gold.jsonl")
    texts = [record["text"] for record in read_json_lines("invoices.jsonl") if record["text"]]
    folder = [(DATA / "invoices" / row["name"], row) for row in read_json_lines("invoices_folder.gold.jsonl")]
    return [*zip(texts, gold, strict=True), *((path.read_text("utf-8"), row) for path, row in folder)]


def test_gold_items_stand_in_the_text_of_their_invoice() -> None:
    for text, row in invoice_texts():
        for item in row["line_items"]:
            assert item["description"] in text, row
        assert row["number"] is None or row["number"] in text


def test_invoices_are_varied() -> None:
    pairs = invoice_texts()
    lengths = [text.count("\n") + 1 for text, _ in pairs]
    assert min(lengths) >= 10
    assert max(lengths) <= 40
    assert len({row["currency"] for _, row in pairs} - {None}) >= 10
    assert any(not record["text"] for record in read_json_lines("invoices.jsonl"))
    assert any("disregard the figures" in text for text, _ in pairs)
    assert any(money(row["total"]) < 0 for _, row in pairs)


def test_the_folder_holds_the_files_its_gold_names() -> None:
    names = [row["name"] for row in read_json_lines("invoices_folder.gold.jsonl")]
    assert sorted(names) == sorted(path.name for path in (DATA / "invoices").iterdir())
    assert len(names) == 6


def test_the_pdfs_and_their_gold_are_what_the_script_writes() -> None:
    files = dict(module_at(ROOT / "scripts" / "make_sample_pdfs.py").files())
    assert {path: path.read_bytes() for path in files} == files
    assert set((DATA / "invoices_pdf").iterdir()) == {path for path in files if path.suffix == ".pdf"}


def test_gold_of_the_pdfs_stands_in_their_text() -> None:
    pytest.importorskip("pypdfium2")
    texts = {path.name: read_pdf(path.read_bytes()) for path in (DATA / "invoices_pdf").iterdir()}
    assert sorted(len(text.pages) for text in texts.values()) == [1, 1, 1, 1, 2]
    for row in read_json_lines("invoices_pdf.gold.jsonl"):
        text = texts[row["name"]].text
        words = [row["vendor"], row["customer"], row["number"], *(item["description"] for item in row["line_items"])]
        assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_a_pipeline_is_short_and_asks_for_nothing_but_extract_and_pydantic(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) < 60
    nodes = list(ast.walk(ast.parse(text)))
    modules = [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    tops = {str(module).partition(".")[0] for module in modules}
    assert tops - sys.stdlib_module_names == {"extract", "pydantic"}
    assert "__main__" not in text


def test_the_three_pipelines_are_there() -> None:
    assert [path.stem for path in PIPELINES] == ["classify", "extract_fields", "moderate"]
