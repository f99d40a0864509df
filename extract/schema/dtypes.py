"""Normal form -> the Polars columns of an answer and the functions that fill them, known before the first answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

from extract.errors import SchemaError
from extract.json_types import JsonObject
from extract.schema import codecs
from extract.schema.binary_codec import binary
from extract.schema.codecs import Codec, Convert, plain_json
from extract.schema.container_codecs import (
    EXTRA,
    Access,
    Branch,
    Field,
    Record,
    mapping,
    record_codec,
    sequence,
    tuple_record,
    union_codec,
)
from extract.schema.disjoint import disjoint
from extract.schema.drafts import LATEST
from extract.schema.keywords import MARK, child_path, types_of
from extract.schema.marks import Mark, MarkedJsonSchema
from extract.schema.normalise import Document, normalise
from extract.schema.simplify import simplify
from extract.schema.unions import common_codec, free_name, merged_fields, with_unique_names
from extract.schema.unnamed import Unnamed, is_closed

__all__ = ["DEFAULT_SCALE", "VALUE", "Layout", "layout"]

#: The only column of a root that is not an object, and its key on the wire.
VALUE = "value"
_TAG = "type"
#: The places of a Decimal that does not declare them.
DEFAULT_SCALE = 9
#: How many recursive definitions may be nested as Structs; deeper ones become JSON, as a dtype must be finite.
_MAX_RECURSION_DEPTH = 3

Fits = Callable[[JsonObject], Callable[[Any], bool]]


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of an answer: `cells` makes a row, `plain` the answer's JSON, `restore` JSON from a row.

    `keys` maps columns to the members of the answer; a computed column has none. `unnamed` are members of an answer
    that no column holds, None where there can be none.
    """

    columns: dict[str, pl.DataType]
    keys: dict[str, str]
    cells: Callable[[Any], list[Any]]
    plain: Convert
    restore: Callable[[Mapping[str, Any]], Any]
    unnamed: Unnamed | None = None


def layout(
    document: Document,
    *,
    wrapped: bool,
    python: bool,
    formats: frozenset[str] = frozenset(),
    fits: Fits | None = None,
    keep_unnamed: bool = False,
) -> Layout:
    """Return the columns of a document in normal form whose root is an object with declared members.

    With `wrapped`, values come without the wrapper object. With `python`, values are Python objects described by marks;
    otherwise they are JSON, and a string whose format is in `formats` is typed by it. `fits` makes the check that
    chooses among alternatives of JSON values. With `keep_unnamed` members that a JSON Schema allows without a word are
    kept as those are that it allows by `additionalProperties`. Raises SchemaError, with the JSON path, where column
    names clash.
    """
    try:
        return _Builder(document, python, formats, fits, keep_unnamed=keep_unnamed).layout(wrapped)
    except RecursionError:
        raise SchemaError("nested too deeply to be laid out as columns") from None


class _Builder:
    def __init__(
        self,
        document: Document,
        python: bool,
        formats: frozenset[str],
        fits: Fits | None,
        computing: tuple[type | None, ...] = (),
        *,
        keep_unnamed: bool = False,
    ) -> None:
        self._keep_unnamed = keep_unnamed
        self._computing = computing
        self._document = document
        self._python = python
        self._formats = formats
        self._fits = fits or _fits_shape
        self._recursive = document.recursive()
        self._open: list[str] = []
        self._done: dict[str, Codec] = {}
        self._plains: dict[str, Convert] = {}
        self._unwritten: dict[str, str] = {}

    def layout(self, wrapped: bool) -> Layout:
        record, _ = self._with_open(self._document.root, lambda node: self._record(node, "$"))
        if wrapped:
            value = record.fields[0].codec
            built = Layout(
                {VALUE: value.dtype},
                {VALUE: VALUE},
                lambda answer: [value.cell(answer)],
                lambda answer: {VALUE: value.plain(answer)},
                lambda row: {VALUE: value.restore(row[VALUE])},
                value.unnamed,
            )
        else:
            keys = {field.name: field.key for field in record.fields}
            built = Layout(record.columns, keys, record.cells(), record.plain(), record.restore, record.unnamed)
        self._build_unwritten()
        return built

    def whole(self) -> Codec:
        """Return the codec of a document as a single value, whatever its root is."""
        codec = self.codec(self._document.root, "$")
        self._build_unwritten()
        return codec

    def _build_unwritten(self) -> None:
        for name, path in list(self._unwritten.items()):  # JSON columns refer to these, but no column has built them
            if name not in self._plains:
                self._definition(name, path)

    def _with_open(self, node: JsonObject, build: Callable[[JsonObject], Any]) -> tuple[Any, list[str]]:
        """Build from the target of `node`, with every definition on the way marked as open (under construction)."""
        names = []
        while (name := self._document.target(node)) is not None:
            names.append(name)
            node = self._document.definitions[name]
        self._open += names
        try:
            return build(node), names
        finally:
            del self._open[len(self._open) - len(names) :]

    def codec(self, node: JsonObject, path: str) -> Codec:
        """Return the codec of any node."""
        name = self._document.target(node)
        if name is not None:
            return self._definition(name, path)
        if "anyOf" in node:
            return self._union(node, path)
        mark = node.get(MARK)
        if isinstance(mark, Mark) and mark.kind in _MARKED:
            return _MARKED[mark.kind](self, node, mark, path)
        return self._enum(node) if "enum" in node else self._typed(node, path)

    def _definition(self, name: str, path: str) -> Codec:
        if name in self._done:
            return self._done[name]
        # A recursive type has no finite dtype: below the limit it becomes a JSON column, whose writer is built late.
        nested = sum(opened in self._recursive for opened in self._open)
        if name in self._open or (name in self._recursive and nested >= _MAX_RECURSION_DEPTH):
            self._unwritten.setdefault(name, path)
            return codecs.json_column(lambda value: self._plains[name](value))  # noqa: PLW0108  # not built yet
        self._open.append(name)
        try:
            codec = self.codec(self._document.definitions[name], path)
        finally:
            self._open.pop()
        self._plains.setdefault(name, codec.plain)
        if name not in self._recursive:
            self._done[name] = codec
        return codec

    def _typed(self, node: JsonObject, path: str) -> Codec:
        declared = set(types_of(node))
        types = declared - {"null"}
        if declared == {"null"}:
            return codecs.TEXT
        # A column has one type: several different ones share a JSON column, apart from null, which every column has.
        if types == {"integer", "number"}:
            types = {"number"}
        build = _TYPED.get(types.pop()) if len(types) == 1 else None
        return self._json() if build is None else build(self, node, path)

    def _json(self) -> Codec:
        return codecs.json_column(plain_json if self._python else _same)

    def _string(self, node: JsonObject, _path: str) -> Codec:
        format_ = None if self._python else node.get("format")
        if format_ in self._formats:
            return {"date": codecs.DATE, "date-time": codecs.UTC_DATETIME}.get(format_, codecs.TEXT)
        return codecs.TEXT

    def _enum(self, node: JsonObject) -> Codec:
        values = [value for value in node["enum"] if value is not None]
        kinds = {type(value) for value in values}
        if kinds == {str}:
            return codecs.labels(list(dict.fromkeys(values)))
        if kinds == {bool}:
            return codecs.BOOLEAN
        if kinds == {int} and all(-(2**63) <= value < 2**63 for value in values):
            return codecs.INTEGER
        if kinds and kinds <= {int, float} and all(float(value) == value for value in values):
            return codecs.FLOAT
        return self._json()

    def _array(self, node: JsonObject, path: str) -> Codec:
        parts = node.get("prefixItems", [])
        if parts:
            fixed = node.get("maxItems") == len(parts) and node.get("minItems", 0) >= len(parts)
            return self._tuple(node, [f"f{index}" for index in range(len(parts))], path) if fixed else self._json()
        if node.get("maxItems") == 0:  # without items there is no item type
            return self._json()
        where = child_path(path, "items", None)
        return sequence(self.codec(node["items"], where) if "items" in node else self._json())

    def _tuple(self, node: JsonObject, names: Sequence[str], path: str) -> Codec:
        parts = enumerate(zip(node.get("prefixItems", ()), names, strict=True))
        fields = tuple(
            Field(str(index), name, self.codec(part, child_path(path, "prefixItems", index)))
            for index, (part, name) in parts
        )
        return tuple_record(fields) if fields else self._json()

    def _object(self, node: JsonObject, path: str) -> Codec:
        if node.get("properties"):
            return record_codec(self._record(node, path))
        mark = node.get(MARK)
        if isinstance(mark, Mark) and mark.computed:  # else pydantic would write computed fields into the JSON
            return codecs.json_column(self._record(node, path).plain())
        rest = node.get("additionalProperties", {})
        if not rest or rest.get("not") == {}:
            return self._json()
        return mapping(self.codec(rest, f"{path}.*"))

    def _record(self, node: JsonObject, path: str) -> Record:
        mark = node.get(MARK)
        mark = mark if isinstance(mark, Mark) else Mark("mapping")
        names = dict(mark.names)
        properties = node.get("properties", {}) | self._unlisted(node)
        # A null cell of an optional member: in Python its value is None, in JSON it may be null or absent.
        sure = properties if self._python else frozenset(node.get("required", ()))
        fields = tuple(
            Field(
                key,
                names.get(key, key),
                self.codec(item, child_path(path, "properties", key)),
                emits_null=key in sure and self._nullable(item),
            )
            for key, item in properties.items()
        )
        computed = self._computed(mark)
        rest = node.get("additionalProperties")
        silent = not self._python and rest is None and not is_closed(node)
        extra = (silent and self._keep_unnamed) or (rest is not None and rest.get("not") != {})
        if extra and any(field.name == EXTRA for field in (*fields, *computed)):
            raise SchemaError(
                f"a field named {EXTRA!r} clashes with the column for further members; rename it", path=path
            )
        access: Access = "attribute" if mark.kind == "object" else "item"
        drops_at = path if silent and not extra else None
        return Record(fields, access, mark.cls, extra, as_is=not self._python, computed=computed, drops_at=drops_at)

    def _unlisted(self, node: JsonObject) -> JsonObject:
        """Return the members that a JSON Schema requires and says nothing else of: they may be anything."""
        if self._python or "additionalProperties" in node:
            return {}
        return {name: {} for name in node.get("required", ()) if name not in node.get("properties", {})}

    def _computed(self, mark: Mark) -> tuple[Field, ...]:
        """Return the computed fields of a class; none inside a computed field of the same class, which never ends."""
        if mark.cls in self._computing:
            return ()
        inside = (*self._computing, mark.cls)
        return tuple(Field(name, name, _codec_of(kind, inside)) for name, kind in mark.computed)

    def _nullable(self, node: JsonObject) -> bool:
        node = self._document.resolved(node)
        if "anyOf" in node:
            return any(map(self._nullable, node["anyOf"]))
        types = types_of(node)
        return (not types or "null" in types) and ("enum" not in node or None in node["enum"])

    def _union(self, node: JsonObject, path: str) -> Codec:
        options = [option for option in node["anyOf"] if self._document.resolved(option).get("type") != "null"]
        if len(options) == 1:
            return self.codec(options[0], path)
        # A union that contains itself would be an endless Struct: it becomes a JSON column.
        inside = any(self._document.target(option) in self._open for option in options)
        if options and not inside and all(map(self._has_members, options)):
            return self._union_of_records(node, options, path)
        parts = [self.codec(option, path) for option in options]
        return common_codec(parts) or codecs.json_column(codecs.alternatives(parts) if self._python else _same)

    def _has_members(self, node: JsonObject) -> bool:
        node = self._document.resolved(node)
        mark = node.get(MARK)
        marked = isinstance(mark, Mark) and mark.kind in ("object", "mapping")
        return node.get("type") == "object" and (bool(node.get("properties")) or marked)

    def _union_of_records(self, node: JsonObject, options: list[JsonObject], path: str) -> Codec:
        branches = []
        for index, option in enumerate(options, start=1):
            record, names = self._with_open(option, lambda inner: self._record(inner, path))
            title = self._document.resolved(option).get("title")
            name = record.cls.__name__ if record.cls else (names[0] if names else title or f"option_{index}")
            branches.append(Branch(name, record, self._fits(self._document.resolved(option))))
            for opened in names:
                self._plains.setdefault(opened, record.plain())
        columns = merged_fields([branch.record for branch in branches])
        # JSON values are told apart again by their constraints; Python classes need a tag column, unless a member of
        # fixed values does the same.
        tag = free_name(_TAG, columns) if self._python and not self._tells_apart(node, options) else None
        return union_codec(with_unique_names(branches), columns, tag)

    def _tells_apart(self, node: JsonObject, options: list[JsonObject]) -> bool:
        """Whether a member with fixed values identifies the alternative."""
        shapes = [self._document.resolved(option).get("properties", {}) for option in options]
        shared = [name for name in shapes[0] if all(name in shape for shape in shapes)]
        declared = node.get("discriminator", {}).get("propertyName")
        if declared in shared:
            return True
        literals = ([self._document.resolved(shape[name]) for shape in shapes] for name in shared)
        return any(
            all("enum" in literal for literal in each) and disjoint([{"enum": x["enum"]} for x in each], _same)
            for each in literals
        )


def _codec_of(kind: Any, computing: tuple[type | None, ...]) -> Codec:
    """Return the codec of a computed field of type `kind`; a JSON column where the type has no schema."""
    try:
        document = simplify(normalise(TypeAdapter(kind).json_schema(schema_generator=MarkedJsonSchema), LATEST))
        return _Builder(document, True, frozenset(), None, computing).whole()
    except (PydanticInvalidForJsonSchema, PydanticUserError, SchemaError):
        return codecs.json_column(plain_json)


def _same(value: Any) -> Any:
    return value


def _fits_shape(node: JsonObject) -> Callable[[Any], bool]:
    """Return the check whether an object has the members that `node` requires, with their fixed values."""
    needed = node.get("required", ())
    fixed = {name: item["enum"] for name, item in node.get("properties", {}).items() if "enum" in item}
    return lambda value: (
        all(name in value for name in needed)
        and all(value[name] in options for name, options in fixed.items() if name in value)
    )


def _decimal(_builder: _Builder, _node: JsonObject, mark: Mark, _path: str) -> Codec:
    return codecs.decimal(DEFAULT_SCALE if mark.scale is None else min(mark.scale, 38))


def _bytes(_builder: _Builder, node: JsonObject, _mark: Mark, _path: str) -> Codec:
    return binary(node.get("format", "binary"))


def _named_tuple(builder: _Builder, node: JsonObject, mark: Mark, path: str) -> Codec:
    return builder._tuple(node, [name for _, name in mark.names], path)


def _always(codec: Codec) -> Callable[..., Codec]:
    return lambda *_: codec


_MARKED: dict[str, Callable[[_Builder, JsonObject, Mark, str], Codec]] = {
    "aware_datetime": _always(codecs.UTC_DATETIME),
    "aware_time": _always(codecs.TEXT),
    "bytes": _bytes,
    "date": _always(codecs.DATE),
    "decimal": _decimal,
    "duration": _always(codecs.DURATION),
    "json": _always(codecs.embedded_json(plain_json)),
    "local_datetime": _always(codecs.LOCAL_DATETIME),
    "local_time": _always(codecs.LOCAL_TIME),
    "named_tuple": _named_tuple,
}

_TYPED: dict[str, Callable[[_Builder, JsonObject, str], Codec]] = {
    "string": _Builder._string,
    "integer": _always(codecs.INTEGER),
    "number": _always(codecs.FLOAT),
    "boolean": _always(codecs.BOOLEAN),
    "array": _Builder._array,
    "object": _Builder._object,
}
