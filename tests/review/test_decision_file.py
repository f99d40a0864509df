"""The decision file: a simple model says what counts, and no decision that was acknowledged is ever lost."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pytest
from decisions import LABELS, decide, new_file
from hypothesis import given, settings
from hypothesis import strategies as st

from extract import ConfigError, ExtractError, OutputError
from extract.evaluation.intervals import share_interval
from extract.review.database import FORMAT
from extract.review.decision_file import DecisionFile
from extract.review.gold import gold_of
from extract.review.merge import merge_files

PEOPLE = ("ann", "ben", "cleo")
ROWS, QUEUED = 4, 2

Step: TypeAlias = tuple[str, str, int, int, str | None, bool]
"""What is done, by whom, on which page, about which row; the label, None to skip; whether blind."""

steps = st.lists(
    st.tuples(
        st.sampled_from(["decide", "decide", "decide", "undo"]),
        st.sampled_from(PEOPLE),
        st.integers(0, 1),
        st.integers(1, ROWS + QUEUED),
        st.sampled_from([*LABELS, None]),
        st.booleans(),
    ),
    max_size=25,
)


class Model:
    """What counts, told as simply as possible: a list of what each person has decided and not taken back."""

    def __init__(self) -> None:
        self.made: dict[str, list[tuple[int, str | None, bool]]] = {person: [] for person in PEOPLE}
        self.seen: set[tuple[str, int]] = set()

    def take(self, step: Step) -> None:
        what, person, _, task, label, blind = step
        if what == "decide":
            self.seen |= set() if blind else {(person, task)}
            self.made[person].append((task, label, blind and (person, task) not in self.seen))
        elif self.made[person]:
            self.made[person].pop()

    def current(self, person: str) -> dict[int, tuple[str | None, bool]]:
        return {task: (label, blind) for task, label, blind in self.made[person]}

    def said(self, task: int, *, blind: bool) -> list[str]:
        """The labels that people give a row, blind or not."""
        current = [self.current(person).get(task) for person in PEOPLE]
        return [one[0] for one in current if one and one[0] is not None and one[1] == blind]

    def settled(self, task: int, *, blind: bool) -> str | None:
        labels = Counter(self.said(task, blind=blind))
        return next((label for label, votes in labels.items() if 2 * votes > labels.total()), None)


def do(step: Step, pages: list[DecisionFile], now: float) -> None:
    what, person, page, task, label, blind = step
    if what == "decide":
        decide(pages[page], task, person, label, blind=blind, now=now)
    else:
        pages[page].undo(person, now)


def check(file: DecisionFile, model: Model) -> None:
    for person in PEOPLE:
        current = model.current(person)
        for task in range(1, ROWS + QUEUED + 1):
            found = file.current(task, person)
            label = None if found is None or found.value is None else found.value["value"]
            assert (found is not None, label) == (task in current, current.get(task, (None, False))[0])
        progress = file.progress(person)
        skipped = sum(label is None for label, _ in current.values())
        assert (progress.decided, progress.skipped) == (len(current) - skipped, skipped)
        assert progress.open == ROWS + QUEUED - len(current)
        open_rows = [task for task in range(1, ROWS + QUEUED + 1) if task not in current]
        assert file.next_open(person) == (open_rows[0] if open_rows else None)
    check_accuracy(file, model)
    check_gold(file, model)


def check_accuracy(file: DecisionFile, model: Model) -> None:
    found = {(one.kind, one.blind): one for one in file.progress("ann").accuracy}
    for kind, tasks in (("sample", range(1, ROWS + 1)), ("queue", range(ROWS + 1, ROWS + QUEUED + 1))):
        for blind in (True, False):
            judged = [model.settled(task, blind=blind) for task in tasks if model.said(task, blind=blind)]
            labels = [label for label in judged if label is not None]
            one = found.get((kind, blind))  # type: ignore[call-overload]
            if one is None:
                assert not judged
                continue
            assert (one.whole.judged, one.whole.right) == (len(labels), labels.count("bug"))
            assert one.whole.interval == share_interval(labels.count("bug"), len(labels))
            assert one.unsettled == len(judged) - len(labels)
            assert one.enough == (kind == "sample" and len(labels) >= ROWS)


def check_gold(file: DecisionFile, model: Model) -> None:
    for which, tasks, blind in (("blind", range(1, ROWS + 1), True), ("prefilled", range(1, ROWS + 1), False)):
        expected = {task - 1: label for task in tasks if (label := model.settled(task, blind=blind)) is not None}
        try:
            gold = gold_of(file, which).frame  # type: ignore[arg-type]
        except ConfigError:
            assert not expected
            continue
        assert dict(gold.select("row", "value").iter_rows()) == expected
        assert set(gold["_blind"]) == {blind}
        assert blind or "proof" not in set(gold["_split"])


@settings(deadline=None, max_examples=40)
@given(steps)
def test_current_decisions_progress_and_gold_are_what_a_simple_model_says(done: list[Step]) -> None:
    with TemporaryDirectory() as folder, ExitStack() as stack:
        path = Path(folder) / "review.db"
        pages = [stack.enter_context(new_file(path, ROWS, queued=QUEUED)), stack.enter_context(DecisionFile.open(path))]
        model = Model()
        for now, step in enumerate(done):
            do(step, pages, float(now))
            model.take(step)
        for page in pages:
            check(page, model)


@settings(deadline=None, max_examples=20)
@given(steps, st.data())
def test_files_that_went_on_apart_say_together_what_one_file_would(done: list[Step], data: st.DataObject) -> None:
    """Each person works at a copy of their own; the copies begin with what was decided before they parted."""
    parted = data.draw(st.integers(0, len(done)))
    with TemporaryDirectory() as folder, ExitStack() as stack:
        paths = [Path(folder) / f"{person}.db" for person in PEOPLE]
        with new_file(paths[0], ROWS, queued=QUEUED) as first:
            for now, step in enumerate(done[:parted]):
                do(step, [first, first], float(now))
        for path in paths[1:]:
            path.write_bytes(paths[0].read_bytes())
        files = {
            person: stack.enter_context(DecisionFile.open(path)) for person, path in zip(PEOPLE, paths, strict=True)
        }
        model = Model()
        for now, step in enumerate(done):
            if now >= parted:
                do(step, [files[step[1]]] * 2, float(now))
            model.take(step)
        check(stack.enter_context(merge_files(paths, Path(folder) / "all.db")), model)


_LOOP = """
import sys
from pathlib import Path
from decisions import LABELS, decide
from extract.review.decision_file import DecisionFile
file = DecisionFile.open(Path(sys.argv[1]))
for turn in range(1_000_000):
    made = decide(file, turn % 6 + 1, sys.argv[2], LABELS[turn % 3], now=float(turn))
    print(made.number, turn, flush=True)
"""


def looping(path: Path, person: str) -> subprocess.Popen[str]:
    """Start a process that decides without end, and says each decision once it is acknowledged."""
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    return subprocess.Popen(
        [sys.executable, "-c", _LOOP, str(path), person], stdout=subprocess.PIPE, text=True, env=here
    )


def acknowledged(process: subprocess.Popen[str], at_least: int) -> list[int]:
    """Return the numbers of decisions that a process has acknowledged, killed after some of them."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(at_least)]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    return [int(line.split()[0]) for line in lines if line.endswith("\n")]


def is_whole(path: Path) -> bool:
    database = sqlite3.connect(path)
    try:
        return bool(database.execute("PRAGMA integrity_check").fetchone()[0] == "ok")
    finally:
        database.close()


def test_kill_9_at_any_moment_loses_no_acknowledged_decision(tmp_path: Path) -> None:
    path, chance = tmp_path / "review.db", random.Random(5)
    new_file(path).close()
    known: set[int] = set()
    for _ in range(6):
        known |= set(acknowledged(looping(path, "ann"), chance.randint(1, 60)))
        with DecisionFile.open(path) as file:
            stored = [one.number for one in file.decisions()]
            assert known <= set(stored)
            assert len(stored) <= len(known) + 6  # one in flight each time, at most
            last = {one.task: one for one in file.decisions()}
            assert all(file.current(task, "ann") == one for task, one in last.items())
        assert is_whole(path)
    with DecisionFile.open(path) as file:
        decide(file, 1, "ann", "bug")  # uses up a journal that a killed process had only begun
    assert [one.name for one in tmp_path.iterdir()] == ["review.db"]


def test_two_processes_decide_in_one_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "review.db"
    new_file(path).close()
    processes = [looping(path, person) for person in ("ann", "ben")]
    known = [acknowledged(process, 80) for process in processes]
    with DecisionFile.open(path) as file:
        by_person = {
            person: [one.number for one in file.decisions() if one.person == person] for person in ("ann", "ben")
        }
    assert set(known[0]) <= set(by_person["ann"])
    assert set(known[1]) <= set(by_person["ben"])
    assert is_whole(path)


def test_many_threads_share_one_open_file(tmp_path: Path) -> None:
    with new_file(tmp_path / "review.db") as file:

        def work(person: str) -> None:
            for turn in range(30):
                decide(file, turn % 6 + 1, person, LABELS[turn % 3])
                file.progress(person)

        threads = [threading.Thread(target=work, args=(person,)) for person in PEOPLE]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert len(list(file.decisions())) == 90


def test_only_this_user_can_read_the_file_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with new_file(tmp_path / "review.db") as file:
            decide(file, 1, "ann", "bug")
            assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_an_undo_is_a_decision_of_its_own_and_takes_a_skip_back_too(tmp_path: Path) -> None:
    with new_file(tmp_path / "review.db") as file:
        decide(file, 1, "ann", "bug", now=1.0)
        decide(file, 1, "ann", "other", now=2.0)
        decide(file, 2, "ann", None, now=3.0)
        assert file.undo("ann", 4.0) == file.task(2)
        assert file.undo("ann", 5.0) == file.task(1)
        counted = file.current(1, "ann")
        assert counted is not None
        assert counted.value == {"value": "bug"}
        assert [one.action for one in file.decisions()] == ["right", "corrected", "skipped", "undone", "undone"]
        assert [one.undoes for one in file.decisions()] == [None, None, None, 3, 2]
        assert file.undo("ben", 6.0) is None


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    with new_file(tmp_path / "review.db") as file:
        decide(file, 1, "ann", "bug")
    with pytest.raises(ConfigError, match="exists"):
        new_file(tmp_path / "review.db")
    with DecisionFile.open(tmp_path / "review.db") as file:
        assert file.current(1, "ann")


def test_a_newer_form_is_refused(tmp_path: Path) -> None:
    new_file(tmp_path / "review.db").close()
    database = sqlite3.connect(tmp_path / "review.db")
    database.execute(f"PRAGMA user_version = {FORMAT + 1}")
    database.close()
    with pytest.raises(ConfigError, match=f"has the form {FORMAT + 1}, and this release knows only {FORMAT}"):
        DecisionFile.open(tmp_path / "review.db")


@pytest.mark.parametrize("content", [b"", b"id,text\n1,a\n", b"SQLite format 3\0" + b"x" * 5_000])
def test_what_is_no_decision_file_is_said_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "review.db").write_bytes(content)
    with pytest.raises(ExtractError) as raised:
        DecisionFile.open(tmp_path / "review.db")
    assert "\n" not in str(raised.value)
    assert "decision file" in str(raised.value)
    assert (tmp_path / "review.db").read_bytes() == content


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 40), st.binary(min_size=1, max_size=400), st.booleans())
def test_a_damaged_file_gives_one_line_and_never_a_traceback(place: int, damage: bytes, cut: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "review.db"
        with new_file(path) as file:
            for task in range(1, 7):
                decide(file, task, "ann", "bug")
        content = path.read_bytes()
        at = len(content) * place // 41
        path.write_bytes(content[:at] if cut else content[:at] + damage + content[at + len(damage) :])
        try:
            with DecisionFile.open(path) as file:
                file.progress("ann").as_json()
                decide(file, 1, "ann", "other")
                gold_of(file)
                list(file.decisions())
        except (ConfigError, OutputError, KeyError) as error:
            assert "\n" not in str(error)


def test_who_has_seen_an_answer_is_never_blind_again(tmp_path: Path) -> None:
    with new_file(tmp_path / "review.db") as file:
        decide(file, 1, "ann", "bug", blind=False)
        file.undo("ann", 2.0)
        assert not decide(file, 1, "ann", "bug", blind=True).blind
        assert decide(file, 1, "ben", "bug", blind=True).blind
        assert decide(file, 2, "ann", "bug", blind=True).blind


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "change",
    [
        *(
            f"UPDATE decisions SET {name} = x'00ff'"
            for name in ("value", "spans", "verdicts", "person", "action", "time")
        ),
        *(f"UPDATE decisions SET {name} = '{DEEP}'" for name in ("value", "spans", "verdicts")),
        "UPDATE decisions SET value = '{'",
        "UPDATE decisions SET value = NULL",
        "UPDATE decisions SET verdicts = '[1]'",
        "UPDATE decisions SET spans = '7'",
        "UPDATE decisions SET action = 'deleted'",
        "UPDATE tasks SET kind = 'other'",
        "UPDATE tasks SET split = x'00'",
        "UPDATE tasks SET row_id = '{'",
        "UPDATE tasks SET score = 'high'",
        "UPDATE current SET decision = 99",
        "UPDATE current SET person = x'00'",
        "UPDATE setup SET value = '[]'",
        "UPDATE setup SET value = '{}'",
        "UPDATE setup SET value = json_set(value, '$.fields', 7)",
        "UPDATE setup SET value = json_set(value, '$.dtypes', 'x')",
        "UPDATE setup SET value = json_set(value, '$.dtypes.value', 'x')",
        "UPDATE setup SET value = json_set(value, '$.schema', json('{\"type\": 7}'))",
        "DELETE FROM setup",
        "DELETE FROM tasks",
        "DROP TABLE current",
        "DROP TABLE decisions",
    ],
)
def test_a_file_that_somebody_has_tampered_with_gives_one_line(tmp_path: Path, change: str) -> None:
    path = tmp_path / "review.db"
    with new_file(path) as file:
        for task in range(1, 7):
            decide(file, task, "ann", "bug")
    database = sqlite3.connect(path)
    database.executescript(change)
    database.close()
    with pytest.raises(ExtractError) as raised, DecisionFile.open(path) as file:
        file.tasks()
        list(file.decisions())
        file.progress("ann")
        if file.current(1, "ann") is None or not gold_of(file).frame.height:
            raise ConfigError("what was decided is gone")
        raise AssertionError("nothing was noticed")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600


def test_a_decision_without_its_value_a_name_or_a_row_is_refused(tmp_path: Path) -> None:
    with new_file(tmp_path / "review.db") as file:
        with pytest.raises(ConfigError):
            file.decide(1, "ann", "corrected", blind=True, now=1.0)
        with pytest.raises(ConfigError):
            file.decide(1, " ", "skipped", blind=True, now=1.0)
        with pytest.raises(ConfigError, match="what JSON does not have"):
            file.decide(1, "ann", "corrected", {"value": float("nan")}, blind=True, now=1.0)
        with pytest.raises(KeyError):
            file.decide(99, "ann", "skipped", blind=True, now=1.0)
        assert list(file.decisions()) == []


def test_half_characters_and_every_sign_come_back_as_they_were(tmp_path: Path) -> None:
    with new_file(tmp_path / "review.db") as file:
        value = {"value": 'a\0b\ud800 "quoted" \u2028 é 🎉'}
        file.decide(1, "ann", "corrected", value, [{"path": "$.value", "start": 1}], blind=False, now=1.0)
        counted = file.current(1, "ann")
    assert counted is not None
    assert counted.value == value
    assert counted.spans == ({"path": "$.value", "start": 1},)


def test_a_file_with_code_of_its_own_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "review.db"
    new_file(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TRIGGER t AFTER INSERT ON decisions BEGIN DELETE FROM decisions; END")
        database.commit()
    with pytest.raises(ConfigError, match="code that would run"):
        DecisionFile.open(path)
