"""`run(accept=, escalate=)`: gold first, then row by row from the cheap extractor to the strong one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from random import Random
from threading import Lock
from typing import Any, Literal

import polars as pl
import pytest
from commands import in_process
from pydantic import BaseModel

from extract import (
    Accept,
    Budget,
    BudgetExceeded,
    Client,
    ConfigError,
    Emulator,
    Extractor,
    Limits,
    ResponseCache,
    Run,
    extract_one,
    lazy_run,
    run,
)
from extract.evaluation.proof import Promise
from extract.evaluation.row_scores import row_scores
from extract.interactions.usage import Usage
from extract.io.sinks.open import read_manifest
from extract.runner.proven import prove_steps
from extract.testing import running_server

CHEAP, STRONG = "gemini-2.5-flash-lite", "gemini-2.5-pro"
LABELS = "abc"


class Topic(BaseModel):
    topic: Literal["a", "b", "c"]
    confidence: float


class Plain(BaseModel):
    topic: Literal["a", "b", "c"]


class World:
    """Rows whose truth is known, and two models: the cheap one is right in 85 % and rather knows, the other in 97 %."""

    def __init__(self, rows: int = 1_500, seed: int = 1, cheap: float = 0.85, strong: float = 0.97) -> None:
        random = Random(seed)
        self.truth = [random.choice(LABELS) for _ in range(rows)]
        self.given: list[dict[str, Any]] = []
        for truth in self.truth:
            other = random.choice(LABELS.replace(truth, ""))
            knows = random.random() < cheap
            sure = round(random.betavariate(6, 1.5) if knows else random.betavariate(2.5, 3), 3)
            first = {"topic": truth if knows else other, "confidence": sure}
            second = {"topic": truth if random.random() < strong else other, "confidence": 1.0}
            self.given.append({CHEAP: first, STRONG: second})
        self.asked: Counter[tuple[str, int]] = Counter()
        self.lock = Lock()
        self.plain = False
        self.broken: set[int] = set()

    def answer(self, body: dict[str, Any]) -> Any:
        found = re.search(r"row number (\d+)", str(body["input"]))
        assert found is not None
        with self.lock:
            self.asked[body["model"], int(found[1])] += 1
        if int(found[1]) in self.broken:
            return "nonsense"
        answer = self.given[int(found[1])][body["model"]]
        return {"topic": answer["topic"]} if self.plain else answer

    @property
    def data(self) -> pl.DataFrame:
        return pl.DataFrame({"id": range(len(self.truth)), "text": [f"row number {n}" for n in range(len(self.truth))]})

    def gold(self, rows: int = 300, seed: int = 2) -> pl.DataFrame:
        return pl.DataFrame({"id": range(len(self.truth)), "topic": self.truth}).sample(rows, seed=seed)

    def right(self, frame: pl.DataFrame) -> float:
        """Return the share of rows whose topic is the truth."""
        pairs = zip(frame["id"].to_list(), frame["topic"].cast(pl.String).to_list(), strict=True)
        return sum(self.truth[key] == topic for key, topic in pairs) / frame.height

    def numbers(self, model: str) -> set[int]:
        return {number for one, number in self.asked if one == model}


def step(model: str, schema: Any = Topic, **options: Any) -> Extractor:
    return Extractor(schema, "{text}", model=model, repairs=0, **options)


def accepted_run(world: World, *, emulator: Emulator | None = None, **options: Any) -> Run:
    emulator = emulator or Emulator(answers=world.answer)
    accept = options.pop("accept", None) or Accept(right=0.93, gold=world.gold(), on="id")
    steps = options.pop("escalate", [step(STRONG)])
    client = Client("key", transport=emulator.transport)
    return run(world.data, step(CHEAP), client=client, accept=accept, escalate=steps, **options)


def said(result: Run) -> dict[str, Any]:
    acceptance = result.details.manifest["acceptance"]
    assert isinstance(acceptance, dict)
    return acceptance


def queue_of(result: Run) -> pl.DataFrame:
    assert result.review_file is not None
    return pl.read_parquet(result.review_file)


def test_the_promise_is_kept_for_less_than_the_strong_model_alone(tmp_path: Path) -> None:
    world = World()
    result = accepted_run(world, output=tmp_path / "out.parquet")
    client = Client("key", transport=Emulator(answers=world.answer).transport)
    alone = run(world.data.head(150), step(STRONG), client=client)
    assert result.frame.height >= 1_400
    assert world.right(result.frame) >= 0.93
    assert result.cost is not None
    assert alone.cost is not None
    assert result.cost < 10 * alone.cost * Decimal("0.6")
    assert result.frame["_route"].struct.field("step").unique().sort().to_list() == [1, 2]


def test_what_is_said_of_each_step_adds_up_to_the_bill(tmp_path: Path) -> None:
    world = World()
    emulator = Emulator(answers=world.answer)
    with ResponseCache(tmp_path / "c") as cache:
        result = accepted_run(world, emulator=emulator, cache=cache, output=tmp_path / "out.parquet", provenance=True)
        entries = cache.spent()
    steps = said(result)["steps"]
    assert sum(one["requests"] for one in steps) == result.totals.requests == emulator.stats()["requests"]
    assert result.totals.requests == world.asked.total() == len(world.asked)
    assert result.totals.usage == sum((one.usage for one in entries), Usage())
    assert result.cost == sum((one.cost or Decimal(0) for one in entries), Decimal(0))
    assert sum(one["cost_usd"] for one in steps) == pytest.approx(float(result.cost or 0))
    assert sum(one["accepted"] for one in steps) == said(result)["accepted"] == result.frame.height
    route = result.frame["_route"].struct
    assert [one["accepted"] for one in steps] == [(route.field("step") == place).sum() for place in (1, 2)]
    assert read_manifest(tmp_path / "out.parquet")["acceptance"] == said(result) == result.summary()["acceptance"]
    assert [one["model"] for one in steps] == [CHEAP, STRONG]
    assert len({one["extractor"] for one in steps}) == 2


def test_a_row_that_the_first_step_accepts_is_not_asked_of_the_second() -> None:
    world = World()
    result = accepted_run(world)
    gold = set(world.gold()["id"].to_list())
    first = result.frame.filter(pl.col("_route").struct.field("step") == 1)
    assert first.filter(pl.col("_route").struct.field("accepted")).height > 900
    assert world.numbers(STRONG) & set(first["id"].to_list()) <= gold
    assert gold <= world.numbers(STRONG)
    assert world.numbers(CHEAP) == set(range(1_500))
    assert set(world.asked.values()) == {1}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_budget_stops_it_anywhere_and_the_same_call_goes_on_without_paying_twice(
    tmp_path: Path, share: float
) -> None:
    whole, stopped = World(400), World(400)
    accept = Accept(right=0.85, gold=whole.gold(100), on="id")
    expected = accepted_run(whole, accept=accept)
    assert expected.cost is not None
    options: dict[str, Any] = {"accept": accept, "cache": tmp_path / "c", "limits": Limits(concurrency=4)}
    try:
        first = accepted_run(stopped, budget=Budget(dollars=expected.cost * Decimal(str(share))), **options)
        assert isinstance(first.stopped, BudgetExceeded)
    except BudgetExceeded:
        assert share < 0.9  # before the thresholds are fixed there is nothing to return
    before = stopped.asked.total()
    assert 0 < before < whole.asked.total()
    result = accepted_run(stopped, **options)
    assert result.frame.equals(expected.frame)
    assert set(stopped.asked.values()) == {1}
    assert result.totals.requests == stopped.asked.total() - before
    assert stopped.asked == whole.asked


def test_every_row_is_accepted_in_review_or_judged_by_gold_already(tmp_path: Path) -> None:
    world = World(strong=0.9)
    world.broken = {5, 700}
    accept = Accept(right=0.95, gold=world.gold(400), on="id")
    result = accepted_run(world, accept=accept, escalate=(), output=tmp_path / "out.parquet")
    queue, gold = queue_of(result), set(world.gold(400)["id"].to_list())
    accepted, waiting = set(result.frame["id"].to_list()), set(queue["id"].to_list())
    assert 200 < len(accepted) < 1_400
    assert world.right(result.frame) >= 0.95
    assert not accepted & waiting
    assert not waiting & gold
    assert accepted | waiting | gold == set(range(1_500))
    assert result.frame.columns == ["id", "text", "topic", "confidence", "_route"]
    assert queue.columns == ["id", "score", "reason", "answer"]
    reasons = dict(zip(queue["id"].to_list(), queue["reason"].to_list(), strict=True))
    assert reasons[5] == "no answer"
    assert re.fullmatch(r"score 0\.\d+ is below 0\.\d+", next(reason for key, reason in reasons.items() if key != 5))
    assert result.totals.rejected == result.errors.height == 2


def test_nothing_can_be_accepted_is_an_answer_too(tmp_path: Path) -> None:
    world = World(400, cheap=0.5, strong=0.6)
    result = accepted_run(
        world, accept=Accept(right=0.95, gold=world.gold(100), on="id"), output=tmp_path / "o.parquet"
    )
    assert result.complete
    assert result.frame.height == 0
    assert queue_of(result).height == 300
    assert queue_of(result)["reason"].unique().to_list() == ["nothing is proved"]
    assert "gold rows are wrong" in said(result)["reason"]
    assert (said(result)["bound"], said(result)["accepted"]) == (None, 0)
    assert len(world.numbers(STRONG)) == 100  # the strong one proves nothing: only the gold rows are asked


def test_too_few_gold_rows_are_told_from_wrong_ones() -> None:
    world = World(200)
    result = accepted_run(world, accept=Accept(right=0.95, gold=world.gold(40), on="id"))
    assert said(result)["reason"] == "it takes 59 accepted gold rows without an error, and 40 have a score"


def test_the_reason_names_more_wrong_rows_than_there_may_be() -> None:
    reasons = []
    for seed in range(30):
        random = Random(seed)
        gold = [((random.random(),), (random.random() < 0.88,)) for _ in range(118)]
        reasons.append(prove_steps(gold, 1, Promise(0.8)).reason())
    counts = [re.search(r"(\d+) of \d+ accepted gold rows are wrong, and (\d+) may be", one) for one in reasons if one]
    assert len(counts) >= 20
    assert all(one is not None and int(one[1]) > int(one[2]) for one in counts)


def test_all_rows_stay_with_the_flag_where_they_are_wanted(tmp_path: Path) -> None:
    world = World(600, cheap=0.8)
    world.broken = {next(key for key in range(600) if key not in world.gold(200)["id"])}
    accept = Accept(right=0.9, gold=world.gold(200), on="id", all=True)
    kept = accepted_run(world, accept=accept, escalate=(), output=tmp_path / "out.parquet")
    memory = accepted_run(world, accept=Accept(right=0.9, gold=world.gold(200), on="id"), escalate=())
    assert kept.frame.height == 599  # a file leaves out what has no answer
    assert memory.frame.height == 600
    assert kept.frame["_route"].equals(memory.frame.drop_nulls("topic")["_route"])
    flags = kept.frame.filter(~pl.col("_route").struct.field("accepted"))["id"].to_list()
    spared = set(world.gold(200)["id"].to_list())
    assert queue_of(kept)["id"].to_list() == [key for key in flags if key not in spared]


def test_a_named_score_is_that_of_all_steps_and_the_first_needs_one() -> None:
    world = World(800)
    cheap = step(CHEAP, Plain)
    world.plain = True
    emulator = Emulator(answers=world.answer)
    client = Client("key", transport=emulator.transport)
    accept = Accept(right=0.9, gold=world.gold(200), on="id", score="length(text)")
    result = run(world.data, cheap, client=client, accept=accept, escalate=[step(STRONG, Plain)])
    assert said(result)["steps"][1]["scores"] == {"row": "score length(text)"}
    with pytest.raises(ConfigError, match=r"step 1 has no score for \['topic'\]: run it with samples"):
        run(world.data, cheap, client=client, accept=Accept(gold=world.gold(), on="id"), escalate=[cheap])


def test_samples_and_packs_go_through_all_steps() -> None:
    world = World(400)
    emulator = Emulator(answers=world.answer)
    accept = Accept(right=0.85, gold=world.gold(120), on="id", score="confidence")
    packed = [step(STRONG, pack=8)]
    result = accepted_run(world, emulator=emulator, accept=accept, escalate=packed)
    assert world.right(result.frame.filter(pl.col("_route").struct.field("accepted"))) >= 0.85
    assert result.totals.requests == emulator.stats()["requests"] < 600
    sampled = World(200)
    emulator = Emulator(answers=sampled.answer)
    three = accepted_run(
        sampled, emulator=emulator, accept=Accept(right=0.8, gold=sampled.gold(100), on="id"), samples=3
    )
    assert said(three)["steps"][0]["scores"] == {"topic": "agreement of samples"}
    assert three.totals.requests == emulator.stats()["requests"] == 3 * len(sampled.asked)


def test_gold_that_says_what_it_is_for_proves_with_its_proof_rows_only() -> None:
    world = World(600)
    split = ["proof" if key % 2 else "tuning" for key in world.gold(300)["id"]]
    gold = world.gold(300).with_columns(_split=pl.Series(split), _settled=pl.lit(value=True))
    result = accepted_run(world, accept=Accept(right=0.9, gold=gold, on="id"))
    proving = {key for key in world.gold(300)["id"] if key % 2}
    assert said(result)["gold"]["rows"] == len(proving)
    assert said(result)["notes"] == []
    seen = accepted_run(world, accept=Accept(right=0.9, gold=gold, on="id", used_gold=True))
    assert said(seen)["gold"]["rows"] == 300
    assert said(seen)["gold"]["hash"] != said(result)["gold"]["hash"]


def test_the_score_of_one_row_is_that_of_the_whole_output() -> None:
    world = World(120)
    gold = world.gold(100)
    for options in ({}, {"samples": 2}):
        result = accepted_run(world, accept=Accept(right=0.5, gold=gold, on="id"), escalate=(), **options)
        columns = {name: name for name in ("topic", "confidence")}
        expected = row_scores(result.frame, columns, ["topic"]).row
        assert result.frame["_route"].struct.field("score").to_list() == expected.to_list()


class Quote(BaseModel):
    name: str
    place: str


def test_so_it_is_for_values_that_were_looked_up_in_the_source() -> None:
    def answer(body: dict[str, Any]) -> Any:
        number = int(re.search(r"row number (\d+)", str(body["input"]))[1])  # type: ignore[index]
        return {"name": f"row number {number}", "place": "row" if number % 3 else "nowhere at all"}

    data = pl.DataFrame({"id": range(90), "text": [f"row number {n}" for n in range(90)]})
    gold = data.select("id", name="text", place=pl.lit("row"))
    found = Extractor(Quote, "{text}", grounding=["text"])
    client = Client("key", transport=Emulator(answers=answer).transport)
    result = run(data, found, client=client, accept=Accept(right=0.8, gold=gold, on="id"))
    expected = row_scores(result.frame, {"name": "name", "place": "place"}, ["name", "place"]).row
    assert result.frame["_route"].struct.field("score").to_list() == expected.to_list()
    assert result.frame.filter(pl.col("_route").struct.field("accepted")).height == 60


def test_ctrl_c_while_gold_is_asked_ends_the_run_and_the_next_goes_on(tmp_path: Path) -> None:
    world = World(300)

    def answer(body: dict[str, Any]) -> Any:
        if world.asked.total() == 40:
            os.kill(os.getpid(), signal.SIGINT)
        return world.answer(body)

    accept = Accept(right=0.9, gold=world.gold(100), on="id")
    options: dict[str, Any] = {"accept": accept, "cache": tmp_path / "c", "limits": Limits(concurrency=4)}
    first = accepted_run(world, emulator=Emulator(answers=answer), **options)
    assert first.interrupted
    assert first.totals.not_run == 300
    assert world.asked.total() < 60
    second = accepted_run(world, **options)
    assert second.complete
    assert set(world.asked.values()) == {1}


def refused(message: str, **options: Any) -> None:
    world = World(100)
    emulator = Emulator(answers=world.answer)
    with pytest.raises(ConfigError, match=message):
        accepted_run(world, emulator=emulator, **options)
    assert emulator.stats()["requests"] == 0


def test_what_proves_nothing_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    gold = World(100).gold(80)
    refused("accept is an Accept", accept={"right": 0.9})
    refused("escalate is a list of Extractors", accept=Accept(gold=gold, on="id"), escalate=["strong.py"])
    refused("the input frame has no column 'key'", accept=Accept(gold=gold.rename({"id": "key"}), on="key"))
    more = pl.concat([gold, pl.DataFrame({"id": [900], "topic": ["a"]})])
    refused(r"1 of 81 gold rows are not in the input, such as id \[900\]", accept=Accept(gold=more, on="id"))
    refused("'id' of the gold frame repeats", accept=Accept(gold=pl.concat([gold, gold]), on="id"))
    refused("no field in common", accept=Accept(gold=gold.rename({"topic": "other"}), on="id"))
    refused("cannot judge", accept=Accept(gold=gold, on="id", fields=["place"]))
    refused("the score sure", accept=Accept(gold=gold, on="id", score="sure"))
    refused("the score topic is no number", accept=Accept(gold=gold, on="id", score="topic"))
    refused("no gold row may prove", accept=Accept(gold=gold.with_columns(_split=pl.lit("tuning")), on="id"))
    refused("all steps must have equal columns", accept=Accept(gold=gold, on="id"), escalate=[step(STRONG, Plain)])
    refused("pack='auto' tries some rows", accept=Accept(gold=gold, on="id"), escalate=[step(STRONG, pack="auto")])
    refused("gold_not_there.csv", accept=Accept(gold=tmp_path / "gold_not_there.csv", on="id"))
    (tmp_path / "out.review.parquet").write_bytes(b"somebody's")
    refused("was not written by this pipeline", accept=Accept(gold=gold, on="id"), output=tmp_path / "out.parquet")
    for right in (0, 1, "0.9"):
        with pytest.raises(ConfigError, match="right is a share above 0 and below 1"):
            Accept(right=right, gold=gold, on="id")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="fields is a list of names"):
        Accept(gold=gold, on="id", fields="topic")


def test_inputs_without_a_second_look_or_names_for_rows_are_refused() -> None:
    world = World(100)
    accept, client = Accept(gold=world.gold(80), on="id"), Client("key", transport=Emulator().transport)
    with pytest.raises(ConfigError, match="can be read only once"):
        run(iter(world.data.to_dicts()), step(CHEAP), client=client, accept=accept)
    with pytest.raises(ConfigError, match="'id' of the input frame repeats"):
        run(pl.concat([world.data, world.data]), step(CHEAP), client=client, accept=accept)
    with pytest.raises(ConfigError, match="escalate needs accept"):
        run(world.data, step(CHEAP), client=client, escalate=[step(STRONG)])


def test_lazy_frames_and_single_records_take_no_promise() -> None:
    accept: Any = {"accept": Accept(gold=World(10).gold(5), on="id")}
    with pytest.raises(ConfigError, match=r"lazy_run\(\) takes no accept= here: .*use extract.run"):
        lazy_run(World(10).data.lazy(), step(CHEAP), **accept)
    with pytest.raises(TypeError, match="accept"):
        extract_one({"text": "x"}, step(CHEAP), **accept)


def test_a_run_that_covers_fewer_rows_leaves_the_output_and_its_queue_as_they_are(tmp_path: Path) -> None:
    world, fewer = World(400, cheap=0.8), World(200, cheap=0.8)
    inputs = [tmp_path / "all.csv", tmp_path / "fewer.csv"]
    world.data.write_csv(inputs[0])
    fewer.data.write_csv(inputs[1])
    client = Client("key", transport=Emulator(answers=world.answer).transport)
    runs = [
        run(
            pl.scan_csv(path),
            step(CHEAP),
            client=client,
            accept=Accept(right=0.8, gold=one.gold(100), on="id"),
            output=tmp_path / "out.parquet",
        )
        for path, one in zip(inputs, (world, fewer), strict=True)
    ]
    assert [one.output for one in runs] == [tmp_path / "out.parquet", tmp_path / "out.new.parquet"]
    assert runs[1].review_file == tmp_path / "out.review.new.parquet"
    assert said(runs[0])["rows"] == 400
    assert read_manifest(tmp_path / "out.review.parquet")["acceptance"]["rows"] == 400


def test_a_sample_of_accepted_rows_names_them_by_their_key(tmp_path: Path) -> None:
    world = World(300, cheap=0.8)
    accept = Accept(right=0.9, gold=world.gold(150), on="id")
    result = accepted_run(world, accept=accept, escalate=(), output=tmp_path / "out.parquet")
    assert 0 < result.frame.height < 300
    assert all(f"row number {one.row_id}" == one.prompt for one in result.sample(5, seed=1).rows)


def test_rejected_rows_are_sent_again_with_the_same_promise(tmp_path: Path) -> None:
    world = World(300)
    world.broken = {7}
    result = accepted_run(world, accept=Accept(right=0.9, gold=world.gold(100), on="id"), cache=tmp_path / "c")
    assert result.errors["row_id"].to_list() == [7]
    world.broken = set()
    again = result.retry_rejected()
    assert again.errors.height == 0
    assert again.frame["_route"].null_count() == 0


PIPELINE = """
from typing import Literal
from pydantic import BaseModel
from extract import Extractor


class Topic(BaseModel):
    topic: Literal["a", "b", "c"]
    confidence: float


extractor = Extractor(Topic, "{{text}}", model="{model}", repairs=0)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEMINI_API_KEY", "key")
    for name, model in (("cheap", CHEAP), ("strong", STRONG)):
        Path(f"{name}.py").write_text(PIPELINE.format(model=model), encoding="utf-8")
    return tmp_path


def words(url: str, output: str, *more: str) -> list[str]:
    promise = ["--right", "0.9", "--gold", "gold.csv", "--on", "id", "--escalate", "strong.py"]
    return ["run", "cheap.py", "in.csv", "-o", output, "--base-url", url, "--concurrency", "8", *promise, *more]


def test_a_run_that_was_killed_ends_with_the_table_of_one_that_was_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    world = World(500)
    world.data.write_csv("in.csv")
    world.gold(150).write_csv("gold.csv")
    extract = in_process(monkeypatch, capfd)
    with running_server(Emulator(answers=world.answer, latency=0.02, keep_requests=False)) as url:
        for requests in (100, 450):  # while gold is asked, and while all the others are
            child = subprocess.Popen([sys.executable, "-m", "extract", *words(url, "out.parquet")], cwd=folder)
            while world.asked.total() < requests:
                assert child.poll() is None, "the run ended before it was killed"
                time.sleep(0.005)
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        ended = extract(*words(url, "out.parquet"))
        asked = world.asked.copy()
        whole = extract(*words(url, "whole.parquet"))
    assert (ended.returncode, whole.returncode) == (0, 0), ended.stderr
    assert sum(asked.values()) - len(asked) <= 16  # what was in flight at each kill
    assert pl.read_parquet("out.parquet").equals(pl.read_parquet("whole.parquet"))
    assert pl.read_parquet("out.review.parquet").equals(pl.read_parquet("whole.review.parquet"))
    summary = " ".join(whole.stderr.split())
    assert "at least 90% are right, with 95% confidence" in summary
    assert "step 2" in summary
    assert "whole.review.parquet: the rows for people" in summary


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--gold", "gold.csv"], "--gold needs --right"),
        (["--escalate", "strong.py"], "--escalate needs --right"),
        (["--accept-all"], "--accept-all needs --right"),
        (["--right", "0.9"], "--right needs rows with right answers, --gold FILE"),
        (["--right", "0.9", "--gold", "g.csv", "--on", "id", "--engine", "ray"], "--right asks gold rows first"),
        (["--right", "0.9", "--gold", "g.csv", "--on", "id", "--show"], "--show prints rows in turn"),
        (["--right", "2", "--gold", "g.csv", "--on", "id"], "right is a share above 0 and below 1"),
    ],
)
def test_half_a_promise_is_refused_on_the_command_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    World(3).data.write_csv(folder / "in.csv")
    ended = in_process(monkeypatch, capfd)("run", "cheap.py", "in.csv", "-o", "out.parquet", "--offline", *more)
    assert ended.returncode == 2
    assert message in " ".join(ended.stderr.split())
