"""Fuzzy matching: the most similar place of a text that stands nowhere exactly, because of typos or OCR errors.

The work is bounded in three steps. Seeds (short pieces of the text) vote for the windows of the source that are worth
comparing; partial-ratio alignment finds a rough span in each; its ends then move to the nearest word boundaries. Of a
long text only both ends are aligned, and what lies between a pair of them is compared once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import product
from operator import ne
from typing import TYPE_CHECKING, Final, NamedTuple

from extract.documents.grounding.boundaries import begins_word, ends_word, with_silent_marks
from extract.documents.grounding.folding import BARE, LIGHT, fold
from extract.documents.grounding.signs import edges_of, stands_signed
from extract.documents.grounding.source import SourceText
from extract.documents.grounding.text_search import digits_agree
from extract.errors import ConfigError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Alignment", "align", "load_rapidfuzz"]

# All lengths are in code points of the bare text.
_MIN_LENGTH: Final = 12  # in shorter texts, a different word is only a letter or two away
_MAX_DIGIT_SHARE: Final = 1 / 3  # numbers and codes are right or wrong, never similar
_SHORT_SCORE: Final = 0.9  # similarity required of the shortest texts
_LONG_SCORE: Final = 0.85  # similarity required of texts from _LONG_LENGTH on
_LONG_LENGTH: Final = 48
_SLACK: Final = 0.1  # share of the text by which an end may move to reach a word boundary
_MIN_GAP: Final = 2
_GAP_DIVISOR: Final = 12  # up to 1/12 of the text may be missing or extra in one stretch; more is a whole word
_MAX_UNDIVIDED_SOURCE: Final = 4_000  # a source of up to this length is aligned as a whole
_SEED_LENGTH: Final = 5
_MAX_SEED_PLACES: Final = 400  # a seed that is more frequent than this says nothing about the place
_MAX_WINDOWS: Final = 8
_MAX_ONE_PIECE: Final = 400  # the work of an alignment grows with the square of the length, and faster
_END_LENGTH: Final = 200  # length of the two ends by which a longer text is located
_MAX_END_PLACES: Final = 4  # places that are tried for each end
_MAX_LENGTH: Final = 30_000  # a longer text is not a quotation
_MAX_JUDGED: Final = 16  # of similar places, this many are compared number by number
_CODE: Final = re.compile(
    r"(?:(?<![^\W_])(?<!\d )[-+])?(?<![^\W_])(?<![^\W_][-/])(?:[^\W\d_]+[-/])*[^\W\d_]*\d[^\W_]*(?:[-/][^\W_]+)*%?"
)
_MAX_EDIT_STEPS: Final = 4_000  # length up to which single edits are listed


class Alignment(NamedTuple):
    """A span of the original source and its similarity to the text, from 0 to 1."""

    start: int
    end: int
    score: float


def load_rapidfuzz() -> ModuleType:
    """Return rapidfuzz. Raises ConfigError where the extra is not installed."""
    try:
        import rapidfuzz  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError(
            "finding similar texts needs rapidfuzz: pip install 'extract-interactions[documents]'"
        ) from None
    return rapidfuzz


def align(source: SourceText, text: str) -> Alignment | None:
    """Return the place that is most similar to the text, the first of equals; None where none is similar enough.

    A place begins and ends at word boundaries. Short texts, and those with many digits, are never aligned.
    """
    needle = fold(text, BARE).text
    digits = sum(map(str.isdigit, needle))
    if len(needle) < _MIN_LENGTH or digits > _MAX_DIGIT_SHARE * len(needle):
        return None
    required = _required_score(len(needle))
    library = load_rapidfuzz()
    alignments = (
        _alignments(library, source, needle)
        if len(needle) <= _MAX_ONE_PIECE
        else _alignments_by_ends(library, source, needle)
    )
    similar = {alignment for alignment in alignments if alignment.score >= required}
    best = sorted(similar, key=lambda alignment: (-alignment.score, alignment.start, alignment.end))[:_MAX_JUDGED]
    return next(
        (
            alignment
            for alignment in best
            if not _is_longer(needle, source.text[alignment.start : alignment.end])
            and _says_the_same_numbers(source, alignment, text)
        ),
        None,
    )


def _is_longer(needle: str, place: str) -> bool:
    """Return whether a bare text is a place with letters added before or behind it: these stand nowhere.

    Letters that the place has beyond the text do no harm: many languages join their prepositions to a name.
    """
    bare = fold(place, BARE).text
    return bare != needle and bare in needle


def _says_the_same_numbers(source: SourceText, alignment: Alignment, text: str) -> bool:
    """Return whether a place has the numbers and codes of the text, and the signs at its edges: they are never similar.

    A letter of a word may be wrong, but A4711 is not 4711.
    """
    words, place = text.split(), source.text[alignment.start : alignment.end].split()
    expected, actual = fold(" ".join(words), LIGHT).text, fold(" ".join(place), LIGHT).text
    edges = edges_of(expected)._replace(inside="")  # a sign inside may be the slip
    if not stands_signed(source.text, alignment.start, alignment.end, edges, amount=False):
        return False
    if not any(map(str.isdecimal, expected + actual)):
        return True
    codes, other = _codes(expected), _codes(actual)
    if codes == other:
        return digits_agree(expected, actual)
    # A long text, such as an address, may have one digit misread: neither added nor left out.
    return len(expected) >= _LONG_LENGTH and len(codes) == len(other) and sum(map(ne, codes, other)) == 1


def _codes(light: str) -> str:
    """Return the numbers of a light text with the letters and the sign that are joined to them, hyphens left out."""
    return re.sub("[-/]", "", "".join(_CODE.findall(light)))


def _alignments(library: ModuleType, source: SourceText, needle: str) -> list[Alignment]:
    windows = _windows(source, needle)
    return [alignment for low, high in windows for alignment in _aligned_in(library, source, needle, low, high)]


def _alignments_by_ends(library: ModuleType, source: SourceText, needle: str) -> Iterator[Alignment]:
    """Yield the spans from places like the beginning of a long text to places like its end."""
    if len(needle) > _MAX_LENGTH:
        return
    heads, tails = (
        _likeliest(_alignments(library, source, part)) for part in (needle[:_END_LENGTH], needle[-_END_LENGTH:])
    )
    for start, end in {(head.start, tail.end) for head, tail in product(heads, tails)}:
        # A span of over twice the limit is not folded: it would need as many blanks as letters to be similar.
        text = fold(source.text[start:end], BARE).text if 0 < end - start <= 2 * _MAX_LENGTH else ""
        if abs(len(text) - len(needle)) <= (1 - _LONG_SCORE) * len(needle):
            yield Alignment(start, end, _similarity(library, needle, text))


def _likeliest(alignments: list[Alignment]) -> list[Alignment]:
    return sorted(alignments, key=lambda alignment: (-alignment.score, alignment.start))[:_MAX_END_PLACES]


def _required_score(size: int) -> float:
    # Falls linearly with the length: one wrong letter weighs more in a short text.
    share = min(1.0, (size - _MIN_LENGTH) / (_LONG_LENGTH - _MIN_LENGTH))
    return _SHORT_SCORE - share * (_SHORT_SCORE - _LONG_SCORE)


def _windows(source: SourceText, needle: str) -> Iterator[tuple[int, int]]:
    """Yield the windows of the bare text in which the needle may stand: those that share most seeds with it."""
    text = source.bare.text
    if len(text) <= max(_MAX_UNDIVIDED_SOURCE, 2 * len(needle)):
        yield 0, len(text)
        return
    size = len(needle)
    votes: Counter[int] = Counter()
    # Each place of a seed votes for the block in which the needle would begin; about 40 seeds are enough to be sure.
    for offset in range(0, size - _SEED_LENGTH + 1, max(2, size // 40)):
        places = source.bare_places(needle[offset : offset + _SEED_LENGTH], _MAX_SEED_PLACES)
        votes.update({max(0, place - offset) // size for place in places})
    # The needle may lie across two blocks: a vote counts for the neighbour too.
    shared = {block: count + votes[block + 1] for block, count in votes.items()}
    for block in sorted(shared, key=lambda block: (-shared[block], block))[:_MAX_WINDOWS]:
        yield max(0, (block - 1) * size), min(len(text), (block + 3) * size)


def _aligned_in(library: ModuleType, source: SourceText, needle: str, low: int, high: int) -> Iterator[Alignment]:
    text = source.bare.text[low:high]
    # The cutoff leaves room for what moving the ends to word boundaries may add; the final score is checked later.
    cutoff = 100 * (_required_score(len(needle)) - _SLACK)
    rough = library.fuzz.partial_ratio_alignment(needle, text, score_cutoff=cutoff)
    if rough is None or rough.dest_end <= rough.dest_start:
        return
    reach = max(2, round(_SLACK * len(needle)))
    # partial_ratio_alignment ends anywhere, even inside a word: all boundaries near both ends are tried.
    starts = _boundaries(source, low + rough.dest_start, reach, leading=True)
    ends = _boundaries(source, low + rough.dest_end, reach, leading=False)
    for start, end in product(starts, ends):
        if start < end:
            score = _similarity(library, needle, source.bare.text[start:end])
            origins = source.bare.origins
            yield Alignment(origins[start], with_silent_marks(source.text, origins[end - 1] + 1), score)


def _similarity(library: ModuleType, needle: str, candidate: str) -> float:
    """Return the similarity of two bare texts; 0 where one of them has a whole word more than the other."""
    if len(needle) > _MAX_EDIT_STEPS:
        return float(library.fuzz.ratio(needle, candidate)) / 100
    max_gap = max(_MIN_GAP, len(needle) // _GAP_DIVISOR)
    steps = library.distance.Indel.opcodes(needle, candidate)
    changed = (step for step in steps if step.tag != "equal")
    gap = max((max(step.src_end - step.src_start, step.dest_end - step.dest_start) for step in changed), default=0)
    return 0.0 if gap > max_gap else float(library.fuzz.ratio(needle, candidate)) / 100


def _boundaries(source: SourceText, place: int, reach: int, *, leading: bool) -> list[int]:
    """Return the offsets of the bare text within `reach` at which a word begins (`leading`) or ends."""
    size = len(source.bare.text)
    near = range(max(0 if leading else 1, place - reach), min(size - 1 if leading else size, place + reach) + 1)
    return [at for at in near if _is_boundary(source, at, leading=leading)]


def _is_boundary(source: SourceText, at: int, *, leading: bool) -> bool:
    # One code point of the original may fold to several: an offset between these is no boundary.
    origins = source.bare.origins
    if leading:
        return (at == 0 or origins[at - 1] != origins[at]) and begins_word(source.text, origins[at])
    whole = at == len(origins) or origins[at] != origins[at - 1]
    return whole and ends_word(source.text, with_silent_marks(source.text, origins[at - 1] + 1))
