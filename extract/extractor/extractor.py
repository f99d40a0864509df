"""What to ask of each record, as one frozen value, and the plan it is compiled to. Nothing here is sent."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from hashlib import sha256
from typing import Any

from pydantic_core import from_json, to_json

from extract.documents.grounding import Labels, ground, load_rapidfuzz
from extract.documents.grounding.span import Span
from extract.documents.loader import load_parts
from extract.documents.parts import Part, TextPart, Turn
from extract.documents.windows import Windows, check_rules, load_splitter
from extract.errors import BadRecord, ConfigError, InvalidAnswer
from extract.extractor.prompts import Example, Template, check_columns, value_text
from extract.extractor.question import Question, Quoted, canonical, turn_identity
from extract.interactions.dialects import Dialect, Envelope, tool_object
from extract.interactions.endpoint import Endpoint
from extract.interactions.requests import Generation, Request, ServiceTier, Tool
from extract.interactions.tools.builtin import looks_up
from extract.interactions.tools.functions import Function, function_tool, functions_of
from extract.schema import OutputSchema, compile_schema

__all__ = ["Extractor", "Plan"]

_KEY_TAG = "x1"
_BYTES_PER_TOKEN = 4  # of UTF-8: the rule of thumb for English; other scripts take more bytes and more tokens
_TOKENS_PER_FILE = 258  # one image or one PDF page, by Google's page on documents


@dataclass(frozen=True, slots=True)
class Extractor:
    """What to ask of each record, as one frozen value: no key, no socket, no clock.

    `schema` is a Pydantic model, TypedDict, dataclass, any type Pydantic takes, a list of labels, a JSON Schema, or
    what `compile_schema` made of one. `prompt` holds `{column}` places. `media` names columns with a path, an URI or
    bytes; their parts go before the prompt. `optional` names columns that an input need not have, of which it has at
    least one: without them they are null. `grounding` names the columns, texts or files, in which the values of an
    answer are to be found again: of a record the first that has a text counts (a scan has none). `windows` cuts texts
    that are too long for one request, and merges the answers to their parts; a PDF longer than a window is sent as its
    text, unless one of its pages is a picture. `repairs` is how often a wrong answer is shown its errors and asked
    again. `tools` are typed tools, the service's own as raw objects, and Python functions, which run here: their
    results go back with everything that came before, as often as `tool_rounds` allows.
    """

    schema: Any
    prompt: str
    _: KW_ONLY
    model: str = "gemini-3.5-flash-lite"
    system: str | None = None
    media: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    generation: Generation = Generation()
    grounding: tuple[str, ...] = ()
    windows: Windows | None = None
    repairs: int = 2
    tools: tuple[Any, ...] = ()
    tool_rounds: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "tools", _declared(self.tools))
        for name in ("media", "optional", "grounding"):
            columns: Any = getattr(self, name)
            if isinstance(columns, str):
                raise ConfigError(f"{name} takes a tuple of column names: {name}=({columns!r},)")
            if not isinstance(columns, Iterable):
                raise ConfigError(f"{name} takes a tuple of column names, such as {name}=('text',), not {columns!r}")
            object.__setattr__(self, name, tuple(columns))
        object.__setattr__(self, "examples", tuple(self.examples))
        if not self.model or not isinstance(self.model, str):
            raise ConfigError("an extractor needs the name of a model")
        if self.repairs < 0:
            raise ConfigError(f"repairs must be 0 or more, not {self.repairs}")
        if not isinstance(self.prompt, str):
            raise ConfigError(f"the prompt must be text with {{column}} places, not a {type(self.prompt).__name__}")
        if not self.prompt.strip() and not self.media:
            raise ConfigError("the prompt is empty and there are no media columns: nothing would be sent")
        if not Template.parse(self.prompt).columns and not self.media:
            raise ConfigError("the prompt names no {column} and there are no media columns: all rows would be alike")
        self._check_grounding()

    def _check_grounding(self) -> None:
        """Refuse what could only be told after the first answer was paid for."""
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

    def compile(
        self, endpoint: Endpoint, *, service: str | None = None, service_tier: ServiceTier | None = None
    ) -> Plan:
        """Do once what is the same for every record. Raises SchemaError or ConfigError, and sends nothing."""
        template = Template.parse(self.prompt)
        schema = compile_schema(self.schema)
        examples = tuple(_example_turns(self.examples, template, schema))
        if self.windows is not None:
            check_rules(self.windows.merge, schema)
        request = Request(
            model=self.model,
            input=examples,
            system=self.system,
            schema=schema.wire,
            generation=self.generation,
            tools=self.tools,
            service_tier=service_tier,
        )
        constant: dict[str, Any] = {
            "service": service or endpoint.service,
            "system": self.system,
            "examples": [turn_identity(turn) for turn in examples],
            "schema": schema.full,
            "model": self.model,
            "generation": self.generation.as_wire(),
        }
        if self.tools:
            constant["tools"] = [tool_object(tool, "steps") for tool in self.tools]
        return Plan(
            extractor=self,
            schema=schema,
            template=template,
            dialect=endpoint.wire,
            request=request,
            key=sha256(canonical([_KEY_TAG, constant])).digest(),
            schema_key=sha256(canonical([constant["service"], self.model, schema.full])).digest(),
            functions=functions_of(tool for tool in self.tools if isinstance(tool, Function)),
            looks_up=looks_up(self.tools),
            labels=Labels(schema.full) if self.grounding else Labels(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An extractor made ready for one service: compiled schema and prompt, what all requests share, and its keys.

    `schema_key` stands for the schema as one model of one service sees it: how far it must be relaxed depends on these.
    `functions` are those of the tools that run here; `looks_up` says that a tool is to find sources. `labels` tell
    which values are chosen from a list, and not quoted.
    """

    extractor: Extractor
    schema: OutputSchema
    template: Template
    dialect: Dialect
    request: Request
    key: bytes
    schema_key: bytes
    functions: dict[str, Function]
    looks_up: bool
    labels: Labels
    absent: frozenset[str] = frozenset()

    @property
    def columns(self) -> tuple[str, ...]:
        """The input columns that are read."""
        named = dict.fromkeys((*self.template.columns, *self.extractor.media))
        return tuple(name for name in named if name not in self.absent)

    def fitted(self, columns: Collection[str]) -> Plan:
        """Return the plan for an input with these columns. ConfigError where one is missing that is not optional."""
        optional = self.extractor.optional
        absent = frozenset(name for name in optional if name not in columns)
        if optional and len(absent) == len(set(optional)):
            raise ConfigError(f"the input needs one of the columns {list(optional)!r}; it has {list(columns)!r}")
        plan = replace(self, absent=absent)
        check_columns(plan.columns, columns)
        return plan

    def envelope(self, rung: int = 0, *, tier: ServiceTier | None = None, limit: int | None = None) -> Envelope:
        """Return the constant bytes of every request, with the schema relaxed to a rung of its ladder.

        `tier` and `limit` (of output tokens) replace those of the request.
        """
        generation = self.request.generation
        return self.dialect.envelope(
            replace(
                self.request,
                schema=self.schema.relaxed(rung),
                service_tier=tier or self.request.service_tier,
                generation=replace(generation, max_output_tokens=limit, if_cut=None) if limit else generation,
            )
        )

    def loaded(self, record: Mapping[str, Any]) -> dict[str, tuple[Part, ...]]:
        """Return the parts of a record's media columns. Reads files; raises BadRecord."""
        return {name: load_parts(record.get(name), name) for name in self.extractor.media}

    def question(self, record: Mapping[str, Any]) -> Question:
        """Return what is asked for one record. Reads media files; raises BadRecord."""
        return self.written(record, self.loaded(record))

    def written(
        self, record: Mapping[str, Any], parts: Mapping[str, tuple[Part, ...]], *, grounded: bool = True
    ) -> Question:
        """Return what is asked for one record with its media as `parts`. Raises BadRecord.

        That is also raised for a blank record: a model that is asked about nothing answers all the same, and makes it
        up. Not `grounded`: without the text in which the values are to be found again.
        """
        record = {**dict.fromkeys(self.absent), **record}
        media: list[Part] = [part for name in self.extractor.media for part in parts[name]]
        if not media and all(_is_blank(record[name]) for name in self.template.columns):
            raise BadRecord(f"there is nothing to ask about: no text in {' or '.join(map(repr, self.columns))}")
        text = self.template.render(record)
        turn = Turn("user", (*media, TextPart(text)) if text or not media else tuple(media))
        try:
            return replace(Question.of((turn,)), quoted=self.quoted(record, parts) if grounded else None)
        except UnicodeError as error:
            raise BadRecord(f"the record holds text that is no Unicode: {error}") from None

    def quoted(self, record: Mapping[str, Any], parts: Mapping[str, tuple[Part, ...]]) -> Quoted | None:
        """Return the text in which the values of an answer are to be found again, None where that is not wanted.

        Raises ConfigError for a PDF where there is no pdfium to read it.
        """
        names = self.extractor.grounding
        cells = [parts.get(name) or (TextPart(value_text(record.get(name), name)),) for name in names]
        return Quoted(cells) if names else None

    def spans(self, value: Any, quoted: Quoted) -> tuple[Span, ...] | None:
        """Return where the values of an answer stand in its record; None where that holds no text."""
        if quoted.source is None:
            return None
        return ground(from_json(self.schema.to_json(value)), quoted.source, labels=self.labels)

    def input_tokens(self, turns: Sequence[Turn]) -> int:
        """Return about how many input tokens these turns add to the constant part of a request."""
        parts = [part for turn in turns for part in turn.parts]
        texts = [len(part.text.encode()) for part in parts if isinstance(part, TextPart)]
        return -(-sum(texts) // _BYTES_PER_TOKEN) + _TOKENS_PER_FILE * (len(parts) - len(texts))

    def answer_key(self, question: Question, retry_round: int, repair: int = 0, *, limit: int | None = None) -> bytes:
        """Return the content key of one request: equal requests have equal keys, on every machine and in every run.

        The number of the repair is part of it: a model that gives the same wrong answer twice is asked a third time.
        So is that of the sample, but for the first, whose key is that of a record which is asked once.
        """
        widened = b",%d" % limit if limit else b""  # the second try of an answer that was cut
        widened += b";%d" % question.sample if question.sample else b""
        return sha256(b"%b[%d,%d,%b%b]" % (self.key, retry_round, repair, question.identity, widened)).digest()


def _is_blank(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _declared(tools: Any) -> tuple[Tool, ...]:
    """Return tools with plain functions declared. ConfigError for what a run could not answer."""
    if isinstance(tools, str | Mapping) or callable(tools):
        raise ConfigError("tools takes a tuple of tools: tools=(GoogleSearch(),)")
    declared: list[Tool] = []
    for tool in tools:
        known = tool if isinstance(tool, Mapping) or hasattr(tool, "as_wire") else function_tool(tool)
        kind = tool_object(known, "steps").get("type")
        if (kind == "function" and not isinstance(known, Function)) or kind == "computer_use":
            raise ConfigError(f"a run cannot answer the calls of a {kind!r} tool: give the Python function itself")
        declared.append(known)
    functions_of(tool for tool in declared if isinstance(tool, Function))
    return tuple(declared)


def _example_turns(examples: Sequence[Example], template: Template, schema: OutputSchema) -> list[Turn]:
    turns: list[Turn] = []
    for number, example in enumerate(examples, start=1):
        check_columns(template.columns, example.record.keys())
        try:
            answer = schema.to_json(schema.validate(_example_json(example.answer, schema)))
        except InvalidAnswer as error:
            raise ConfigError(f"example {number} does not fit the schema: {error}") from None
        turns += [Turn.user(template.render(example.record)), Turn.model(answer)]
    return turns


def _example_json(answer: Any, schema: OutputSchema) -> str:
    plain = {"value": answer} if schema.wrapped else answer
    try:
        return to_json(plain, by_alias=True).decode()
    except ValueError as error:
        raise ConfigError(f"an example's answer has no JSON form: {error}") from None
