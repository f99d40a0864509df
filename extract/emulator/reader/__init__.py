"""The rule reader: offline answers, read from the record by rules. It is not a language model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from pydantic_core import from_json

from extract.emulator.reader.candidates import with_candidates
from extract.emulator.reader.field_spec import FieldSpec
from extract.emulator.reader.labels import ExampleClassifier
from extract.emulator.reader.markup import plain_json, plain_markup
from extract.emulator.reader.record import Record, beside_files, is_prompt, shared_frame, without_instruction
from extract.emulator.reader.schema_graph import SchemaGraph, Unsatisfiable
from extract.emulator.reader.schema_walk import SchemaWalk
from extract.emulator.reader.words import content
from extract.json_types import JsonObject

__all__ = ["RuleReader", "beside_files", "is_prompt"]

LONG = 3  # words of a value that stands in a record; those of a label may stand in the prompt
NO_SCHEMA = "This is the offline rule reader, not a language model: it only answers requests that carry a JSON schema."


class RuleReader:
    """Answers a request without a model, by labels, written forms, wording and examples. Pure and deterministic."""

    def __init__(self) -> None:
        self._graph = lru_cache(maxsize=64)(read_schema)
        self._classifier = lru_cache(maxsize=8)(learn)

    def read(
        self, schema: JsonObject | None, text: str, examples: Sequence[tuple[str, str]] = (), *, system: str = ""
    ) -> str:
        """Return JSON text that is valid under `schema`, with the values in the record in `text`.

        `examples` are pairs of user text and answer; the beginning and end that all user texts share with `text` are
        the prompt. Without a schema the answer is a sentence. Under a schema that nothing fits, or one nested deeper
        than Python can follow (some 200 levels), it is "null".
        """
        if schema is None:
            return NO_SCHEMA
        schema, text = with_candidates(schema, text.encode("utf-8", "replace").decode())
        text = plain_markup(text)
        pairs = tuple((plain_markup(user), answer) for user, answer in examples)
        opening, ending = frame_of(text, pairs) if pairs else ("", "")
        record = Record(cut(text, opening, ending))
        classifier = self._classifier(pairs, opening, ending) if pairs else None
        try:
            root = self._graph(json.dumps(schema)).root
            value = None if root is None else SchemaWalk(record, classifier, system).answer(root, FieldSpec.of(""))[0]
        except (Unsatisfiable, RecursionError):
            value = None
        return json.dumps(value, ensure_ascii=False)


def read_schema(schema: str) -> SchemaGraph:
    return SchemaGraph(json.loads(schema))


def frame_of(text: str, pairs: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    """Return the prompt's beginning and end: what all texts share, unless an example's answer quotes it.

    Examples that were chosen because they are like the record share more with it than the prompt.
    """
    opening, ending = shared_frame([text, *(user for user, _ in pairs)])
    quoted = [content(value) for _, answer in pairs for value in phrases(parse(answer))]
    if any(len(words) >= LONG and 2 * len(words & content(opening)) > len(words) for words in quoted):
        opening = ""
    if any(len(words) >= LONG and 2 * len(words & content(ending)) > len(words) for words in quoted):
        ending = ""
    return opening, ending


def phrases(answer: Any) -> Iterator[str]:
    """Yield the texts in an answer."""
    if isinstance(answer, str):
        yield answer
    elif isinstance(answer, dict | list):
        for inner in answer.values() if isinstance(answer, dict) else answer:
            yield from phrases(inner)


def cut(text: str, opening: str, ending: str) -> str:
    """Return the record in `text`, without the prompt's beginning and end, or without an instruction before it.

    JSON is read as the lines that it stands for, as are HTML and XML before they are cut.
    """
    return plain_json(without_instruction(text[len(opening) : len(text) - len(ending)]))


def learn(examples: tuple[tuple[str, str], ...], opening: str, ending: str) -> ExampleClassifier:
    return ExampleClassifier(
        [cut(user, opening, ending) for user, _ in examples], [parse(answer) for _, answer in examples]
    )


def parse(answer: str) -> Any:
    """Return an example's answer, or None where it is no JSON."""
    try:
        return from_json(answer)
    except ValueError:
        return None
