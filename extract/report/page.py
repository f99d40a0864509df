"""Facts and drawings laid out as one HTML file that loads nothing: it contains its style, scripts and records."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import PurePath
from shlex import quote
from typing import Any

from extract.errors import ConfigError
from extract.evaluation.tables import figure, share
from extract.io.sinks.formats import SINKS
from extract.json_types import JsonObject
from extract.limits.pricing import money
from extract.report import plots, score_plots
from extract.report.distributions import Bar
from extract.report.facts import Facts
from extract.report.timeline import Ledger
from extract.schema.losses import Loss

__all__ = ["embedded_json", "render"]

_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}
_SCRIPTS = ("record.js", "document.js", "table.js", "page.js")
_PREVIEWED = 4  # columns of the answer in the table of records
_MAX_LOSS = 160  # characters of the value of a schema keyword


def render(facts: Facts) -> str:
    """Return the page. Raises ConfigError where the extra `report` is not installed."""
    style, script = _asset("page.css"), "".join(map(_asset, _SCRIPTS))
    return _template()(
        facts=facts,
        style=style,
        script=script,
        policy=_policy(style, script),
        data=embedded_json({**facts.records.data, "preview": _PREVIEWED}),
        drawings=_drawings(facts),
        figures=list(_figures(facts)),
        title=_title(facts),
        offline=facts.manifest.get("service") == "offline",
        subtitle=_subtitle(facts.manifest),
        review=_review(facts.name),
        manifest=list(_manifest(facts.manifest)),
        text=_texts(facts.manifest),
        losses=None if facts.losses is None else _rules(facts.losses),
    )


def _rules(losses: Iterable[Loss]) -> list[tuple[str, str, str]]:
    """Return what is checked here only; a schema that came from a class also says nothing of unnamed members."""
    return [(one.path, one.keyword, _brief(one.value)) for one in losses if not one.drops_unnamed]


@cache
def _template() -> Callable[..., str]:
    try:
        from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError("a report needs jinja2: pip install 'extract-interactions[report]'") from None
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"count": _count, "figure": figure, "share": share, "money": _money, "duration": _duration}
    return environment.from_string(_asset("page.html")).render


def _asset(name: str) -> str:
    return (files("extract.report") / name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    """Return a content security policy that loads nothing and runs only the page's own script."""
    hashes = [b64encode(sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def embedded_json(value: Any) -> str:
    """Return JSON text that is safe in a `script` element: nothing in it can end the element or begin another."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).translate(_ESCAPES)


def _drawings(facts: Facts) -> JsonObject:
    judgement = facts.judgement
    scored = None if judgement is None else judgement.reliability
    return {
        "reliability": score_plots.draw_reliability(scored.calibration.bins)
        if scored and scored.calibration.bins
        else None,
        "risk": score_plots.draw_risk(scored.curve) if scored else None,
        "fields": [plots.draw_distribution(spread) if spread.n else "" for spread in facts.distributions],
        "course": plots.draw_course(facts.course.moments) if facts.course.moments else None,
        "rates": plots.draw_rates(facts.ledger) if _has_other_runs(facts) and facts.ledger else None,
        "codes": plots.draw_bars([Bar(*code) for code in facts.codes], "Rejected rows by reason", "bad")
        if facts.codes
        else None,
        "placements": plots.draw_placements(facts.placements) if facts.placements else None,
        "confusions": {
            name: plots.draw_confusion(confusion)
            for name, confusion in ({} if judgement is None else judgement.confusions).items()
        },
    }


def _has_other_runs(facts: Facts) -> bool:
    """Return whether the cache has requests of other runs besides the one that wrote the output."""
    ledger: Ledger | None = facts.ledger
    if ledger is None or len(ledger.rates) < 2:
        return False
    attempts = sum(count for _, count in ledger.rates)
    return not facts.course.moments or attempts > int(facts.course.totals.get("requests") or 0)


def _figures(facts: Facts) -> Iterator[tuple[str, str, str]]:
    """Yield name, figure and remark of the summary: from the footer, else from the files themselves."""
    totals, records, origin = facts.course.totals, facts.records, facts.origin
    yield "valid", _count(records.valid), f"of {_count(records.total)} rows"
    not_run = facts.not_run
    yield "rejected", _count(records.rejected - not_run), f"and {_count(not_run)} not run" if not_run else ""
    if totals:
        yield "cost", _money(totals.get("cost_usd")), "US dollars, this run"
        out = sum(totals.get(name) or 0 for name in ("output_tokens", "thought_tokens"))
        yield "tokens in", _count(totals.get("input_tokens")), f"{_count(totals.get('cached_tokens'))} of them cached"
        yield "tokens out", _count(out), f"{_count(totals.get('thought_tokens'))} of them thoughts"
        again = f"{_count(totals.get('retries'))} retries, {_count(totals.get('repairs'))} repairs"
        yield "requests", _count(totals.get("requests")), again
        yield "from the cache", _count(totals.get("cached")), "rows not sent again"
    elif origin is not None:
        yield "cost", _money(origin.cost), "US dollars, for the valid rows"
        yield "tokens", _count(origin.tokens), "for the valid rows"
    if facts.course.seconds:
        rate = (records.total - not_run) / facts.course.seconds
        yield "time", _duration(facts.course.seconds), f"{rate:,.0f} rows a second" if rate >= 1 else ""


_MANIFEST = (
    ("pipeline", "pipeline"), ("note", "note"), ("model", "model"), ("service", "service"),
    ("service_tier", "service tier"),
    ("started", "started"), ("input", "input"), ("columns", "columns read"), ("grounding", "grounded in"),
    ("row_id", "id column"), ("examples", "examples"), ("nearest_of", "nearest of gold rows"),
    ("generation", "generation"), ("dialect", "dialect"),
    ("version", "version of extract"), ("extractor", "key of the extractor"),
)  # fmt: skip


def _title(facts: Facts) -> str:
    pipeline = facts.manifest.get("pipeline")
    return pipeline if isinstance(pipeline, str) and pipeline.strip() else facts.name


def _review(name: str) -> str:
    """Return what opens the review page of an output, or of a run in memory."""
    is_file = PurePath(name).suffix.lower() in SINKS
    return f"extract review {quote(name)}" if is_file else 'open_review(run, decisions="review.db")'


def _subtitle(manifest: JsonObject) -> str:
    parts = (manifest.get("model"), manifest.get("input"), _when(manifest.get("started")))
    return " · ".join(part for part in parts if isinstance(part, str) and part)


def _when(started: Any) -> str | None:
    try:
        return datetime.fromisoformat(str(started)).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError):
        return None


def _manifest(manifest: JsonObject) -> Iterator[tuple[str, str]]:
    for key, name in _MANIFEST:
        value = manifest.get(key)
        if value in (None, "", [], {}):
            continue
        if isinstance(value, list):
            yield name, ", ".join(str(item) for item in value)
        else:
            yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _texts(manifest: JsonObject) -> list[tuple[str, str]]:
    """Return the long parts of a manifest, each under its name."""
    schema = manifest.get("schema")
    parts = [("system", manifest.get("system")), ("prompt", manifest.get("prompt"))]
    if schema is not None:
        parts.append(("schema", json.dumps(schema, ensure_ascii=False, indent=2, default=str)))
    return [(name, text) for name, text in parts if isinstance(text, str) and text]


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MAX_LOSS else text[:_MAX_LOSS] + "…"


def _count(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:,.0f}" if is_number else "unknown"


def _money(dollars: Any) -> str:
    return money(dollars) if isinstance(dollars, int | float | Decimal) and dollars >= 0 else "unknown"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
    return f"{seconds / 60:.1f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"
