"""The report: what it says, that it says it of any output, and that nothing in an output becomes markup."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from reports import HOSTILE, HOSTILE_ROW, LETTERS, Page, answer_letter, page_of, run_of_letters

from extract import Client, ConfigError, Emulator, Extractor, Limits, OutputError, Run, run
from extract.cli import main
from extract.io.sinks.open import read_manifest
from extract.io.sinks.parquet import footer
from extract.report import write_report
from extract.report.distributions import distributions

DRAWN = {"svg", "g", "path", "rect", "line", "text", "tspan", "title"}
WRITTEN = {
    tag
    for tags in (
        "html head meta title link style body a header span button div nav ul li main section h1 h2 h3 p dl dt dd",
        "small b i figure figcaption code table thead tbody tr th td details summary pre",
        "noscript form label input select script",
    )
    for tag in tags.split()
}


def report_of(output: Path, **options: Any) -> Page:
    return page_of(write_report(output, output.with_suffix(".html"), **options))


def assert_nothing_became_markup(page: Page) -> None:
    assert set(page.tags) <= DRAWN | WRITTEN
    assert page.tags.count("script") == 2
    assert not [name for _, name, _ in page.attributes if name.startswith("on") or name in ("src", "srcdoc", "style")]
    links = {value for _, name, value in page.attributes if name in ("href", "xlink:href")}
    assert all(value == "data:," or (value or "").startswith("#") for value in links)


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("letters") / "letters.parquet"
    run_of_letters(output, rows=12)
    return output


@pytest.fixture(scope="module")
def page(letters: Path) -> Page:
    return report_of(letters)


# Of a Run -------------------------------------------------------------------------------------------------------------


def test_a_run_in_memory_has_a_report_to_which_it_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(["a lamp, broken", "a chair"], Extractor(["lamp", "chair"], "{text}"), offline=True)
    page = page_of(write_report(result, "letters.html"))
    assert "2 of 2 rows valid" in page.section("summary")
    assert [record["source"] for record in page.records] == [["a lamp, broken"], ["a chair"]]
    assert 'href="./letters.html"' in result._repr_html_()


def test_rejected_rows_of_a_frame_stand_beside_what_they_said(tmp_path: Path) -> None:
    client = Client("key", transport=Emulator(answers=answer_letter).transport)
    rows = pl.DataFrame({"text": ["Ada, a lamp", "illegible", "Bob, a chair"], "page": [1, 2, 3]})
    result = run(rows, LETTERS, client=client, row_id="page")
    records = page_of(write_report(result, tmp_path / "r.html")).records
    assert [(record["id"], record["source"]) for record in records] == [
        (2, ["illegible", "2"]),
        (1, ["Ada, a lamp", "1"]),
        (3, ["Bob, a chair", "3"]),
    ]
    assert records[0]["error"]["code"] == "invalid_answer"


def test_what_retried_rows_say_is_told_of_the_whole_run(tmp_path: Path) -> None:
    answers = ["no", '{"value": "lamp"}', "no", '{"value": "chair"}', "no"]
    client = Client("key", transport=Emulator(answers=answers).transport)
    extractor = Extractor(["lamp", "chair"], "{text}", repairs=0)
    first = run(["a", "b", "c"], extractor, client=client, limits=Limits(concurrency=1))
    page = page_of(write_report(first.retry_rejected(), tmp_path / "r.html"))
    assert "2 of 3 rows valid, 1 without an answer" in page.section("summary")


def test_the_input_tells_what_rows_said_that_are_not_in_the_output(letters: Path, tmp_path: Path) -> None:
    texts = [*pl.read_parquet(letters)["text"], "illegible"]
    without = report_of(letters)
    assert "--source INPUT" in without.section("errors")
    page = page_of(write_report(letters, tmp_path / "r.html", source=pl.DataFrame({"text": texts})))
    assert "--source INPUT" not in page.section("errors")
    (rejected,) = [record for record in page.records if "error" in record]
    assert (rejected["id"], rejected["source"]) == (11, ["illegible", None])


def test_a_csv_output_has_a_report_while_its_run_is_at_hand(tmp_path: Path) -> None:
    result = run(["a lamp"], Extractor(["lamp", "chair"], "{text}"), offline=True, output=tmp_path / "out.csv")
    page = page_of(write_report(result, tmp_path / "r.html"))
    assert "1 of 1 rows valid" in page.section("summary")
    assert result.report == tmp_path / "r.html"


def ask_letters(rows: pl.DataFrame, **options: Any) -> Run:
    client = Client("key", transport=Emulator(answers=answer_letter).transport)
    return run(rows, LETTERS, client=client, limits=Limits(concurrency=1), **options)


def test_another_input_is_no_source_of_a_report(letters: Path, tmp_path: Path) -> None:
    other = pl.DataFrame({"text": [f"letter {n}" for n in range(12)]})
    for source, message in (
        (other, "another input: in its row 0, text is 'letter 0'"),
        (other.clear(), "has 0 rows, fewer"),
    ):
        with pytest.raises(ConfigError, match=message):
            write_report(letters, tmp_path / "r.html", source=source)


def test_another_input_with_the_same_ids_is_no_source_of_a_report(tmp_path: Path) -> None:
    rows = pl.DataFrame({"id": [1, 2], "text": ["Ada", "illegible"]})
    ask_letters(rows, row_id="id", output=tmp_path / "o.parquet")
    other = pl.DataFrame({"id": [1, 2], "text": ["Eve", "Mallory"]})
    with pytest.raises(ConfigError, match="another input: in its row 1, text is 'Eve'"):
        write_report(tmp_path / "o.parquet", tmp_path / "r.html", source=other)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://tube.example/@ada/post?x=1", "https://tube.example/@ada/post?…"),
        ("http://127.0.0.1:8080/@ada", "http://127.0.0.1:8080/@ada"),
        ("https://u:SECRET/x@host/a", "https://host/a"),
        ("https://u:SEC@RET@host/a#b", "https://host/a?…"),
        ("https://a.example/?q=1 says: read it", "https://a.example/?q=1 says: read it"),
    ],
)
def test_of_an_address_all_but_its_secrets_is_shown(address: str, shown: str, tmp_path: Path) -> None:
    result = run([address], Extractor(["a", "b"], "{text}"), offline=True)
    (record,) = page_of(write_report(result, tmp_path / "r.html")).records
    assert record["source"] == [shown]


def test_rows_that_share_an_id_or_have_none_are_told_apart(tmp_path: Path) -> None:
    rows = pl.DataFrame({"id": ["a", "b", "a", None, None], "text": ["Ada", "Bob", "illegible", "illegible", "Eve"]})
    for output in (None, tmp_path / "o.parquet"):
        result = ask_letters(rows, row_id="id", output=output, errors="null")
        for reported in (result, output or result):
            page = page_of(write_report(reported, tmp_path / "r.html"))
            assert "3 of 5 rows valid" in page.section("summary")
            valid = [record["source"][0] for record in page.records if "error" not in record]
            assert valid == ["Ada", "Bob", "Eve"]


def test_of_rows_with_one_id_no_source_is_taken_for_that_of_another(tmp_path: Path) -> None:
    rows = pl.DataFrame({"id": [1, 2, 1], "text": ["Ada", "illegible", "illegible, too"]})
    ask_letters(rows, row_id="id", output=tmp_path / "o.parquet")
    page = page_of(write_report(tmp_path / "o.parquet", tmp_path / "r.html", source=rows))
    rejected = [(record["id"], record.get("source")) for record in page.records if "error" in record]
    assert rejected == [(2, ["illegible", "2"]), (1, None)]


def test_fields_with_an_alias_are_answers_and_their_places_are_theirs(tmp_path: Path) -> None:
    class Line(BaseModel):
        what: str = Field(alias="lineWhat")

    class Bill(BaseModel):
        company: str = Field(alias="companyName")
        lines: list[Line] = Field(alias="billLines")

    answer = json.dumps({"companyName": "Ada Ltd", "billLines": [{"lineWhat": "lamp"}]})
    client = Client("key", transport=Emulator(answers=[answer]).transport)
    rows = pl.DataFrame({"companyName": ["not an answer"], "text": ["Ada Ltd sells a lamp"]})
    run(rows, Extractor(Bill, "{text}", grounding=("text",)), client=client, output=tmp_path / "o.parquet")
    page = report_of(tmp_path / "o.parquet")
    assert (page.data["source"], page.data["answer"]) == (["text", "companyName"], ["company", "lines"])
    (record,) = page.records
    assert [span[0] for span in record["spans"]] == ["$.company", "$.lines[0].what"]
    assert "$.lines[].what" in page.section("placements")
    assert "company" in page.section("values")


def test_an_interrupted_rerun_leaves_the_report_of_the_whole_one_alone(tmp_path: Path) -> None:
    texts = [f"Ada {n}" for n in range(10)]
    rows = pl.DataFrame({"text": [*texts, "illegible"]})
    ask_letters(rows, output=tmp_path / "o.parquet")
    emulator = Emulator(answers=lambda body: answer_letter(body) if "Ada" in str(body) else "no", api_key="right")
    client = Client("right", transport=emulator.transport)
    more = pl.DataFrame({"text": [*texts, *(f"Eve {n}" for n in range(500))]})
    limits = Limits(concurrency=1, stop_after_failures=3)
    stopped = run(more, LETTERS, client=client, limits=limits, output=tmp_path / "o.parquet", budget=0.0006)
    assert stopped.stopped is not None
    assert stopped.errors_file == tmp_path / "o.errors.partial.parquet"
    assert "10 of 11 rows valid" in report_of(tmp_path / "o.parquet").section("summary")
    assert "of 510 rows valid" in page_of(write_report(tmp_path / "o.partial.parquet", tmp_path / "r.html")).section(
        "summary"
    )


def test_without_its_errors_file_an_output_does_not_claim_that_all_is_well(tmp_path: Path) -> None:
    ask_letters(pl.DataFrame({"text": ["Ada", "illegible"]}), output=tmp_path / "o.parquet")
    (tmp_path / "o.errors.parquet").unlink()
    page = report_of(tmp_path / "o.parquet")
    assert "1 of 2 rows valid, 1 without an answer" in page.section("summary")
    assert "is not beside this output" in page.section("summary")
    assert "Every row was answered" not in page.text


def test_without_its_errors_file_no_row_gets_the_place_of_another(tmp_path: Path) -> None:
    rows = pl.DataFrame({"text": ["illegible", "Ada"]})
    ask_letters(rows, output=tmp_path / "o.parquet")
    (tmp_path / "o.errors.parquet").unlink()
    (record,) = page_of(write_report(tmp_path / "o.parquet", tmp_path / "r.html", source=rows)).records
    assert (record["id"], record["source"]) == (None, ["Ada"])


def test_what_an_earlier_run_has_added_is_input_to_a_later_one(tmp_path: Path) -> None:
    first = ask_letters(pl.DataFrame({"text": ["Ada"]}), provenance=True).frame
    later = run(first, Extractor(["lamp", "chair"], "{text}"), offline=True)
    page = page_of(write_report(later, tmp_path / "r.html"))
    assert {"_extract", "_spans"} <= set(page.data["source"])
    assert "$.sender" not in page.section("placements")
    assert "rows by" not in page.section("cost")


def test_secrets_of_addresses_stay_out_of_a_report(tmp_path: Path) -> None:
    address = "https://me:PASSW0RD@files.example/a.txt?X-Amz-Signature=SIGNED#page=2"
    rows = pl.DataFrame(
        {"text": ["Ada"] * 3, "url": [address, f"https://u:PASSW0RD@x@{address[8:]}", "s3:/me:PASSW0RD@b"]}
    )
    text = write_report(ask_letters(rows), tmp_path / "r.html").read_text("utf-8")
    assert "https://files.example/a.txt?…" in text
    media = Extractor(["a", "b"], "Read it.", media=("url",))
    zipped = pl.DataFrame({"url": ["https://me:PASSW0RD@files.example/a.zip?sig=SIGNED", address]})
    text += write_report(run(zipped, media, offline=True), tmp_path / "r.html").read_text("utf-8")
    assert "PASSW0RD" not in text
    assert "SIGNED" not in text


def test_a_page_stays_small_however_much_the_answers_hold(tmp_path: Path) -> None:
    clauses = json.dumps({"clauses": ["word " * 180] * 60})
    schema = {"type": "object", "properties": {"clauses": {"type": "array", "items": {"type": "string"}}}}
    client = Client("key", transport=Emulator(answers=lambda _: clauses).transport)
    rows = pl.DataFrame({"text": [f"contract {n}" for n in range(1_000)], "scan": [b"\0" * 10_000] * 1_000})
    result = run(rows, Extractor(schema, "{text}"), client=client)
    page = write_report(result, tmp_path / "r.html")
    assert page.stat().st_size < 8_000_000
    assert '"(10000 bytes)"' in page.read_text("utf-8")


def test_rejections_come_before_rows_that_were_not_asked(tmp_path: Path) -> None:
    pl.DataFrame({"label": ["a"] * 10}).write_parquet(tmp_path / "o.parquet")
    codes = ["not_run"] * 3_000 + ["blocked"] * 5
    errors = pl.DataFrame({"row_id": range(3_005), "code": codes}).with_columns(
        pl.lit(None, pl.String).alias(name) for name in ("message", "path", "answer")
    )
    errors.with_columns(attempts=1).write_parquet(tmp_path / "o.errors.parquet")
    shown = [record["error"]["code"] for record in report_of(tmp_path / "o.parquet").records if "error" in record]
    assert shown == ["blocked"] * 5 + ["not_run"] * 100


def test_texts_that_stand_in_several_rows_are_named(tmp_path: Path) -> None:
    texts = [*(f"{'shop ' * 20}{n}" for n in range(100)), "Tesco", "Tesco", "Tesco", "Aldi", "Aldi"]
    pl.DataFrame({"vendor": texts}).write_parquet(tmp_path / "o.parquet")
    values = report_of(tmp_path / "o.parquet").section("values")
    assert "different 102" in values
    assert "most frequent Tesco (3), Aldi (2)" in values


def test_large_whole_numbers_are_not_lost_among_floats(tmp_path: Path) -> None:
    numbers = [10**17 + n for n in range(10)]
    pl.DataFrame({"n": numbers}).write_parquet(tmp_path / "o.parquet")
    spread, _ = distributions(pl.scan_parquet(tmp_path / "o.parquet"), ["n"])
    assert sum(one.rows for one in (*spread[0].bars, *spread[0].bins)) == 10
    assert spread[0].note is None


def test_scripts_that_join_letters_keep_their_labels(tmp_path: Path) -> None:
    words = ["می\u200cشود", "👨\u200d👩\u200d👧"]
    pl.DataFrame({"label": [*words, "👧" * 300] * 3}).write_parquet(tmp_path / "o.parquet")
    assert all(word in report_of(tmp_path / "o.parquet").section("values") for word in words)


def test_a_field_may_be_called_as_the_column_that_names_records(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"id": {"type": "string"}, "kind": {"enum": ["a", "b"]}}}
    rows = pl.DataFrame({"id": [1, 2], "text": ["a", "b"]})
    run(rows, Extractor(schema, "{text}"), offline=True, output=tmp_path / "o.parquet", prefix="p_")
    pl.DataFrame({"id": [1, 2], "kind": ["a", "b"]}).write_csv(tmp_path / "gold.csv")
    page = report_of(tmp_path / "o.parquet", gold=str(tmp_path / "gold.csv"), on="id")
    assert "kind" in page.section("evaluation")


@pytest.mark.parametrize(
    ("name", "command"),
    [("o.parquet", "extract review o.parquet"), ("o $(x) <b>.parquet", "extract review 'o $(x) <b>.parquet'")],
)
def test_a_report_says_how_its_rows_are_judged(tmp_path: Path, name: str, command: str) -> None:
    run(["a"], Extractor(["a", "b"], "{text}"), offline=True, output=tmp_path / name)
    assert command in report_of(tmp_path / name).section("records")


def test_agreement_of_samples_is_told_with_the_record(tmp_path: Path) -> None:
    answers = ['{"value": "lamp"}', '{"value": "lamp"}', '{"value": "chair"}']
    client = Client("key", transport=Emulator(answers=answers).transport)
    limits = Limits(concurrency=1)
    result = run(["a"], Extractor(["lamp", "chair"], "{text}"), client=client, samples=3, limits=limits)
    (record,) = page_of(write_report(result, tmp_path / "r.html")).records
    assert record["source"] == ["a"]
    assert record["origin"] == {"samples that agree": "value 67%"}


def test_an_iterator_is_no_source_of_a_report(letters: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="source is an iterator"):
        write_report(letters, tmp_path / "r.html", source=iter(["a"]))


# What it says ---------------------------------------------------------------------------------------------------------


def test_the_summary_counts_rows_money_and_requests(page: Page) -> None:
    text = page.section("summary")
    assert "11 of 12 rows valid, 1 without an answer." in text
    assert "rejected 1" in text
    assert re.search(r"cost \$0\.\d{4} US dollars, this run", text)
    assert re.search(r"requests 12", text)


def test_errors_are_counted_by_code_and_place_with_a_message(page: Page) -> None:
    errors = page.section("errors")
    assert "invalid_answer" in errors
    assert "1" in errors


def test_every_field_is_spread_out_members_of_lists_too(page: Page) -> None:
    values = page.section("values")
    for heading in ("kind Enum of 3", "amount Float64", "topics: number of items", "topics[]"):
        assert heading in values
    assert "labels 2 of 3" in values


def test_losses_and_the_manifest_come_from_the_footer(page: Page) -> None:
    assert "$.sender pattern" in page.section("losses")
    manifest = page.section("manifest")
    assert "pipeline Letter" in manifest
    assert "Read this letter." in manifest
    assert "key" not in {"key"} & set(manifest.split()) or "key of the extractor" in manifest


def test_a_record_has_its_source_its_values_and_their_places(page: Page) -> None:
    first = next(record for record in page.records if record["id"] == 0)
    text = first["source"][page.data["source"].index("text")]
    assert text == "Ada Lovelace 0, sends back a broken lamp for 0 pounds"
    values = dict(zip(page.data["answer"], first["values"], strict=True))
    assert values["kind"] == "complaint"
    spans = {path: text[start:end] for path, _, start, end, _, _ in first["spans"] if start is not None}
    assert spans["$.sender"] == "Ada Lovelace 0"
    assert page.data["source"][first["of"]] == "text"


def test_a_rejected_row_comes_first_with_its_reason_and_answer(page: Page) -> None:
    first = page.records[0]
    assert first["id"] == 11
    assert first["error"]["code"] == "invalid_answer"
    assert first["error"]["answer"] == f"I cannot read illegible {HOSTILE_ROW}"


def test_rows_are_named_by_their_place_in_the_input_although_rejected_ones_are_left_out(tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    pl.DataFrame({"text": [f"t{n}" for n in (1, 3, 4, 6)]}).write_parquet(output)
    errors = {"row_id": [0, 2, 5], "code": ["blocked"] * 3, "message": ["no"] * 3, "path": [None] * 3}
    pl.DataFrame(errors | {"answer": [None] * 3, "attempts": [1] * 3}).write_parquet(tmp_path / "out.errors.parquet")
    records = report_of(output).records
    assert {record["id"]: record["values"] for record in records if "error" not in record} == {
        1: ["t1"], 3: ["t3"], 4: ["t4"], 6: ["t6"],
    }  # fmt: skip


def test_gold_answers_are_scored_and_confused_labels_counted(letters: Path, tmp_path: Path) -> None:
    gold = pl.DataFrame({"page": range(12), "kind": ["complaint"] * 8 + ["other"] * 4})
    gold.write_csv(tmp_path / "gold.csv")
    page = report_of(letters, gold=str(tmp_path / "gold.csv"), on="page")
    section = page.section("evaluation")
    assert "Against 12 gold rows, 8 of them right in every field. Without a prediction, counted as wrong: 1." in section
    assert "kind label 12 66.7% (" in section
    assert "other complaint 2" in section
    assert "other (no prediction) 1" in section


def test_records_that_are_wrong_show_their_gold_values(letters: Path, tmp_path: Path) -> None:
    gold = pl.DataFrame({"page": range(12), "kind": ["complaint"] * 8 + ["other"] * 4})
    page = report_of(letters, gold=gold, on="page")
    wrong = {record["source"][0]: record["wrong"] for record in page.records if "wrong" in record}
    assert len(wrong) == 3
    assert set(map(str, wrong.values())) == {"{'kind': ['complaint', 'other']}", "{'kind': ['order', 'other']}"}


def test_wrong_fields_stand_beside_gold_within_structs_lists_and_rejected_rows(tmp_path: Path) -> None:
    order = {"type": "object", "properties": {
        "place": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}},
        "items": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
    }}  # fmt: skip
    answer = '{"place": {"city": "Bonn", "zip": "53111"}, "items": [{"name": "lamp"}]}'
    emulator = Emulator(answers=lambda body: "no" if "illegible" in str(body) else answer)
    rows = pl.DataFrame({"id": [1, 2, 3], "text": ["a", "b", "illegible"]})
    extractor = Extractor(order, "{text}", repairs=0)
    run(rows, extractor, client=Client("key", transport=emulator.transport), output=tmp_path / "out.parquet")
    right = {"place": {"city": "Bonn", "zip": "53111"}, "items": [{"name": "lamp"}]}
    wrong = {"place": {"city": "Bonn", "zip": "53113"}, "items": [{"name": "lamp"}, {"name": "chair"}]}
    gold = [{"id": 1, **right}, {"id": 2, **wrong}, {"id": 3, **right}]
    rejected, first, second = report_of(tmp_path / "out.parquet", gold=gold, on="id", source=rows).records
    assert "wrong" not in first
    assert second["wrong"] == {
        "place.zip": ["53111", "53113"],
        "items": ['[{"name": "lamp"}]', '[{"name": "lamp"}, {"name": "chair"}]'],
    }
    assert {name: gold for name, (_, gold) in rejected["wrong"].items()} == {
        "place.city": "Bonn", "place.zip": "53111", "items": '[{"name": "lamp"}]'
    }  # fmt: skip


def test_wrong_records_are_shown_though_they_are_few(tmp_path: Path) -> None:
    rows = 5_000
    labels = pl.DataFrame({"id": range(rows), "label": ["a", "b"] * (rows // 2)})
    labels.write_parquet(tmp_path / "out.parquet")
    gold = labels.with_columns(pl.when(pl.col("id") == 3_333).then(pl.lit("a")).otherwise("label").alias("label"))
    records = report_of(tmp_path / "out.parquet", gold=gold, on="id", rows=20).records
    assert len(records) == 20
    assert [record["wrong"] for record in records if "wrong" in record] == [{"label": ["b", "a"]}]
    assert [record["id"] for record in records] == sorted(record["id"] for record in records)


def test_labels_that_are_called_as_our_own_words_are_confused_like_others(tmp_path: Path) -> None:
    labels = ["(null)", None, "(no prediction)", "a", "a", "(null)"] * 3
    pl.DataFrame({"id": range(17), "label": labels[1:]}).write_parquet(tmp_path / "out.parquet")
    pl.DataFrame({"id": range(18), "label": labels}).write_parquet(tmp_path / "gold.parquet")
    page = report_of(tmp_path / "out.parquet", gold=str(tmp_path / "gold.parquet"), on="id")
    assert "Labels of label" in page.section("evaluation")


def test_an_output_in_which_rejected_rows_are_nulls_shows_each_row_once(tmp_path: Path) -> None:
    output = tmp_path / "letters.parquet"
    run_of_letters(output, rows=6, errors="null", row_id="page")
    page = report_of(output)
    assert "5 of 6 rows valid" in page.text
    assert Counter(record["id"] for record in page.records) == Counter(range(6))


def test_the_timeline_shows_throughput_and_concurrency(tmp_path: Path) -> None:
    samples = [(n / 10, n * n, min(n, 8)) for n in range(1, 30)]
    described = {"run": {"seconds": 3.0, "timeline": samples}}
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "out.parquet", metadata=footer(described))
    page = report_of(tmp_path / "out.parquet")
    assert {"Throughput", "Concurrency"} <= set(page.section("course").split())
    labels = {value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-label")}
    assert {"Rows a second over the time of the run", "Requests in flight over the time of the run"} <= labels


def test_a_rerun_from_the_cache_still_shows_what_all_runs_have_taken(tmp_path: Path) -> None:
    for _ in range(2):
        run_of_letters(tmp_path / "letters.parquet", rows=6)
    page = report_of(tmp_path / "letters.parquet")
    assert "from the cache 6" in page.section("summary")
    assert "All runs with this cache" in page.section("course")
    assert "ask gemini-3.5-flash-lite standard 6" in page.section("cost")


# Any output -----------------------------------------------------------------------------------------------------------


def test_what_an_output_lacks_is_said_with_the_way_to_get_it(tmp_path: Path) -> None:
    pl.DataFrame({"label": ["a", "b", "a", "a"], "n": [1, 2, 3, None]}).write_parquet(tmp_path / "foreign.parquet")
    text = report_of(tmp_path / "foreign.parquet").text
    for way in ("provenance=True", "--no-cache", "grounding=", "--gold FILE --on COLUMN", "another program wrote it"):
        assert way in text
    assert "4 of 4 rows valid" in text


def test_what_an_interrupted_run_has_left_is_reported_with_its_errors(tmp_path: Path) -> None:
    pl.DataFrame({"label": ["a"]}).write_parquet(tmp_path / "out.partial.parquet")
    errors = pl.DataFrame(
        {"row_id": [1], "code": ["not_run"], "message": ["not reached"], "path": ["$"], "answer": ["x"]}
    )
    errors.with_columns(attempts=0).write_parquet(tmp_path / "out.errors.partial.parquet")
    assert "1 of 2 rows valid" in report_of(tmp_path / "out.partial.parquet").text


def test_columns_that_only_have_our_names_are_columns_like_others(tmp_path: Path) -> None:
    odd = {"_spans": [[{"path": 1, "status": 2, "start": "x", "end": "y"}]], "_extract": [{"a": 1}]}
    pl.DataFrame({"label": ["a"]} | odd).write_parquet(tmp_path / "odd.parquet")
    (record,) = report_of(tmp_path / "odd.parquet").records
    assert record["values"][0] == "a"


def test_an_output_without_rows_has_a_report(tmp_path: Path) -> None:
    pl.DataFrame(schema={"label": pl.Enum(["a"]), "when": pl.Date, "n": pl.Int64}).write_parquet(
        tmp_path / "no.parquet"
    )
    assert "0 of 0 rows valid" in report_of(tmp_path / "no.parquet").text


@pytest.mark.parametrize("rejected", [0, 30, 5_000])
def test_a_large_output_is_shown_by_a_bounded_even_and_repeatable_choice(tmp_path: Path, rejected: int) -> None:
    output = tmp_path / "large.parquet"
    pl.DataFrame({"n": range(20_000), "text": ["x" * 2_000] * 20_000}).write_parquet(output)
    if rejected:
        ids = pl.DataFrame({"row_id": range(rejected)}).with_columns(code=pl.lit("blocked"), message=pl.lit("no"))
        errors = ids.with_columns(path=pl.lit(None, pl.String), answer=pl.lit(None, pl.String), attempts=1)
        errors.write_parquet(tmp_path / "large.errors.parquet")
    page = report_of(output, rows=200)
    bad, good = ([one for one in page.records if ("error" in one) == wanted] for wanted in (True, False))
    assert len(bad) == min(rejected, 100)
    assert len(good) == 200 - len(bad)
    distances = {b["values"][0] - a["values"][0] for a, b in pairwise(good)}
    assert max(distances) - min(distances) <= 1
    assert f"200 of {20_000 + rejected:,} records" in page.text
    assert output.with_suffix(".html").stat().st_size < 1_000_000
    assert report_of(output, rows=200).scripts == page.scripts


def test_long_texts_are_cut_and_say_how_long_they_are(tmp_path: Path) -> None:
    output = tmp_path / "long.parquet"
    frame = pl.DataFrame({"text": ["long " * 100_000], "label": ["a"]})
    described = {"schema": {"type": "object", "properties": {"label": {"type": "string"}}}, "columns": ["text"]}
    frame.write_parquet(output, metadata=footer(described))
    (record,) = report_of(output).records
    beginning, length = record["source"][0]
    assert length == 500_000
    assert 0 < len(beginning) <= 20_000


# A report takes a fifth of a second: a failure is shown as it happens.
DRAWING = settings(
    max_examples=10,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NUMBERS = st.one_of(st.floats(), st.sampled_from([1e308, -1e308, 5e-324, 0.0]))


@DRAWING
@given(numbers=st.lists(NUMBERS, min_size=1), whole=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_any_numbers_can_be_drawn(tmp_path: Path, numbers: list[float], whole: list[int]) -> None:
    output = tmp_path / "numbers.parquet"
    pl.DataFrame({"numbers": [numbers], "whole": [whole]}).explode("numbers").write_parquet(output)
    assert_nothing_became_markup(report_of(output))


def test_dates_of_any_distance_can_be_drawn(tmp_path: Path) -> None:
    days = pl.Series("far", ["0001-01-01", "9999-12-31", "2026-02-28"]).str.to_date()
    near = pl.Series("near", ["2026-02-27", None, "2026-02-28"]).str.to_date()
    pl.DataFrame([days, near, days.cast(pl.Datetime("us")).alias("times")]).write_parquet(tmp_path / "dates.parquet")
    values = report_of(tmp_path / "dates.parquet").section("values")
    assert "first 0001-01-01 last 9999-12-31" in values
    assert "null 1 first 2026-02-27" in values


# Nothing becomes markup -----------------------------------------------------------------------------------------------

TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30))
NAMES = st.lists(TEXTS.map(lambda text: text + "x"), min_size=2, max_size=2, unique=True)


def hostile_output(output: Path, names: list[str], texts: list[str]) -> None:
    """Write an output in which columns, labels, sources, spans, errors and the footer are all these texts."""
    name, label = names
    span = {"path": f"$.{label}", "status": "exact", "start": 0, "end": 1, "score": 1.0, "page": None, "text": texts[0]}
    frame = pl.DataFrame({name: texts, label: texts, "_spans": [[span]] * len(texts)})
    schema = {"type": "object", "properties": {label: {"type": "string", "pattern": re.escape(texts[0])}}}
    manifest = dict.fromkeys(("pipeline", "model", "started", "input", "system", "prompt", "service"), texts[0])
    course = {"seconds": 1.0, "stopped": texts[0], "totals": {texts[0]: texts[0]}}
    described = manifest | {
        "schema": schema,
        "columns": [name],
        "generation": {texts[0]: texts[0]},
        "run": course,
    }
    frame.write_parquet(output, metadata=footer(described))
    errors = pl.DataFrame({"row_id": texts, "code": texts, "message": texts, "path": texts, "answer": texts})
    errors.with_columns(attempts=1).write_parquet(output.with_name(f"{output.stem}.errors.parquet"))


@DRAWING
@given(names=NAMES, texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_no_text_of_an_output_becomes_markup_and_the_records_come_back_as_they_were(
    tmp_path: Path, names: list[str], texts: list[str]
) -> None:
    output = tmp_path / "hostile.parquet"
    hostile_output(output, names, texts)
    page = report_of(output)
    assert_nothing_became_markup(page)
    assert page.data["source"] == names[:1]
    assert [record["source"] for record in page.records if "error" not in record] == [[text] for text in texts]
    assert [record["error"]["message"] for record in page.records if "error" in record] == texts


def test_gold_labels_become_no_markup(tmp_path: Path) -> None:
    output, gold = tmp_path / "out.parquet", tmp_path / "gold.parquet"
    pl.DataFrame({"id": range(24), "label": list(HOSTILE) * 2}).write_parquet(output)
    pl.DataFrame({"id": range(24), "label": list(reversed(HOSTILE)) * 2}).write_parquet(gold)
    page = report_of(output, gold=str(gold), on="id")
    assert_nothing_became_markup(page)
    assert HOSTILE_ROW in page.text


def test_the_policy_allows_our_style_and_script_and_nothing_else(page: Page) -> None:
    (policy,) = (
        value or "" for tag, name, value in page.attributes if tag == "meta" and "default-src" in (value or "")
    )
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_page_names_no_address_to_load_from(letters: Path) -> None:
    source = write_report(letters, letters.with_suffix(".html")).read_text("utf-8")
    assert not re.search(r"(src|href|action|@import|url)\s*[=(]\s*[\"']?(https?:)?//", source)


def test_numbers_of_the_timeline_and_the_totals_are_not_trusted(tmp_path: Path) -> None:
    output = tmp_path / "odd.parquet"
    odd = {"seconds": "x", "totals": {"cost_usd": "y", "requests": []}, "timeline": [[1, 2], "z", [0, None, 1]]}
    for course in (odd, [], "text", {"timeline": {}, "totals": [1]}):
        pl.DataFrame({"a": [1]}).write_parquet(
            output, metadata=footer({"run": course, "schema": {"type": 7}, "prefix": 3})
        )
        assert "1 of 1 rows valid" in report_of(output).text


# What a run leaves for it ---------------------------------------------------------------------------------------------


def test_the_footer_tells_how_the_run_went(letters: Path) -> None:
    manifest = read_manifest(letters)
    assert manifest["run"]["totals"]["rows"] == 12
    assert manifest["run"]["errors"] == {"invalid_answer": 1}
    assert manifest["run"]["timeline"][-1][1] == 12
    assert manifest["columns"] == manifest["grounding"] == ["text"]
    assert "key" not in json.dumps({name: value for name, value in manifest.items() if name != "schema"}).split('"')


def test_an_input_whose_name_is_no_unicode_costs_no_output(tmp_path: Path) -> None:
    folder = tmp_path / "in\udcff"
    try:
        folder.mkdir()
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such name")
    (folder / "letter.txt").write_text("Ada, sends greetings")
    extractor = replace(LETTERS, prompt="Read this.", media=("path",), grounding=())
    client = Client("key", transport=Emulator(answers=answer_letter).transport)
    assert run(folder, extractor, client=client, output=tmp_path / "out.parquet").complete
    assert read_manifest(tmp_path / "out.parquet")["input"] == "in?"


# The command ----------------------------------------------------------------------------------------------------------


def test_the_command_writes_the_file_and_says_where(
    letters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.html"
    monkeypatch.setattr(sys, "argv", ["extract", "report", str(letters), "-o", str(target), "--rows", "5"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code in (0, None)
    assert capsys.readouterr().err == f"wrote {target}\n"
    assert len(page_of(target).records) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gold": "gold.csv"}, "--on COLUMN"),
        ({"rows": 0}, "at least 1"),
        ({"gold": "{output}", "on": "nothing"}, "no column 'nothing'"),
        ({"cache": "nowhere.cache"}, "no cache"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(letters: Path, options: dict[str, Any], message: str) -> None:
    filled = {name: str(letters) if value == "{output}" else value for name, value in options.items()}
    with pytest.raises(ConfigError, match=message) as refused:
        write_report(letters, letters.with_suffix(".html"), **filled)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.parquet", None, "no output"),
        ("out.csv", b"a\n1\n", "made of .parquet"),
        ("broken.parquet", b"PAR1 and then nothing", "cannot be read as Parquet"),
    ],
)
def test_what_is_no_output_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message) as refused:
        write_report(tmp_path / name, tmp_path / "report.html")
    assert "\n" not in str(refused.value)


def test_a_report_that_cannot_be_written_says_so(letters: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(letters, tmp_path / "nowhere" / "report.html")


def test_without_its_extra_the_error_names_it(letters: Path) -> None:
    code = (
        "import sys; sys.modules['jinja2'] = None\n"
        "from extract import ConfigError\nfrom extract.report import write_report\n"
        f"try: write_report({str(letters)!r}, 'report.html')\nexcept ConfigError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("pip install 'extract-interactions[report]'")


def test_a_note_stands_in_the_footer_and_in_the_report(tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    run(["I love it"], Extractor(["praise", "complaint"], "{text}"), offline=True, output=output, note="<b>shorter</b>")
    assert read_manifest(output)["note"] == "<b>shorter</b>"
    page = write_report(output, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;shorter&lt;/b&gt;" in page
