"""`extract gold`: from a table to rows to judge, to gold that `extract eval` reads, and to the corrected table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from commands import Extract, in_process

from extract import Client, compile_schema, run
from extract.cli.pipelines import load_pipeline
from extract.review.answer_cells import AnswerCells
from extract.review.decision_file import DecisionFile
from extract.review.gold import records_by_id
from extract.review.source_table import open_source_table
from extract.review.verdicts import verdicts_of
from extract.schema.notation import written_moment, written_numbers
from extract.testing import Emulator, scripted

DATA = Path(__file__).parents[3] / "shared" / "data"

EVERY_TYPE = """
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from pydantic import AwareDatetime, BaseModel, Field, NaiveDatetime
from extract import Extractor

class Colour(Enum):
    red = "red"
    blue = "blue"

class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float

class Square(BaseModel):
    kind: Literal["square"]
    side: Decimal

class Item(BaseModel):
    name: str | None = Field(alias="itemName")
    price: Decimal | None
    due: date | None = None
    colours: list[Colour] = []

class Everything(BaseModel):
    amount: Decimal = Field(alias="grossAmount")
    cents: Annotated[Decimal, Field(decimal_places=2)] | None
    day: date | None
    moment: AwareDatetime
    local: NaiveDatetime | None
    clock: time
    length: timedelta | None
    raw: BYTES
    colour: Colour | None
    shape: Circle | Square = Field(discriminator="kind")
    items: list[Item]
    counts: dict[str, int]
    pair: tuple[int, Decimal]
    either: int | str
    anything: Any
    words: set[str]
    yes: bool | None
    note: str | None
    score: float
    inner: Item | None

extractor = Extractor(Everything, "{text}")
"""

FIRST: dict[str, Any] = {
    "grossAmount": "12.50", "cents": "1.10", "day": "2024-05-01", "moment": "2024-05-01T10:00:00Z",
    "local": "2024-05-01T09:30:00", "clock": "10:00:00", "length": "P1DT2H", "raw": "abc", "colour": "red",
    "shape": {"kind": "square", "side": "2.5"},
    "items": [{"itemName": "pen", "price": "1.5", "due": None, "colours": []}],
    "counts": {"a": 1}, "pair": [1, "2.5"], "either": "7", "anything": {"z": [1, None]}, "words": ["w"], "yes": True,
    "note": "", "score": 0.1, "inner": None,
}  # fmt: skip

OTHER: dict[str, Any] = {
    "grossAmount": "0.000000001", "cents": None, "day": None, "moment": "1999-12-31T23:59:59.000001Z",
    "local": None, "clock": "23:59:59.5", "length": None, "raw": "", "colour": None,
    "shape": {"kind": "circle", "radius": 1e-7}, "items": [
        {"itemName": 'a "b", c\nd', "price": None, "due": "2020-02-29", "colours": ["blue", "red"]},
        {"itemName": None, "price": "-3", "due": None, "colours": []},
    ],
    "counts": {}, "pair": [-1, "0"], "either": 7, "anything": None, "words": [], "yes": None,
    "note": None, "score": 1e300,
    "inner": {"itemName": "", "price": "12345678901234567890.123456789", "due": None, "colours": []},
}  # fmt: skip


@pytest.fixture
def extract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Extract:
    monkeypatch.chdir(tmp_path)
    return in_process(monkeypatch, capfd)


def ask(pipeline: str, rows: pl.DataFrame, answers: Mapping[str, Any], output: str, **options: Any) -> None:
    """Run a pipeline whose model gives each text its answer."""
    client = Client("any", transport=Emulator(answers=scripted(answers)).transport)
    run(rows, load_pipeline(pipeline), client=client, output=Path(output), cache=None, **options)


def judge(review: str, output: str | None, right: Mapping[Any, Any], person: str = "ann", *, blind: bool = True) -> Any:
    """Decide as a person at the page does, each row by its id; rows that are not in `right` are skipped."""
    with DecisionFile.open(Path(review)) as file:
        table = None if output is None else open_source_table(output, on=file.setup.on)
        schema = None if file.setup.pipeline is None else compile_schema(load_pipeline(file.setup.pipeline).schema)
        cells = AnswerCells(file.setup, schema)
        tasks = file.tasks(1, len(file))
        records = {} if table is None else records_by_id(table, [task.row_id for task in tasks])
        for now, task in enumerate(tasks):
            if task.row_id not in right:
                file.decide(task.number, person, "skipped", blind=blind, now=float(now))
                continue
            value = right[task.row_id]
            decided = cells.of(value)
            answer = None if table is None else table.answer_of(records[repr(task.row_id)])
            verdicts = {} if table is None else verdicts_of(answer, decided, file.setup.fields)
            action = "right" if verdicts and all(verdicts.values()) else "corrected"
            file.decide(task.number, person, action, value, verdicts=verdicts, blind=blind, now=float(now))
        return file.progress(person).as_json()


def typed_rows() -> pl.DataFrame:
    return pl.DataFrame(
        {"id": [f"r{number}" for number in range(8)], "text": [f"text {number}." for number in range(8)]}
    )


@pytest.mark.parametrize("raw", ["bytes", "str"])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_gold_of_every_type_agrees_wholly_with_the_table_that_it_corrected(
    extract: Extract, ending: str, raw: str
) -> None:
    Path("p.py").write_text(EVERY_TYPE.replace("BYTES", raw))
    ask("p.py", typed_rows(), {f"text {number}.": FIRST for number in range(8)}, "out.parquet")
    pipeline = (
        ["--pipeline", "p.py"] if raw == "bytes" else []
    )  # a JSON Schema alone does not say how bytes are written
    assert extract("gold", "draw", "out.parquet", "-o", "review.db", *pipeline).returncode == 0
    judge("review.db", "out.parquet", {f"r{number}": OTHER if number % 2 else FIRST for number in range(8)})
    assert extract("gold", "write", "review.db", "-o", f"gold.{ending}", *pipeline).returncode == 0
    assert extract("gold", "apply", "review.db", "out.parquet", "-o", "corrected.parquet", *pipeline).returncode == 0

    scores = json.loads(extract("eval", "p.py", "corrected.parquet", f"gold.{ending}", "--on", "id", "--json").stdout)
    assert (scores["rows"], scores["missing"], scores["correct"]) == (8, 0, 8)
    fields = {one["field"]: one["exact"] for one in scores["fields"]}
    assert fields == dict.fromkeys(fields, 1.0)

    before, after = pl.read_parquet("out.parquet"), pl.read_parquet("corrected.parquet")
    assert dict(after.schema) == {**before.schema, "_review": after.schema["_review"]}
    schema = compile_schema(load_pipeline("p.py").schema)
    rows = [schema.row(schema.validate(json.dumps(OTHER if number % 2 else FIRST))) for number in range(8)]
    assert after.select(list(schema.dtypes)).equals(schema.frame(rows))  # null and empty told apart, every digit there


def test_a_field_of_bytes_asks_for_the_pipeline(extract: Extract) -> None:
    Path("p.py").write_text(EVERY_TYPE.replace("BYTES", "bytes"))
    ask("p.py", typed_rows(), {f"text {number}.": FIRST for number in range(8)}, "out.parquet")
    extract("gold", "draw", "out.parquet", "-o", "review.db")
    with DecisionFile.open(Path("review.db")) as file:
        file.decide(1, "ann", "corrected", OTHER, blind=True, now=1.0)
    done = extract("gold", "write", "review.db", "-o", "gold.csv")
    assert done.returncode == 2
    assert "'raw'" in done.stderr
    assert "--pipeline" in done.stderr
    assert not Path("gold.csv").exists()


def test_null_and_an_empty_text_differ_in_gold_of_every_format(extract: Extract) -> None:
    Path("p.py").write_text(_NOTES)
    rows = pl.DataFrame({"id": [1, 2, 3], "text": ["one.", "two.", "three."]})
    ask("p.py", rows, {key: {"note": "x"} for key in ("one.", "two.", "three.")}, "out.parquet")
    extract("gold", "draw", "out.parquet", "-o", "review.db")
    judge("review.db", "out.parquet", {1: {"note": None}, 2: {"note": ""}, 3: {"note": "null"}})
    for ending in ("csv", "jsonl", "parquet"):
        extract("gold", "write", "review.db", "-o", f"gold.{ending}")
        extract("gold", "apply", "review.db", "out.parquet", "-o", f"corrected-{ending}.parquet")
        scores = json.loads(
            extract("eval", "p.py", f"corrected-{ending}.parquet", f"gold.{ending}", "--on", "id", "--json").stdout
        )
        assert scores["fields"][0]["exact"] == 1.0
    assert pl.read_parquet("corrected-csv.parquet")["note"].to_list() == [None, "", "null"]
    assert dict(pl.read_parquet("gold.parquet").select("id", "note").iter_rows()) == {1: None, 2: "", 3: "null"}


_NOTES = """
from pydantic import BaseModel
from extract import Extractor
class Notes(BaseModel):
    note: str | None
extractor = Extractor(Notes, "{text}")
"""

LABELLED = """
from extract import Extractor
extractor = Extractor(["bug", "billing", "other"], "{text}")
"""


def texts(count: int) -> pl.DataFrame:
    return pl.DataFrame({"id": range(count), "text": [f"text {number}." for number in range(count)]})


@pytest.fixture
def labelled(extract: Extract) -> Extract:
    """A run over 60 texts that says `bug` of all of them, in out.parquet; the texts are in texts.csv."""
    Path("p.py").write_text(LABELLED)
    texts(60).write_csv("texts.csv")
    ask("p.py", texts(60), {"text": {"value": "bug"}}, "out.parquet", row_id="id")
    return extract


def right(count: int = 60) -> dict[int, Any]:
    """What a person says: two of three answers are right."""
    return {number: {"value": "billing" if number % 3 == 0 else "bug"} for number in range(count)}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_accuracy_and_its_interval_are_what_eval_says_of_the_same_rows(labelled: Extract, ending: str) -> None:
    labelled("gold", "draw", "out.parquet", "-o", "review.db", "--rows", "40", "--seed", "3")
    shown = judge("review.db", "out.parquet", {key: value for key, value in right().items() if key % 5})
    (accuracy,) = shown["accuracy"]
    labelled("gold", "write", "review.db", "-o", f"gold.{ending}")
    scores = json.loads(labelled("eval", "p.py", "out.parquet", f"gold.{ending}", "--on", "id", "--json").stdout)
    assert (accuracy["judged"], accuracy["right"]) == (scores["rows"], scores["correct"])
    (field,) = scores["fields"]
    assert accuracy["fields"]["value"]["share"] == field["normalised"]
    assert accuracy["interval"] == accuracy["fields"]["value"]["interval"] == field["intervals"]["normalised"]
    assert not accuracy["enough"]  # rows were skipped: fewer are judged than were fixed when they were drawn


def test_a_rejected_row_is_wrong_on_the_page_as_it_is_for_eval(extract: Extract) -> None:
    Path("p.py").write_text(LABELLED)
    answers = {f"text {number}.": {"value": "bug"} if number else "no json" for number in range(6)}
    ask("p.py", texts(6), answers, "out.parquet", errors="null", provenance=True)
    extract("gold", "draw", "out.parquet", "-o", "review.db")
    (accuracy,) = judge("review.db", "out.parquet", {number: {"value": "bug"} for number in range(6)})["accuracy"]
    extract("gold", "write", "review.db", "-o", "gold.csv")
    scores = json.loads(extract("eval", "p.py", "out.parquet", "gold.csv", "--on", "id", "--json").stdout)
    assert (accuracy["judged"], accuracy["right"]) == (scores["rows"], scores["correct"]) == (6, 5)
    extract("gold", "apply", "review.db", "out.parquet", "-o", "corrected.parquet")
    scores = json.loads(extract("eval", "p.py", "corrected.parquet", "gold.csv", "--on", "id", "--json").stdout)
    assert (scores["missing"], scores["correct"]) == (0, 6)


def test_the_same_seed_draws_the_same_rows_from_any_format_and_another_draws_others(labelled: Extract) -> None:
    drawn = []
    for data, seed in (("texts.csv", "7"), ("out.parquet", "7"), ("texts.csv", "8")):
        name = f"{len(drawn)}.db"
        labelled("gold", "draw", data, "-o", name, "--pipeline", "p.py", "--rows", "20", "--seed", seed)
        with DecisionFile.open(Path(name)) as file:
            drawn.append([(task.row_id, task.row_hash, task.split) for task in file.tasks(1, 99)])
    assert drawn[0] == drawn[1] != drawn[2]
    assert len({row_id for row_id, *_ in drawn[0]}) == 20


def test_every_row_is_drawn_equally_often() -> None:
    table = open_source_table(str(DATA / "banking77" / "test.csv")) if DATA.is_dir() else pytest.skip("no shared data")
    from extract.review.draw import draw_sample

    positions = [task.row_id for seed in range(40) for task in draw_sample(table, 77, seed=seed).rows]
    halves = sum(1 for position in positions if isinstance(position, int) and position < 1_540) / len(positions)
    assert abs(halves - 0.5) < 0.03  # 3,080 rows drawn from 3,080: four standard errors


def test_draw_says_where_the_rows_are_that_it_cannot_draw(extract: Extract) -> None:
    Path("p.py").write_text(LABELLED)
    answers = {f"text {number}.": {"value": "bug"} if number else "no json" for number in range(6)}
    ask("p.py", texts(6), answers, "out.parquet", errors="split")
    done = extract("gold", "draw", "out.parquet", "-o", "review.db")
    assert "5 of 5 rows drawn" in done.stderr
    assert "rejected rows are not in out.parquet and cannot be drawn: out.errors.parquet" in done.stderr


def test_draw_says_how_many_rows_a_promise_takes_before_one_is_labelled(labelled: Extract) -> None:
    done = labelled("gold", "draw", "texts.csv", "-o", "sheet.csv", "--labels", "bug,billing,other")
    assert "takes 59 accepted proof rows without an error" in done.stderr
    assert "too few to prove that" in done.stderr
    shown = labelled("gold", "draw", "texts.csv", "-o", "s.csv", "--pipeline", "p.py", "--right", "0.9", "--json")
    assert json.loads(shown.stdout)["needed"] == 29
    refused = labelled("gold", "draw", "texts.csv", "-o", "t.csv", "--pipeline", "p.py", "--right", "1")
    assert refused.returncode == 2
    assert not Path("t.csv").exists()


@pytest.mark.parametrize("ending", ["csv", "xlsx", "jsonl", "parquet"])
def test_a_sheet_that_is_filled_in_is_gold(labelled: Extract, ending: str) -> None:
    done = labelled("gold", "draw", "texts.csv", "-o", f"sheet.{ending}", "--pipeline", "p.py", "--rows", "30")
    assert done.returncode == 0, done.stderr
    sheet = open_source_table(f"sheet.{ending}").rows_at(range(30))
    assert sheet.columns == ["id", "text", "value", "_split", "_row_hash"]
    filled = sheet.with_columns(pl.Series("value", [right()[int(key)]["value"] for key in sheet["id"]]))
    filled.write_csv("filled.csv")
    scores = json.loads(labelled("eval", "p.py", "out.parquet", "filled.csv", "--on", "id", "--json").stdout)
    assert scores["rows"] == 30
    again = labelled("gold", "draw", "texts.csv", "-o", f"sheet.{ending}", "--pipeline", "p.py")
    assert again.returncode == 2
    assert "--overwrite" in again.stderr


@pytest.mark.parametrize("ending", ["csv", "xlsx", "jsonl", "parquet"])
def test_rows_of_a_sheet_that_nobody_has_filled_in_count_in_no_figure(labelled: Extract, ending: str) -> None:
    labelled("gold", "draw", "texts.csv", "-o", f"sheet.{ending}", "--pipeline", "p.py", "--rows", "30")
    words = ("eval", "p.py", "out.parquet", "filled.csv", "--on", "id")
    sheet = open_source_table(f"sheet.{ending}").rows_at(range(30))
    sheet.write_csv("filled.csv")
    assert "nobody has labelled a row" in labelled(*words).stderr
    known = [right()[int(key)]["value"] if place < 12 else None for place, key in enumerate(sheet["id"])]
    sheet.with_columns(pl.Series("value", known)).write_csv("filled.csv")
    scores = json.loads(labelled(*words, "--json").stdout)
    assert (scores["rows"], scores["unlabelled"]) == (12, 18)
    assert "18 rows of the gold are not filled in yet, and count in no figure" in labelled(*words).stdout
    assert "12 gold rows" in labelled(*words, "--against", "out.parquet").stdout


def test_draw_says_what_to_do_next_and_nothing_decided_is_no_gold_yet(labelled: Extract) -> None:
    done = labelled("gold", "draw", "out.parquet", "-o", "review.db")
    assert "next: extract review review.db" in done.stderr
    assert "a .db file for the page" in labelled("gold", "draw", "out.parquet", "-o", "review.sqlite").stderr
    assert "holds no gold yet: nothing is decided in it" in labelled("gold", "write", "review.db", "-o", "g.csv").stderr


def test_a_cell_like_a_formula_is_a_text_in_a_workbook(extract: Extract) -> None:
    pl.DataFrame({"id": [1, 2], "text": ["=1+1", "@SUM(A1)"]}).write_csv("texts.csv")
    extract("gold", "draw", "texts.csv", "-o", "sheet.xlsx", "--labels", "a,b")
    assert sorted(open_source_table("sheet.xlsx").rows_at([0, 1])["text"]) == ["=1+1", "@SUM(A1)"]


def test_blind_and_prefilled_sample_and_queue_are_never_in_one_file_of_gold(labelled: Extract) -> None:
    labelled("gold", "draw", "out.parquet", "-o", "review.db", "--rows", "40")
    with DecisionFile.open(Path("review.db")) as file:
        for task in file.tasks(1, 40):
            file.decide(task.number, "ann", "corrected", {"value": "other"}, blind=task.number <= 10, now=1.0)
    assert "10 rows of gold (blind)" in labelled("gold", "write", "review.db", "-o", "gold.csv").stderr
    done = labelled("gold", "write", "review.db", "-o", "seen.csv", "--only", "prefilled", "--json")
    assert json.loads(done.stdout)["rows"] == 30
    assert "proof" not in json.loads(done.stdout)["split"]  # who saw the answer proves nothing
    labelled("gold", "write", "review.db", "-o", "all.csv", "--only", "all")
    assert pl.read_csv("all.csv")["_blind"].value_counts().sort("_blind").rows() == [(False, 30), (True, 10)]
    empty = labelled("gold", "write", "review.db", "-o", "queue.csv", "--only", "queue")
    assert empty.returncode == 2
    assert not Path("queue.csv").exists()


def test_a_queue_brings_score_and_reason_and_never_a_proof_row(labelled: Extract) -> None:
    labelled("gold", "draw", "out.parquet", "-o", "sample.db", "--rows", "40")
    judge("sample.db", "out.parquet", right())
    labelled("gold", "write", "sample.db", "-o", "gold.csv")
    with DecisionFile.open(Path("sample.db")) as file:
        proof = {task.row_id for task in file.tasks(1, 40) if task.split == "proof"}
    order = list(range(59, -1, -1))
    queue = pl.DataFrame(
        {"id": order, "score": [key / 100 for key in order], "reason": [f"why {key}" for key in order]}
    )
    for ending in ("csv", "parquet"):
        queue.write_csv("queue.csv") if ending == "csv" else queue.write_parquet("queue.parquet")
        for known in ("sample.db", "gold.csv"):
            name = f"{ending}-{known}.db"
            done = labelled("gold", "draw", "out.parquet", "--queue", f"queue.{ending}", "--gold", known, "-o", name)
            assert f"{len(proof):,} rows left out: they are proof rows" in done.stderr
            with DecisionFile.open(Path(name)) as file:
                tasks = file.tasks(1, 99)
            assert [task.row_id for task in tasks] == [key for key in order if key not in proof]
            assert all(task.kind == "queue" and task.split != "proof" for task in tasks)
            scored = [(key / 100, f"why {key}") for key in order if key not in proof]
            assert [(task.score, task.reason) for task in tasks] == scored


@pytest.mark.parametrize(
    ("queue", "message"),
    [
        ("name\n1\n", "no column 'id'"),
        ("id\n1\n1\n", "more than once"),
        ("id\n999\n", "no row '999'"),
    ],
)
def test_a_queue_that_names_no_rows_is_refused_in_a_line(labelled: Extract, queue: str, message: str) -> None:
    Path("queue.csv").write_text(queue)
    done = labelled("gold", "draw", "out.parquet", "--queue", "queue.csv", "-o", "queue.db")
    assert done.returncode == 2
    assert message in done.stderr
    assert not Path("queue.db").exists()


def test_mistakes_never_show_a_proof_row(labelled: Extract) -> None:
    labelled("gold", "draw", "out.parquet", "-o", "review.db", "--rows", "60")
    judge("review.db", "out.parquet", right())
    labelled("gold", "write", "review.db", "-o", "gold.csv")
    gold = pl.read_csv("gold.csv")
    proof = set(gold.filter(_split="proof")["id"])
    scores = json.loads(
        labelled("eval", "p.py", "out.parquet", "gold.csv", "--on", "id", "--mistakes", "99", "--json").stdout
    )
    assert {one["id"] for one in scores["mistakes"]} == set(range(0, 60, 3)) - proof
    assert scores["proof"] == len(proof)
    ask("p.py", texts(60), {"text": {"value": "other"}}, "other.parquet")
    against = labelled(
        "eval", "p.py", "out.parquet", "gold.csv", "--against", "other.parquet", "--on", "id", "--mistakes", "99"
    )
    listed = {
        int(line.split()[0]) for line in against.stdout.splitlines() if line.strip()[:1].isdigit() and "value" in line
    }
    assert not listed & proof


def test_apply_refuses_by_row_what_has_changed_since(labelled: Extract) -> None:
    labelled("gold", "draw", "out.parquet", "-o", "review.db", "--rows", "60")
    judge("review.db", "out.parquet", {number: {"value": "other"} for number in range(60)})
    table = pl.read_parquet("out.parquet")
    changed = table.with_columns(
        text=pl.when(id=3).then(pl.lit("changed")).otherwise("text"),
        value=pl.when(id=5)
        .then(pl.lit("billing"))
        .otherwise(pl.col("value").cast(pl.String))
        .cast(table["value"].dtype),
    ).filter(pl.col("id") != 7)
    pl.concat([changed, changed.filter(id=9)]).write_parquet("now.parquet")
    done = labelled("gold", "apply", "review.db", "now.parquet", "--prefix", "", "-o", "corrected.parquet", "--json")
    assert done.returncode == 3
    refused = {one["row_id"]: one["reason"] for one in json.loads(done.stdout)["refused"]}
    assert refused == {
        3: "the row has changed since it was judged",
        5: "its answer has changed since it was judged",
        7: "it is not in the table",
        9: "its key stands in the table twice",
    }
    after = pl.read_parquet("corrected.parquet")
    assert after.height == 60
    kept = dict(after.filter(pl.col("_review").is_null()).select("id", "value").iter_rows())
    assert {key: value for key, value in kept.items() if key != 9} == {3: "bug", 5: "billing"}
    listed = labelled("gold", "apply", "review.db", "now.parquet", "-o", "again.parquet")
    assert "row 3 refused: the row has changed since it was judged" in listed.stderr


def test_corrections_say_who_when_and_from_what_to_what_and_leave_the_run_alone(labelled: Extract) -> None:
    before = Path("out.parquet").read_bytes()
    labelled("gold", "draw", "out.parquet", "-o", "review.db", "--rows", "60")
    judge("review.db", "out.parquet", {0: {"value": "other"}, 1: {"value": "bug"}})
    refused = labelled("gold", "apply", "review.db", "out.parquet", "-o", "out.parquet")
    assert refused.returncode == 2
    assert "--overwrite" in refused.stderr
    assert labelled("gold", "apply", "review.db", "out.parquet", "-o", "corrected.parquet").returncode == 0
    assert Path("out.parquet").read_bytes() == before
    reviews = dict(pl.read_parquet("corrected.parquet").select("id", "_review").iter_rows())
    assert reviews[0]["people"] == ["ann"]
    assert reviews[0]["changes"] == [{"field": "value", "from": '"bug"', "to": '"other"'}]
    assert reviews[0]["time"].year == 1970
    assert (reviews[1]["action"], reviews[1]["changes"]) == ("confirmed", [])
    assert reviews[2] is None
    assert labelled("gold", "apply", "review.db", "out.parquet", "-o", "out.parquet", "--overwrite").returncode == 0
    assert labelled("report", "out.parquet", "-o", "report.html").returncode == 0  # its footer is still that of the run


def test_files_of_two_people_are_gold_where_they_agree(labelled: Extract) -> None:
    for person, says in (("ann", "other"), ("ben", "billing")):
        labelled("gold", "draw", "out.parquet", "-o", f"{person}.db", "--rows", "20")
        judge(
            f"{person}.db", "out.parquet", {key: {"value": says if key < 30 else "other"} for key in range(60)}, person
        )
    done = labelled("gold", "write", "ann.db", "ben.db", "-o", "gold.csv", "--json")
    assert json.loads(done.stdout)["left_out"] == {"on which people differ": 20 - json.loads(done.stdout)["rows"]}
    gold = pl.read_csv("gold.csv")
    assert min(gold["id"]) >= 30
    assert set(gold["_people"]) == {"ann, ben"}
    merged = labelled("gold", "merge", "ann.db", "ben.db", "-o", "all.db")
    assert "kappa" in merged.stderr
    assert labelled("gold", "merge", "ann.db", "-o", "all.db").returncode == 2


def test_files_of_different_reviews_are_not_merged(labelled: Extract) -> None:
    labelled("gold", "draw", "out.parquet", "-o", "a.db")
    labelled("gold", "draw", "texts.csv", "--labels", "yes,no", "-o", "b.db")
    done = labelled("gold", "write", "a.db", "b.db", "-o", "gold.csv")
    assert done.returncode == 2
    assert "different reviews" in done.stderr


def test_texts_without_answers_become_gold_too(labelled: Extract) -> None:
    labelled("gold", "draw", "texts.csv", "--pipeline", "p.py", "-o", "review.db", "--rows", "30")
    shown = judge("review.db", None, right())
    assert shown["accuracy"][0]["judged"] == 0
    labelled("gold", "write", "review.db", "-o", "gold.csv")
    assert pl.read_csv("gold.csv").columns[:3] == ["id", "text", "value"]
    scores = json.loads(labelled("eval", "p.py", "out.parquet", "gold.csv", "--on", "id", "--json").stdout)
    assert scores["rows"] == 30
    done = labelled("gold", "apply", "review.db", "out.parquet", "-o", "corrected.parquet")
    assert done.returncode == 0


def test_gold_is_written_without_its_inputs_where_the_table_is_gone_and_says_so(labelled: Extract) -> None:
    labelled("gold", "draw", "out.parquet", "-o", "review.db")
    judge("review.db", "out.parquet", right())
    Path("out.parquet").rename("moved.parquet")
    done = labelled("gold", "write", "review.db", "-o", "gold.csv")
    assert "own columns are left out" in done.stderr
    assert "text" not in pl.read_csv("gold.csv").columns
    labelled("gold", "write", "review.db", "-o", "whole.csv", "--source", "moved.parquet")
    assert "text" in pl.read_csv("whole.csv").columns


@pytest.mark.parametrize(
    "command", [["write", "x.db", "-o", "g.csv"], ["apply", "x.db", "out.parquet", "-o", "c.parquet"]]
)
def test_what_is_no_decision_file_is_one_line(labelled: Extract, command: list[str]) -> None:
    missing = labelled("gold", *command)
    Path("x.db").write_bytes(b"no database")
    broken = labelled("gold", *command)
    for done in (missing, broken):
        assert done.returncode in (1, 2)
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith("error: ")


BANKING = """
import json
from pathlib import Path
from extract import Extractor
extractor = Extractor(json.loads(Path("categories.json").read_text()), "{text}")
"""

RECEIPTS = """
from datetime import date
from decimal import Decimal
from pydantic import BaseModel
from extract import Extractor
class Receipt(BaseModel):
    company: str | None
    date: date | None
    address: str | None
    total: Decimal | None
extractor = Extractor(Receipt, "{text}")
"""


def banking() -> dict[Any, Any]:
    """What the people of banking77 say about 300 of its messages, by id."""
    folder = DATA / "banking77"
    Path("categories.json").write_text((folder / "categories.json").read_text())
    table = pl.read_csv(folder / "test.csv").sample(300, seed=1).with_row_index("id")
    table.drop("category").write_csv("rows.csv")
    Path("p.py").write_text(BANKING)
    return {row["id"]: {"value": row["category"]} for row in table.to_dicts()}


def receipts() -> dict[Any, Any]:
    """What the people of SROIE say about its receipts, by id; dates and totals as the schema has them."""
    lines = (DATA / "sroie2019" / "receipts.jsonl").read_text("utf-8").splitlines()[:300]
    table = [json.loads(line) for line in lines]
    pl.DataFrame({name: [row[name] for row in table] for name in ("id", "text")}).write_csv("rows.csv")
    Path("p.py").write_text(RECEIPTS)
    return {row["id"]: typed_receipt(row["gold"]) for row in table}


def typed_receipt(gold: dict[str, Any]) -> dict[str, Any]:
    moment = written_moment(gold["date"] or "", day_first=True)
    numbers = written_numbers(gold["total"] or "")
    day = None if moment is None else moment.isoformat()[:10]
    return {**gold, "date": day, "total": str(min(numbers)) if numbers else None}


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real data beside the project, shared/data")
@pytest.mark.parametrize("truth", [banking, receipts])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_gold_of_real_rows_agrees_wholly_with_the_corrected_table(
    extract: Extract, ending: str, truth: Callable[[], dict[Any, Any]]
) -> None:
    right_answers = truth()
    assert extract("run", "p.py", "rows.csv", "-o", "out.parquet", "--offline", "-q").returncode in (0, 3)
    assert extract("gold", "draw", "out.parquet", "-o", "review.db", "--rows", "150").returncode == 0
    (accuracy,) = judge("review.db", "out.parquet", right_answers)["accuracy"]
    assert extract("gold", "write", "review.db", "-o", f"gold.{ending}").returncode == 0

    before = json.loads(extract("eval", "p.py", "out.parquet", f"gold.{ending}", "--on", "id", "--json").stdout)
    assert (accuracy["judged"], accuracy["right"]) == (before["rows"], before["correct"]) != (150, 150)
    for field in before["fields"]:
        assert accuracy["fields"][field["field"]]["interval"] == field["intervals"]["normalised"]

    assert extract("gold", "apply", "review.db", "out.parquet", "-o", "corrected.parquet").returncode == 0
    after = json.loads(extract("eval", "p.py", "corrected.parquet", f"gold.{ending}", "--on", "id", "--json").stdout)
    assert (after["missing"], after["correct"]) == (0, 150)
    assert {field["exact"] for field in after["fields"]} == {1.0}
