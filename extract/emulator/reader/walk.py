"""The walk down the schema: each place is read from the record; what is not found stays plain, and all of it fits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from extract.emulator.reader.grammar import Impossible, Place, same
from extract.emulator.reader.labels import Exemplars, lexicon, polarity, wording
from extract.emulator.reader.meaning import Wanted
from extract.emulator.reader.record import Record
from extract.emulator.reader.rows import read_rows, slots
from extract.emulator.reader.scalars import (
    FINDERS,
    NOTHING,
    Found,
    labelled,
    read_moment,
    read_number,
    read_text,
    snippet,
    stated_boolean,
    worded_boolean,
)
from extract.emulator.reader.values import dates
from extract.emulator.reader.words import CUES_OF, NEGATIONS, STOP, features, split_name, stem, tokens

__all__ = ["Walk"]

UNDECIDED = frozenset(
    [
        "other",
        "others",
        "unknown",
        "none",
        "neutral",
        "general",
        "misc",
        "unclear",
        "undetermined",
        "sonstiges",
        "autre",
        "otro",
        "altro",
    ]
)
SHARPNESS = 0.75  # makes the margin of a decision come near to how often such a decision is right
SAID = 2.0  # weight of a label's wording beside the vote of the examples
FAMILIAR = 2000  # characters of a record that are compared with the examples
BLOCKS = 100  # blocks or lines of a record that are read as elements of a list
LATE = ("snippet", "confidence")  # roles that speak of the other fields, and are read after them


class Walk:
    """One reading of one record. A score of 0 means that the record does not say it."""

    def __init__(self, record: Record, exemplars: Exemplars | None, system: str) -> None:
        self.record = record
        self._exemplars = exemplars
        self._system = system
        self._asked = features(record.text[:FAMILIAR]) if exemplars else {}
        self._open: set[int] = set()
        self._evidence: set[str] = set()
        self._margins: list[float] = []

    def answer(self, place: Place, wanted: Wanted) -> Found:
        """Return a value that fits `place`: found, else null, else plain. Raises Impossible where nothing fits."""
        value, score = self.find(place, wanted)
        if score > 0.0 or (value is not None and not place.nullable):
            return value, score
        return (None if place.nullable else place.plain()), 0.0

    def find(self, place: Place, wanted: Wanted) -> Found:
        """Return what the record says of `place`, or NOTHING. A value with score 0 is a fitting guess."""
        if place.branches is not None:
            return self._union(place.branches, wanted)
        if place.members is not None:
            return self._label(place, place.members, wanted)
        if id(place) in self._open:
            return NOTHING
        best = NOTHING
        for kind in place.kinds:
            try:
                found = self._find_kind(kind, place, wanted)
            except Impossible:
                continue
            if found[1] > best[1] or best[0] is None:
                best = found
        return best

    def _find_kind(self, kind: str, place: Place, wanted: Wanted) -> Found:
        if kind in ("object", "array"):
            self._open.add(id(place))
            try:
                return self._object(place, wanted) if kind == "object" else self._array(place, wanted)
            finally:
                self._open.discard(id(place))
        if kind == "boolean":
            return self._boolean(wanted)
        if kind in ("number", "integer"):
            return self._number(kind, place, wanted)
        if kind == "string":
            return self._string(place, wanted)
        return NOTHING

    def _string(self, place: Place, wanted: Wanted) -> Found:
        if place.format in ("date", "time", "date-time"):
            found = read_moment(self.record, wanted, place.format)
            return found if place.fits(found[0]) else NOTHING
        if wanted.role == "snippet":
            return snippet(self.record, wanted, self._evidence)
        return read_text(self.record, wanted)

    def _number(self, kind: str, place: Place, wanted: Wanted) -> Found:
        if wanted.role == "confidence":
            return self._confidence(kind, place)
        found, score = read_number(
            self.record, wanted, lambda value: place.fits(value) and (kind == "number" or value.is_integer())
        )
        return (int(found) if kind == "integer" and score else found), score

    def _confidence(self, kind: str, place: Place) -> Found:
        """Return the surest bound times the margin of the least sure decision so far."""
        low = max(place.minimum, 0.0)
        high = place.maximum if math.isfinite(place.maximum) else 1.0
        value = round(low + (high - low) * min(self._margins, default=0.5), 2)
        whole = float(round(value)) if kind == "integer" else value
        return ((int(whole) if kind == "integer" else whole), 0.05) if place.fits(whole) else NOTHING

    def _boolean(self, wanted: Wanted) -> Found:
        found = stated_boolean(self.record, wanted)
        if found[1] == 0.0:
            votes = self._votes(wanted, lambda value: [str(value)] if isinstance(value, bool) else [])
            best, margin = decide(votes)
            found = (best == "True", margin) if best else worded_boolean(self.record, wanted)
        if found[1]:
            self._evidence.update(wanted.stems, *(CUES_OF.get(word, ()) for word in wanted.stems))
            self._margins.append(found[1])
        return found

    def _label(self, place: Place, members: tuple[Any, ...], wanted: Wanted) -> Found:
        """Return the member that the record names: under the field's label, as in like examples, or by wording."""
        labels = tuple(member for member in members if isinstance(member, str))
        if not labels:
            found, score = read_number(
                self.record, wanted, lambda value: any(same(value, member) for member in members)
            )
            return next(((member, score) for member in members if score and same(member, found)), NOTHING)
        words = lexicon(labels, f"{place.description}\n{wanted.description}\n{self._system}")
        best, margin = named_label(self.record, wanted, labels), 1.0
        if not best:
            votes = self._votes(wanted, lambda value: [value] if value in labels else [], labels)
            said = wording(self.record, words)
            weight = self._said(len(labels))
            scores = {label: votes.get(label, 0.0) + weight * said[label] for label in labels}
            best, margin = decide(scores if votes or max(said.values()) > 0.0 else {})
        if not best:
            self._margins.append(1 / len(labels))
            return next(
                (label for label in labels if not UNDECIDED.isdisjoint(tokens(split_name(label)))), labels[0]
            ), 0.0
        self._evidence.update(words[best])
        self._margins.append(margin)
        return best, max(margin, 0.05)

    def _votes(self, wanted: Wanted, teach: Any, names: tuple[str, ...] = ()) -> dict[str, float]:
        """Return what the examples say about the field at `wanted.path`."""
        if self._exemplars is None:
            return {}
        key = (wanted.path, names)
        return self._exemplars.vote(self._asked, key, lambda answer: teach(reach(answer, wanted.path)), names)

    def _union(self, branches: tuple[Place, ...], wanted: Wanted) -> Found:
        """Return the reading of the branch that its words, its fields and the examples speak for most."""
        choices = [branch for branch in branches if branch.possible and branch.kinds != ("null",)]
        if len(choices) < 2:
            return self.find(choices[0], wanted) if choices else NOTHING

        def teach(value: Any) -> list[str]:
            return (
                [] if value is None else [str(index) for index, branch in enumerate(choices) if branch.fits(value)][:1]
            )

        votes = self._votes(wanted, teach)
        support = [self._support(branch, wanted) for branch in choices]
        scores = {
            str(index): votes.get(str(index), 0.0) + self._said(len(choices)) * said
            for index, said in enumerate(support)
        }
        best = max(scores, key=lambda index: (round(scores[index], 6), is_negated(choices[int(index)]), -int(index)))
        if votes or max(support) > 0.0:
            self._margins.append(decide(scores)[1])
        value, score = self.answer(choices[int(best)], wanted)
        return value, max(score, *support) if max(support) > 0.0 else 0.3 if votes else score

    def _support(self, branch: Place, wanted: Wanted) -> float:
        """Return how far the record speaks for a branch; what is noted on the way is forgotten."""
        margins, evidence = list(self._margins), set(self._evidence)
        support = hint(self.record, branch) + self.find(branch, wanted)[1]
        self._margins, self._evidence = margins, evidence
        return support

    def _said(self, labels: int) -> float:
        """Return the weight of wording beside the examples' votes: the fewer examples, the more it counts."""
        shown = len(self._exemplars.answers) if self._exemplars else 1
        return SAID * (1.0 + 3.0 * (labels / shown) ** 2)

    def _object(self, place: Place, wanted: Wanted) -> Found:
        names = list(dict.fromkeys([*place.properties, *place.required]))
        asked = {name: child_of(wanted, name, place.property(name)) for name in names}
        found: dict[str, Any] = {}
        total = 0.0
        for name in sorted(names, key=lambda name: asked[name].role in LATE):
            child = place.property(name)
            if name in place.required:
                if child is None:
                    raise Impossible(name)
                found[name], score = self.answer(child, asked[name])
            else:
                value, score = (None, 0.0) if child is None else self.find(child, asked[name])
                if score > 0.0:
                    found[name] = value
            total += max(score, 0.0)
        return {name: found[name] for name in names if name in found}, total / max(1, len(names))

    def _array(self, place: Place, wanted: Wanted) -> Found:
        if place.prefix:
            size = int(min(max(len(place.prefix), place.min_items), place.max_items))
            return self._tuple(place, [place.item(index) for index in range(size)], wanted)
        element = place.items
        values = [] if element is None else [value for value in self._elements(element, wanted) if element.fits(value)]
        values = values[: int(min(place.max_items, len(values)))]
        score = 0.7 if values else 0.0
        missing = place.min_items - len(values)
        if (missing > 0 and element is None) or place.min_items > place.max_items:
            raise Impossible(place.title)
        return values + [element.plain() for _ in range(missing) if element], score

    def _tuple(self, place: Place, parts: list[Place | None], wanted: Wanted) -> Found:
        whole = [part for part in parts if part is not None]
        if len(whole) < max(place.min_items, 0):
            raise Impossible(place.title)
        read = [self.answer(part, wanted) for part in whole[: parts.index(None) if None in parts else None]]
        if len(read) < place.min_items:
            raise Impossible(place.title)
        return [value for value, _ in read], sum(score for _, score in read) / max(1, len(read))

    def _elements(self, element: Place, wanted: Wanted) -> list[Any]:
        """Return every value in the record that can be an element of the list."""
        if element.members is not None:
            return self._labels(element, element.members, wanted)
        if element.branches is None and "object" in element.kinds and element.properties:
            return list(self._rows(element, wanted)) or list(self._blocks(element, wanted))
        if element.branches is None and "string" in element.kinds:
            return list(self._texts(element, wanted))
        if element.branches is None and not {"number", "integer"}.isdisjoint(element.kinds):
            values = [
                value for _, entry in labelled(self.record, wanted) for _, _, value in self.record.numbers(entry.value)
            ]
            return values if "number" in element.kinds else [int(value) for value in values if value.is_integer()]
        value, score = self.find(element, wanted)
        return [value] if score > 0.0 else []

    def _labels(self, element: Place, members: tuple[Any, ...], wanted: Wanted) -> list[Any]:
        labels = tuple(member for member in members if isinstance(member, str))
        words = lexicon(labels, f"{element.description}\n{wanted.description}\n{self._system}")
        scores = wording(self.record, words)
        floor = max(0.3, 0.5 * max(scores.values(), default=0.0))
        return [label for label in labels if scores[label] >= floor]

    def _texts(self, element: Place, wanted: Wanted) -> Iterator[str]:
        if element.format == "date":
            yield from dict.fromkeys(day.isoformat() for _, _, day in dates(self.record.text))
        elif finder := FINDERS.get(wanted.role):
            yield from dict.fromkeys(finder(self.record.text))
        elif element.format == "":
            stated = [entry for _, entry in labelled(self.record, wanted) if entry.stated]
            for entry in stated[:1]:
                yield from filter(None, map(str.strip, re.split(r"[,;、]|\s(?:and|und|et|y|e|en)\s", entry.value)))
            if not stated:
                yield from (
                    bullet.group(1)
                    for line in self.record.lines
                    if (bullet := re.match(r"(?:[-*•–]|\d{1,2}[.)])\s+(.{1,300})", line))
                )

    def _rows(self, element: Place, wanted: Wanted) -> Iterator[dict[str, Any]]:
        """Yield a row of a bill as an object, where the element has fields for one."""
        fields = {name: child_of(wanted, name, child) for name, child in element.properties.items()}
        names = slots(fields)
        if "text" not in names or len(names) < 2:
            return
        counting = element.properties.get(names.get("quantity", "")) or element
        for row in read_rows(self.record):
            row = (
                row if row.get("quantity") or counting.nullable else row | {"quantity": 1.0}
            )  # printed without a number: one
            values = {name: row.get(slot) for slot, name in names.items()}
            yield {
                name: value
                for name in element.properties
                if (value := self._fitted(element, name, values.get(name))) is not MISSING
            }

    @staticmethod
    def _fitted(element: Place, name: str, value: Any) -> Any:
        """Return `value` as it fits the property, else null or a plain value; MISSING for an optional one."""
        child = element.properties[name]
        if child is None:
            return MISSING
        forms = (
            [value, int(value), str(value)] if isinstance(value, float) and value.is_integer() else [value, str(value)]
        )
        if value is not None and (fitting := [form for form in forms if child.fits(form)]):
            return fitting[0]
        if name not in element.required:
            return MISSING
        return None if child.nullable else child.plain()

    def _blocks(self, element: Place, wanted: Wanted) -> Iterator[Any]:
        """Yield an object for each paragraph, else each line, that says at least half of its fields."""
        paragraphs = re.split(r"\n\s*\n", self.record.text)
        blocks = paragraphs if len(paragraphs) > 1 else self.record.lines
        for block in blocks[:BLOCKS] if len(blocks) > 1 else ():
            inner = Walk(Record(block), None, self._system)
            inner._open = self._open
            value, score = inner.find(element, wanted)
            if score >= 0.4:
                yield value


MISSING: Any = object()


def decide(scores: dict[str, float]) -> tuple[str, float]:
    """Return the best label and its share of belief among all, or "" where nothing speaks for any."""
    if not scores:
        return "", 0.0
    best = max(scores, key=lambda label: scores[label])
    return best, 1.0 / sum(math.exp(SHARPNESS * (score - scores[best])) for score in scores.values())


def named_label(record: Record, wanted: Wanted, labels: Iterable[str]) -> str:
    """Return the label that stands as the value under the field's own label, or ""."""
    for _, entry in labelled(record, wanted):
        value = f" {' '.join(tokens(entry.value[:200]))} "
        found = [label for label in labels if (own := " ".join(tokens(split_name(label)))) and f" {own} " in value]
        if found:
            return max(found, key=len)
    return ""


def child_of(parent: Wanted, name: str, child: Place | None) -> Wanted:
    """Return what a property asks for; a name such as `address` is read together with its object's name."""
    path = (*parent.path, name)
    description = "" if child is None else child.description
    own = Wanted.of(name, description, path)
    if (
        parent.path
        and own.role in ("name", "address", "email", "phone", "code", "url")
        and not parent.path[-1].isdigit()
    ):
        return Wanted.of(f"{parent.path[-1]} {name}", description, path)
    return own


def reach(answer: Any, path: tuple[str, ...]) -> Any:
    """Return what an example's answer holds at `path`, or None."""
    for name in path:
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer


@lru_cache(maxsize=1024)
def claims(text: str) -> tuple[tuple[str, float], ...]:
    """Return the stems of a branch's title and description, each with 1, or -1 after a negation."""
    found: dict[str, float] = {}
    sign = 1.0
    for token in tokens(text):
        if stem(token) in NEGATIONS:
            sign = -1.0
        elif token not in STOP:
            found.setdefault(stem(token), sign)
            sign = 1.0
    return tuple(found.items())


def words_of(branch: Place) -> str:
    return f"{split_name(branch.title)} {branch.description}"


def is_negated(branch: Place) -> bool:
    return any(sign < 0 for _, sign in claims(words_of(branch)))


def hint(record: Record, branch: Place) -> float:
    """Return how far the record speaks for what the branch is called and said to be."""
    return sum(
        sign * math.tanh(polarity(record, CUES_OF.get(word, frozenset()) | {word}))
        for word, sign in claims(words_of(branch))
    )
