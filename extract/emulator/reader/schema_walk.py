"""The walk down the schema: each place is read from the record; what is not found stays plain, and all of it fits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from extract.emulator.reader.field_spec import FieldSpec
from extract.emulator.reader.labels import ExampleClassifier, Lexicon, decide, lexicon_of, polarity, wording
from extract.emulator.reader.lexicon import STOP, UNDECIDED
from extract.emulator.reader.lists import blocks, read_bill, read_series
from extract.emulator.reader.record import Record
from extract.emulator.reader.scalars import (
    HINTED,
    NOTHING,
    ScoredValue,
    asks_for_decimal,
    labelled,
    local_form,
    read_moment,
    read_number,
    read_text,
    snippet,
    stated_boolean,
    worded_boolean,
)
from extract.emulator.reader.schema_graph import Subschema, Unsatisfiable, same
from extract.emulator.reader.words import cues, features, is_negation, split_name, stem, tokens

__all__ = ["SchemaWalk"]

SAID = 2.0  # weight of a label's wording beside the vote of many examples
FAMILIAR = 2000  # characters of a record that are compared with the examples
LATE = ("snippet", "confidence")  # roles that speak of the other fields, and are read after them
TELLING = 0.4  # score of a block that is an element of a list


class SchemaWalk:
    """One reading of one record. A score of 0 means that the record does not say it."""

    def __init__(
        self, record: Record, exemplars: ExampleClassifier | None, system: str, above: SchemaWalk | None = None
    ) -> None:
        self.record = record
        self._exemplars = exemplars
        self._system = system
        self._asked = features(record.text[:FAMILIAR]) if exemplars else {}
        self._open: set[int] = above._open if above else set()  # places being read: recursion ends there
        self._evidence: set[str] = set()
        self._margins: list[float] = []

    def answer(self, place: Subschema, wanted: FieldSpec) -> ScoredValue:
        """Return a value that fits `place`: found, else null, else plain. Raises Impossible where nothing fits."""
        value, score = self.find(place, wanted)
        if score > 0.0 or (value is not None and not place.nullable):
            return value, score
        return (None if place.nullable else place.plain()), 0.0

    def find(self, place: Subschema, wanted: FieldSpec) -> ScoredValue:
        """Return what the record says of `place`, or NOTHING. A value with score 0 is a fitting guess."""
        if place.branches is not None:
            return self._union(place.branches, wanted)
        if place.members is not None:
            return self._label(place, wanted) if place.labels else self._member(place.members, wanted)
        best = NOTHING
        for kind in place.kinds if id(place) not in self._open else ():
            try:
                found = self._find_kind(kind, place, wanted)
            except Unsatisfiable:
                continue
            if found[1] > best[1] or best[0] is None:
                best = found
        return best

    def _find_kind(self, kind: str, place: Subschema, wanted: FieldSpec) -> ScoredValue:
        if kind in ("object", "array"):
            self._open.add(id(place))
            try:
                return self._object(place, wanted) if kind == "object" else self._array(place, wanted)
            finally:
                self._open.discard(id(place))
        if kind == "boolean":
            return self._boolean(wanted)
        if kind in ("number", "integer"):
            return self._number(place, wanted, whole=kind == "integer")
        if kind == "string" and not ("number" in place.kinds and asks_for_decimal(wanted)):
            return self._string(place, wanted)
        return NOTHING

    # Single values

    def _string(self, place: Subschema, wanted: FieldSpec) -> ScoredValue:
        local = local_form(wanted)
        if place.format in ("date", "time", "date-time"):
            found = read_moment(self.record, wanted, place.format)
            return found if place.fits(found[0]) else NOTHING
        if local:
            value, score = read_moment(self.record, wanted, local)
            return value and value.removesuffix("Z"), score
        if wanted.role == "snippet":
            return snippet(self.record, wanted, self._evidence)
        return read_text(self.record, wanted)

    def _number(self, place: Subschema, wanted: FieldSpec, *, whole: bool) -> ScoredValue:
        if wanted.role == "confidence":
            return self._confidence(place, whole=whole)

        def accepts(value: float) -> bool:
            return place.fits(value) and (value.is_integer() or not whole)

        found, score = read_number(self.record, wanted, accepts)
        return (int(found) if whole and score else found), score

    def _confidence(self, place: Subschema, *, whole: bool) -> ScoredValue:
        """Return the place's range times the margin of the least sure decision so far."""
        low = max(place.minimum, 0.0)
        high = place.maximum if math.isfinite(place.maximum) else 1.0
        value = low + (high - low) * min(self._margins, default=0.5)
        value = round(value) if whole else round(value, 2)
        return (value, HINTED) if place.fits(value) else NOTHING

    def _boolean(self, wanted: FieldSpec) -> ScoredValue:
        found = stated_boolean(self.record, wanted)
        if not found[1]:
            best, margin = decide(self._votes(wanted, lambda value: [str(value)] if isinstance(value, bool) else []))
            found = (best == "True", margin) if best else worded_boolean(self.record, wanted)
        if found[1]:
            self._evidence.update(wanted.stems, *map(cues, wanted.stems))
            self._margins.append(found[1])
        return found

    def _member(self, members: tuple[Any, ...], wanted: FieldSpec) -> ScoredValue:
        """Return the member of an `enum` without texts that the record names."""
        found, score = read_number(self.record, wanted, lambda value: any(same(value, member) for member in members))
        return next(((member, score) for member in members if score and same(member, found)), NOTHING)

    def _label(self, place: Subschema, wanted: FieldSpec) -> ScoredValue:
        """Return the label that the record names: under the field's own label, else by examples and wording."""
        labels = place.labels
        lexicon = self._lexicon(place, wanted)
        best, margin = named_label(self.record, wanted, labels), 1.0
        if not best:
            votes = self._votes(wanted, lambda value: [value] if value in labels else [], labels)
            said = wording(self.record, lexicon)
            weight = self._weight(len(labels))
            scores = {label: votes.get(label, 0.0) + weight * said[label] for label in labels}
            best, margin = decide(scores if votes or max(said.values()) > 0.0 else {})
        if not best:
            self._margins.append(1 / len(labels))
            return next(filter(is_undecided, labels), labels[0]), 0.0
        self._evidence.update(lexicon[best])
        self._margins.append(margin)
        return best, max(margin, HINTED)

    def _lexicon(self, place: Subschema, wanted: FieldSpec) -> Lexicon:
        return lexicon_of(place.labels, f"{place.description}\n{wanted.description}\n{self._system}")

    def _votes(
        self, wanted: FieldSpec, teach: Callable[[Any], list[str]], names: tuple[str, ...] = ()
    ) -> dict[str, float]:
        """Return what the examples say about the field at `wanted.path`."""
        if self._exemplars is None:
            return {}
        key = (wanted.path, names)
        return self._exemplars.vote(self._asked, key, lambda answer: teach(reach(answer, wanted.path)), names)

    def _weight(self, labels: int) -> float:
        """Return the weight of wording beside the examples' votes: the fewer examples, the more it counts."""
        rarity = min(1.0, labels / len(self._exemplars)) if self._exemplars else 0.0
        return SAID * (1.0 + 3.0 * rarity**2)

    # Unions

    def _union(self, branches: tuple[Subschema, ...], wanted: FieldSpec) -> ScoredValue:
        """Return the reading of the branch that its words, its fields and the examples speak for most."""
        choices = [branch for branch in branches if branch.possible and branch.kinds != ("null",)]
        if len(choices) < 2:
            return self.find(choices[0], wanted) if choices else NOTHING

        def teach(value: Any) -> list[str]:
            return [str(index) for index, branch in enumerate(choices) if value is not None and branch.fits(value)][:1]

        votes = self._votes(wanted, teach)
        support = [self._support(branch, wanted) for branch in choices]
        weight = self._weight(len(choices))
        scores = {str(index): votes.get(str(index), 0.0) + weight * said for index, said in enumerate(support)}
        if votes or max(support) > 0.0:
            self._margins.append(decide(scores)[1])
        # Where nothing speaks for any, the branch that denies ("not spam") is the likelier one, else the first.
        best = max(range(len(choices)), key=lambda at: (round(scores[str(at)], 6), is_negated(choices[at]), -at))
        value, score = self.answer(choices[best], wanted)
        return value, max(score, *support, 0.3 if votes else 0.0)

    def _support(self, branch: Subschema, wanted: FieldSpec) -> float:
        """Return how far the record speaks for a branch; what is noted on the way is forgotten."""
        margins, evidence = list(self._margins), set(self._evidence)
        support = hint(self.record, branch) + self.find(branch, wanted)[1]
        self._margins, self._evidence = margins, evidence
        return support

    # Objects and lists

    def _object(self, place: Subschema, wanted: FieldSpec) -> ScoredValue:
        """Return an object of what was found and what is required, in the order of the schema."""
        names = list(dict.fromkeys([*place.properties, *place.required]))
        places = {name: place.property(name) for name in names}
        asked = {name: wanted.child(name, child.description if child else "") for name, child in places.items()}
        found: dict[str, Any] = {}
        total = 0.0
        for name in sorted(names, key=lambda name: asked[name].role in LATE):
            child = places[name]
            if child is None and name in place.required:
                raise Unsatisfiable(name)
            if child is not None:
                value, score = (self.answer if name in place.required else self.find)(child, asked[name])
                total += score
                if score > 0.0 or name in place.required:
                    found[name] = value
        return {name: found[name] for name in names if name in found}, total / max(1, len(names))

    def _array(self, place: Subschema, wanted: FieldSpec) -> ScoredValue:
        if place.min_items > place.max_items:
            raise Unsatisfiable(place.title)
        if place.prefix:
            return self._tuple(place, wanted)
        element = place.element
        values = [] if element is None else [value for value in self._elements(element, wanted) if element.fits(value)]
        values = values[: int(min(place.max_items, len(values)))]
        missing = place.min_items - len(values)
        if missing > 0 and element is None:
            raise Unsatisfiable(place.title)
        score = 0.7 if values else 0.0
        return values + [element.plain() for _ in range(missing) if element], score

    def _tuple(self, place: Subschema, wanted: FieldSpec) -> ScoredValue:
        """Return a list of fixed places, read one by one, up to the first where nothing is allowed."""
        read: list[ScoredValue] = []
        for index in range(int(min(max(len(place.prefix), place.min_items), place.max_items))):
            child = place.item(index)
            if child is None or not (child.possible or index < place.min_items):
                break
            read.append(self.answer(child, wanted))
        if len(read) < place.min_items:
            raise Unsatisfiable(place.title)
        return [value for value, _ in read], sum(score for _, score in read) / max(1, len(read))

    def _elements(self, element: Subschema, wanted: FieldSpec) -> Iterator[Any]:
        """Yield every value in the record that can be an element of the list; not all of them need fit."""
        if element.labels:
            scores = wording(self.record, self._lexicon(element, wanted))
            floor = max(0.3, 0.5 * max(scores.values()))
            yield from (label for label in element.labels if scores[label] >= floor)
        elif element.branches is not None:
            value, score = self.find(element, wanted)
            yield from [value] if score > 0.0 else []
        elif "object" in element.kinds:
            fields = {
                name: wanted.child(name, child.description) for name, child in element.properties.items() if child
            }
            yield from list(read_bill(self.record, element, fields)) or self._blocks(element, wanted)
        else:
            yield from read_series(self.record, element, wanted)

    def _blocks(self, element: Subschema, wanted: FieldSpec) -> Iterator[Any]:
        """Yield an object for each paragraph, else each line, that says much of what the element asks."""
        for block in blocks(self.record):
            value, score = SchemaWalk(Record(block), None, self._system, above=self).find(element, wanted)
            if score >= TELLING:
                yield value


def named_label(record: Record, wanted: FieldSpec, labels: Iterable[str]) -> str:
    """Return the label that stands as the value under the field's own label, or ""."""
    for _, entry in labelled(record, wanted):
        value = f" {' '.join(tokens(entry.value[:200]))} "
        found = [label for label in labels if (own := " ".join(tokens(split_name(label)))) and f" {own} " in value]
        if found:
            return max(found, key=len)
    return ""


def is_undecided(label: str) -> bool:
    """True for the name of a label that takes what fits no other."""
    return not UNDECIDED.isdisjoint(tokens(split_name(label)))


def reach(answer: Any, path: tuple[str, ...]) -> Any:
    """Return what an example's answer holds at `path`, or None."""
    for name in path:
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer


@lru_cache(maxsize=1024)
def claims(text: str) -> tuple[tuple[str, float], ...]:
    """Return the stems of a branch's name and description, each with 1, or -1 after a negation."""
    found: dict[str, float] = {}
    sign = 1.0
    for token in tokens(text):
        if is_negation(stem(token)):
            sign = -1.0
        elif token not in STOP:
            found.setdefault(stem(token), sign)
            sign = 1.0
    return tuple(found.items())


def claims_of(branch: Subschema) -> tuple[tuple[str, float], ...]:
    return claims(f"{split_name(branch.title)} {branch.description}")


def is_negated(branch: Subschema) -> bool:
    return any(sign < 0 for _, sign in claims_of(branch))


def hint(record: Record, branch: Subschema) -> float:
    """Return how far the record speaks for what the branch is called and said to be."""
    return sum(sign * math.tanh(polarity(record, cues(word) | {word})) for word, sign in claims_of(branch))
