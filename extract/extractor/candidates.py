"""`Candidates`: of thousands of labels, each record is shown the few that may fit it. All of them stay valid answers.

The labels leave the schema that is sent, where they would be paid for with every row and make the service compile a
large constraint; in their place stands a text, the same for every row. A record's candidates stand at the end of its
prompt, so that all that is constant still comes first. The whole set of labels is checked here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from typing import Any, Final

import polars as pl
from pydantic_core import from_json

from extract.errors import ConfigError, InvalidAnswer, Issue
from extract.extractor.nearest import Nearest, NearestExamples
from extract.extractor.prompts import Template, value_text
from extract.extractor.text_index import TextIndex
from extract.json_types import JsonObject, json_text
from extract.schema import OutputSchema
from extract.schema.losses import Loss

__all__ = [
    "CANDIDATES_OPENING",
    "LISTED",
    "NO_LABEL",
    "Candidates",
    "LabelCandidates",
    "LabelField",
    "label_field",
    "label_line",
    "says_none",
    "without_label",
]

NO_LABEL: Final = "none of these"
CANDIDATES_OPENING: Final = "Labels to choose from:"
LISTED: Final = "listed at the end of the message"
_ONE = f'One of the labels {LISTED}, as it is written there; "{NO_LABEL}" where none fits.'
_SEVERAL = f'Labels {LISTED}, as they are written there; only "{NO_LABEL}" where none fits.'
_MAX_CANDIDATES, _MAX_ROUNDS = 1_000, 20
_GOLD_PER_CANDIDATE = 4  # gold rows looked up for each: several of them have the same label
_PARTS = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Candidates:
    """How many labels a record is shown, and how often it is shown the next ones where none of them fits.

    The `k` labels whose words, meanings or gold rows are most similar to a record stand in its request. Where the
    answer is that none of them fits, the next `k` are shown, in up to `rounds` requests. `field` names the label where
    the answer has several, `gold` the rows with right labels; without it, those of `Extractor(examples=Nearest(...))`.

    >>> Extractor(["card_lost", "card_late", "top_up"], "{text}", candidates=Candidates(2)).candidates
    Candidates(k=2, rounds=2, field=None, gold=None)
    """

    k: int = 32
    rounds: int = 2
    field: str | None = None
    gold: Nearest | None = None

    def __post_init__(self) -> None:
        for name, top in (("k", _MAX_CANDIDATES), ("rounds", _MAX_ROUNDS)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= top:
                raise ConfigError(f"Candidates({name}=): a whole number from 1 to {top:,}, not {value!r}")
        if self.gold is not None and not isinstance(self.gold, Nearest):
            raise ConfigError('Candidates(gold=) takes a Nearest, such as Nearest("gold.csv", answer="label")')


@dataclass(frozen=True, slots=True)
class LabelField:
    """The field of an answer whose labels are candidates: its key on the wire, its labels, and what they mean."""

    name: str
    key: str
    labels: tuple[str, ...]
    meanings: Mapping[str, str]
    words: str
    several: bool

    def sent(self, schema: OutputSchema) -> OutputSchema:
        """Return a schema whose wire form has a text in place of the labels; they are checked here."""
        text: JsonObject = {"type": "string"}
        sent = {"type": "array", "items": text} if self.several else text
        words = " ".join(filter(None, (self.words, _SEVERAL if self.several else _ONE)))
        properties = {**schema.wire["properties"], self.key: {**sent, "description": words}}
        loss = Loss(f"$.{self.key}", "enum", f"{len(self.labels):,} labels")
        return schema.sent_as(_without_unused({**schema.wire, "properties": properties}), loss)


def label_field(schema: OutputSchema, candidates: Candidates) -> LabelField:
    """Return the field whose labels are candidates. ConfigError where it is not clear which, or it has none."""
    known = {name: dtype for name, dtype in schema.dtypes.items() if name in schema.keys and _labels_of(dtype)}
    name = candidates.field or max(known, key=lambda one: len(_labels_of(known[one])), default="")
    if name not in known:
        raise ConfigError(
            f"candidates are labels, and {name or 'the answer'!r} is no label; labels are {list(known)!r}"
        )
    labels = tuple(_labels_of(known[name]))
    if NO_LABEL in labels:
        raise ConfigError(f"the label {NO_LABEL!r} says that no candidate fits: give it another name")
    key = schema.keys[name]
    node = schema.wire["properties"][key]
    lines = str(node.get("description", "")).splitlines()
    meanings = _meanings(lines, frozenset(labels))
    words = "\n".join(line for line in lines if line.partition(": ")[0] not in meanings)
    return LabelField(name, key, labels, meanings, words, isinstance(known[name], pl.List))


def _labels_of(dtype: Any) -> list[str]:
    inner = dtype.inner if isinstance(dtype, pl.List) else dtype
    return inner.categories.to_list() if isinstance(inner, pl.Enum) else []


def _meanings(lines: Iterable[str], labels: frozenset[str]) -> dict[str, str]:
    """Return what labels mean, where a description has a line `label: meaning` for them."""
    pairs = (line.partition(": ") for line in lines)
    return {label: meaning for label, colon, meaning in pairs if colon and label in labels}


def _without_unused(wire: JsonObject) -> JsonObject:
    """Return a schema without definitions that nothing refers to: they may hold the labels."""
    definitions = wire.get("$defs", {})
    rest = {key: value for key, value in wire.items() if key != "$defs"}
    used: dict[str, Any] = {}
    pending = list(_references(rest))
    while pending:
        name = pending.pop()
        if name in definitions and name not in used:
            used[name] = definitions[name]
            pending += _references(used[name])
    return {**rest, "$defs": {name: definitions[name] for name in definitions if name in used}} if used else rest


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            yield reference.removeprefix("#/$defs/")
        node = list(node.values())
    for inner in node if isinstance(node, list) else ():
        yield from _references(inner)


@dataclass(frozen=True, slots=True)
class LabelCandidates:
    """The labels of one field as candidates: for each record ranked by how likely they fit."""

    rule: Candidates
    field: LabelField
    template: Template
    index: TextIndex
    gold: NearestExamples | None
    gold_labels: tuple[tuple[int, ...], ...]

    @classmethod
    def of(
        cls, rule: Candidates, field: LabelField, template: Template, gold: NearestExamples | None
    ) -> LabelCandidates:
        """Return the candidates of a field. `gold` are rows with their right labels."""
        if not template.columns:
            raise ConfigError("candidates are chosen by a record's text: the prompt needs a {column} to compare by")
        texts = (f"{_words(label)} {field.meanings.get(label, '')}" for label in field.labels)
        labelled = () if gold is None else cls.labelled(gold, field)
        return cls(rule, field, template, TextIndex(texts), gold, labelled)

    @staticmethod
    def labelled(gold: NearestExamples, field: LabelField) -> tuple[tuple[int, ...], ...]:
        """Return the labels of each gold row, by their places among all."""
        places = {label: place for place, label in enumerate(field.labels)}
        return tuple(_places(answer, field, places) for answer in gold.answers)

    def ranked(self, record: Mapping[str, Any]) -> tuple[int, ...]:
        """Return the places of the labels that a record may be shown in all rounds, the likeliest first."""
        count = min(self.rule.k * self.rule.rounds, len(self.field.labels))
        text = "\n".join(value_text(record[name], name) for name in self.template.columns)
        worded = self.index.nearest(text, count)
        if self.gold is None:
            likely: Iterable[int] = worded
        else:
            rows = self.gold.similar(record, count * _GOLD_PER_CANDIDATE)
            seen = dict.fromkeys(chain.from_iterable(self.gold_labels[row] for row in rows))
            # In turns: gold knows how people write, words know the labels that no gold row has.
            pairs = zip_longest(seen, worded)
            likely = (place for pair in pairs for place in pair if place is not None)
        # Where nothing else is known, labels come in their order.
        return tuple(islice(dict.fromkeys(chain(likely, range(len(self.field.labels)))), count))

    def block(self, ranking: Sequence[int], number: int) -> str:
        """Return the text that shows the candidates of a round, "" where there are none left."""
        shown = ranking[number * self.rule.k : (number + 1) * self.rule.k]
        if not shown:
            return ""
        return "\n".join((f"\n\n{CANDIDATES_OPENING}", *(self._line(self.field.labels[place]) for place in shown)))

    def _line(self, label: str) -> str:
        return label_line(label, self.field.meanings.get(label, ""))

    def following(self, text: str, ranking: Sequence[int], number: int) -> int | None:
        """Return the round after an answer, None where it chooses a label, or no candidates are left."""
        return number + 1 if self.is_none(text) and self.block(ranking, number + 1) else None

    def longest(self, _: int) -> tuple[int, ...]:
        """Return nothing: a further round is rare, and not foreseen."""
        return ()

    def is_none(self, text: str) -> bool:
        """Return whether an answer says that none of the candidates fits."""
        return says_none(self.field, text)

    def without_label(self, text: str, schema: OutputSchema, ranking: Sequence[int]) -> str:
        """Return an answer without a label, as null or an empty list. InvalidAnswer where the schema wants one."""
        shown = f"none of the {len(ranking):,} labels that were shown fits, of {len(self.field.labels):,}"
        return without_label(self.field, text, schema, shown)


def label_line(label: str, meaning: str) -> str:
    """Return the line that shows a label; one with a line break or blanks around it is written as JSON."""
    name = label if label == " ".join(label.split()) else json_text(label)
    return f"- {name}: {meaning}" if meaning else f"- {name}"


def says_none(field: LabelField, text: str) -> bool:
    """Return whether an answer says that none of the labels that were shown fits."""
    try:
        answer = from_json(text)
    except ValueError:
        return False
    value = answer.get(field.key, "") if isinstance(answer, dict) else ""
    if field.several and isinstance(value, list):
        return not value or all(_is_no_label(one) for one in value)
    return value is None or _is_no_label(value)


def without_label(field: LabelField, text: str, schema: OutputSchema, reason: str) -> str:
    """Return an answer without a label, as null or an empty list. InvalidAnswer where the schema wants one."""
    empty = json_text({**from_json(text), field.key: [] if field.several else None})
    try:
        schema.validate(empty)
    except InvalidAnswer as error:
        if any(issue.path.startswith(f"$.{field.key}") for issue in error.issues):
            raise InvalidAnswer((Issue(f"$.{field.key}", reason),)) from None
    return empty


def _is_no_label(value: Any) -> bool:
    return isinstance(value, str) and value.strip().strip("\"'.").casefold() == NO_LABEL


def _words(label: str) -> str:
    return " ".join(filter(None, _PARTS.split(label)))


def _places(answer: str, field: LabelField, places: Mapping[str, int]) -> tuple[int, ...]:
    value = from_json(answer).get(field.key)
    values = value if isinstance(value, list) else [value]
    return tuple(places[one] for one in values if isinstance(one, str) and one in places)
