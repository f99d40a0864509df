"""Labels: by their wording in the record, and by examples that share words with the record."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from extract.emulator.reader.record import Record
from extract.emulator.reader.words import content, cues, features, split_name

__all__ = ["ExampleClassifier", "Lexicon", "decide", "lexicon_of", "polarity", "reach", "wording"]

SHARPNESS = 0.75  # calibrates the probability of a decision to how often such decisions are right
PRIOR = 0.05  # weight of every feature under every label, seen or not
NAME_WEIGHT = 2.0  # a label's own name against one example

Lexicon = Mapping[str, Mapping[str, float]]


def decide(scores: Mapping[str, float]) -> tuple[str, float]:
    """Return the label with the best score and its probability, 0 to 1 (a softmax); "" where there is no label."""
    if not scores:
        return "", 0.0
    best = max(scores, key=lambda label: scores[label])
    return best, 1.0 / sum(math.exp(SHARPNESS * (score - scores[best])) for score in scores.values())


def polarity(record: Record, words: Iterable[str]) -> float:
    """Return how often stems of `words` occur in the record, less how often they are negated there."""
    return sum(record.stem_counts.get(word, 0.0) for word in frozenset(words))


@lru_cache(maxsize=256)
def lexicon_of(labels: tuple[str, ...], text: str) -> Lexicon:
    """Return label -> stem -> weight: from the label's words, their cues, and its description in `text`.

    A word that several labels share counts less.
    """
    descriptions = describe_labels(labels, text)
    named = {label: content(split_name(label)) for label in labels}
    described = {label: content(descriptions.get(label, "")) - named[label] for label in labels}
    cued = {label: frozenset[str]().union(*map(cues, named[label])) - named[label] for label in labels}
    groups = ((cued, 0.6), (described, 0.5), (named, 1.0))
    owners = Counter(word for group, _ in groups for words in group.values() for word in words)
    weights_of: dict[str, dict[str, float]] = {label: {} for label in labels}
    for group, weight in groups:
        for label, words in group.items():
            length = math.sqrt(1 + 0.2 * len(named[label]))
            weights_of[label].update({word: weight / owners[word] / length for word in words})
    return weights_of


def describe_labels(labels: Sequence[str], text: str) -> dict[str, str]:
    """Return the description of each label in `text`, where it is written as `label: words` or `label = words`."""
    names = "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True) if label)
    if not names or not text:
        return {}
    parts = re.split(rf"(?<!\w)[`'\"]?({names})[`'\"]?\s{{0,3}}(?:[:=]|[-–—]\s|\()", text)
    descriptions = (re.split(r"[;\n]|\.\s", after, maxsplit=1)[0] for after in parts[2::2])
    return dict(zip(parts[1::2], descriptions, strict=True))


def wording(record: Record, lexicon: Lexicon) -> dict[str, float]:
    """Return the score of each label of a lexicon by its words in the record; negated ones count against it."""
    stem_counts = record.stem_counts
    return {
        label: sum(weight * math.tanh(stem_counts[word]) for word, weight in weights.items() if word in stem_counts)
        for label, weights in lexicon.items()
    }


class ExampleClassifier:
    """Labels a record by answered examples: each field's labels are learned from their texts and answers."""

    def __init__(self, texts: Sequence[str], answers: Sequence[Any]) -> None:
        self._features = [features(text) for text in texts]
        self._answers = answers
        self._models: dict[Hashable, NaiveBayes | None] = {}
        self._reached: dict[tuple[str, ...], bool] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def reaches(self, path: tuple[str, ...]) -> bool:
        """Return whether an example's answer has a value at a path."""
        if path not in self._reached:
            self._reached[path] = any(reach(answer, path) is not None for answer in self._answers)
        return self._reached[path]

    def vote(
        self,
        record_features: Mapping[str, float],
        key: Hashable,
        labels_in: Callable[[Any], Iterable[str]],
        names: Sequence[str] = (),
    ) -> dict[str, float]:
        """Return each label's score for a record with these features; {} where no example helps.

        `key` identifies the field, `labels_in` returns the labels for it in an example's answer, `names` are labels
        whose own words count as examples.
        """
        if key not in self._models:
            shown = zip(self._features, self._answers, strict=True)
            training = [(counts, label, 1.0) for counts, answer in shown for label in labels_in(answer)]
            from_names = [(features(split_name(name)), name, NAME_WEIGHT) for name in names]
            self._models[key] = NaiveBayes(training + from_names) if training else None
        model = self._models[key]
        return {} if model is None else model.scores(record_features)


def reach(answer: Any, path: tuple[str, ...]) -> Any:
    """Return the value at `path` in an example's answer, or None."""
    for name in path:
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer


class NaiveBayes:
    """Weights of features for labels: complement naive Bayes over TF-IDF. Only pairs that were seen are stored."""

    def __init__(self, training: Sequence[tuple[Mapping[str, float], str, float]]) -> None:
        examples_with = Counter(feature for counts, _, _ in training for feature in counts)
        self._idf = {
            feature: math.sqrt(math.log((len(training) + 1) / count)) for feature, count in examples_with.items()
        }
        masses: dict[str, dict[str, float]] = {feature: {} for feature in examples_with}
        totals: dict[str, float] = {}
        for counts, label, weight in training:
            for feature, value in self._vector(counts).items():
                masses[feature][label] = masses[feature].get(label, 0) + weight * value
                totals[label] = totals.get(label, 0) + weight * value
        # Complement naive Bayes: a label is scored by how little the examples of all others look like the text, which
        # holds up where one label has many more examples than another.
        whole, prior = sum(totals.values()), PRIOR * len(examples_with)
        self._base = {label: math.log((whole - mass + prior) / (mass + prior)) for label, mass in totals.items()}
        self._gains = {feature: gains(by_label) for feature, by_label in masses.items()}

    def _vector(self, counts: Mapping[str, float]) -> dict[str, float]:
        """Return the TF-IDF vector of the known features, of length 1."""
        known = ((feature, count) for feature, count in counts.items() if feature in self._idf)
        vector = {feature: math.sqrt(count) * self._idf[feature] for feature, count in known}
        length = math.sqrt(sum(value * value for value in vector.values())) or 1.0
        return {feature: value / length for feature, value in vector.items()}

    def scores(self, record_features: Mapping[str, float]) -> dict[str, float]:
        """Return the log odds of each label; {} where no whole word of `record_features` was seen."""
        vector = self._vector(record_features)
        # Groups of letters alone are chance: at least one word or pair of words must be known.
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
