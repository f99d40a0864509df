"""A second opinion on labels: each row goes to the Decisions API too, and its answers are compared with the first.

It is another model with another way of answering, and it gives a probability. Where the two differ a person should
look. It is not gold: both can be wrong, even in the same way; rows with gold answers show how much it helps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace
from statistics import fmean
from typing import Any

import polars as pl

from extract.documents.roots import Roots
from extract.errors import BadRecord, ConfigError, Denied, ExtractError, NotRun
from extract.evaluation import Interval
from extract.evaluation.intervals import share_interval
from extract.evaluation.tables import aligned, figure, html_table, share
from extract.extractor.extractor import Extractor
from extract.extractor.plan import CompiledExtractor, compile_extractor
from extract.interactions.client import Client
from extract.interactions.decisions import (
    DECISION_MODEL,
    Answer,
    BooleanAnswer,
    BooleanQuestion,
    ChoiceAnswer,
    ChoiceQuestion,
    Question,
)
from extract.interactions.http.retrying import is_too_long
from extract.interactions.usage import Usage
from extract.io.forks import check_fork

__all__ = ["FieldCheck", "LabelCheck", "check_labels"]

_ROWS_AT_ONCE = 256
_OPTIONS = range(2, 256)
_HEADER = ("field", "rows", "null", "failed", "agree", "sure if so", "sure if not")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldCheck:
    """How often two models agree on a field: on `agree` of `rows`, the rows that both answered.

    Rows where the extractor's answer is null are not sent, since the Decisions API cannot answer null; they are counted
    in `null`. `failed` rows got no answer. `confidence_agree` and `confidence_differ` are the mean probability, 0..1,
    that the Decisions API gives its own answer, None where there is no such row.
    """

    name: str
    rows: int
    agree: int
    null: int
    failed: int
    confidence_agree: float | None
    confidence_differ: float | None

    @property
    def agreement(self) -> float | None:
        """The share of rows on which both agree, in 0..1."""
        return self.agree / self.rows if self.rows else None

    @property
    def interval(self) -> Interval | None:
        """The 95 % confidence interval of the agreement."""
        return share_interval(self.agree, self.rows)

    def cells(self) -> tuple[str, ...]:
        """Return one text per column of the table."""
        counts = [f"{count:,}" for count in (self.rows, self.null, self.failed)]
        sure = figure(self.confidence_agree), figure(self.confidence_differ)
        return (self.name, *counts, share(self.agreement, self.interval), *sure)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCheck:
    """The result of a check. `usage` sums up the answers that report it; the price table does not have its price.

    `frame` has one row per row and field: `row` (its position in the frame that was checked), `field`, `extracted`,
    `decided`, `confidence` (the probability of `decided`), `extracted_probability`, `agrees`, `code` (why there is no
    answer); null where unknown. `stopped` says what ended the check before its last row.

        >>> extractor = Extractor(["good", "bad"], "{text}")
        >>> frame = pl.DataFrame({"text": ["It works", "It broke"], "value": ["good", "bad"]})
        >>> check = check_labels(frame, extractor, client=offline_client())
        >>> check["value"].rows, check.requests
        (2, 2)
    """

    fields: tuple[FieldCheck, ...]
    requests: int
    usage: Usage
    stopped: str | None = None
    frame: pl.DataFrame = field(compare=False, repr=False)

    def __getitem__(self, name: str) -> FieldCheck:
        """Return the check of the field `name`; raise KeyError where it was not checked."""
        for one in self.fields:
            if one.name == name:
                return one
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON; rows stay in `frame`."""
        fields = [asdict(one) | {"agreement": one.agreement} for one in self.fields]
        counts = {"requests": self.requests, "input_tokens": self.usage.input_tokens, "stopped": self.stopped}
        return {**counts, "fields": fields}

    def __str__(self) -> str:
        return "\n".join([self._counts(), *aligned(_HEADER, [one.cells() for one in self.fields], words=1)])

    def _repr_html_(self) -> str:
        return html_table(self._counts(), _HEADER, [one.cells() for one in self.fields])

    def _counts(self) -> str:
        ended = "" if self.stopped is None else f", stopped before the last row: {self.stopped}"
        return f"Decisions API: {self.requests:,} requests, {self.usage.input_tokens:,} tokens in, price unknown{ended}"


def check_labels(
    frame: pl.DataFrame,
    extractor: Extractor,
    *,
    client: Client,
    fields: Sequence[str] | None = None,
    prefix: str = "",
    model: str = DECISION_MODEL,
    concurrency: int = 8,
    root: Any = None,
) -> LabelCheck:
    """Ask the Decisions API about the label and boolean fields of rows that `extractor` has answered.

    `frame` is the frame of a run: it has the columns of the prompt and those of the answer (with `prefix`). `fields`
    are by default all labels (2 to 255) and booleans at the top of the schema. Each row is one request for all fields;
    nothing is cached, and this API has no `store`. A row that cannot be sent or gets no answer counts as failed. An end
    of the check on its way (Ctrl-C, a revoked key or quota) loses no answer received before: the rows not reached fail
    with the code `not_run`, and `stopped` says why. Raises ConfigError for fields that cannot be checked, and the error
    that ended the check where no row was answered: Denied for a key that is refused. `root` is as in `run`.

        >>> extractor = Extractor(["good", "bad"], "{text}")
        >>> frame = pl.DataFrame({"text": ["It works"], "value": ["good"]})
        >>> check_labels(frame, extractor, client=offline_client(), fields=["value"])["value"].failed
        0
    """
    check_fork()
    plan = compile_extractor(replace(extractor, pack=None), client.endpoint).fitted(frame.columns, Roots.of(root))
    questions = _chosen(_questions(plan), fields, plan.schema.name)
    if absent := [name for name in questions if prefix + name not in frame.columns]:
        raise ConfigError(f"the frame has no column {prefix + absent[0]!r} to check; it has {frame.columns!r}")
    inquiry = _Inquiry(plan, questions, prefix, client, model)
    rows: list[tuple[Any, ...]] = []
    usage, requests = Usage(), 0
    with ThreadPoolExecutor(max_workers=max(1, concurrency), thread_name_prefix="extract-check") as pool:
        for first in range(0, frame.height, _ROWS_AT_ONCE):
            futures = [pool.submit(inquiry.check, row) for row in frame.slice(first, _ROWS_AT_ONCE).to_dicts()]
            for number, checked in enumerate(inquiry.results(futures), start=first):
                rows += [(number, *row) for row in checked.rows]
                usage, requests = usage + checked.usage, requests + checked.requests
    table = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    if inquiry.stopped is not None and table["agrees"].count() == 0:
        raise inquiry.stopped
    checks = tuple(_field_check(name, table.filter(pl.col("field") == name)) for name in questions)
    stopped = None if inquiry.stopped is None else str(inquiry.stopped) or "interrupted"
    return LabelCheck(fields=checks, requests=requests, usage=usage, stopped=stopped, frame=table)


_SCHEMA = {
    "row": pl.Int64,
    "field": pl.String,
    "extracted": pl.String,
    "decided": pl.String,
    "confidence": pl.Float64,
    "extracted_probability": pl.Float64,
    "agrees": pl.Boolean,
    "code": pl.String,
}


def _questions(plan: CompiledExtractor) -> dict[str, Question]:
    """Return a question for each label or boolean column, in the words of the schema and the system text."""
    properties = plan.schema.wire.get("properties", {})
    questions: dict[str, Question] = {}
    for name, key in plan.schema.keys.items():
        dtype, node = plan.schema.dtypes[name], properties.get(key)
        described = node.get("description") if isinstance(node, dict) else None
        field_text = f"{name}: {described}" if described else name
        text = "\n\n".join(filter(None, (plan.extractor.system, field_text)))
        if isinstance(dtype, pl.Boolean):
            questions[name] = BooleanQuestion(text)
        elif isinstance(dtype, pl.Enum) and len(dtype.categories) in _OPTIONS:
            questions[name] = ChoiceQuestion(text, dtype.categories.to_list())
    return questions


def _chosen(known: Mapping[str, Question], fields: Sequence[str] | None, schema: str) -> dict[str, Question]:
    names = list(known) if fields is None else list(dict.fromkeys(fields))
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"cannot check {unknown!r}: labels and booleans of this schema are {list(known)!r}")
    if not names:
        raise ConfigError(f"{schema} has no label or boolean field that could be checked")
    return {name: known[name] for name in names}


@dataclass(frozen=True, slots=True)
class _Checked:
    rows: list[tuple[Any, ...]]
    usage: Usage = Usage()
    requests: int = 0


@dataclass(slots=True)
class _Inquiry:
    """Sends rows to the Decisions API, in threads; `stopped` is what ended the check for all of them."""

    plan: CompiledExtractor
    questions: Mapping[str, Question]
    prefix: str
    client: Client
    model: str
    stopped: BaseException | None = None

    def results(self, futures: Sequence[Future[_Checked]]) -> Iterator[_Checked]:
        """Yield the results in order. The first Ctrl-C only keeps further rows from being sent; a second is raised."""
        try:
            wait(futures)
        except KeyboardInterrupt as error:
            self.stopped = error
        for future in futures:
            yield future.result()

    def check(self, record: Mapping[str, Any]) -> _Checked:
        """Send one row, and return a row of the result per field."""
        extracted = {name: record[self.prefix + name] for name in self.questions}
        questions = {name: question for name, question in self.questions.items() if extracted[name] is not None}
        nulls = [(name, *[None] * 6) for name in self.questions if name not in questions]
        if not questions:
            return _Checked(nulls)
        if self.stopped is not None:
            return _Checked([*nulls, *_failed(questions, extracted, NotRun.code)])
        try:
            parts = self.plan.question({name: record[name] for name in self.plan.columns}).turns[-1].parts
        except BadRecord as error:
            return _Checked([*nulls, *_failed(questions, extracted, error.code)])
        try:
            decisions = self.client.decide(parts, questions, model=self.model)
        except ExtractError as error:
            if isinstance(error, ConfigError | Denied) or is_too_long(error, self.client.retry):
                self.stopped = error
            return _Checked([*nulls, *_failed(questions, extracted, error.code)], requests=1)
        rows = [(name, *_row(extracted[name], decisions[name])) for name in questions]
        return _Checked([*nulls, *rows], decisions.usage or Usage(), 1)


def _failed(names: Iterable[str], extracted: Mapping[str, Any], code: str) -> Iterator[tuple[Any, ...]]:
    for name in names:
        yield (name, _text(extracted[name]), None, None, None, None, code)


def _row(extracted: Any, answer: Answer) -> tuple[Any, ...]:
    if isinstance(answer, BooleanAnswer):
        probability = answer.probability if extracted else 1 - answer.probability
    elif isinstance(answer, ChoiceAnswer):
        probability = answer.probabilities.get(extracted, 0.0)
    else:
        return (_text(extracted), None, None, None, None, "invalid_answer")
    agrees = answer.value == extracted
    return (_text(extracted), _text(answer.value), answer.confidence, probability, agrees, None)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _field_check(name: str, rows: pl.DataFrame) -> FieldCheck:
    answered = rows.drop_nulls("agrees")
    sure = {agrees: answered.filter(pl.col("agrees") == agrees)["confidence"].to_list() for agrees in (True, False)}
    failed = rows["code"].count()
    return FieldCheck(
        name=name,
        rows=answered.height,
        agree=len(sure[True]),
        null=rows.height - answered.height - failed,
        failed=failed,
        confidence_agree=fmean(sure[True]) if sure[True] else None,
        confidence_differ=fmean(sure[False]) if sure[False] else None,
    )
