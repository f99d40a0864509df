"""Labels: by their wording in the record, and by the examples that share the record's words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from extract.emulator.reader.record import Record
from extract.emulator.reader.words import CUES_OF, STOP, features, split_name, stem, tokens

__all__ = ["Exemplars", "content", "lexicon", "polarity", "wording"]

PRIOR = 0.05  # weight every feature has under every label, seen or not
NAME_WEIGHT = 2.0  # a label's own name against one example


def polarity(record: Record, words: Iterable[str]) -> float:
    """Return how often stems of `words` stand in the record, less how often they are negated there."""
    return sum(record.heard.get(word, 0.0) for word in frozenset(words))


@lru_cache(maxsize=256)
def lexicon(labels: tuple[str, ...], text: str) -> Mapping[str, Mapping[str, float]]:
    """Return label -> stem -> weight: the label's words, their cues, and what `text` says of it.

    A word that several labels own counts less.
    """
    said = describe_labels(labels, text)
    named = {label: content(split_name(label)) for label in labels}
    told = {label: content(said.get(label, "")) - named[label] for label in labels}
    cued = {
        label: frozenset[str]().union(*(CUES_OF.get(word, ()) for word in named[label])) - named[label]
        for label in labels
    }
    weighted = ((cued, 0.6), (told, 0.5), (named, 1.0))
    owners = Counter(word for group, _ in weighted for words in group.values() for word in words)
    return {
        label: {
            word: weight / owners[word] / math.sqrt(1 + 0.2 * len(named[label]))
            for group, weight in weighted
            for word in group[label]
        }
        for label in labels
    }


def content(text: str) -> frozenset[str]:
    return frozenset(stem(token) for token in tokens(text) if token not in STOP)


def describe_labels(labels: Sequence[str], text: str) -> dict[str, str]:
    """Return what `text` says about each label, where it is written as `label: words` or `label = words`."""
    names = "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True) if label)
    if not names or not text:
        return {}
    parts = re.split(rf"(?<!\w)[`'\"]?({names})[`'\"]?\s{{0,3}}(?:[:=]|[-–—]\s|\()", text)
    return {
        label: re.split(r"[;\n]|\.\s", said, maxsplit=1)[0]
        for label, said in zip(parts[1::2], parts[2::2], strict=True)
    }


def wording(record: Record, words: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Score each label of a lexicon by its words in the record; negated ones count against it."""
    heard = record.heard
    return {
        label: sum(weight * math.tanh(heard[word]) for word, weight in weights.items() if word in heard)
        for label, weights in words.items()
    }


class Exemplars:
    """Answered examples; `vote` weighs the label of each by the words it shares with a record."""

    def __init__(self, texts: Sequence[str], answers: Sequence[Any]) -> None:
        self.answers = answers
        self._features = [features(text) for text in texts]
        self._models: dict[Hashable, Model | None] = {}

    def vote(
        self,
        asked: Mapping[str, float],
        key: Hashable,
        teach: Callable[[Any], Iterable[str]],
        names: Sequence[str] = (),
    ) -> dict[str, float]:
        """Return each label's score, best is highest; {} where the examples say nothing about it.

        `teach` gives the labels that an example's answer holds, `key` names what is asked, `names` are labels whose
        own words count as examples.
        """
        if key not in self._models:
            taught = [
                (found, label, 1.0)
                for found, answer in zip(self._features, self.answers, strict=True)
                for label in teach(answer)
            ]
            named = [(features(split_name(name)), name, NAME_WEIGHT) for name in names]
            self._models[key] = Model([*taught, *named]) if taught else None
        model = self._models[key]
        return {} if model is None else model.scores(asked)


class Model:
    """Weights of features for labels: complement naive Bayes over TF-IDF. Only seen pairs are stored."""

    def __init__(self, taught: Sequence[tuple[Mapping[str, float], str, float]]) -> None:
        held = Counter(feature for found, _, _ in taught for feature in found)
        self._rarity = {feature: math.sqrt(math.log((len(taught) + 1) / count)) for feature, count in held.items()}
        weights: dict[str, dict[str, float]] = {feature: {} for feature in held}
        for found, label, weight in taught:
            vector = self._weigh(found)
            for feature, value in vector.items():
                weights[feature][label] = weights[feature].get(label, 0.0) + weight * value
        sums: Counter[str] = Counter()
        for by_label in weights.values():
            sums.update(by_label)
        prior, whole = PRIOR * len(held), sum(sums.values())
        self._base = {label: math.log((whole - mass + prior) / (mass + prior)) for label, mass in sums.items()}
        self._gains = {feature: gains(by_label) for feature, by_label in weights.items()}

    def _weigh(self, found: Mapping[str, float]) -> dict[str, float]:
        """Return the TF-IDF vector of the known features, of length 1."""
        vector = {
            feature: math.sqrt(count) * self._rarity[feature]
            for feature, count in found.items()
            if feature in self._rarity
        }
        length = math.sqrt(sum(value * value for value in vector.values())) or 1.0
        return {feature: value / length for feature, value in vector.items()}

    def scores(self, asked: Mapping[str, float]) -> dict[str, float]:
        vector = self._weigh(asked)
        if not any(feature[0] != "#" for feature in vector):
            return {}
        mass = sum(vector.values())
        scores = {label: mass * base for label, base in self._base.items()}
        for feature, value in vector.items():
            for label, gain in self._gains[feature]:
                scores[label] += value * gain
        return scores


def gains(by_label: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return what a feature adds to each label it was seen with."""
    whole = sum(by_label.values())
    return [
        (label, math.log((mass + PRIOR) / PRIOR) - math.log((whole - mass + PRIOR) / (whole + PRIOR)))
        for label, mass in by_label.items()
    ]
