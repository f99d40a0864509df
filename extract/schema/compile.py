"""`compile_schema`: a model, type, list of labels or JSON Schema -> one `OutputSchema`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, TypeAlias, get_origin

import polars as pl
from pydantic import ConfigDict, Field, TypeAdapter, create_model
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

from extract.errors import InvalidAnswer, Issue, SchemaError
from extract.json_types import JsonObject, json_text
from extract.schema.codecs import ConversionError
from extract.schema.complexity import Complexity, measure
from extract.schema.drafts import LATEST, Dialect, dialect_of, latest_formats
from extract.schema.dtypes import VALUE, Fits, Layout, layout
from extract.schema.keywords import member, nodes
from extract.schema.lenient import Mender
from extract.schema.losses import Loss
from extract.schema.marks import MarkedJsonSchema, member_names, without_marks
from extract.schema.normalise import Document, normalise
from extract.schema.nullable import allow_null
from extract.schema.provider_subset import to_wire
from extract.schema.quick import QuickCheck
from extract.schema.relaxation import ladder
from extract.schema.simplify import simplify
from extract.schema.unnamed import COUNTS_MEMBERS
from extract.schema.validate import (
    parse,
    pointer_validator,
    python_places,
    python_reader,
    schema_places,
    schema_reader,
    schema_validator,
)

__all__ = ["OutputSchema", "compile_schema"]

Row: TypeAlias = tuple[Any, ...]
Extra: TypeAlias = Literal["drop", "keep"]

_DEFAULT_NAME = "Answer"
_PYDANTIC_ERRORS = (PydanticInvalidForJsonSchema, PydanticUserError, ImportError, NameError, TypeError)
#: Pydantic's error code -> what to do about it.
_ADVICE: dict[str | None, str] = {
    "typed-dict-version": "before Python 3.12, import TypedDict from typing_extensions, not from typing",
    "class-not-fully-defined": "it names a type that is not defined yet; define that, then call model_rebuild()",
    "invalid-for-json-schema": "a type that JSON cannot hold; use another, or leave the field out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSchema:
    """A compiled schema: its JSON Schema, the wire form for the service, validation, and the columns of an answer.

    `full` is the whole JSON Schema, `wire` the part of it that the service reads, `losses` the difference. `dtypes` are
    the columns in order; `keys` maps them to the answer's members (computed columns have none), `names` maps wire keys
    of deeper members to field names that differ from them. `wrapped` is True where the root is not an object: the
    answer is then sent as `{"value": ...}`, and methods take and return values without that wrapper. `extra` says what
    becomes of members that a JSON Schema allows without naming them: "drop", or "keep" in columns `_extra`.

    >>> schema = compile_schema({"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]})
    >>> schema.dtypes
    {'total': Float64}
    >>> schema.row(schema.validate('{"total": 12.5}'))
    (12.5,)
    """

    name: str
    full: JsonObject
    wire: JsonObject
    losses: tuple[Loss, ...]
    dtypes: dict[str, pl.DataType]
    keys: dict[str, str]
    names: dict[str, str]
    wrapped: bool
    extra: Extra
    _read: Callable[[str], Any] = field(repr=False)
    _mender: Mender = field(repr=False)
    _layout: Layout = field(repr=False)
    _rungs: tuple[JsonObject, ...] = field(repr=False)

    @property
    def complexity(self) -> Complexity:
        """The estimated cost of the wire form, with warnings about what may get it refused."""
        return measure(self.wire)

    @property
    def rungs(self) -> int:
        """The number of forms that `relaxed` has, the wire form included."""
        return len(self._rungs)

    def relaxed(self, rung: int) -> JsonObject:
        """Return the wire form relaxed to a rung: 0 is `wire`, each further one accepts more than the one before.

        The rungs drop, in this order: bounds and date formats, limits of items, large enums, recursion and deep
        objects. The descriptions state what was dropped, and `validate` enforces it. Raises IndexError for a rung that
        does not exist.
        """
        if not 0 <= rung < self.rungs:
            raise IndexError(f"rung {rung} asked for; this schema has {self.rungs}, from 0")
        return self._rungs[rung]

    def sent_as(self, wire: JsonObject, loss: Loss) -> OutputSchema:
        """Return the same schema with another wire form, which accepts more: what `loss` says."""
        return replace(self, wire=wire, losses=(*self.losses, loss), _rungs=ladder(wire))

    def validate(self, text: str) -> Any:
        """Return the value of an answer's text: a model instance, a Python value, or JSON for a raw schema.

        Raises InvalidAnswer with up to a hundred issues; their JSON paths have keys as on the wire.
        """
        return self._read(text)

    def read(self, text: str) -> tuple[Any, tuple[str, ...]]:
        """Return the value of an answer and the names of the local mends it needed, () for one that is valid as it is.

        A mend changes the form of an answer, never its content (`extract.schema.lenient` lists them); the mended answer
        passes the same validation. Raises InvalidAnswer, for the original answer, where no mend makes it valid.
        """
        try:
            return self._read(text), ()
        except InvalidAnswer:
            mended = self._mender.mend(text)
            if mended is None:
                raise
            return mended

    def row(self, value: Any) -> Row:
        """Return a validated value as one cell per column, in the order of `dtypes`.

        Raises InvalidAnswer where a value does not fit its dtype; nothing is rounded.
        """
        try:
            return tuple(self._layout.cells(value))
        except ConversionError as error:
            raise self._invalid_answer(error) from None

    def has_unnamed(self, value: Any) -> bool:
        """Return whether a validated value has members that the schema does not name and that no column holds."""
        unnamed = self._layout.unnamed
        return unnamed is not None and unnamed.found_in(value)

    def frame(self, rows: Sequence[Row | None]) -> pl.DataFrame:
        """Return a typed frame of what `row` returned; None becomes a row of nulls."""
        empty = (None,) * len(self.dtypes)
        filled = [empty if row is None else row for row in rows]
        columns = zip(*filled, strict=True) if filled else [()] * len(empty)
        typed = zip(self.dtypes.items(), columns, strict=True)
        # By name: of series Polars takes "" for no name, and makes one up.
        return pl.DataFrame({name: pl.Series(name, cells, dtype=dtype, strict=True) for (name, dtype), cells in typed})

    def models(self, frame: pl.DataFrame) -> list[Any]:
        """Return the validated values of a frame's rows, None for a row whose columns are all null.

        Raises InvalidAnswer for a row that does not fit the schema any more.
        """
        rows = frame.select(list(self.dtypes)).iter_rows(named=True)
        return [None if all(cell is None for cell in row.values()) else self.restored(row) for row in rows]

    def restored(self, row: Mapping[str, Any]) -> Any:
        """Return the validated value of one row of a frame, by column. Raises InvalidAnswer as `models` does.

        Where the schema asks for members that it does not name, as `dependentRequired` does, and that no column holds,
        the value is what is left without them.
        """
        text = json_text(self._layout.restore(row))
        try:
            return self._read(text)
        except InvalidAnswer:
            if self._layout.unnamed is None or not any(COUNTS_MEMBERS & node.keys() for node in nodes(self.full)):
                raise
            value = parse(text)
            return value[VALUE] if self.wrapped else value

    def answer(self, row: Mapping[str, Any]) -> Any:
        """Return the answer of one row of a frame, by column, as JSON with keys as on the wire, unchecked."""
        return self._layout.restore(row)

    def to_json(self, value: Any) -> str:
        """Return a validated value as the JSON text that `validate` accepts, keys as on the wire."""
        try:
            return json_text(self._layout.plain(value))
        except ConversionError as error:
            raise self._invalid_answer(error) from None
        except ValueError:
            raise InvalidAnswer((Issue("$", "a finite number expected"),)) from None

    def _invalid_answer(self, error: ConversionError) -> InvalidAnswer:
        root = f"$.{VALUE}" if self.wrapped else "$"
        return InvalidAnswer((Issue(root + error.path, error.message),))


def compile_schema(
    source: Any, *, name: str | None = None, assert_formats: bool = True, extra: Extra = "drop"
) -> OutputSchema:
    """Return the `OutputSchema` of a model class, any type that pydantic understands, labels, or a JSON Schema.

    A list or tuple of strings is a set of labels, each alone or with a description: `["bug", ("billing", "money")]`; a
    dict (or a bool) is a JSON Schema of draft 4 to 2020-12. With `assert_formats=False` the formats of a JSON Schema
    are annotations, neither checked nor typed. Members that a JSON Schema allows without naming them, as it does where
    it has no `additionalProperties`, are dropped from the columns, which is a Loss; `extra="keep"` keeps them, as JSON,
    in columns `_extra`. An `OutputSchema` is returned unchanged. Raises SchemaError, with the JSON path where there is
    one, for a source that cannot be compiled; nothing is ever fetched.

    >>> schema = compile_schema(["bug", ("billing", "money or invoices")])
    >>> schema.wire["properties"]["value"]["enum"]
    ['bug', 'billing']
    >>> schema.validate('{"value": "bug"}')
    'bug'
    """
    if extra not in ("drop", "keep"):
        raise SchemaError(f"extra is 'drop' or 'keep', not {extra!r}")
    if isinstance(source, OutputSchema):
        if extra == "keep" != source.extra:
            raise SchemaError("extra='keep' comes too late for a compiled schema: say it to compile_schema")
        return source
    if isinstance(source, dict | bool):
        _check_json(source)
        return _compile_json(source, name, assert_formats=assert_formats, extra=extra)
    if extra == "keep":
        raise SchemaError(
            "extra='keep' is about JSON Schemas; a class says it itself: model_config = ConfigDict(extra='allow')"
        )
    if isinstance(source, list | tuple):
        return _compile_python(_labels(source), name or "Label")
    return _compile_python(source, name or _name_of(source))


def _check_json(value: Any) -> None:
    """Raise SchemaError for what cannot be written as JSON: nothing could be asked with it."""
    try:
        json_text(value).encode()
    except RecursionError:
        return  # compiling says where
    except UnicodeEncodeError:
        raise SchemaError("the schema holds half a character (a lone surrogate) in a name, a label or a text") from None
    except (TypeError, ValueError) as error:
        raise SchemaError(f"the schema holds what JSON does not have: {error}") from None


def _labels(source: Sequence[Any]) -> Any:
    """Return the type of one label, with the descriptions in its own. Raises SchemaError for other lists."""
    pairs = [item if isinstance(item, list | tuple) else (item, None) for item in source]
    if not pairs or not all(_is_label(*pair) for pair in pairs):
        raise SchemaError("a list of labels must hold at least one, and only strings or pairs (label, description)")
    _check_json(pairs)
    labels = [label for label, _ in pairs]
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise SchemaError(f"the label {twice!r} stands in the list twice")
    descriptions = "\n".join(f"{label}: {description}" for label, description in pairs if description)
    return (
        Annotated[Literal[tuple(labels)], Field(description=descriptions)] if descriptions else Literal[tuple(labels)]
    )


def _is_label(*pair: Any) -> bool:
    return len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], str | None)


def _name_of(source: Any) -> str:
    if get_origin(source) in (None, Annotated) and isinstance(getattr(source, "__name__", None), str):
        return str(source.__name__)
    return _DEFAULT_NAME


def _compile_python(source: Any, name: str) -> OutputSchema:
    adapter, marked = _adapted(source)
    document = simplify(normalise(marked, LATEST, patterns_here=False))
    wrapped = not document.has_columns
    if wrapped:  # compiled again as the only member of a model, so that paths and issues have the wrapper in them
        members: dict[str, Any] = {VALUE: (source, ...)}
        adapter, marked = _adapted(create_model(name, __config__=ConfigDict(extra="forbid"), **members))
        document = simplify(normalise(marked, LATEST, patterns_here=False))
    read_answer = python_reader(adapter)
    read = (lambda text: getattr(read_answer(text), VALUE)) if wrapped else read_answer
    wire, losses = to_wire(document, asserted_formats=None)
    built = layout(document, wrapped=wrapped, python=True)
    full = without_marks(marked)
    _check_json(full)
    return OutputSchema(
        name=name,
        full=full,
        wire=wire,
        losses=losses,
        dtypes=built.columns,
        keys=built.keys,
        names=member_names(marked),
        wrapped=wrapped,
        extra="drop",
        _read=read,
        _mender=Mender(document, read, python_places(adapter), wrapper=VALUE, wrapped=wrapped),
        _layout=built,
        _rungs=ladder(wire),
    )


def _adapted(source: Any) -> tuple[TypeAdapter[Any], JsonObject]:
    """Return the adapter and the marked schema of a type. Raises SchemaError with a message of one line."""
    try:
        adapter = TypeAdapter(source)
        return adapter, adapter.json_schema(schema_generator=MarkedJsonSchema)
    except _PYDANTIC_ERRORS as error:
        message = _ADVICE.get(getattr(error, "code", None)) or str(getattr(error, "message", error)).split("\n")[0]
        raise SchemaError(f"{_name_of(source)} cannot be compiled: {message}", path=_refused_path(source)) from error


def _refused_path(source: Any, path: str = "$") -> str:
    """Return the JSON path of the innermost field that pydantic refuses; only directly nested models are entered."""
    for name, field_ in getattr(source, "model_fields", {}).items():
        try:
            TypeAdapter(field_.annotation).json_schema(schema_generator=MarkedJsonSchema)
        except _PYDANTIC_ERRORS:
            return _refused_path(field_.annotation, member(path, field_.alias or name))
    return path


def _compile_json(schema: JsonObject | bool, name: str | None, *, assert_formats: bool, extra: Extra) -> OutputSchema:
    dialect = dialect_of(schema)
    full = allow_null(copy.deepcopy(schema))
    document = simplify(normalise(full, dialect))
    wrapped = not document.has_columns
    if wrapped:
        document = document.wrapped(VALUE)
    formats = frozenset(latest_formats().checkers) if assert_formats else frozenset[str]()
    wire, losses = to_wire(document, asserted_formats=formats)
    fits = _branch_check(document, assert_formats=assert_formats)
    keep = extra == "keep"
    built = layout(document, wrapped=wrapped, python=False, formats=formats, fits=fits, keep_unnamed=keep)
    dropped = () if built.unnamed is None else built.unnamed.paths
    validator = schema_validator(full, dialect, assert_formats=assert_formats)
    inside = VALUE if wrapped else None
    accepts = QuickCheck(full, dialect, assert_formats=assert_formats)
    read = schema_reader(validator, accepts, inside=inside)
    title = schema.get("title") if isinstance(schema, dict) else None
    return OutputSchema(
        name=name or (title if isinstance(title, str) and title else _DEFAULT_NAME),
        full=_wrapped(full, dialect) if wrapped else full,
        wire=wire,
        losses=(*losses, *(Loss(path, "additionalProperties", None) for path in dropped)),
        dtypes=built.columns,
        keys=built.keys,
        names={},
        wrapped=wrapped,
        extra=extra,
        _read=read,
        _mender=Mender(document, read, schema_places(validator, inside=inside), wrapper=VALUE, wrapped=wrapped),
        _layout=built,
        _rungs=ladder(wire),
    )


def _wrapped(schema: JsonObject | bool, dialect: Dialect) -> JsonObject:
    """Return the schema of `{"value": ...}`; the inner schema gets an identifier, so that its references still work."""
    if isinstance(schema, dict):
        if "$ref" in schema and not dialect.siblings_count:  # an identifier beside $ref would be ignored
            root_keywords = {key: value for key, value in schema.items() if key in ("$schema", "definitions", "$defs")}
            schema = {**root_keywords, "allOf": [{"$ref": schema["$ref"]}]}
        identifier = "id" if dialect.name == "draft-4" else "$id"
        schema = {identifier: "urn:extract:value", **schema}
    outer = {"$schema": schema["$schema"]} if isinstance(schema, dict) and "$schema" in schema else {}
    root = {"type": "object", "properties": {VALUE: schema}, "required": [VALUE], "additionalProperties": False}
    return {**outer, **root}


def _branch_check(document: Document, *, assert_formats: bool) -> Fits:
    """Return a function from a node to the check whether a JSON value fits it, to choose among alternatives.

    A check is made at its first value, and once for a node: an alternative may stand in hundreds of places.
    """
    checks: dict[int, Callable[[Any], bool]] = {}

    def made(node: JsonObject) -> Callable[[Any], bool]:
        if id(node) not in checks:
            schema = without_marks({**node, "$defs": _reached(document, node)})
            accepts = QuickCheck(schema, LATEST, assert_formats=assert_formats)
            judge = pointer_validator(schema, assert_formats=assert_formats).is_valid
            checks[id(node)] = lambda value: accepts(value) or judge(value)
        return checks[id(node)]

    def check(node: JsonObject) -> Callable[[Any], bool]:
        def fits(value: Any) -> bool:
            return made(node)(value)

        return fits

    return check


def _reached(document: Document, node: JsonObject) -> dict[str, JsonObject]:
    """Return the definitions that a node refers to, directly or through others."""
    reached: dict[str, JsonObject] = {}
    pending = list(document.references(node))
    while pending:
        if (name := pending.pop()) not in reached:
            reached[name] = document.definitions[name]
            pending += document.references(reached[name])
    return reached
