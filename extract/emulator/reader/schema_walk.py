"""The walk through a schema: each subschema is read from the record, or gets a plain value that fits."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from extract.emulator.reader.field_spec import FieldSpec
from extract.emulator.reader.labels import ExampleClassifier, Lexicon, decide, lexicon_of, polarity, reach, wording
from extract.emulator.reader.lexicon import STOP, UNDECIDED
from extract.emulator.reader.lists import blocks, read_bill, read_series
from extract.emulator.reader.record import Record
from extract.emulator.reader.scalars import (
    GUESSED,
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

WORDING_WEIGHT = 2.0  # weight of a label's wording beside the vote of many examples
MAX_COMPARED_CHARACTERS = 2000  # of a record, with the examples
ROLES_READ_LAST = ("snippet", "confidence")  # they depend on the other fields
MAX_STEPS = 20_000  # fields read in one record; what is left then gets a plain value
MAX_TRIALS = 2  # of branches, one within the other
MIN_BLOCK_SCORE = 0.4  # of a paragraph that is an element of a list


class SchemaWalk:
    """One reading of one record. A score of 0 means that the value is not from the record."""

    def __init__(
        self, record: Record, examples: ExampleClassifier | None, system: str, above: SchemaWalk | None = None
    ) -> None:
        self.record = record
        self._examples = examples
        self._system = system
        self._record_features = features(record.text[:MAX_COMPARED_CHARACTERS]) if examples else {}
        self._open: set[int] = above._open if above else set()  # places being read: recursion ends there
        self._steps: list[int] = above._steps if above else [0]  # fields read, of all walks of this record
        self._evidence: set[str] = set()
        self._margins: list[float] = []
        self._trials = 0  # trials of branches that are being made, one within the other
        self._cuts = 0  # how often recursion has ended a reading
        self._supports: dict[Hashable, float] = {}

    def answer(self, schema: Subschema, spec: FieldSpec) -> ScoredValue:
        """Return a value that fits: from the record, else null, else plain. Raises Unsatisfiable where nothing does."""
        value, score = self.find(schema, spec)
        if score > 0.0 or (value is not None and not schema.nullable):
            return value, score
        return (None if schema.nullable else schema.plain()), 0.0

    def find(self, schema: Subschema, spec: FieldSpec) -> ScoredValue:
        """Return the value for `schema` in the record, or NOTHING. A value with score 0 is a guess that fits."""
        if schema.branches is not None:
            return self._union(schema.branches, spec)
        if schema.members is not None:
            return self._label(schema, spec) if schema.labels else self._member(schema.members, spec)
        best = NOTHING
        self._steps[0] += 1
        if id(schema) in self._open or self._steps[0] > MAX_STEPS:
            self._cuts += 1
            return best
        # A later kind wins with a better score, or where none has a value yet: null is tried first, text last.
        for kind in schema.kinds:
            try:
                result = self._find_kind(kind, schema, spec)
            except Unsatisfiable:
                continue
            if result[1] > best[1] or best[0] is None:
                best = result
        return best

    def _find_kind(self, kind: str, schema: Subschema, spec: FieldSpec) -> ScoredValue:
        if kind in ("object", "array"):
            self._open.add(id(schema))
            try:
                return self._object(schema, spec) if kind == "object" else self._array(schema, spec)
            finally:
                self._open.discard(id(schema))
        if kind == "boolean":
            return self._boolean(spec)
        if kind in ("number", "integer"):
            return self._number(schema, spec, whole=kind == "integer")
        if kind == "string" and not ("number" in schema.kinds and asks_for_decimal(spec)):
            return self._string(schema, spec)
        return NOTHING

    # Single values

    def _string(self, schema: Subschema, spec: FieldSpec) -> ScoredValue:
        local = local_form(spec)
        if schema.format in ("date", "time", "date-time"):
            result = read_moment(self.record, spec, schema.format)
            return result if schema.fits(result[0]) else NOTHING
        if local:
            value, score = read_moment(self.record, spec, local)
            return value and value.removesuffix("Z"), score
        if spec.role == "snippet":
            return snippet(self.record, spec, self._evidence)
        return read_text(self.record, spec)

    def _number(self, schema: Subschema, spec: FieldSpec, *, whole: bool) -> ScoredValue:
        if spec.role == "confidence":
            return self._confidence(schema, whole=whole)

        def accepts(value: float) -> bool:
            return schema.fits(value) and (value.is_integer() or not whole)

        value, score = read_number(self.record, spec, accepts)
        return (int(value) if whole and score else value), score

    def _confidence(self, schema: Subschema, *, whole: bool) -> ScoredValue:
        """Return the margin of the least sure decision so far, scaled to the range of the subschema."""
        low = max(schema.minimum, 0.0)
        high = schema.maximum if math.isfinite(schema.maximum) else 1.0
        value = low + (high - low) * min(self._margins, default=0.5)
        value = round(value) if whole else round(value, 2)
        return (value, GUESSED) if schema.fits(value) else NOTHING

    def _boolean(self, spec: FieldSpec) -> ScoredValue:
        result = stated_boolean(self.record, spec)
        if not result[1]:
            best, margin = decide(self._votes(spec, lambda value: [str(value)] if isinstance(value, bool) else []))
            result = (best == "True", margin) if best else worded_boolean(self.record, spec)
        if result[1]:
            self._evidence.update(spec.stems, *map(cues, spec.stems))
            self._margins.append(result[1])
        return result

    def _member(self, members: tuple[Any, ...], spec: FieldSpec) -> ScoredValue:
        """Return the member of an `enum` of numbers that the record names."""
        value, score = read_number(self.record, spec, lambda value: any(same(value, member) for member in members))
        return next(((member, score) for member in members if score and same(member, value)), NOTHING)

    def _label(self, schema: Subschema, spec: FieldSpec) -> ScoredValue:
        """Return the label for the record: the value under the field's own label, else by examples and wording."""
        labels = schema.labels
        lexicon = self._lexicon(schema, spec)
        best, margin = named_label(self.record, spec, labels), 1.0
        if not best:
            votes = self._votes(spec, lambda value: [value] if value in labels else [], labels)
            wording_scores = wording(self.record, lexicon)
            weight = self._weight(len(labels))
            scores = {label: votes.get(label, 0.0) + weight * wording_scores[label] for label in labels}
            best, margin = decide(scores if votes or max(wording_scores.values()) > 0.0 else {})
        if not best:
            self._margins.append(1 / len(labels))
            return next(filter(is_undecided, labels), labels[0]), 0.0
        self._evidence.update(lexicon[best])
        self._margins.append(margin)
        return best, max(margin, GUESSED)

    def _lexicon(self, schema: Subschema, spec: FieldSpec) -> Lexicon:
        return lexicon_of(schema.labels, f"{schema.description}\n{spec.description}\n{self._system}")

    def _votes(
        self, spec: FieldSpec, labels_in: Callable[[Any], list[str]], names: tuple[str, ...] = ()
    ) -> dict[str, float]:
        """Return the examples' votes for the field at `spec.path`."""
        if self._examples is None or not self._examples.reaches(spec.path):
            return {}
        key = (spec.path, names)
        return self._examples.vote(
            self._record_features, key, lambda answer: labels_in(reach(answer, spec.path)), names
        )

    def _weight(self, labels: int) -> float:
        """Return the weight of wording beside the examples' votes: the fewer examples, the more it counts."""
        rarity = min(1.0, labels / len(self._examples)) if self._examples else 0.0
        return WORDING_WEIGHT * (1.0 + 3.0 * rarity**2)

    # Unions

    def _union(self, branches: tuple[Subschema, ...], spec: FieldSpec) -> ScoredValue:
        """Return the value of the branch for which its words, its fields and the examples give the best score."""
        choices = [branch for branch in branches if branch.possible and branch.kinds != ("null",)]
        if len(choices) < 2:
            return self.find(choices[0], spec) if choices else NOTHING

        def labels_in(value: Any) -> list[str]:
            return [str(index) for index, branch in enumerate(choices) if value is not None and branch.fits(value)][:1]

        votes = self._votes(spec, labels_in)
        support = [self._support(branch, spec) for branch in choices]
        weight = self._weight(len(choices))
        scores = {
            str(index): votes.get(str(index), 0.0) + weight * supported for index, supported in enumerate(support)
        }
        if votes or max(support) > 0.0:
            self._margins.append(decide(scores)[1])
        # Without evidence for any, the branch that denies ("not spam") is likelier, then the first.
        best = max(range(len(choices)), key=lambda at: (round(scores[str(at)], 6), is_negated(choices[at]), -at))
        value, score = self.answer(choices[best], spec)
        return value, max(score, *support, 0.3 if votes else 0.0)

    def _support(self, branch: Subschema, spec: FieldSpec) -> float:
        """Return how much the record supports a branch, by its words and by a trial.

        Each branch is tried once for each field, and within a trial one more level of unions is tried, so that the work
        grows with the size of the schema, not with the number of ways through it.
        """
        if self._trials >= MAX_TRIALS:
            return support_of(self.record, branch)
        key = (id(branch), self._trials, self._key(spec))
        if key in self._supports:
            return self._supports[key]
        cuts = self._cuts
        support = support_of(self.record, branch) + self._trial(branch, spec)
        if cuts == self._cuts:  # where recursion has ended the trial, another one may go further
            self._supports[key] = support
        return support

    def _trial(self, branch: Subschema, spec: FieldSpec) -> float:
        """Return the score of a branch; margins and evidence of this trial are discarded."""
        margins, evidence = list(self._margins), set(self._evidence)
        self._trials += 1
        try:
            return self.find(branch, spec)[1]
        finally:
            self._trials -= 1
            self._margins, self._evidence = margins, evidence

    def _key(self, spec: FieldSpec) -> Hashable:
        """Return what the reading of a field depends on: not on the whole path to it, unless examples vote on it."""
        whole = self._examples is not None and self._examples.reaches(spec.path)
        return spec.words, spec.stems, spec.role, spec.description, spec.path if whole else spec.path[-1:]

    # Objects and lists

    def _object(self, schema: Subschema, spec: FieldSpec) -> ScoredValue:
        """Return an object with the fields in the record and the required ones, in the order of the schema."""
        names = list(dict.fromkeys([*schema.properties, *schema.required]))
        schemas = {name: schema.property(name) for name in names}
        specs = {name: spec.child(name, child.description if child else "") for name, child in schemas.items()}
        result: dict[str, Any] = {}
        total = 0.0
        # Snippets and confidences are read after the fields that they are about, and returned in their place.
        for name in sorted(names, key=lambda name: specs[name].role in ROLES_READ_LAST):
            child = schemas[name]
            if child is None and name in schema.required:
                raise Unsatisfiable(name)
            if child is not None:
                value, score = (self.answer if name in schema.required else self.find)(child, specs[name])
                total += score
                if score > 0.0 or name in schema.required:
                    result[name] = value
        return {name: result[name] for name in names if name in result}, total / max(1, len(names))

    def _array(self, schema: Subschema, spec: FieldSpec) -> ScoredValue:
        if schema.min_items > schema.max_items:
            raise Unsatisfiable(schema.title)
        if schema.prefix:
            return self._tuple(schema, spec)
        element = schema.element
        values = [] if element is None else [value for value in self._elements(element, spec) if element.fits(value)]
        values = values[: int(min(schema.max_items, len(values)))]
        missing = schema.min_items - len(values)
        if missing > 0 and element is None:
            raise Unsatisfiable(schema.title)
        score = 0.7 if values else 0.0
        return values + [element.plain() for _ in range(missing) if element], score

    def _tuple(self, schema: Subschema, spec: FieldSpec) -> ScoredValue:
        """Return a list of `prefixItems`, read one by one, up to the first where nothing is allowed."""
        read: list[ScoredValue] = []
        for index in range(int(min(max(len(schema.prefix), schema.min_items), schema.max_items))):
            child = schema.item(index)
            if child is None or not (child.possible or index < schema.min_items):
                break
            read.append(self.answer(child, spec))
        if len(read) < schema.min_items:
            raise Unsatisfiable(schema.title)
        return [value for value, _ in read], sum(score for _, score in read) / max(1, len(read))

    def _elements(self, element: Subschema, spec: FieldSpec) -> Iterator[Any]:
        """Yield every value in the record that may be an element of the list; not all of them fit."""
        if element.labels:
            scores = wording(self.record, self._lexicon(element, spec))
            # Several labels may fit: those half as strong as the best, and none on weak evidence.
            floor = max(0.3, 0.5 * max(scores.values()))
            yield from (label for label in element.labels if scores[label] >= floor)
        elif element.branches is not None:
            value, score = self.find(element, spec)
            yield from [value] if score > 0.0 else []
        elif "object" in element.kinds:
            fields = {name: spec.child(name, child.description) for name, child in element.properties.items() if child}
            yield from list(read_bill(self.record, element, fields)) or self._blocks(element, spec)
        else:
            yield from read_series(self.record, element, spec)

    def _blocks(self, element: Subschema, spec: FieldSpec) -> Iterator[Any]:
        """Yield an object for each paragraph, else each line, that holds enough of the element's fields."""
        for block in blocks(self.record):
            value, score = SchemaWalk(Record(block), None, self._system, above=self).find(element, spec)
            if score >= MIN_BLOCK_SCORE:
                yield value


def named_label(record: Record, spec: FieldSpec, labels: Iterable[str]) -> str:
    """Return the label that is the value under the field's own label, or ""."""
    for _, entry in labelled(record, spec):
        value = f" {' '.join(tokens(entry.value[:200]))} "
        matches = [label for label in labels if (own := " ".join(tokens(split_name(label)))) and f" {own} " in value]
        if matches:
            return max(matches, key=len)
    return ""


def is_undecided(label: str) -> bool:
    """True for the name of a label for texts that fit no other."""
    return not UNDECIDED.isdisjoint(tokens(split_name(label)))


@lru_cache(maxsize=1024)
def signed_stems(text: str) -> tuple[tuple[str, float], ...]:
    """Return the stems of a branch's name and description, each with 1, or -1 after a negation."""
    signs: dict[str, float] = {}
    sign = 1.0
    for token in tokens(text):
        if is_negation(stem(token)):
            sign = -1.0
        elif token not in STOP:
            signs.setdefault(stem(token), sign)
            sign = 1.0
    return tuple(signs.items())


def signed_stems_of(branch: Subschema) -> tuple[tuple[str, float], ...]:
    return signed_stems(f"{split_name(branch.title)} {branch.description}")


def is_negated(branch: Subschema) -> bool:
    return any(sign < 0 for _, sign in signed_stems_of(branch))


def support_of(record: Record, branch: Subschema) -> float:
    """Return how much the record supports the branch's name and description."""
    return sum(sign * math.tanh(polarity(record, cues(word) | {word})) for word, sign in signed_stems_of(branch))
