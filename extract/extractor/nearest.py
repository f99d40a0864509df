"""`Nearest`: the gold rows that are most similar to a record, shown as its examples."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import polars as pl

from extract.documents.parts import Turn
from extract.errors import BadRecord, ConfigError, InvalidAnswer
from extract.extractor.gold import gold_table, labelled_rows, without_proof_rows
from extract.extractor.prompts import Template, check_columns, value_text
from extract.extractor.question import canonical
from extract.extractor.text_index import TextIndex
from extract.io.retyping import retyped
from extract.io.source import records_of
from extract.schema import OutputSchema

__all__ = ["Nearest", "NearestExamples"]

_MAX_EXAMPLES = 100


class Nearest:
    """Examples chosen for each record: the `k` rows of `gold` whose texts are most similar to it.

    `gold` is a path (csv, jsonl, parquet, xlsx), a frame of any library or a list of dicts; it is read at once. It has
    the columns of the prompt, and those of the answer under their names in the schema. Where the schema is a label or
    another single value, `answer` names its column. `on` names the column by which a gold row is known to be the record
    itself, which is never its own example; without it, or for an input without that column, no row with the same text
    is. Rows that say `proof` in the column `_split` are left out: what was shown proves nothing. Similarity is computed
    here, by groups of letters and pairs of words; nothing is sent for it.

    >>> gold = [{"text": "my card is lost", "label": "lost"}, {"text": "top up failed", "label": "top_up"}]
    >>> Extractor(["lost", "top_up"], "{text}", examples=Nearest(gold, k=1, answer="label")).examples
    Nearest(2 rows, k=1, answer='label')
    """

    rows: pl.DataFrame
    k: int
    answer: str | None
    on: str | None

    def __init__(self, gold: Any, k: int = 8, *, answer: str | None = None, on: str | None = None) -> None:
        if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= _MAX_EXAMPLES:
            raise ConfigError(f"Nearest(k=): a whole number of examples from 1 to {_MAX_EXAMPLES}, not {k!r}")
        table = gold_table(gold)
        self.rows = without_proof_rows(table)
        if self.rows.is_empty():
            only = "only proof rows, which are never shown" if table.height else "no rows"
            raise ConfigError(f"Nearest: the gold holds {only}")
        self.k, self.answer, self.on = k, answer, on
        for name in filter(None, (answer, on)):
            if name not in self.rows.columns:
                raise ConfigError(f"Nearest: the gold has no column {name!r}; it has {self.rows.columns!r}")
        self._compiled: tuple[Any, NearestExamples] | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of examples that a record is shown."""
        return self.k

    def __reduce__(self) -> Any:
        return _unpickled, (self.rows, self.k, self.answer, self.on)  # the index is built anew, once per process

    def __repr__(self) -> str:
        named = {"answer": self.answer, "on": self.on}
        options = "".join(f", {name}={value!r}" for name, value in named.items() if value is not None)
        return f"Nearest({self.rows.height} rows, k={self.k}{options})"

    def compiled(self, template: Template, schema: OutputSchema) -> NearestExamples:
        """Return all gold rows as examples for a prompt and a schema, made once. ConfigError where one does not fit."""
        key = (template, canonical(schema.full))
        with self._lock:
            if self._compiled is None or self._compiled[0] != key:
                self._compiled = key, NearestExamples.of(self, template, schema)
            return self._compiled[1]


def _unpickled(rows: pl.DataFrame, k: int, answer: str | None, on: str | None) -> Nearest:
    return Nearest(rows, k, answer=answer, on=on)


@dataclass(frozen=True, slots=True)
class NearestExamples:
    """Gold rows as examples: what is sent for each, the index of their texts, and which of them are the same record."""

    nearest: Nearest
    rows: pl.DataFrame
    template: Template
    prompts: tuple[str, ...]
    answers: tuple[str, ...]
    index: TextIndex
    by_text: Mapping[str, frozenset[int]]
    by_id: Mapping[str, frozenset[int]]

    @classmethod
    def of(cls, nearest: Nearest, template: Template, schema: OutputSchema) -> NearestExamples:
        """Return the examples of a gold table. ConfigError, with the row, for an answer that the schema refuses."""
        columns = nearest.rows.columns
        if not template.columns:
            raise ConfigError("examples=Nearest(...) compares texts: the prompt needs a {column} to compare by")
        check_columns(template.columns, columns)
        fields = _fields(nearest, schema)
        rows = labelled_rows(nearest.rows, fields.values())
        if rows.is_empty():
            raise ConfigError(f"Nearest: nobody has labelled a row: {list(fields.values())!r} are empty")
        records = records_of(rows.select(pl.col(list(template.columns))))
        try:
            prompts = tuple(map(template.render, records))
        except BadRecord as error:
            raise ConfigError(f"Nearest: the gold cannot be compared: {error}") from None
        _check_unicode(prompts)
        answers = tuple(_answers(rows, fields, schema))
        ids = rows[nearest.on].to_list() if nearest.on else []
        texts = [_compared(record, template) for record in records]
        return cls(nearest, rows, template, prompts, answers, TextIndex(texts), _places(texts), _places(map(_id, ids)))

    def turns(self, record: Mapping[str, Any]) -> tuple[Turn, ...]:
        """Return the examples for a record as turns; the most similar one comes last, beside the record."""
        similar, own = self.similar(record, self.nearest.k), self._own(record)
        # Where too few have anything in common with the record, the first rows show at least the form of an answer.
        rest = (place for place in range(len(self.prompts)) if place not in own and place not in similar)
        chosen = [*similar, *islice(rest, self.nearest.k - len(similar))]
        pairs = ((Turn.user(self.prompts[place]), Turn.model(self.answers[place])) for place in reversed(chosen))
        return tuple(turn for pair in pairs for turn in pair)

    def similar(self, record: Mapping[str, Any], count: int) -> list[int]:
        """Return the places of the gold rows that are most similar to a record and not the record itself."""
        own = self._own(record)
        places = self.index.nearest(_compared(record, self.template), count + len(own))
        return [place for place in places if place not in own][:count]

    def _own(self, record: Mapping[str, Any]) -> frozenset[int]:
        """Return the places of the gold rows that are this record."""
        name = self.nearest.on
        if name is not None and record.get(name) is not None:
            return self.by_id.get(_id(record[name]), frozenset())
        return self.by_text.get(_compared(record, self.template), frozenset())


def _answers(rows: pl.DataFrame, fields: Mapping[str, str], schema: OutputSchema) -> Iterator[str]:
    """Yield the answer of each gold row as it is sent: typed and validated as the answers of a run are."""
    typed = retyped(rows.select(pl.col(column).alias(field) for field, column in fields.items()), schema.dtypes)
    empty = dict.fromkeys(schema.dtypes)
    for number, row in enumerate(typed.iter_rows(named=True), start=1):
        try:
            yield schema.to_json(schema.restored({**empty, **row}))
        except InvalidAnswer as error:
            raise ConfigError(f"Nearest: row {number} of the gold does not fit the schema: {error}") from None


def _fields(nearest: Nearest, schema: OutputSchema) -> dict[str, str]:
    """Return the columns of the gold that hold the fields of an answer, by field. ConfigError where there is none."""
    fields, columns = list(schema.keys), nearest.rows.columns
    if nearest.answer is not None:
        if len(fields) != 1:
            raise ConfigError(f"Nearest(answer=) is for a single value; the answer has the fields {fields!r}")
        return {fields[0]: nearest.answer}
    columns_of = {name: name for name in fields if name in columns}
    if not columns_of:
        hint = "name its column with Nearest(answer=)" if len(fields) == 1 else f"the answer's are {fields!r}"
        raise ConfigError(f"Nearest: the gold has no column of an answer; it has {columns!r}: {hint}")
    return columns_of


def _compared(record: Mapping[str, Any], template: Template) -> str:
    return "\n".join(value_text(record[name], name) for name in template.columns)


def _id(cell: Any) -> str:
    return value_text(cell)  # 7 in a csv file is "7"


def _places(names: Any) -> dict[str, frozenset[int]]:
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    return {name: frozenset(of) for name, of in places.items()}


def _check_unicode(texts: tuple[str, ...]) -> None:
    for number, text in enumerate(texts, start=1):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ConfigError(f"Nearest: row {number} of the gold holds text that is no Unicode: {error}") from None
