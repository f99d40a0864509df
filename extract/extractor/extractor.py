"""`Extractor`: what to extract from each record, as one frozen value. Nothing here is sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypedDict, Unpack, overload

from typing_extensions import TypeVar

from extract.documents.grounding import load_rapidfuzz
from extract.documents.windows import Windows, load_splitter
from extract.errors import ConfigError
from extract.extractor.candidates import Candidates
from extract.extractor.label_tree import LabelTree
from extract.extractor.nearest import Nearest
from extract.extractor.pack import Pack
from extract.extractor.prompts import Example, Template
from extract.interactions.dialects import tool_object
from extract.interactions.requests import Generation, Tool, checked_generation
from extract.interactions.tools.declared import declared
from extract.interactions.tools.functions import Function, functions_of

__all__ = ["Extractor", "ExtractorOptions", "asked_alone"]

ModelT = TypeVar("ModelT", default=Any)


class ExtractorOptions(TypedDict, total=False):
    """The keywords of `Extractor`, for type checkers."""

    model: str
    system: str | None
    media: Sequence[str]
    optional: Sequence[str]
    examples: Sequence[Example] | Nearest
    candidates: Candidates | LabelTree | int | None
    generation: Generation
    grounding: Sequence[str]
    windows: Windows | None
    repairs: int
    tools: Sequence[Any]
    tool_rounds: int
    extra: Literal["drop", "keep"]
    pack: Pack | int | Literal["auto"] | None


@dataclass(frozen=True, slots=True)
class Extractor(Generic[ModelT]):
    """What to extract from each record: schema, prompt, model and how to check the answers.

    `schema` is a Pydantic model, TypedDict, dataclass, any type that Pydantic accepts, a list of labels, a `LabelTree`,
    a JSON Schema, or a compiled schema. `prompt` has `{column}` placeholders. `media` names columns with a path, a URI
    or bytes; their parts are sent before the prompt. `examples` are the same for all records, or `Nearest(gold)`: for
    each record the gold rows that are most like it. `candidates`, a number or `Candidates(k, ...)`, shows each record
    only the labels that are most likely to fit it, where there are thousands. `pack`, a number of rows or a
    `Pack(...)`, asks that many rows in one request. `optional` names columns that an input may lack, though not all of
    them; a missing one is null. `grounding` names the columns, texts or files, in which the values of an answer are
    searched; for each record the first one with text counts (a scan has none). `windows` cuts texts that are too long
    for one request and merges the answers; a PDF longer than a window is sent as its text, unless one of its pages is a
    picture. `repairs` is how often an invalid answer is sent back with its errors. `tools` are typed tools, raw objects
    for the service's own tools, and Python functions, which run here; their results are sent back up to `tool_rounds`
    times. `extra` says what becomes of members that a JSON Schema allows without naming them: "drop" counts them and
    leaves them out, "keep" puts them, as JSON, into columns `_extra`. Nothing that is sent depends on it, nor does the
    cache.

    >>> extractor = Extractor(["bug", "praise"], "Classify this review: {text}")
    >>> extractor.prompt, extractor.repairs
    ('Classify this review: {text}', 2)
    """

    schema: Any
    prompt: str
    _: KW_ONLY
    model: str = "gemini-3.5-flash-lite"
    system: str | None = None
    media: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    examples: tuple[Example, ...] | Nearest = ()
    candidates: Candidates | LabelTree | None = None
    generation: Generation = Generation()
    grounding: tuple[str, ...] = ()
    windows: Windows | None = None
    repairs: int = 2
    tools: tuple[Any, ...] = ()
    tool_rounds: int = 8
    extra: Literal["drop", "keep"] = "drop"
    pack: Pack | None = None

    if TYPE_CHECKING:  # what a dataclass cannot say: a class as the schema is the type of what a run gives back

        @overload
        def __init__(self, schema: type[ModelT], prompt: str, **options: Unpack[ExtractorOptions]) -> None: ...
        @overload
        def __init__(self: Extractor[Any], schema: Any, prompt: str, **options: Unpack[ExtractorOptions]) -> None: ...
        def __init__(self, schema: Any, prompt: str, **options: Unpack[ExtractorOptions]) -> None: ...

    else:  # an alias of `typing` cannot be called, as it wants to set an attribute of what it makes

        def __class_getitem__(cls, _):
            return cls

    def __post_init__(self) -> None:
        object.__setattr__(self, "tools", _answerable(self.tools))
        checked_generation(self.generation)
        for name in ("media", "optional", "grounding"):
            columns: Any = getattr(self, name)
            if isinstance(columns, str):
                raise ConfigError(f"{name} takes a tuple of column names: {name}=({columns!r},)")
            if not isinstance(columns, Iterable):
                raise ConfigError(f"{name} takes a tuple of column names, such as {name}=('text',), not {columns!r}")
            object.__setattr__(self, name, tuple(columns))
        object.__setattr__(self, "examples", _examples(self.examples, self.media))
        object.__setattr__(self, "candidates", _candidates(self.candidates, self.windows, self.schema))
        if not self.model or not isinstance(self.model, str):
            raise ConfigError("an extractor needs the name of a model")
        if self.extra not in ("drop", "keep"):
            raise ConfigError(f"extra is 'drop' or 'keep', not {self.extra!r}")
        if self.repairs < 0:
            raise ConfigError(f"repairs must be 0 or more, not {self.repairs}")
        if not isinstance(self.prompt, str):
            raise ConfigError(f"the prompt must be text with {{column}} places, not a {type(self.prompt).__name__}")
        if not self.prompt.strip() and not self.media:
            raise ConfigError("the prompt is empty and there are no media columns: nothing would be sent")
        if not Template.parse(self.prompt).columns and not self.media:
            raise ConfigError("the prompt names no {column} and there are no media columns: all rows would be alike")
        self._check_grounding()
        self._check_pack()

    def _check_pack(self) -> None:
        object.__setattr__(self, "pack", Pack.of(self.pack))
        if self.pack is None:
            return
        if alone := asked_alone(self):
            raise ConfigError(f"with {alone[0]} each row needs a request of its own: leave out pack, or {alone[0]}")
        if not Template.parse(self.prompt).columns:
            raise ConfigError("pack: the prompt names no {column}, so there would be nothing in the rows")

    def _check_grounding(self) -> None:
        """Refuse what would otherwise only fail after the first answer is paid for."""
        read = (*Template.parse(self.prompt).columns, *self.media)
        if self.windows is not None:
            self._check_windows(self.windows, read)
        if unread := [name for name in self.grounding if name not in read]:
            raise ConfigError(f"grounding names {unread!r}, which are neither in the prompt nor in media")
        if self.grounding:
            load_rapidfuzz()

    def _check_windows(self, windows: Windows, read: Sequence[str]) -> None:
        if not isinstance(windows, Windows):
            raise ConfigError(f"windows takes a Windows(...), not a {type(windows).__name__}")
        load_splitter()
        if windows.column is None and len(set(read)) > 1 and set(read) - set(self.optional):
            raise ConfigError(f"windows: name the column that holds the long text, Windows(column=): one of {read!r}")
        if windows.column is not None and windows.column not in read:
            raise ConfigError(f"windows: the column {windows.column!r} is neither in the prompt nor in media")


def asked_alone(extractor: Extractor) -> list[str]:
    """Return the names of what makes each row need a request of its own; [] where rows may share one."""
    labels = "a tree of labels" if isinstance(extractor.candidates, LabelTree) else "candidates"
    given = {"media": extractor.media, "windows": extractor.windows, "tools": extractor.tools}
    return [name for name, value in {**given, labels: extractor.candidates}.items() if value]


def _examples(given: Any, media: Sequence[str]) -> tuple[Example, ...] | Nearest:
    if not isinstance(given, Nearest):
        return tuple(given)
    if media:
        raise ConfigError("examples=Nearest(...) compares texts, and media columns hold files: give fixed examples")
    return given


def _candidates(given: Any, windows: Windows | None, schema: Any) -> Candidates | LabelTree | None:
    rule = Candidates(given) if isinstance(given, int) and not isinstance(given, bool) else given
    if isinstance(schema, LabelTree):
        if rule not in (None, schema):
            raise ConfigError("a LabelTree as the schema shows its own labels: leave out candidates")
        rule = schema
    if rule is not None and not isinstance(rule, Candidates | LabelTree):
        raise ConfigError(f"candidates is a number of labels, a Candidates(...) or a LabelTree, not {given!r}")
    if rule is not None and windows is not None:
        raise ConfigError("labels are shown for a whole record: leave out windows, or candidates")
    return rule


def _answerable(given: Any) -> tuple[Tool, ...]:
    """Return tools with plain functions declared. ConfigError for a tool whose calls a run could not answer."""
    tools: tuple[Tool, ...] = declared(given)
    for tool in tools:
        wire = tool_object(tool, "steps")
        kind = wire.get("type")
        if (kind == "function" and not isinstance(tool, Function)) or kind == "computer_use":
            raise ConfigError(f"a run cannot answer the calls of a {kind!r} tool: give the Python function itself")
        if kind == "tool_search" and wire.get("execution") == "client":
            raise ConfigError("a run cannot search tools for the model: write ToolSearch(), which the service does")
    functions_of(tool for tool in tools if isinstance(tool, Function))
    return tools
