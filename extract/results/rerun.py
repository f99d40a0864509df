"""How a run was made, stored with its result: repeats rejected rows, and draws samples with their prompts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import polars as pl

from extract.documents.parts import TextPart
from extract.documents.roots import Roots
from extract.errors import BadRecord, ConfigError
from extract.extractor.extractor import Extractor
from extract.extractor.plan import CompiledExtractor, compile_extractor
from extract.extractor.question import Question
from extract.interactions.endpoint import Endpoint
from extract.io.source import records_of
from extract.results.columns import places_in_input
from extract.results.progress import Totals
from extract.results.run import Run
from extract.results.spot_check import CheckedRow, SpotCheck, spans_of

__all__ = ["Rerun"]

_POSITION = "\0position"
_NOWHERE = Endpoint(api_key="none", name="nowhere")  # prompts are the same for every service, and not sent here


@dataclass(frozen=True, slots=True)
class Rerun:
    """The arguments of a run; `run` is the function `run` itself. `data` is what the user passed, never copied.

    `row_options` names the options that a row is asked with; the others are about all rows, where they come from and go
    to, and do not apply when rejected rows of a frame run alone.
    """

    data: Any
    extractor: Extractor
    options: Mapping[str, Any]
    run: Callable[..., Run]
    row_options: Collection[str]

    def retry(self, run: Run) -> Run:
        """Return a run of all rows in which the failed ones were sent again."""
        if run.details.failed_places.is_empty():
            return run
        if self._is_in_memory and self.options.get("accept") is None and run.frame.height == run.totals.rows:
            return self._patched(run)
        if self.options.get("cache") is None or self.options.get("sink") is not None:
            raise ConfigError(
                "the rejected rows are not in the frame of this run: to send them again, run with a cache="
            )
        return self.run(self.data, self.extractor, **{**self.options, **_beside(run), "retry_rejected": True})

    @property
    def _is_in_memory(self) -> bool:
        return self.options.get("output") is None and self.options.get("sink") is None

    def _patched(self, run: Run) -> Run:
        """Run the failed rows of a frame alone, and put them back in their places."""
        frame, failed = run.frame, run.details.failed_places
        options = {name: self.options[name] for name in self.row_options if name in self.options}
        rows = frame[failed].select(frame.columns[: run.details.input_columns])
        again = self.run(rows, self.extractor, **options, retry_rejected=True)
        others = frame.with_row_index(_POSITION).filter(~pl.col(_POSITION).is_in(failed.implode()))
        repeated = again.frame.with_columns(failed.cast(pl.UInt32).alias(_POSITION)).select(others.columns)
        errors = again.errors
        if self.options.get("row_id") is None:
            errors = errors.with_columns(failed.gather(errors["row_id"]).alias("row_id"))
        totals = _together(run.totals, again.totals)
        course = again.details.manifest["run"] | {
            "totals": totals.counts(),
            "errors": dict(sorted(totals.errors.items())),
        }
        return replace(
            again,
            totals=totals,
            errors=errors,
            details=replace(
                again.details,
                frame=pl.concat([others, repeated]).sort(_POSITION).drop(_POSITION),
                failed_places=failed.gather(again.details.failed_places),
                manifest=run.details.manifest | {"run": course},
                rerun=self,
            ),
        )

    def sample(self, run: Run, n: int, seed: int | None) -> SpotCheck:
        """Return rows drawn at random. Only these rows are in memory; their prompts are built again."""
        if n < 1:
            raise ConfigError(f"sample at least one row, not {n}")
        rows = run.scan()
        height = int(rows.select(pl.len()).collect().item())
        drawn = sorted(Random(seed).sample(range(height), min(n, height)))  # noqa: S311 - rows to look at
        chosen = rows.with_row_index(_POSITION).filter(pl.col(_POSITION).is_in(drawn)).collect()
        columns, roots = chosen.columns[1 : run.details.input_columns + 1], Roots.of(self.options.get("root"))
        plan = compile_extractor(replace(self.extractor, pack=None), _NOWHERE).fitted(columns, roots)
        keeps_rejected = run.details.manifest.get("rejected_rows") == "null"
        reasons = _reasons(run, drawn) if keeps_rejected else {}
        places = drawn if keeps_rejected else places_in_input(drawn, run.details.failed_places)
        placed = [{**row, _POSITION: place} for place, row in zip(places, records_of(chosen), strict=True)]
        return SpotCheck(tuple(self._checked(plan, row, reasons) for row in placed))

    def _checked(self, plan: CompiledExtractor, row: Mapping[str, Any], reasons: Mapping[int, str]) -> CheckedRow:
        prompt, source = _prompt(plan, row)
        prefix, accept = self.options.get("prefix", ""), self.options.get("accept")
        # Of accepted rows alone, no place in the output says which place in the input a row has.
        key = self.options.get("row_id") or (_POSITION if accept is None else accept.on)
        reason = reasons.get(row[_POSITION])
        return CheckedRow(
            row_id=row[key],
            prompt=prompt,
            answer=None if reason else {name: row[prefix + name] for name in plan.schema.dtypes},
            error=reason,
            source=source,
            spans=spans_of(row.get("_spans"), plan.schema) if self.extractor.grounding else (),
        )


def _beside(run: Run) -> dict[str, Any]:
    """Return the output to replace, for a run that was kept beside a larger one: its own, not that one."""
    return {"output": run.output, "overwrite": True} if "beside" in run.details.manifest["run"] else {}


def _together(before: Totals, again: Totals) -> Totals:
    """Return the counts of all rows; those that were valid before count as cached, since they cost nothing now."""
    return replace(
        again,
        rows=before.rows,
        valid=before.valid + again.valid,
        cached=before.valid + again.cached,
        unnamed=before.unnamed + again.unnamed,
    )


def _reasons(run: Run, positions: Collection[int]) -> dict[int, str]:
    """Return why rows failed, by position."""
    errors = run.errors.with_columns(run.details.failed_places.alias(_POSITION)).filter(
        pl.col(_POSITION).is_in(list(positions))
    )
    return {row[_POSITION]: f"{row['code']}: {row['message']}" for row in errors.iter_rows(named=True)}


def _prompt(plan: CompiledExtractor, row: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return a record's prompt as text, and the text that the offsets of its spans count in. Files are read again."""
    try:
        question = plan.question(row)
        source = question.quoted.source if question.quoted else None
    except BadRecord as error:
        return f"[{error}]", None
    return _as_text(question), None if source is None else source.text


def _as_text(question: Question) -> str:
    parts = [part for turn in question.turns for part in turn.parts]
    return "\n\n".join(part.text if isinstance(part, TextPart) else f"[{part.mime_type}]" for part in parts)
