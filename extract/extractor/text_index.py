"""`TextIndex`: which of many texts are most similar to one, by TF-IDF over groups of letters and pairs of words.

Groups of four letters within a word find spellings and inflections, in any language; pairs of neighbouring words tell
"card lost" from "lost card". Rare features say most and have the shortest lists of texts, so they are added up first,
and the common ones only as long as the work is bounded: a look-up costs about the same however many texts there are.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from heapq import nlargest
from itertools import pairwise
from unicodedata import normalize

__all__ = ["TextIndex"]

_MAX_CHARS = 2_000  # of a text that is compared: the beginning of a long one says what it is about
_LETTERS = 4
_MAX_ADDITIONS = 4_096  # per look-up, of one feature's weight to one text's score
_WORD = re.compile(r"\w+")


class TextIndex:
    """An index in memory over texts, known by their places. Look-ups are deterministic: of equal ones the first counts.

    >>> TextIndex(["my card is lost", "top up by card", "the app crashes"]).nearest("lost a card", 2)
    [0, 1]
    """

    def __init__(self, texts: Iterable[str]) -> None:
        counted = [_features(text) for text in texts]
        lists: dict[str, array[int]] = {}
        for place, features in enumerate(counted):
            for feature in features:
                if (places := lists.get(feature)) is None:
                    places = lists[feature] = array("I")
                places.append(place)
        self._size = len(counted)
        self._lists = lists
        # Rounded, so that no difference between two mathematical libraries decides between two texts.
        self._idf = {name: round(1 + math.log((1 + self._size) / (1 + len(of))), 6) for name, of in lists.items()}
        self._inverse_length = array("d", (self._inverse(features) for features in counted))

    def _inverse(self, features: Collection[str]) -> float:
        length = math.fsum(self._idf[feature] ** 2 for feature in features)
        return 1 / math.sqrt(length) if length else 0.0

    def __len__(self) -> int:
        return self._size

    def nearest(self, text: str, count: int) -> list[int]:
        """Return the places of the `count` most similar texts, the most similar first; fewer where no more have any."""
        scores = self._scores(text)
        if len(scores) > count:
            min_score = nlargest(count, scores.values())[-1]
            scores = {place: score for place, score in scores.items() if score >= min_score}
        return sorted(scores, key=lambda place: (-scores[place], place))[:count]

    def _scores(self, text: str) -> dict[int, float]:
        """Return what texts have in common with a text, the cosine of the two but for a constant factor."""
        sums: dict[int, float] = {}
        known = sums.get
        for weight, places in self._weighed(text):
            for place in places:
                sums[place] = known(place, 0.0) + weight
        inverse = self._inverse_length
        return {place: total * inverse[place] for place, total in sums.items()}

    def _weighed(self, text: str) -> Iterator[tuple[float, Sequence[int]]]:
        """Yield the features of a text, the rarest first: its weight, and the places of the texts that have it."""
        idf, left = self._idf, _MAX_ADDITIONS
        for weight, feature in sorted((-idf[feature], feature) for feature in _features(text) if feature in idf):
            places = self._lists[feature]
            yield weight * weight, places[:left]
            left -= len(places)
            if left <= 0:
                return


def _features(text: str) -> set[str]:
    words = _WORD.findall(normalize("NFKC", text[:_MAX_CHARS]).casefold())
    features = {f"{one}\0{other}" for one, other in pairwise(words)}
    for word in words:
        padded = f" {word} "
        features.update(padded[at : at + _LETTERS] for at in range(max(1, len(padded) - _LETTERS + 1)))
    return features
