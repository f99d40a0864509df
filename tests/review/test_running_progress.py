"""Figures that are kept up with each decision are those that are counted anew, whoever decides in whatever order."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from decisions import LABELS, decide, new_file
from hypothesis import given, settings
from hypothesis import strategies as st

from extract.review.running_progress import RunningProgress

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["decide", "skip", "undo"]),
        st.integers(1, 5),
        st.sampled_from(["ann", "bob", "eve"]),
        st.sampled_from(LABELS),
        st.booleans(),
        st.booleans(),
    ),
    max_size=30,
)


@given(steps=STEPS)
@settings(max_examples=40)
def test_running_figures_are_those_of_the_file(steps: list[tuple[str, int, str, str, bool, bool]]) -> None:
    clock = count(1)
    with TemporaryDirectory() as folder, new_file(Path(folder) / "review.db", 3, queued=2) as file:
        running = RunningProgress(file)
        for what, task, person, label, blind, looks in steps:
            if what == "undo":
                file.undo(person, next(clock))
            elif what == "skip":
                file.decide(task, person, "skipped", blind=blind, now=next(clock))
            else:
                verdicts = {"value": label == "bug"} if label != "other" else {}
                value = {"value": label}
                file.decide(task, person, "corrected", value, verdicts=verdicts, blind=blind, now=next(clock))
            if looks:
                assert running.of(person).as_json() == file.progress(person).as_json()
        assert running.of("ann").as_json() == file.progress("ann").as_json()


def test_decisions_of_another_program_are_seen(tmp_path: Path) -> None:
    with new_file(tmp_path / "review.db") as file, type(file).open(file.path) as other:
        running = RunningProgress(file)
        assert running.of("ann").people == ()
        decide(other, 1, "bob", "bug")
        assert running.of("ann").people == ("bob",)
