"""What a decision file holds: its setup, the rows to judge, and what people have decided about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError

from extract.errors import ConfigError
from extract.evaluation.split import Split, row_hash
from extract.json_types import JsonObject

__all__ = ["Action", "Decision", "DrawnRow", "Kind", "ReviewSetup", "RowId", "Task", "answer_hash"]

Kind: TypeAlias = Literal["sample", "queue"]
"""How a row was chosen: drawn uniformly from all, or because something speaks against its answer."""

Action: TypeAlias = Literal["right", "corrected", "skipped", "undone"]

RowId: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSetup:
    """What all rows of a decision file have in common; fixed when the file is made.

    `schema` is the whole JSON Schema of an answer, `fields` the columns under review by their names in the schema,
    `keys` their keys on the wire, by default the same names, and `dtypes` the types of all columns of an answer as
    `dtype_texts` writes them; `names` and `extra` are those of the OutputSchema. `source` is the table that the rows
    come from, `inputs` its columns that a row's hash is made of, `on` the column that names a row (None: its position,
    from 0). `population` is how many rows the sample was drawn from, `seed` by which; only when `enough_at` sample rows
    are judged may anything be called enough: a smaller number, chosen while looking, proves nothing.
    """

    schema: JsonObject
    fields: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    on: str | None = None
    source: str | None = None
    pipeline: str | None = None
    prefix: str = ""
    blind: bool = False
    population: int | None = None
    seed: int | None = None
    enough_at: int | None = None
    dtypes: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    extra: Literal["drop", "keep"] = "drop"

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", {name: self.keys.get(name, name) for name in self.fields})

    @property
    def local_source(self) -> str | None:
        """The table that the rows come from, None where it is not on this machine, or not known.

        A file of decisions that comes from somebody else must not make this machine ask another one: such an address,
        or a share of the network, is read only where the user names it.
        """
        is_elsewhere = self.source is None or "://" in self.source or self.source.startswith(("//", "\\\\"))
        return None if is_elsewhere else self.source

    def as_json(self) -> JsonObject:
        """Return the setup as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: JsonObject) -> ReviewSetup:
        """Return the setup of a file. ConfigError for what is none."""
        names = {one.name for one in fields(cls)}
        try:
            return _setup().validate_python({name: value for name, value in stored.items() if name in names})
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"]))
            raise ConfigError(f"its description of the review cannot be read, at {place!r}") from None


@cache
def _setup() -> TypeAdapter[ReviewSetup]:
    return TypeAdapter(ReviewSetup)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnRow:
    """A row that was chosen to be judged.

    `row_hash` is the hash of its input columns, `answer_hash` that of the fields under review, None where the row has
    no answer. `score` and `reason` say why a row stands in the queue.
    """

    row_id: RowId
    row_hash: str
    answer_hash: str | None = None
    kind: Kind = "sample"
    score: float | None = None
    reason: str | None = None
    split: Split = "tuning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(DrawnRow):
    """A row of a decision file. `number` counts from 1 in the drawn order, which is the order of judging."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one person has decided about one row, once. It is never changed: an undo is a decision of its own.

    `value` is the whole answer as JSON, keys as on the wire, None for a row that was skipped and for an undo. `spans`
    are the places of values in the source. `verdicts` says for each field under review whether the answer that was
    there is right; it is empty where nothing can be said. `undoes` is the number of the decision that was taken back.
    `time` counts seconds since 1970, `seconds` how long the person took.
    """

    number: int
    task: int
    person: str
    blind: bool
    action: Action
    value: Any = None
    spans: Sequence[JsonObject] = ()
    verdicts: Mapping[str, bool] = field(default_factory=dict)
    row_hash: str = ""
    answer_hash: str | None = None
    time: float = 0.0
    seconds: float | None = None
    undoes: int | None = None

    @property
    def right(self) -> bool | None:
        """Whether the answer that was there is right in every field under review; None where nothing can be said."""
        return all(self.verdicts.values()) if self.verdicts else None


def answer_hash(answer: Mapping[str, Any] | None, fields: Iterable[str]) -> str | None:
    """Return the hash of the fields under review of an answer, by field; None where there is no answer."""
    return None if answer is None else row_hash({name: answer.get(name) for name in fields})
