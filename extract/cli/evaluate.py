"""`extract eval`: predictions against gold answers, and against another run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import polars as pl

from extract.cli.accept_options import AcceptOptions
from extract.cli.acceptance import accepted_part, check_accept_options, cleared_part, scores_part
from extract.cli.eval_inputs import Output, read_output
from extract.cli.pipelines import load_pipeline
from extract.cli.terminal import plain
from extract.documents.roots import Roots
from extract.errors import ConfigError
from extract.evaluation import Comparison, Evaluation, compare, evaluate
from extract.evaluation.costs import whole_cost
from extract.evaluation.inputs import without_prefix
from extract.evaluation.labels import label_fields, text_fields
from extract.evaluation.pairing import with_equal_keys
from extract.evaluation.second_opinion import LabelCheck, check_labels
from extract.evaluation.tables import aligned, share
from extract.extractor.extractor import Extractor
from extract.extractor.plan import schema_of
from extract.interactions.client import Client
from extract.io.read_options import ReadKeywords, ReadOptions
from extract.io.sources import input_folder, read_table
from extract.runner.options import Root
from extract.runner.service import offline_client

__all__ = ["EvalOptions", "evaluate_command"]

_MAX_CELL = 60  # characters of a value in a table
_RIGHT = ("right against gold", "where both agree", "where they differ")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalOptions:
    """The options of `extract eval`, by their names on the command line; `reading` is how gold's file is written."""

    on: str
    prefix: str | None
    day_first: bool
    against: str | None
    confusion: str | None
    mistakes: int
    key: Sequence[str]
    decide: Sequence[str]
    offline: bool
    base_url: str | None
    root: Root
    reading: ReadKeywords
    accept: AcceptOptions
    as_json: bool


def evaluate_command(pipeline: str, predicted: str, gold: str | None, options: EvalOptions) -> None:
    """Print one line per field of the pipeline's schema that the files have, and what the options add."""
    extractor = load_pipeline(pipeline)
    dtypes = schema_of(extractor).dtypes
    check_accept_options(options.accept, gold)
    if gold is None:
        _check_goldless(options)
    output = read_output(predicted, dtypes, on=options.on, prefix=options.prefix)
    gold_rows = None if gold is None else _gold_rows(gold, dtypes, output, options)
    parts: list[_Part] = []
    if gold_rows is not None:
        parts.append(_against_gold(output, gold_rows, str(gold), dtypes, options))
    if options.against is not None:
        comparison = _compared(output.answers, gold_rows, dtypes, options)
        lines = [f"a: {predicted}, b: {options.against}", str(comparison)]
        parts.append(({"against": comparison.to_dict()}, [*lines, *_listed(comparison.changes, options.mistakes)]))
    decided = None
    if options.decide:
        roots = Roots.joined(Roots.of(options.root), input_folder(predicted))
        check, part = _second_opinion(output, gold_rows, extractor, options, roots)
        decided = check.frame
        parts.append(part)
    if gold_rows is not None:
        parts.append(_scored(output, gold_rows, options, decided))
    if options.as_json:
        printed = {name: value for part, _ in parts for name, value in part.items()}
        sys.stdout.write(json.dumps(printed, default=str) + "\n")
    else:
        sys.stdout.write(plain("\n\n".join("\n".join(lines) for _, lines in parts if lines)) + "\n")


def _gold_rows(gold: str, dtypes: Mapping[str, Any], output: Output, options: EvalOptions) -> pl.DataFrame:
    """Return gold answers with fields under their names in the schema: the file may have the prefix of the output's."""
    texts = list(text_fields(dtypes.items()))
    rows = read_table(gold, texts=[*texts, *(output.prefix + name for name in texts)], **options.reading)
    return without_prefix(rows, output.prefix, [name for name in dtypes if name != options.on])


_Part: TypeAlias = tuple[dict[str, Any], list[str]]
"""One part of the output: as JSON, and as lines of text."""


def _scored(output: Output, gold: pl.DataFrame, options: EvalOptions, decided: pl.DataFrame | None) -> _Part:
    """Return what may be accepted, or else how well the score of the output tells right from wrong."""
    if options.accept.clear is not None:
        return cleared_part(output, gold, options.accept, on=options.on, day_first=options.day_first, decided=decided)
    if options.accept.right is None:
        return scores_part(output, gold, options.accept, on=options.on, day_first=options.day_first)
    return accepted_part(output, gold, options.accept, on=options.on, day_first=options.day_first, decided=decided)


def _check_goldless(options: EvalOptions) -> None:
    ReadOptions(**options.reading).check_for("a comparison without gold")
    if options.against is None and not options.decide:
        raise ConfigError("name a file of gold answers, another output with --against, or a field with --decide")
    if options.confusion or options.key:
        raise ConfigError("--confusion and --key need a file of gold answers")


def _against_gold(
    output: Output, gold: pl.DataFrame, address: str, dtypes: Mapping[str, Any], options: EvalOptions
) -> _Part:
    names, labels = _shared(list(dtypes), gold, address), list(label_fields(dtypes.items()))
    result = evaluate(
        output.answers,
        gold,
        on=options.on,
        fields=names,
        labels=labels,
        keys=_keys(options.key),
        day_first=options.day_first,
        spent=whole_cost(output.manifest, gold.height),
    )
    wrong = result.mistakes()
    lines = [str(result), *_listed(wrong, options.mistakes), *_confusion(result, options.confusion)]
    listed = {"mistakes": wrong.head(options.mistakes).to_dicts()} if options.mistakes else {}
    return result.to_dict() | listed, lines


def _listed(values: pl.DataFrame, rows: int) -> Iterator[str]:
    """Yield a table of the first rows, long texts cut."""
    if rows == 0 or values.is_empty():
        return
    shown = [[_cell(value) for value in row] for row in values.head(rows).iter_rows()]
    yield from ("", *aligned(values.columns, shown, words=values.width))
    if values.height > rows:
        yield f"and {values.height - rows:,} more"


def _cell(value: Any) -> str:
    text = "(null)" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _MAX_CELL else text[: _MAX_CELL - 1] + "…"


def _shared(answers: Sequence[str], table: pl.DataFrame, address: str) -> list[str]:
    """Return the pipeline's columns that a file has, with structs that a flat file holds as one column per field."""
    names = [name for name in table.columns if name in answers or name.partition(".")[0] in answers]
    if not names:
        raise ConfigError(f"{address} has none of the pipeline's columns {answers!r}; it has {table.columns!r}")
    return sorted(names, key=lambda name: answers.index(name if name in answers else name.partition(".")[0]))


def _compared(
    answers: pl.DataFrame, gold: pl.DataFrame | None, dtypes: Mapping[str, Any], options: EvalOptions
) -> Comparison:
    address = str(options.against)
    other = read_output(address, dtypes, on=options.on, prefix=options.prefix).answers
    names = _shared(list(dtypes), other, address)
    return compare(answers, other, gold, on=options.on, fields=names, day_first=options.day_first)


def _confusion(result: Evaluation, name: str | None) -> Iterator[str]:
    if name is None:
        return
    labelled = [score.name for score in result.fields if score.labels]
    if name not in labelled:
        raise ConfigError(f"--confusion {name}: fields with labels are {labelled!r}")
    yield from ("", str(result[name]), "", str(result[name].confusion))


def _second_opinion(
    output: Output, gold: pl.DataFrame | None, extractor: Extractor, options: EvalOptions, roots: Roots | None
) -> tuple[LabelCheck, _Part]:
    if options.offline and options.base_url:
        raise ConfigError("--offline brings its own service; leave out --base-url")
    with offline_client() if options.offline else Client.from_env(base_url=options.base_url) as client:
        check = check_labels(
            output.rows, extractor, client=client, fields=options.decide, prefix=output.prefix, root=roots
        )
    opinions, lines = check.to_dict(), [str(check)]
    if options.offline:
        lines.append("offline: these are the emulator's answers, and its probabilities are made up")
    if gold is not None:
        opinions["right"] = right = _right(check, output.answers, gold, options)
        lines += ["", *aligned(_RIGHT, [_right_cells(name, one) for name, one in right.items()], words=1)]
    return check, ({"decisions": opinions}, lines)


def _right(check: LabelCheck, answers: pl.DataFrame, gold: pl.DataFrame, options: EvalOptions) -> dict[str, Any]:
    """Return, by field, how often the extracted label is right where the second opinion agrees, and where not."""
    shares: dict[str, Any] = {}
    answers, gold = with_equal_keys({"predicted": answers, "gold": gold}, options.on)
    for score in check.fields:
        if score.name not in gold.columns:
            continue
        rows = check.frame.filter(pl.col("field") == score.name).drop_nulls("agrees")
        shares[score.name] = {}
        for word, agrees in (("agree", True), ("differ", False)):
            chosen = answers[rows.filter(pl.col("agrees") == agrees)["row"].to_list()]
            judged = gold.filter(pl.col(options.on).is_in(chosen[options.on].implode()))
            evaluation = evaluate(
                chosen, judged, on=options.on, fields=[score.name], day_first=options.day_first, resamples=0
            )
            result = evaluation[score.name]
            shares[score.name][word] = {"rows": result.n, "right": result.normalised}
    return shares


def _right_cells(name: str, shares: Any) -> tuple[str, ...]:
    shown = (f"{share(one['right'])} of {one['rows']:,}" for one in (shares["agree"], shares["differ"]))
    return (name, *shown)


def _keys(given: Sequence[str]) -> dict[str, list[str]]:
    """Return the fields that identify the members of each list, from options of the form LIST=FIELD,FIELD."""
    keys: dict[str, list[str]] = {}
    for one in given:
        name, equals, members = one.partition("=")
        if not (equals and name and members):
            raise ConfigError(f"--key {one!r}: write the list and the field that identifies its members: items=sku")
        keys[name] = members.split(",")
    return keys
