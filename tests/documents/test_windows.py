from __future__ import annotations

import pickle
import sys
from itertools import accumulate, pairwise

import pytest
from clocks import cpu_bound
from hypothesis import example, given, settings
from hypothesis import strategies as st

from extract.documents.windows.cutting import Union, Window, Windows, count, cut
from extract.documents.windows.graphemes import is_boundary
from extract.errors import BadRecord, ConfigError

# What a reader takes for one character; none of them joins with one that follows.
CLUSTERS = [
    "a", "Z", "7", " ", ".", "\n", "\r\n", "\f", "\t", "é", "e\u0301", "e\u0301\u0323", "ß", "я",
    "文", "。", "ก", "กำ", "각", "\u1100\u1161\u11a8", "क", "कि",
    "क्षि", "ത്", "ع", "عَ", "👩‍👩‍👧‍👦", "👍🏽", "❤\ufe0f",
    "🇩🇪", "🇫🇷", "🏴\U000e0067\U000e007f", "カ\uff9e",
]  # fmt: skip


@st.composite
def texts(draw: st.DrawFn) -> list[str]:
    """Draw a text as a list of its clusters: of all scripts, or long runs of few."""
    kinds = draw(st.lists(st.sampled_from(CLUSTERS), min_size=1, max_size=len(CLUSTERS)))
    return draw(st.lists(st.sampled_from(kinds), max_size=400))


@st.composite
def options(draw: st.DrawFn) -> Windows:
    characters = draw(st.integers(1, 250))
    return Windows(
        characters=characters,
        overlap=draw(st.integers(0, characters // 2)),
        passes=draw(st.integers(1, 3)),
        pages=draw(st.booleans()),
    )


def of_pass(windows: list[Window], number: int) -> list[Window]:
    return [window for window in windows if window.pass_number == number]


@given(texts(), options())
@settings(max_examples=300, deadline=None)
def test_windows_are_exact_cover_the_text_and_cut_no_cluster(clusters: list[str], windows: Windows) -> None:
    text = "".join(clusters)
    borders = {0, *accumulate(map(len, clusters))}
    cut_up = cut(text, windows)
    assert [window.number for window in cut_up] == list(range(1, len(cut_up) + 1))
    assert count(text, windows) == len(cut_up)
    assert len({(window.start, window.end) for window in cut_up}) == len(cut_up)
    for window in cut_up:
        assert text[window.start : window.end] == window.text
        assert {window.start, window.end} <= borders
    first = of_pass(cut_up, 1)
    assert (first[0].start, first[-1].end) == (0, len(text))
    assert all(before.end > after.start or windows.overlap == 0 for before, after in pairwise(first))
    assert all(before.end >= after.start and before.end < after.end for before, after in pairwise(first))
    if len(text) <= windows.characters:
        assert len(cut_up) == 1


@given(texts(), options())
@settings(max_examples=200, deadline=None)
def test_what_is_no_longer_than_the_overlap_lies_whole_in_a_window(clusters: list[str], windows: Windows) -> None:
    text = "".join(clusters)
    first = of_pass(cut(text, windows), 1)
    for start in range(max(1, len(text) - windows.overlap + 1)):
        end = min(start + windows.overlap, len(text))
        assert any(window.start <= start and end <= window.end for window in first)


@given(texts(), options())
@example(["ത്"] * 3, Windows(characters=1, overlap=0))
@settings(max_examples=200, deadline=None)
def test_a_window_is_longer_than_told_only_for_a_long_cluster(clusters: list[str], windows: Windows) -> None:
    text = "".join(clusters)
    borders = [place for place in range(len(text) + 1) if is_boundary(text, place)]  # some of the pieces join
    max_cluster = max((end - start for start, end in pairwise(borders)), default=1)
    max_length = max(len(window.text) for window in cut(text, windows))
    assert max_length <= windows.characters + (0 if max_cluster == 1 else 2 * max_cluster)


@given(texts(), st.integers(2, 3))
@settings(max_examples=100, deadline=None)
def test_every_pass_covers_the_text(clusters: list[str], passes: int) -> None:
    text = "".join(clusters)
    cut_up = cut(text, Windows(characters=100, overlap=10, passes=passes))
    for number in {window.pass_number for window in cut_up}:
        # A pass leaves out the windows that an earlier one has.
        covering = [window for window in cut_up if window.pass_number <= number]
        assert {place for window in covering for place in range(window.start, window.end)} == set(range(len(text)))


PROSE = "".join(f"Sentence {number} tells a little of what there is. " for number in range(2_000))


@pytest.mark.parametrize("overlap", [0, 200])
def test_what_lies_on_a_border_of_one_pass_is_whole_in_the_other(overlap: int) -> None:
    cut_up = cut(PROSE, Windows(characters=2_000, overlap=overlap, passes=2))
    first, second = of_pass(cut_up, 1), of_pass(cut_up, 2)
    assert len(second) == len(first) + 1
    for before, after in pairwise(first[:-1]):  # the last one may be short
        start, end = after.start - 250, before.end + 250
        assert any(window.start <= start and end <= window.end for window in second)


@pytest.mark.parametrize("joint", ["\n\n", "\n", " "])
def test_windows_end_and_begin_where_paragraphs_lines_or_sentences_do(joint: str) -> None:
    text = joint.join(f"Here stands sentence number {number}." for number in range(1_000))
    windows = cut(text, Windows(characters=3_000, overlap=300))
    assert len(windows) > 10
    for window in windows[:-1]:
        assert window.text.rstrip().endswith(".")
        assert len(window.text) > 2_000
    assert all(window.text.lstrip().startswith("Here") for window in windows)


def test_a_heading_before_a_long_paragraph_makes_no_window_of_its_own() -> None:
    windows = cut("Heading\n\n\n" + PROSE, Windows(characters=3_000, overlap=0))
    assert all(len(window.text) > 1_500 for window in windows[:-1])


def test_a_chapter_in_the_second_half_ends_a_window() -> None:
    text = PROSE[:2_000] + "\n\n\n\nChapter 2\n\n" + PROSE
    assert text[cut(text, Windows(characters=3_000, overlap=0))[0].end :].startswith("Chapter 2")


def test_pages_stay_whole_as_many_as_fit() -> None:
    text = "\f".join(PROSE[:900] for _ in range(20))
    windows = cut(text, Windows(characters=3_000, overlap=100, pages=True))
    assert [window.pages for window in windows] == [(1, 3), (3, 6), (6, 9), (9, 12), (12, 15), (15, 18), (18, 20)]
    assert all(window.text.endswith("\f") for window in windows[:-1])
    assert [window.pages for window in cut(text, Windows(characters=3_000, overlap=0, pages=True))][1] == (4, 6)


def test_pages_may_be_given_and_are_told_of_any_text_that_has_some() -> None:
    starts = [0, 1_000, 1_000, 2_500]
    windows = cut(PROSE[:3_000], Windows(characters=1_600, overlap=0, pages=True), starts)
    assert [(window.start, window.pages) for window in windows] == [(0, (1, 1)), (1_000, (3, 3)), (2_500, (4, 4))]
    assert cut("one\ftwo\f", Windows())[0].pages == (1, 2)
    assert cut("one", Windows())[0].pages is None


def test_a_page_that_does_not_fit_is_cut_like_any_text() -> None:
    windows = cut("\f".join(["One page.", PROSE[:5_000] + ".", "Three."]), Windows(characters=2_000, pages=True))
    assert windows[0].text == "One page.\f"
    assert all(window.text.rstrip().endswith(".") for window in windows)


def test_a_page_that_fills_a_window_is_asked_about_once_whatever_the_passes() -> None:
    text = "\f".join(PROSE[:1_900] for _ in range(5))
    assert count(text, Windows(characters=2_000, overlap=0, pages=True, passes=3)) == 5


@pytest.mark.parametrize("starts", [[1, 2], [0, 5, 3], [0, 5_000]])
def test_pages_that_cannot_be_are_refused(starts: list[int]) -> None:
    with pytest.raises(ConfigError, match="page_starts must rise from 0"):
        cut("a short text", Windows(), starts)


@pytest.mark.parametrize("unit", ["x", "文", "word ", "👩‍👩‍👧‍👦", "กำ", "\r\n", "e\u0301"])
def test_a_line_of_a_million_characters_takes_time_in_proportion(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    with cpu_bound(20):  # a second; the time of the splitter alone grows with the square of the length
        windows = cut(text, Windows())
    assert 51 <= len(windows) <= 54
    assert all(len(window.text) <= 20_000 for window in windows)


def test_the_splitter_is_needed_only_where_a_text_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "semantic_text_splitter", None)
    assert [window.text for window in cut("short", Windows(passes=3))] == ["short"]
    with pytest.raises(ConfigError, match=r"pip install 'extract-interactions\[documents\]'"):
        cut(PROSE, Windows())


def test_half_a_character_is_a_bad_record() -> None:
    with pytest.raises(BadRecord, match="no Unicode"):
        cut(PROSE + "\ud800" + PROSE, Windows())


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"characters": 0}, "at least one"),
        ({"characters": 100, "overlap": 51}, "half of 100"),
        ({"overlap": -1}, "overlap must be"),
        ({"passes": 0}, "passes must be"),
        ({"merge": {"items": "sum"}}, "'items' has the rule 'sum'"),
        ({"merge": {"items": ("number",)}}, "there are first, last"),
    ],
)
def test_options_that_cannot_be_are_refused(chosen: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Windows(**chosen)  # type: ignore[arg-type] # wrong on purpose


def test_a_key_is_a_tuple_of_names() -> None:
    with pytest.raises(ConfigError, match=r"by=\('number',\)"):
        Union(by="number")  # type: ignore[arg-type] # wrong on purpose
    assert Union(by=["number"]) == Union(by=("number",))  # type: ignore[arg-type] # as json gives it


def test_options_travel_and_compare() -> None:
    windows = Windows(merge={"items": Union(by=("number",)), "title": "longest"})
    assert pickle.loads(pickle.dumps(windows)) == windows
    assert hash(windows) == hash(Windows())


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_no_border_lies_inside_what_a_reader_takes_for_one_character(cluster: str) -> None:
    text = f"x{cluster}x"
    assert [place for place in range(len(text) + 1) if is_boundary(text, place)] == [
        0, 1, *([1 + len(cluster)] if _ends_clearly(cluster) else []), len(text),
    ]  # fmt: skip


def _ends_clearly(cluster: str) -> bool:
    """False where what follows might belong to it: a virama may join the next letter."""
    return cluster != "ത്"
