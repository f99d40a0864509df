"""Labels: by their wording in the record, and by the examples that share the record's words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from extract.emulator.reader.record import Record
from extract.emulator.reader.words import content, cues, features, split_name

__all__ = ["ExampleClassifier", "Lexicon", "decide", "lexicon_of", "polarity", "wording"]

SHARPNESS = 0.75  # makes the margin of a decision come near to how often such a decision is right
PRIOR = 0.05  # weight every feature has under every label, seen or not
NAME_WEIGHT = 2.0  # a label's own name against one example

Lexicon = Mapping[str, Mapping[str, float]]


def decide(scores: Mapping[str, float]) -> tuple[str, float]:
    """Return the label with the best score and its share of belief, 0 to 1; "" where there is no label."""
    if not scores:
        return "", 0.0
    best = max(scores, key=lambda label: scores[label])
    return best, 1.0 / sum(math.exp(SHARPNESS * (score - scores[best])) for score in scores.values())


def polarity(record: Record, words: Iterable[str]) -> float:
    """Return how often stems of `words` stand in the record, less how often they are negated there."""
    return sum(record.heard.get(word, 0.0) for word in frozenset(words))


@lru_cache(maxsize=256)
def lexicon_of(labels: tuple[str, ...], text: str) -> Lexicon:
    """Return label -> stem -> weight: the label's words, their cues, and what `text` says of it.

    A word that several labels own counts less.
    """
    said = describe_labels(labels, text)
    named = {label: content(split_name(label)) for label in labels}
    told = {label: content(said.get(label, "")) - named[label] for label in labels}
    cued = {label: frozenset[str]().union(*map(cues, named[label])) - named[label] for label in labels}
    groups = ((cued, 0.6), (told, 0.5), (named, 1.0))
    owners = Counter(word for group, _ in groups for words in group.values() for word in words)
    found: dict[str, dict[str, float]] = {label: {} for label in labels}
    for group, weight in groups:
        for label, words in group.items():
            length = math.sqrt(1 + 0.2 * len(named[label]))
            found[label].update({word: weight / owners[word] / length for word in words})
    return found


def describe_labels(labels: Sequence[str], text: str) -> dict[str, str]:
    """Return what `text` says about each label, where it is written as `label: words` or `label = words`."""
    names = "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True) if label)
    if not names or not text:
        return {}
    parts = re.split(rf"(?<!\w)[`'\"]?({names})[`'\"]?\s{{0,3}}(?:[:=]|[-–—]\s|\()", text)
    sayings = (re.split(r"[;\n]|\.\s", said, maxsplit=1)[0] for said in parts[2::2])
    return dict(zip(parts[1::2], sayings, strict=True))


def wording(record: Record, lexicon: Lexicon) -> dict[str, float]:
    """Score each label of a lexicon by its words in the record; negated ones count against it."""
    heard = record.heard
    return {
        label: sum(weight * math.tanh(heard[word]) for word, weight in weights.items() if word in heard)
        for label, weights in lexicon.items()
    }


class ExampleClassifier:
    """Answered examples: the labels in their answers are weighed by the words that their texts share with a record."""

    def __init__(self, texts: Sequence[str], answers: Sequence[Any]) -> None:
        self._features = [features(text) for text in texts]
        self._answers = answers
        self._models: dict[Hashable, NaiveBayes | None] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def vote(
        self,
        asked: Mapping[str, float],
        key: Hashable,
        teach: Callable[[Any], Iterable[str]],
        names: Sequence[str] = (),
    ) -> dict[str, float]:
        """Return each label's score for a text with the features `asked`; {} where the examples are silent.

        `key` names what is asked, `teach` gives the labels that an example's answer holds for it, `names` are labels
        whose own words count as examples.
        """
        if key not in self._models:
            shown = zip(self._features, self._answers, strict=True)
            taught = [(found, label, 1.0) for found, answer in shown for label in teach(answer)]
            named = [(features(split_name(name)), name, NAME_WEIGHT) for name in names]
            self._models[key] = NaiveBayes(taught + named) if taught else None
        model = self._models[key]
        return {} if model is None else model.scores(asked)


class NaiveBayes:
    """Weights of features for labels: complement naive Bayes over TF-IDF. Only pairs that were seen are stored."""

    def __init__(self, taught: Sequence[tuple[Mapping[str, float], str, float]]) -> None:
        held = Counter(feature for found, _, _ in taught for feature in found)
        self._rarity = {feature: math.sqrt(math.log((len(taught) + 1) / count)) for feature, count in held.items()}
        masses: dict[str, Counter[str]] = {feature: Counter() for feature in held}
        whole: Counter[str] = Counter()
        for found, label, weight in taught:
            for feature, value in self._vector(found).items():
                masses[feature][label] += weight * value  # type: ignore[assignment]  # Counter is typed for ints
                whole[label] += weight * value  # type: ignore[assignment]  # as above
        rest, prior = sum(whole.values()), PRIOR * len(held)
        self._base = {label: math.log((rest - mass + prior) / (mass + prior)) for label, mass in whole.items()}
        self._gains = {feature: gains(by_label) for feature, by_label in masses.items()}

    def _vector(self, found: Mapping[str, float]) -> dict[str, float]:
        """Return the TF-IDF vector of the known features, of length 1."""
        known = ((feature, count) for feature, count in found.items() if feature in self._rarity)
        vector = {feature: math.sqrt(count) * self._rarity[feature] for feature, count in known}
        length = math.sqrt(sum(value * value for value in vector.values())) or 1.0
        return {feature: value / length for feature, value in vector.items()}

    def scores(self, asked: Mapping[str, float]) -> dict[str, float]:
        """Return the log odds of each label; {} where no whole word of `asked` was seen."""
        vector = self._vector(asked)
        if all(feature.startswith("#") for feature in vector):
            return {}
        mass = sum(vector.values())
        scores = {label: mass * base for label, base in self._base.items()}
        for feature, value in vector.items():
            for label, gain in self._gains[feature]:
                scores[label] += value * gain
        return scores


def gains(masses: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return what a feature adds to each label it was seen with."""
    whole = sum(masses.values())
    return [
        (label, math.log((mass + PRIOR) / PRIOR) - math.log((whole - mass + PRIOR) / (whole + PRIOR)))
        for label, mass in masses.items()
    ]
