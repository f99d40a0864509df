"""`CompiledExtractor`: an extractor made ready for one service, with schema, request, questions and content keys."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from pydantic_core import from_json, to_json

from extract.documents.grounding import Labels, ground
from extract.documents.grounding.span import Span
from extract.documents.loader import load_parts
from extract.documents.parts import Part, TextPart, Turn, hash_of
from extract.documents.roots import Roots
from extract.documents.text_layer import QuotableText
from extract.documents.windows import check_rules
from extract.errors import BadRecord, ConfigError, InvalidAnswer
from extract.extractor.candidates import Candidates, LabelCandidates, LabelField, label_field
from extract.extractor.extractor import Extractor
from extract.extractor.label_tree import LabelTree, TreeLabels
from extract.extractor.nearest import Nearest, NearestExamples
from extract.extractor.pack import Pack, PackForm
from extract.extractor.prompts import Example, Template, check_columns, value_text
from extract.extractor.question import Question, canonical, turn_identity
from extract.interactions.dialects import Dialect, Envelope, tool_object
from extract.interactions.endpoint import Endpoint
from extract.interactions.requests import Request, ServiceTier
from extract.interactions.tools.builtin import looks_up
from extract.interactions.tools.functions import Function, functions_of
from extract.schema import OutputSchema, compile_schema

__all__ = ["CompiledExtractor", "compile_extractor", "schema_of"]

_KEY_TAG = "x1"
_BYTES_PER_TOKEN = 4  # of UTF-8: the rule of thumb for English; other scripts take more bytes and more tokens
_TOKENS_PER_FILE = 258  # one image or one PDF page, by Google's page on documents


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledExtractor:
    """An extractor made ready for one service: compiled schema and prompt, the constant part of requests, and keys.

    `key` is the part of content keys that all records share, and `service` the name in it of who answers. `schema_key`
    identifies the schema for one model of one service, on which depends how far it must be relaxed. `functions` are the
    tools that run here; `looks_up` says that a tool is to find sources. `labels` are the values that are chosen from a
    list, not quoted. `pack` says how many rows stand in one request, in `form`; None where each has its own. `trial` is
    a part of the keys of answers that are compared before the run. `nearest` chooses the examples of each record, which
    belong to its question. `candidates` are the labels of which each record is shown some at a time. `absent` are
    optional columns that the input does not have. `roots` are the folders that paths in records must lie under, None
    for no limit; they are no part of a key.
    """

    extractor: Extractor
    schema: OutputSchema
    template: Template
    dialect: Dialect
    request: Request
    service: str
    key: bytes
    schema_key: bytes
    functions: dict[str, Function]
    looks_up: bool
    labels: Labels
    form: PackForm
    packed_examples: tuple[Turn, ...] = ()
    pack: Pack | None = None
    trial: bytes = b""
    nearest: NearestExamples | None = None
    candidates: LabelCandidates | TreeLabels | None = None
    absent: frozenset[str] = frozenset()
    roots: Roots | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The input columns that are read."""
        by = () if self.pack is None or self.pack.by is None else (self.pack.by,)
        columns = dict.fromkeys((*self.template.columns, *self.extractor.media, *by, *self._keys))
        return tuple(name for name in columns if name not in self.absent)

    @property
    def _keys(self) -> tuple[str, ...]:
        """The columns that name a record, so that no gold row is shown that is the record itself."""
        gold = (self.nearest, self.candidates.gold if isinstance(self.candidates, LabelCandidates) else None)
        return tuple(dict.fromkeys(one.nearest.on for one in gold if one and one.nearest.on))

    def fitted(self, columns: Collection[str], roots: Roots | None = None) -> CompiledExtractor:
        """Return this for an input with the given columns. ConfigError where one is missing that is not optional.

        `roots` are the folders that the paths in its records must lie under.
        """
        optional = self.extractor.optional
        absent = frozenset(name for name in optional if name not in columns)
        if optional and len(absent) == len(set(optional)):
            raise ConfigError(f"the input needs one of the columns {list(optional)!r}; it has {list(columns)!r}")
        absent |= set(self._keys) - {*columns, *self.template.columns}  # an input need not name its records
        plan = replace(self, absent=absent, roots=roots or self.roots)
        check_columns(plan.columns, columns)
        return plan

    def envelope(
        self, rung: int = 0, *, tier: ServiceTier | None = None, limit: int | None = None, packed: bool = False
    ) -> Envelope:
        """Return the constant bytes of every request, with the schema relaxed to a rung of its ladder.

        A given `tier` and `limit` (in output tokens) replace those of the extractor. `packed` is for several rows.
        """
        generation = self.request.generation
        schema = self.schema.relaxed(rung)
        return self.dialect.envelope(
            replace(
                self.request,
                input=self.packed_examples if packed else self.request.input,
                schema=self.form.schema(schema) if packed else schema,
                service_tier=tier or self.request.service_tier,
                generation=replace(generation, max_output_tokens=limit, if_cut=None) if limit else generation,
            )
        )

    def loaded(self, record: Mapping[str, Any]) -> dict[str, tuple[Part, ...]]:
        """Return the parts of a record's media columns. Reads files; raises BadRecord."""
        return {name: load_parts(record.get(name), name, self.roots) for name in self.extractor.media}

    def question(self, record: Mapping[str, Any]) -> Question:
        """Return the question for one record. Reads media files; raises BadRecord."""
        return self.written(record, self.loaded(record))

    def written(
        self, record: Mapping[str, Any], parts: Mapping[str, tuple[Part, ...]], *, grounded: bool = True
    ) -> Question:
        """Return the question for one record whose media are loaded as `parts`. Raises BadRecord.

        A blank record raises it too, as a model that gets no text makes up an answer. With `grounded` False the
        question has no text to search the values in.
        """
        record = {**dict.fromkeys(self.absent), **record} if self.absent else record
        media: list[Part] = [part for name in self.extractor.media for part in parts[name]]
        if not media and all(_is_blank(record[name]) for name in self.template.columns):
            raise BadRecord(f"there is nothing to ask about: no text in {' or '.join(map(repr, self.columns))}")
        text = self.template.render(record)
        ranking: tuple[int, ...] = ()
        if self.candidates is not None:
            ranking = self.candidates.ranked(record)
            text += self.candidates.block(ranking, 0)
        turn = Turn("user", (*media, TextPart(text)) if text or not media else tuple(media))
        shown = () if self.nearest is None else self.nearest.turns(record)
        turns = (*shown, turn)
        try:
            quoted = self.quoted(record, parts) if grounded else None
            question = Question.of(turns, quoted=quoted, files=hash_of(media))
        except UnicodeError as error:
            raise BadRecord(f"the record holds text that is no Unicode: {error}") from None
        if self.candidates is not None:
            return replace(question, ranking=ranking)
        if self.pack is None or self.pack.rows == "auto" or len(text) > self.pack.longest:
            return question
        return question.in_pack(self.form.block(record, shown), self._group(record, self.pack))

    def _group(self, record: Mapping[str, Any], pack: Pack) -> str:
        return "" if pack.by is None else value_text(record[pack.by], pack.by)

    def next_labels(self, question: Question, text: str) -> Question | None:
        """Return the question that follows an answer: about a branch, or with the next candidates; None at the end."""
        if self.candidates is None:
            return None
        number = self.candidates.following(text, question.ranking, question.shown)
        return None if number is None else self._showing(question, number)

    def longest(self, question: Question) -> Iterator[Question]:
        """Yield the questions that may follow one, where there are most of them."""
        for number in () if self.candidates is None else self.candidates.longest(question.shown):
            yield self._showing(question, number)

    def _showing(self, question: Question, number: int) -> Question:
        """Return a question with other labels at its end."""
        assert self.candidates is not None, "only where labels are shown"
        old, new = (self.candidates.block(question.ranking, one) for one in (question.shown, number))
        *before, turn = question.turns
        *files, last = turn.parts
        assert isinstance(last, TextPart), "the prompt is the last part"
        text = TextPart(last.text.removesuffix(old) + new)
        following = Question.of((*before, Turn("user", (*files, text))), quoted=question.quoted)
        return replace(following, sample=question.sample, files=question.files, ranking=question.ranking, shown=number)

    def quoted(self, record: Mapping[str, Any], parts: Mapping[str, tuple[Part, ...]]) -> QuotableText | None:
        """Return the text in which the values of an answer are searched, None without grounding columns.

        Raises ConfigError for a PDF if pdfium is not installed.
        """
        names = self.extractor.grounding
        cells = [parts.get(name) or (TextPart(value_text(record.get(name), name)),) for name in names]
        return QuotableText(cells) if names else None

    def spans(self, value: Any, quoted: QuotableText) -> tuple[Span, ...] | None:
        """Return where the values of an answer stand in the record; None if the record has no text."""
        if quoted.source is None:
            return None
        return ground(from_json(self.schema.to_json(value)), quoted.source, labels=self.labels)

    def input_tokens(self, turns: Sequence[Turn]) -> int:
        """Return the approximate input tokens that these turns add to the constant part of a request."""
        parts = [part for turn in turns for part in turn.parts]
        texts = [len(part.text.encode()) for part in parts if isinstance(part, TextPart)]
        return -(-sum(texts) // _BYTES_PER_TOKEN) + _TOKENS_PER_FILE * (len(parts) - len(texts))

    def answer_key(self, question: Question, retry_round: int, repair: int = 0, *, limit: int | None = None) -> bytes:
        """Return the content key of one request: equal requests have equal keys, on every machine and in every run.

        The number of the repair is part of the key, so that a model which repeats a wrong answer is asked once more.
        So is the number of the sample, except for the first, whose key is that of a record which is sampled once.
        """
        # These bytes are a promise: a stored answer is found by them. New parts are added only where they are used.
        suffix = b",%d" % limit if limit else b""  # the second try of an answer that was cut off
        suffix += b";%d" % question.sample if question.sample else b""
        suffix += self.trial
        suffix += b";p" if question.packed else b""  # with other rows: with whom, and with how many, is no part of it
        return sha256(b"%b[%d,%d,%b%b]" % (self.key, retry_round, repair, question.identity, suffix)).digest()


def _is_blank(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def compile_extractor(
    extractor: Extractor, endpoint: Endpoint, *, service: str | None = None, service_tier: ServiceTier | None = None
) -> CompiledExtractor:
    """Return an extractor compiled for one service: all that is the same for every record is done here, once.

    `service` is its name in content keys, by default that of the endpoint.
    Raises SchemaError or ConfigError; nothing is sent.
    """
    template = Template.parse(extractor.prompt)
    schema, field = _schema(extractor)
    near = extractor.examples if isinstance(extractor.examples, Nearest) else None
    fixed = () if isinstance(extractor.examples, Nearest) else extractor.examples
    examples = tuple(_example_turns(fixed, template, schema))
    if extractor.windows is not None:
        check_rules(extractor.windows.merge, schema)
    request = Request(
        model=extractor.model,
        input=examples,
        system=extractor.system,
        schema=schema.wire,
        generation=extractor.generation,
        tools=extractor.tools,
        service_tier=service_tier,
    )
    shared: dict[str, Any] = {
        "service": service or endpoint.service,
        "system": extractor.system,
        "examples": [turn_identity(turn) for turn in examples],
        "schema": schema.full,
        "model": extractor.model,
        "generation": extractor.generation.as_wire(),
    }
    if extractor.tools:
        shared["tools"] = [tool_object(tool, "steps") for tool in extractor.tools]
    identified = [shared["service"], extractor.model, schema.full]
    form = PackForm.of(template, wrapped=schema.wrapped)
    pack = extractor.pack
    return CompiledExtractor(
        extractor=extractor,
        schema=schema,
        template=template,
        dialect=endpoint.wire,
        request=request,
        service=shared["service"],
        key=sha256(canonical([_KEY_TAG, shared])).digest(),
        schema_key=sha256(canonical([*identified, "pack"] if pack else identified)).digest(),
        functions=functions_of(tool for tool in extractor.tools if isinstance(tool, Function)),
        looks_up=looks_up(extractor.tools),
        labels=Labels(schema.full) if extractor.grounding else Labels(),
        form=form,
        packed_examples=() if pack is None or near is not None else tuple(_packed_examples(extractor, examples, form)),
        pack=pack,
        nearest=None if near is None else near.compiled(template, schema),
        candidates=None if field is None else _candidates(extractor, field, template, schema),
    )


def schema_of(extractor: Extractor) -> OutputSchema:
    """Return the compiled schema of an extractor; labels of which records are shown some are not in its wire form."""
    return _schema(extractor)[0]


def _schema(extractor: Extractor) -> tuple[OutputSchema, LabelField | None]:
    """Return the schema as it is sent, and the field whose labels stand in the prompts."""
    rule, source = extractor.candidates, extractor.schema
    labels = list(source.labels) if isinstance(source, LabelTree) else source
    whole = compile_schema(labels, extra=extractor.extra)
    if rule is None:
        return whole, None
    field = label_field(whole, rule if isinstance(rule, Candidates) else Candidates())
    if isinstance(rule, LabelTree) and set(rule.labels) != set(field.labels):
        raise ConfigError(f"the labels of {field.name!r} are not those of the LabelTree")
    return field.sent(whole), field


def _candidates(
    extractor: Extractor, field: LabelField, template: Template, schema: OutputSchema
) -> LabelCandidates | TreeLabels:
    rule, shown = extractor.candidates or Candidates(), extractor.examples
    if isinstance(rule, LabelTree):
        return TreeLabels(rule, field)
    gold = rule.gold or (shown if isinstance(shown, Nearest) else None)
    return LabelCandidates.of(rule, field, template, None if gold is None else gold.compiled(template, schema))


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


def _packed_examples(extractor: Extractor, turns: Sequence[Turn], form: PackForm) -> list[Turn]:
    examples = () if isinstance(extractor.examples, Nearest) else extractor.examples
    answers = [part.text for turn in turns[1::2] for part in turn.parts if isinstance(part, TextPart)]
    return form.examples([example.record for example in examples], answers)


def _example_json(answer: Any, schema: OutputSchema) -> str:
    plain = {"value": answer} if schema.wrapped else answer
    try:
        return to_json(plain, by_alias=True).decode()
    except ValueError as error:
        raise ConfigError(f"an example's answer has no JSON form: {error}") from None
