"""Codecs of containers: lists, maps, tuples, objects, and unions of objects."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import polars as pl

from extract.schema.codecs import Codec, ConversionError, Convert, finite_json, json_column, plain_json, unwrapped
from extract.schema.keywords import element, member
from extract.schema.unnamed import Unnamed, in_any, in_items, in_members, in_parts, in_record

__all__ = [
    "EXTRA",
    "Access",
    "Branch",
    "Field",
    "Record",
    "mapping",
    "record_codec",
    "sequence",
    "tuple_record",
    "union_codec",
]

EXTRA = "_extra"

Access: TypeAlias = Literal["attribute", "item", "index"]


def sequence(item: Codec) -> Codec:
    """Return the codec of a list, tuple or set of items of one type; a set is sorted by its items' JSON."""

    def cell(value: Any) -> list[Any] | None:
        return None if value is None else _each(item.cell, _ordered(value, item.plain))

    def plain(value: Any) -> list[Any] | None:
        return None if value is None else _each(item.plain, _ordered(value, item.plain))

    def restore(cell: Any) -> list[Any] | None:
        return None if cell is None else [item.restore(inner) for inner in cell]

    return Codec(pl.List(item.dtype), cell, plain, restore, unnamed=in_items(item.unnamed))


def _ordered(value: Any, plain: Convert) -> list[Any]:
    if type(value) is list:
        return value
    value = unwrapped(value)
    if isinstance(value, set | frozenset):  # sorted, so that equal sets give equal cells in every process
        return sorted(value, key=lambda inner: finite_json(plain(inner)))
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ConversionError(f"a list expected, got {type(value).__name__}")
    return list(value)


def _each(convert: Convert, values: Sequence[Any]) -> list[Any]:
    """Return every value converted; a ConversionError has the index in its path."""
    try:
        return [convert(value) for value in values]
    except ConversionError:
        raise _located([convert] * len(values), values, [element("", index) for index in range(len(values))]) from None


def _located(converts: Sequence[Convert], values: Sequence[Any], steps: Sequence[str]) -> ConversionError:
    """Return the error of the first value whose conversion fails, with that value's step in its path.

    The fast path keeps no index; conversions are pure, so converting again fails at the same value.
    """
    for convert, value, step in zip(converts, values, steps, strict=True):
        try:
            convert(value)
        except ConversionError as error:
            return error.under(step)
    raise AssertionError("a conversion failed once and not again")


@dataclass(frozen=True, slots=True)
class Field:
    """One member of an object: its key on the wire, the name of its column, its codec.

    With `emits_null` None becomes null in JSON; otherwise the member is left out.
    """

    key: str
    name: str
    codec: Codec
    emits_null: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """How objects of one class are converted; with `cls` None any value of the right shape is accepted.

    With `extra`, members beyond the declared ones are kept, as JSON, in the column `_extra`. `as_is` is True where
    validated values are JSON already. `computed` are columns that instances compute, which are not in the JSON.
    `drops_at` is the JSON path of objects whose further members are allowed, and left out; None where there are none.
    """

    fields: tuple[Field, ...]
    access: Access
    cls: type | None = None
    extra: bool = False
    as_is: bool = False
    computed: tuple[Field, ...] = ()
    drops_at: str | None = None

    @property
    def unnamed(self) -> Unnamed | None:
        """The members of a JSON value that the columns leave out."""
        if self.access == "index":
            return in_parts([field.codec.unnamed for field in self.fields])
        members = [(field.key, field.codec.unnamed) for field in self.fields]
        return in_record([key for key, _ in members], members, self.drops_at)

    @property
    def columns(self) -> dict[str, pl.DataType]:
        columns = {field.name: field.codec.dtype for field in (*self.fields, *self.computed)}
        return columns | ({EXTRA: pl.String()} if self.extra else {})

    def steps(self) -> list[str]:
        """Return the last step of each member's JSON path."""
        if self.access == "index":
            return [element("", index) for index in range(len(self.fields))]
        return [member("", field.key) for field in self.fields]

    def cells(self) -> Convert:
        """Return the function from a value to the list of its cells, in the order of `columns`."""
        converts, steps, read = [field.codec.cell for field in self.fields], self.steps(), self.reader()
        rest = [*map(_computed_cell, self.computed), *([self._extra_cell()] if self.extra else [])]

        def cells(value: Any) -> list[Any]:
            parts = read(value)
            try:
                converted = [convert(part) for convert, part in zip(converts, parts, strict=True)]
            except ConversionError:
                raise _located(converts, parts, steps) from None
            return [*converted, *[fill(value) for fill in rest]] if rest else converted

        return cells

    def reader(self) -> Callable[[Any], Sequence[Any]]:
        """Return the function from a value to its members, None for absent ones."""
        read = _reader(self.access, [field.name for field in self.fields])
        cls = self.cls

        def checked(value: Any) -> Sequence[Any]:
            if type(value) is cls:  # the common case, without unwrapping
                return read(value)
            value = unwrapped(value)
            if not self.accepts(value):
                raise ConversionError(f"{cls.__name__ if cls else 'an object'} expected, got {type(value).__name__}")
            return read(value)

        return checked

    def accepts(self, value: Any) -> bool:
        """Whether a value is of this class, or at least of this kind of container."""
        if self.access == "item":
            return isinstance(value, Mapping)
        if self.access == "index":
            return isinstance(value, tuple | list) and len(value) == len(self.fields)
        return self.cls is not None and isinstance(value, self.cls)

    def plain(self) -> Convert:
        """Return the function from a value to its JSON."""
        if self.as_is:
            return plain_json
        converts, steps, read = [field.codec.plain for field in self.fields], self.steps(), self.reader()

        def parts_of(value: Any) -> list[Any]:
            parts = read(value)
            try:
                return [convert(part) for convert, part in zip(converts, parts, strict=True)]
            except ConversionError:
                raise _located(converts, parts, steps) from None

        if self.access == "index":
            return lambda value: None if value is None else parts_of(value)

        def plain(value: Any) -> Any:
            if value is None:
                return None
            pairs = zip(self.fields, parts_of(value), strict=True)
            converted = {field.key: part for field, part in pairs if part is not None or self._is_null(value, field)}
            return converted | self._extras(value) if self.extra else converted

        return plain

    def _is_null(self, value: Any, field: Field) -> bool:
        """Whether a member that reads as None is null rather than absent."""
        return field.emits_null and (self.access != "item" or field.name in unwrapped(value))

    def restore(self, cell: Mapping[str, Any]) -> dict[str, Any]:
        """Return the JSON object of the cells of one value, by column name."""
        # A null cell of an optional member means that the member was absent; `emits_null` members were null.
        out = {
            field.key: field.codec.restore(cell[field.name])
            for field in self.fields
            if cell[field.name] is not None or field.emits_null
        }
        return out | (json_column(plain_json).restore(cell[EXTRA]) or {} if self.extra else {})

    def _extra_cell(self) -> Convert:
        column = json_column(plain_json)
        return lambda value: column.cell(self._extras(value) or None)

    def _extras(self, value: Any) -> dict[str, Any]:
        value = unwrapped(value)
        if self.access == "item":
            members = value
        else:
            # Models keep further members apart; dataclasses keep them among their attributes.
            extra = getattr(value, "__pydantic_extra__", None)
            members = getattr(value, "__dict__", {}) if extra is None else extra
        declared = {field.name for field in self.fields}
        return {key: plain_json(part) for key, part in members.items() if key not in declared}


def _computed_cell(field: Field) -> Convert:
    """Return the function from an instance to a computed field's cell; it runs user code, which may raise anything."""

    def cell(value: Any) -> Any:
        try:
            return field.codec.cell(getattr(unwrapped(value), field.name))
        except ConversionError as error:
            raise error.under(member("", field.name)) from None
        except Exception as error:  # a row's fault must not become the run's
            raise ConversionError(
                f"computing it raised {type(error).__name__}: {error}", member("", field.name)
            ) from error

    return cell


def _reader(access: Access, names: Sequence[str]) -> Callable[[Any], Sequence[Any]]:
    if access == "index":
        return lambda value: value
    if access == "item":
        return lambda value: [value.get(name) for name in names]
    if len(names) == 1:
        read = operator.attrgetter(names[0])
        return lambda value: (read(value),)
    return operator.attrgetter(*names) if names else lambda _: ()


def record_codec(record: Record) -> Codec:
    """Return the codec of a Struct column."""
    cells, plain, restore = record.cells(), record.plain(), record.restore
    names = tuple(record.columns)

    def cell(value: Any) -> dict[str, Any] | None:
        return None if value is None else dict(zip(names, cells(value), strict=True))

    dtype = pl.Struct(record.columns)
    return Codec(dtype, cell, plain, lambda cell: None if cell is None else restore(cell), unnamed=record.unnamed)


def tuple_record(fields: tuple[Field, ...]) -> Codec:
    """Return the codec of a tuple of fixed length: a Struct that is an array in JSON."""
    codec = record_codec(Record(fields, "index"))

    def restore(cell: Any) -> list[Any] | None:
        return None if cell is None else [field.codec.restore(cell[field.name]) for field in fields]

    return replace(codec, restore=restore)


def mapping(value_codec: Codec) -> Codec:
    """Return the codec of a dict: a list of (key, value) pairs, in the dict's order."""

    def pairs(value: Any, convert: Convert) -> Iterable[tuple[str, Any]]:
        value = unwrapped(value)
        if not isinstance(value, Mapping):
            raise ConversionError(f"an object expected, got {type(value).__name__}")
        for key, item in value.items():
            # A key that is an int, a date or an Enum is written as JSON writes it.
            name = key if type(key) is str else next(iter(plain_json({unwrapped(key): None})))
            try:
                yield name, convert(item)
            except ConversionError as error:
                raise error.under(member("", name)) from None

    def cell(value: Any) -> list[dict[str, Any]] | None:
        return None if value is None else [{"key": key, "value": item} for key, item in pairs(value, value_codec.cell)]

    def plain(value: Any) -> dict[str, Any] | None:
        return None if value is None else dict(pairs(value, value_codec.plain))

    def restore(cell: Any) -> dict[str, Any] | None:
        return None if cell is None else {pair["key"]: value_codec.restore(pair["value"]) for pair in cell}

    dtype = pl.List(pl.Struct({"key": pl.String(), "value": value_codec.dtype}))
    return Codec(dtype, cell, plain, restore, unnamed=in_members(value_codec.unnamed))


@dataclass(frozen=True, slots=True)
class Branch:
    """One alternative of a union of objects; `fits` says whether a JSON value is of this alternative."""

    name: str
    record: Record
    fits: Callable[[Any], bool]


def union_codec(branches: Sequence[Branch], columns: Mapping[str, Codec | None], tag: str | None) -> Codec:
    """Return the codec of a union of objects: one Struct of the tag, if any, and every branch's fields.

    `columns` gives each field's codec, None for a field that the branches type differently: it holds JSON.
    """
    choose = _chooser(branches)
    records = [_merged(branch.record, columns) for branch in branches]
    cells = [_tagged_cells(record, tag, branch.name) for record, branch in zip(records, branches, strict=True)]
    plains = [branch.record.plain() for branch in branches]
    dtypes: dict[str, pl.DataType] = {} if tag is None else {tag: pl.Enum([branch.name for branch in branches])}
    dtypes |= {name: pl.String() if codec is None else codec.dtype for name, codec in columns.items()}

    def cell(value: Any) -> dict[str, Any] | None:
        return None if value is None else dict.fromkeys(dtypes) | cells[choose(value)](value)

    def plain(value: Any) -> Any:
        return None if value is None else plains[choose(value)](value)

    restores = [record.restore for record in records]

    def restore(cell: Any) -> Any:
        if cell is None:
            return None
        if tag is not None:
            return next(back for branch, back in zip(branches, restores, strict=True) if branch.name == cell[tag])(cell)
        # Without a tag the cell does not say which alternative it is. Of those whose constraints hold it is the first
        # that has a member for every cell, as the value was put into the alternative that declares most of it.
        filled = {name for name, part in cell.items() if part is not None}
        order = sorted(range(len(records)), key=lambda i: len(filled - records[i].columns.keys()))
        return next((value for i in order if branches[i].fits(value := restores[i](cell))), restores[order[0]](cell))

    return Codec(pl.Struct(dtypes), cell, plain, restore, unnamed=in_any([one.unnamed for one in records], choose))


def _merged(record: Record, columns: Mapping[str, Codec | None]) -> Record:
    """Return `record` with JSON in the columns that the branches type differently."""

    def merged(fields: Sequence[Field]) -> tuple[Field, ...]:
        return tuple(
            field if columns[field.name] is not None else replace(field, codec=json_column(field.codec.plain))
            for field in fields
        )

    return replace(record, fields=merged(record.fields), computed=merged(record.computed))


def _tagged_cells(record: Record, tag: str | None, name: str) -> Convert:
    columns = tuple(record.columns)
    cells = record.cells()
    tagged = {} if tag is None else {tag: name}
    return lambda value: {**tagged, **dict(zip(columns, cells(value), strict=True))}


def _chooser(branches: Sequence[Branch]) -> Callable[[Any], int]:
    """Return the function from a value to the index of its branch: by class, else by shape."""
    by_class = {
        branch.record.cls: index for index, branch in enumerate(branches) if branch.record.access == "attribute"
    }

    def choose(value: Any) -> int:
        index = by_class.get(type(value))
        if index is not None:
            return index
        value = unwrapped(value)
        accepting = [index for index, branch in enumerate(branches) if branch.record.accepts(value)]
        if isinstance(value, Mapping):
            # Among the branches whose constraints hold, the one that declares most of the members.
            accepting = [i for i in accepting if branches[i].fits(value)] or accepting
            accepting.sort(key=lambda i: -sum(field.key in value for field in branches[i].record.fields))
        if not accepting:
            raise ConversionError(f"none of the alternatives takes {type(value).__name__}")
        return accepting[0]

    return choose
