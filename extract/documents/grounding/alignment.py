"""The likeliest place of a text that stands nowhere as it is: slips of the pen, of the scanner, of the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from extract.documents.grounding.borders import begins_word, ends_word, with_silent_marks
from extract.documents.grounding.folding import BARE, fold
from extract.documents.grounding.source import SourceText
from extract.errors import ConfigError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Alignment", "align", "load_rapidfuzz"]

_SHORTEST: Final = 12  # bare code points; in less, another word is only a letter or two away
_MOST_DIGITS: Final = 1 / 3  # of the code points: numbers and codes are right or wrong, not similar
_STRICT: Final = 0.9  # similarity asked of the shortest
_LENIENT: Final = 0.85  # similarity asked of long ones
_LONG: Final = 48
_SLACK: Final = 0.1  # the borders of words may take this much from what was aligned, or add it
_SMALLEST_GAP: Final = 2
_GAP_SHARE: Final = 12  # a stretch of one in so many code points may be missing, or too much: more is a word
_WHOLE: Final = 4_000  # code points of a source that is aligned as a whole
_SEED: Final = 5
_MOST_SEEDS: Final = 400  # places of one seed; what stands more often tells nothing
_WINDOWS: Final = 8
_MOST: Final = 400  # bare code points aligned in one piece: the work grows with their square, and more
_END: Final = 200  # bare code points at each end of what is longer, by which its place is found
_MOST_ENDS: Final = 4  # places of each end that are tried
_MOST_COMPARED: Final = 30_000  # bare code points; what is longer is no quotation
_MOST_STEPS: Final = 4_000  # bare code points whose differences are told one by one


class Alignment(NamedTuple):
    """A span of the original and its similarity to the text looked for, from 0 to 1."""

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


def align(source: SourceText, words: str) -> Alignment | None:
    """Return the place that is most similar to the words, the first of equals; None where none is similar enough.

    A place has the borders of words. Short texts, and those that are mostly digits, have none.
    """
    needle = fold(words, BARE).text
    digits = sum(map(str.isdigit, needle))
    if len(needle) < _SHORTEST or digits > _MOST_DIGITS * len(needle):
        return None
    asked = _asked(len(needle))
    library = load_rapidfuzz()
    found = _found(library, source, needle) if len(needle) <= _MOST else _found_by_ends(library, source, needle)
    best = max(found, key=lambda alignment: (alignment.score, -alignment.start), default=None)
    return best if best is not None and best.score >= asked else None


def _found(library: ModuleType, source: SourceText, needle: str) -> list[Alignment]:
    windows = _windows(source, needle)
    return [alignment for low, high in windows for alignment in _near(library, source, needle, low, high)]


def _found_by_ends(library: ModuleType, source: SourceText, needle: str) -> Iterator[Alignment]:
    """Yield the stretches between places like the beginning of a long text and places like its end."""
    if len(needle) > _MOST_COMPARED:
        return
    heads, tails = (_likeliest(_found(library, source, part)) for part in (needle[:_END], needle[-_END:]))
    for start, end in {(head.start, tail.end) for head, tail in product(heads, tails)}:
        text = fold(source.text[start:end], BARE).text if 0 < end - start <= 2 * _MOST_COMPARED else ""
        if abs(len(text) - len(needle)) <= (1 - _LENIENT) * len(needle):
            yield Alignment(start, end, _similarity(library, needle, text))


def _likeliest(found: list[Alignment]) -> list[Alignment]:
    return sorted(found, key=lambda alignment: (-alignment.score, alignment.start))[:_MOST_ENDS]


def _asked(size: int) -> float:
    share = min(1.0, (size - _SHORTEST) / (_LONG - _SHORTEST))
    return _STRICT - share * (_STRICT - _LENIENT)


def _windows(source: SourceText, needle: str) -> Iterator[tuple[int, int]]:
    """Yield the stretches of the bare text in which the needle may stand: those that share most pieces with it."""
    text = source.bare.text
    if len(text) <= max(_WHOLE, 2 * len(needle)):
        yield 0, len(text)
        return
    size = len(needle)
    votes: Counter[int] = Counter()
    for offset in range(0, size - _SEED + 1, max(2, size // 40)):
        places = source.bare_places(needle[offset : offset + _SEED], _MOST_SEEDS)
        votes.update({max(0, place - offset) // size for place in places})
    # The needle may lie across two stretches: a vote counts for its neighbour too.
    shared = {block: count + votes[block + 1] for block, count in votes.items()}
    for block in sorted(shared, key=lambda block: (-shared[block], block))[:_WINDOWS]:
        yield max(0, (block - 1) * size), min(len(text), (block + 3) * size)


def _near(library: ModuleType, source: SourceText, needle: str, low: int, high: int) -> Iterator[Alignment]:
    text = source.bare.text[low:high]
    # What the borders of words may still add is let through here, and judged after.
    cutoff = 100 * (_asked(len(needle)) - _SLACK)
    rough = library.fuzz.partial_ratio_alignment(needle, text, score_cutoff=cutoff)
    if rough is None or rough.dest_end <= rough.dest_start:
        return
    reach = max(2, round(_SLACK * len(needle)))
    starts = _borders(source, low + rough.dest_start, reach, leading=True)
    ends = _borders(source, low + rough.dest_end, reach, leading=False)
    for start, end in product(starts, ends):
        if start < end:
            score = _similarity(library, needle, source.bare.text[start:end])
            origins = source.bare.origins
            yield Alignment(origins[start], with_silent_marks(source.text, origins[end - 1] + 1), score)


def _similarity(library: ModuleType, needle: str, found: str) -> float:
    """Return the similarity of two bare texts; 0 where one has a word that the other has not."""
    if len(needle) > _MOST_STEPS:
        return float(library.fuzz.ratio(needle, found)) / 100
    longest = max(_SMALLEST_GAP, len(needle) // _GAP_SHARE)
    steps = library.distance.Indel.opcodes(needle, found)
    changed = (step for step in steps if step.tag != "equal")
    gap = max((max(step.src_end - step.src_start, step.dest_end - step.dest_start) for step in changed), default=0)
    return 0.0 if gap > longest else float(library.fuzz.ratio(needle, found)) / 100


def _borders(source: SourceText, place: int, reach: int, *, leading: bool) -> list[int]:
    """Return the bare places near one at which a word begins, or ends."""
    size = len(source.bare.text)
    near = range(max(0 if leading else 1, place - reach), min(size - 1 if leading else size, place + reach) + 1)
    return [at for at in near if _is_border(source, at, leading=leading)]


def _is_border(source: SourceText, at: int, *, leading: bool) -> bool:
    origins = source.bare.origins
    if leading:
        return (at == 0 or origins[at - 1] != origins[at]) and begins_word(source.text, origins[at])
    whole = at == len(origins) or origins[at] != origins[at - 1]
    return whole and ends_word(source.text, with_silent_marks(source.text, origins[at - 1] + 1))
