"""A run's timeline: as long as the run, as many samples as a page can show."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from extract.results.timeline import Sample, Timeline


@given(steps=st.lists(st.floats(0.0, 50.0), min_size=1, max_size=1_500))
def test_samples_are_bounded_in_order_and_end_with_the_last(steps: list[float]) -> None:
    timeline, seconds = Timeline(), 0.0
    for row, step in enumerate(steps):
        seconds += step
        timeline.add(Sample(seconds, row, 1), last=row == len(steps) - 1)
    assert len(timeline.samples) <= 240
    assert timeline.samples == sorted(timeline.samples)
    assert timeline.samples[-1] == Sample(seconds, len(steps) - 1, 1)
    assert timeline.samples[0].rows == 0
