"""`extract tune`: variants tried on some gold rows, the best proved on others, and nothing asked or paid twice."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from commands import Extract, in_process

from extract import Client, ConfigError, Emulator, Extractor, Pack, Tuning, Variant, tune
from extract.evaluation.split import parse_shares, row_hash, split_of
from extract.testing import record_text, running_server
from extract.tuning.halving import Standing, leaving, ranked, rounds_of
from extract.tuning.pipeline_file import tuned_files
from extract.tuning.variants import read_variants, variant_grid

ROWS = [{"id": number, "text": f"message {number}"} for number in range(400)]
LABELS = ["even", "odd"]
GOLD = [{"id": row["id"], "label": LABELS[row["id"] % 2]} for row in ROWS]
BASE = Extractor(LABELS, "{text}", model="gemini-2.5-flash")
SHARES = parse_shares("20/40/40")


def part_of(row: dict[str, Any]) -> str:
    return split_of(row_hash(row), SHARES)


class Model:
    """A service whose answers are right for a share of the rows: what that is, the request decides."""

    def __init__(self, skill: Callable[[dict[str, Any]], float]) -> None:
        self.skill = skill
        self.asked: list[int] = []
        self.emulator = Emulator(answers=self._answer)
        self.client = Client("key", transport=self.emulator.transport)

    def _answer(self, body: dict[str, Any]) -> dict[str, str]:
        number = int(re.findall(r"\d+", record_text(body))[-1])
        self.asked.append(number)
        is_right = (number * 7919 % 100) / 100 < self.skill(body)
        return {"value": LABELS[(number + (not is_right)) % 2]}

    @property
    def requests(self) -> int:
        return int(self.emulator.stats()["requests"])


def by_prompt(body: dict[str, Any]) -> float:
    """Return the skill that a prompt names: "skill 90"."""
    match = re.search(r"skill (\d+)", record_text(body))
    return int(match[1]) / 100 if match else 0.5


def skilled(*percent: int) -> list[Variant]:
    return [Variant(name=f"p{one}", prompt=f"skill {one}: {{text}}") for one in percent]


def tuned(model: Model, variants: list[Variant], **options: Any) -> Tuning:
    given = {"on": "id", "answer": "label", "shares": SHARES, **options}
    return tune(ROWS, BASE, GOLD, variants, client=model.client, **given)


def test_the_best_variant_wins_and_is_proved_on_rows_that_played_no_part() -> None:
    model = Model(by_prompt)
    result = tuned(model, skilled(60, 95, 70, 40))
    assert result.winner.name == "p95"
    assert result.proof is not None
    proof_rows = {row["id"] for row in ROWS if part_of(row) == "proof"}
    assert result.proof.rows == len(proof_rows)
    right = sum((number * 7919 % 100) < 95 for number in proof_rows)
    before = sum((number * 7919 % 100) < 50 for number in proof_rows)
    assert (result.proof.right, result.proof.right_before) == (right, before)


def test_no_proof_row_is_asked_before_the_choice_is_made() -> None:
    model = Model(by_prompt)
    rounds: list[int] = []
    tuned(model, skilled(60, 95), on_round=lambda _: rounds.append(len(model.asked)))
    parts = {row["id"]: part_of(row) for row in ROWS}
    assert {parts[number] for number in model.asked[: rounds[-1]]} == {"tuning"}
    assert {parts[number] for number in model.asked[rounds[-1] :]} == {"proof"}


def test_a_second_call_asks_nothing_and_says_the_same(tmp_path: Path) -> None:
    model = Model(by_prompt)
    first = tuned(model, skilled(60, 95), cache=tmp_path / "answers")
    asked = model.requests
    second = tuned(model, skilled(60, 95), cache=tmp_path / "answers")
    assert model.requests == asked == first.requests
    assert second.requests == 0
    assert [one.cost for one in second.scores] == [one.cost for one in first.scores]
    assert str(second).splitlines()[:-1] == str(first).splitlines()[:-1]


def test_one_more_variant_asks_only_what_is_new(tmp_path: Path) -> None:
    model = Model(by_prompt)
    tuned(model, skilled(60, 95), cache=tmp_path / "answers")
    asked = model.requests
    more = tuned(model, skilled(60, 95, 10), cache=tmp_path / "answers")
    assert 0 < more.requests == model.requests - asked < asked / 3


def test_the_budget_is_kept_and_weak_variants_leave_for_it(tmp_path: Path) -> None:
    model = Model(by_prompt)
    free = tuned(model, skilled(60, 95, 70, 40, 90, 85, 80))
    assert free.cost is not None
    bounded = tuned(model, skilled(60, 95, 70, 40, 90, 85, 80), budget=free.cost / 2)
    assert bounded.cost is not None
    assert bounded.cost <= free.cost / 2
    assert bounded.scores[0].accuracy >= 0.85
    with pytest.raises(ConfigError, match="the budget reaches for"):
        tuned(model, skilled(60, 95), budget=Decimal("0.00001"))


def test_gold_that_is_shown_is_of_the_part_for_examples() -> None:
    seen: set[int] = set()

    def skill(body: dict[str, Any]) -> float:
        texts = [turn["content"][0]["text"] for turn in body["input"][:-1:2]]
        seen.update(int(text.split()[-1]) for text in texts)
        return 0.9 if texts else 0.4

    result = tuned(Model(skill), variant_grid(examples=["4", "nearest:4"]))
    parts = {row["id"]: part_of(row) for row in ROWS}
    assert {parts[number] for number in seen} == {"examples"}
    assert result.winner.name in ("examples 4", "nearest 4")


def test_a_column_split_of_the_gold_is_taken_at_its_word() -> None:
    marked = [{**row, "_split": ("examples", "tuning", "proof")[row["id"] % 3]} for row in GOLD]
    model = Model(by_prompt)
    result = tune(ROWS, BASE, marked, skilled(95), on="id", answer="label", client=model.client)
    assert result.proof is not None
    assert result.proof.rows == sum(row["id"] % 3 == 2 for row in GOLD)


def test_the_cheaper_of_equally_good_variants_wins_and_the_front_is_marked() -> None:
    model = Model(lambda body: 0.9 if "lite" in body["model"] or "pro" in body["model"] else 0.7)
    result = tuned(model, variant_grid(models=["gemini-2.5-pro", "gemini-2.5-flash-lite"]))
    assert result.winner.name == "model gemini-2.5-flash-lite"
    assert [one.on_front for one in result.scores] == [True, False, False]


def test_samples_are_a_variant_too() -> None:
    model = Model(by_prompt)
    result = tuned(model, [Variant(name="three", samples=3)])
    three = next(one for one in result.scores if one.variant.name == "three")
    one = next(one for one in result.scores if one.variant.name == "as it is")
    assert three.cost is not None
    assert one.cost is not None
    assert three.cost == pytest.approx(3 * one.cost)


def test_rows_in_a_request_are_a_variant_too(tmp_path: Path) -> None:
    model = Model(lambda body: 0.8)
    base = replace(BASE, system="what is the same for all rows is said once " * 50)
    given: dict[str, Any] = {"on": "id", "answer": "label", "shares": SHARES, "client": model.client}
    result = tune(ROWS, base, GOLD, variant_grid(packs=[8]), **given)
    costs = {one.variant.name: one.cost for one in result.scores}
    together, alone = costs["pack 8"], costs["as it is"]
    assert together is not None
    assert alone is not None
    assert together < alone
    assert result.winner.name == "pack 8"
    assert result.extractor.pack == Pack(rows=8)
    (tmp_path / "p.py").write_text(PIPELINE)
    written = tuned_files(str(tmp_path / "p.py"), result, tmp_path / "tuned.py").text
    made: dict[str, Any] = {"__file__": str(tmp_path / "tuned.py")}
    exec(written, made)
    assert made["extractor"].pack == Pack(rows=8)


@pytest.mark.parametrize(
    ("rows", "gold", "variants", "message"),
    [
        (ROWS, GOLD, [], "name a variant to try"),
        (ROWS, GOLD, [*skilled(1), *skilled(1)], "two variants have the name"),
        (ROWS, [{"id": 1000, "label": "odd"}], skilled(1), "no key 'id' stands on both sides"),
        (ROWS, GOLD[:20], skilled(1), "label more rows"),
        (ROWS, [{"id": 1}], skilled(1), "in a column of the gold"),
        (ROWS, GOLD, [Variant(name="no", prompt="nothing")], "variant 'no': the prompt names no"),
        (ROWS, GOLD, [Variant(name="no", prompt="{body}")], "needs the columns"),
        (ROWS, GOLD, [Variant(name="no", nearest=90)], "90 examples are wanted"),
        (ROWS, [*GOLD, GOLD[0]], skilled(1), "keys must be unique"),
        (ROWS, [{**row, "_split": "test"} for row in GOLD], skilled(1), "'_split' says 'test'"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_anything_is_sent(
    rows: Any, gold: Any, variants: list[Variant], message: str
) -> None:
    model = Model(by_prompt)
    with pytest.raises(ConfigError, match=message) as refused:
        tune(rows, BASE, gold, variants, on="id", answer="label", client=model.client, shares=SHARES)
    assert "\n" not in str(refused.value)
    assert model.requests == 0


def test_rejected_rows_count_as_wrong() -> None:
    emulator = Emulator(answers=lambda body: {"value": "even"} if "good" in record_text(body) else "no JSON")
    with Client("key", transport=emulator.transport) as client:
        result = tune(
            ROWS,
            BASE,
            GOLD,
            [Variant(name="good", prompt="good {text}")],
            on="id",
            answer="label",
            client=client,
            shares=SHARES,
            keywords={"limits": None},
        )
    assert result.winner.name == "good"
    assert result.proof is not None
    assert result.proof.right_before == 0


# -- pure decisions


def standing(name: str, right: str, place: int = 0, cost: str = "1") -> Standing:
    return Standing(name, place, {key: one == "1" for key, one in enumerate(right)}, Decimal(cost))


def test_variants_are_ranked_by_right_rows_then_cost_then_place() -> None:
    ones = [
        standing("a", "0111", 0),
        standing("b", "0111", 1, "0.5"),
        standing("c", "1111", 2),
        standing("d", "0111", 3),
    ]
    assert [one.name for one in ranked(ones)] == ["c", "b", "a", "d"]


def test_a_variant_is_proven_worse_only_at_a_level_shared_among_all_looks() -> None:
    best, other = standing("best", "1" * 12), standing("other", "1" * 4 + "0" * 8)
    assert leaving([best, other], looks=1)["other"].reason == "worse"  # p = 0.0078
    many = leaving([best, other], looks=100)
    assert many.get("other") is None or many["other"].reason == "behind"


def test_variants_that_are_equally_good_all_go_on() -> None:
    same = [standing(name, "10" * 50, place) for place, name in enumerate("abcdef")]
    assert leaving(same, looks=20) == {}


def test_rounds_double_and_end_with_all_rows() -> None:
    assert rounds_of(8, 400) == [100, 200, 400]
    assert rounds_of(2, 400) == [400]
    assert rounds_of(16, 40) == [30, 40]


# -- the command

PIPELINE = (
    'from extract import Extractor\nextractor = Extractor(["card", "loan"], "{text}", model="gemini-2.5-flash")\n'
)


@pytest.fixture
def extract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Extract:
    monkeypatch.chdir(tmp_path)
    Path("p.py").write_text(PIPELINE)
    kinds = [("my plastic was swallowed", "card"), ("I owe interest", "loan")]
    rows = [(number, f"{kinds[number % 2][0]} {number}", kinds[number % 2][1]) for number in range(200)]
    table = pl.DataFrame(rows, schema=["id", "text", "label"], orient="row")
    table.select("id", "text").write_csv("in.csv")
    table.select("id", "label").write_csv("gold.csv")
    return in_process(monkeypatch, capfd)


TUNE = ("tune", "p.py", "in.csv", "--gold", "gold.csv", "--on", "id", "--answer", "label")


def test_the_winner_is_a_pipeline_file_that_runs_and_says_what_is_new(extract: Extract) -> None:
    done = extract(*TUNE, "--examples", "nearest:4", "--offline", "-o", "tuned.py", "--report", "front.html")
    assert done.returncode == 0, done.stderr
    assert "winner: nearest 4" in done.stdout
    assert "that played no part in the choice: 100.0%" in done.stdout
    assert "+    examples=Nearest(Path(__file__).with_name('tuned.examples.jsonl'), k=4, on='id')," in done.stdout
    assert Path("tuned.py").read_text().startswith(PIPELINE)
    page = Path("front.html").read_text()
    assert "<svg" in page
    assert "nearest 4" in page
    assert "<script" not in page
    assert extract("run", "tuned.py", "in.csv", "-o", "out.parquet", "--offline", "-q").returncode == 0
    values = pl.read_parquet("out.parquet")["value"].to_list()
    assert values == pl.read_csv("gold.csv")["label"].to_list()


def test_the_same_command_again_asks_nothing(extract: Extract) -> None:
    first = json.loads(extract(*TUNE, "--examples", "2,nearest:2", "--offline", "--json").stdout)
    second = json.loads(extract(*TUNE, "--examples", "2,nearest:2", "--offline", "--json").stdout)
    assert first["requests"] > 0
    assert second == {**first, "requests": 0}


def test_fixed_examples_and_a_prompt_are_written_as_python(extract: Extract) -> None:
    Path("short.txt").write_text("Topic?\n\n{text}\n")
    Path("variants.toml").write_text('[[variant]]\nname = "both"\nprompt_file = "short.txt"\nexamples = 6\n')
    done = extract(*TUNE, "--variants", "variants.toml", "--offline", "-o", "tuned.py")
    assert done.returncode == 0, done.stderr
    text = Path("tuned.py").read_text()
    assert "prompt='Topic?\\n\\n{text}'," in text
    assert text.count("        Example({'text': '") == 6
    assert "'id'" not in text
    shown = subprocess.run(
        [sys.executable, "-c", "import tuned; print(len(tuned.extractor.examples))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == "6"


def test_costs_and_budget_over_the_socket(extract: Extract) -> None:
    emulator = Emulator()
    with running_server(emulator) as url:
        words = (
            *TUNE,
            "--models",
            "gemini-2.5-flash-lite,gemini-2.5-pro",
            "--base-url",
            url,
            "--budget",
            "0.02",
            "--json",
        )
        done = extract(*words, GEMINI_API_KEY="key")
    result = json.loads(done.stdout)
    assert 0 < result["cost_usd"] <= 0.02
    assert result["winner"] == "model gemini-2.5-flash-lite"
    assert emulator.stats()["requests"] == result["requests"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name a variant to try"),
        (("--examples", "some"), "write a number of fixed examples, or nearest:8"),
        (("--examples", "2", "-o", "p.py"), "is the pipeline itself"),
        (("--examples", "2", "-o", "in.csv"), "ends in .py"),
        (("--examples", "2", "--split", "1/2"), "names no shares"),
        (("--examples", "2", "--report", "x.png"), "ends in .html"),
        (("--samples", "0"), "whole numbers from 1"),
        (("--prompts", "missing.txt"), "cannot be read"),
        (("--variants", "in.csv"), "cannot be read as a list of variants"),
        (("--examples", "2", "--budget", "much"), "not an amount of money"),
    ],
)
def test_wrong_usage_is_told_in_a_line_with_status_2(extract: Extract, words: tuple[str, ...], message: str) -> None:
    done = extract(*TUNE, "--offline", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_file_that_is_there_is_replaced_only_with_force(extract: Extract) -> None:
    Path("tuned.py").write_text("mine\n")
    words = (*TUNE, "--examples", "nearest:2", "--offline", "-o", "tuned.py")
    assert "exists already" in extract(*words).stderr
    assert Path("tuned.py").read_text() == "mine\n"
    assert extract(*words, "--force").returncode == 0
    assert "Nearest" in Path("tuned.py").read_text()


def test_a_list_of_variants_names_what_it_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "v.toml"
    path.write_text('[[variant]]\nname = "a"\ncolour = "red"\n')
    with pytest.raises(ConfigError, match="'colour'"):
        read_variants(path)
    path.write_text('[[variant]]\nname = "a"\nexamples = 1\nnearest = 1\n')
    with pytest.raises(ConfigError, match="not both"):
        read_variants(path)


def test_estimate_tells_the_depth_of_a_tree(extract: Extract) -> None:
    tree = 'LabelTree({"card": ["lost", "late"], "loan": None})'
    Path("tree.py").write_text(f'from extract import Extractor, LabelTree\nextractor = Extractor({tree}, "{{text}}")\n')
    shown = extract("estimate", "tree.py", "in.csv").stdout
    assert "400 different requests" in shown
    assert "labels in a tree, 3 in 2 levels: a row takes up to 2 requests, as counted here, and 1.7 on average" in shown


def test_estimate_tells_how_often_the_right_label_is_a_candidate(extract: Extract) -> None:
    text = PIPELINE.replace('"{text}"', '"{text}", candidates=1')
    Path("few.py").write_text(text)
    pl.read_csv("in.csv").join(pl.read_csv("gold.csv"), on="id").write_csv("whole.csv")
    done = extract("estimate", "few.py", "in.csv", "--gold", "whole.csv", "--answer", "label", "--json")
    assert json.loads(done.stdout)["candidates"]["hits"] == [100, 200]
    assert (
        "round 2, for 100.0%"
        in extract("estimate", "few.py", "in.csv", "--gold", "whole.csv", "--answer", "label").stdout
    )


def test_the_seed_changes_the_order_of_rows_and_nothing_that_is_shown() -> None:
    shown: set[str] = set()
    first: list[int] = []

    def skill(body: dict[str, Any]) -> float:
        shown.add(json.dumps(body["input"][:-1]))
        return 0.9

    for seed in (0, 1):
        model = Model(skill)
        tuned(model, variant_grid(examples=["4"]), seed=seed)
        first.append(model.asked[0])
    assert len(shown) == 2  # none, and the same four
    assert first[0] != first[1]
