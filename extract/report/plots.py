"""Facts drawn: altair says what, vl-convert makes SVG of it on this machine. No value is ever part of an expression."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

from extract.errors import ConfigError
from extract.report.course import Ledger, Moment
from extract.report.distributions import Bar, Bin, Distribution
from extract.report.placements import Placement
from extract.report.scores import Mistaken
from extract.report.svg import COLOURS, safe_svg

__all__ = ["draw_bars", "draw_confusion", "draw_course", "draw_distribution", "draw_pace", "draw_placements"]

_COLOUR = {name: code for code, name in COLOURS.items()}
_WIDTH = 440  # of a whole drawing, in the page's pixels on a wide screen
_LABELS = 150  # of that for the labels at the left
_HEIGHT = 170
_WITH_COUNTS = 12  # labels in a confusion matrix whose squares have room for a number
_FEW_BARS = 4  # so few columns would be as broad as they are high
_LONGEST = 200  # characters of a label; the drawing shows some twenty of them
_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "sans-serif",
    "view": {"strokeOpacity": 0},
    "axis": {
        "labelColor": _COLOUR["muted"],
        "titleColor": _COLOUR["muted"],
        "domainColor": _COLOUR["line"],
        "tickColor": _COLOUR["line"],
        "gridColor": _COLOUR["line"],
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelLimit": _LABELS,
        "tickSize": 4,
    },
    "legend": {"disable": True},
}


def _altair() -> ModuleType:
    try:
        import altair  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError("a report needs altair: pip install 'extract-interactions[report]'") from None
    return altair


def _svg(chart: Any, label: str, *, size: tuple[int, int], padding: dict[str, int] | None = None) -> str:
    """Return a drawing of a size in pixels; axes find their own room, `padding` is room for what stands beside."""
    try:
        from vl_convert import vegalite_to_svg  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError("a report needs vl-convert-python: pip install 'extract-interactions[report]'") from None
    width, height = size
    if padding is not None:
        width -= padding["left"] + padding["right"]
        height -= padding["top"] + padding["bottom"]
    kept = {"type": "none"} if padding is not None else {"type": "fit", "contains": "padding"}
    fitted = chart.properties(width=width, height=height, padding=padding or 5, autosize=kept).configure(**_CONFIG)
    return safe_svg(vegalite_to_svg(fitted.to_dict(validate=False), allowed_base_urls=[]), label)


def _room(labels: Iterable[str]) -> int:
    """Return the pixels that labels at the left of a drawing need."""
    return 18 + min(_LABELS, round(6.4 * max((len(label) for label in labels), default=0)))


def _values(rows: Iterable[dict[str, Any]]) -> Any:
    return _altair().Data(values=list(rows))


def _upwards(name: str, rows: Iterable[dict[str, Any]], **more: Any) -> Any:
    """Return an upright axis with lines and hardly anything else."""
    altair = _altair()
    form = _form(row[name] for row in rows)
    return altair.Y(
        f"{name}:Q", axis=altair.Axis(format=form, tickCount=5, title=None, domain=False, ticks=False, **more)
    )


def _form(numbers: Iterable[float]) -> str:
    """Return how numbers are written on an axis: large ones with a letter, 12k."""
    return "~s" if max((abs(number) for number in numbers), default=0) >= 10_000 else ",~r"


def draw_distribution(spread: Distribution) -> str:
    """Return the bars or bins of a distribution as SVG."""
    label = f"{spread.path}: how many rows have which value"
    if spread.kind == "labels" or 0 < len(spread.bars) <= _FEW_BARS:
        return draw_bars(spread.bars, label)
    return draw_columns(spread.bars, label) if spread.bars else _draw_bins(spread.bins, label)


def draw_bars(bars: Sequence[Bar], label: str, colour: str = "accent") -> str:
    """Return one horizontal bar per label."""
    altair = _altair()
    # Numbered, since two labels may be equal once cut.
    labels = [_shortened(bar.label) for bar in bars]
    rows = [
        {"place": i, "label": label, "rows": bar.rows, "said": f"{label}: {bar.rows:,}"}
        for i, (label, bar) in enumerate(zip(labels, bars, strict=True))
    ]
    most = max([1, *(bar.rows for bar in bars)])
    base = altair.Chart(_values(rows)).encode(
        y=altair.Y("place:O", axis=None),
        x=altair.X("rows:Q", axis=None, scale=altair.Scale(domain=[0, most], nice=False)),
        description=altair.Description("said:N"),
    )
    names = base.mark_text(align="right", baseline="middle", dx=-8, limit=_LABELS, color=_COLOUR["ink"])
    counts = base.mark_text(align="left", baseline="middle", dx=6, color=_COLOUR["muted"])
    chart = altair.layer(
        base.mark_bar(color=_COLOUR[colour], height={"band": 0.7}),
        names.encode(x=altair.value(0), text=altair.Text("label:N")),
        counts.encode(text=altair.Text("rows:Q", format=",")),
    )
    padding = {"left": _room(bar.label for bar in bars), "right": 22 + 7 * len(f"{most:,}"), "top": 4, "bottom": 4}
    return _svg(chart, label, size=(_WIDTH, 22 * len(bars) + 8), padding=padding)


def _shortened(label: str) -> str:
    """Return a label as one line of what XML can hold."""
    line = " ".join(label.split()) or "(empty)"
    line = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line[: _LONGEST + 1])
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "…"


def draw_columns(bars: Sequence[Bar], label: str) -> str:
    """Return one upright bar per stretch of the calendar."""
    altair = _altair()
    rows = [{"label": bar.label, "rows": bar.rows, "said": f"{bar.label}: {bar.rows:,}"} for bar in bars]
    chart = (
        altair.Chart(_values(rows))
        .mark_bar(color=_COLOUR["accent"])
        .encode(
            x=altair.X(
                "label:O", sort=None, axis=altair.Axis(title=None, labelAngle=0, labelOverlap="greedy", ticks=False)
            ),
            y=_upwards("rows", rows, tickMinStep=1),
            description=altair.Description("said:N"),
        )
    )
    return _svg(chart, label, size=(_WIDTH, _HEIGHT))


def _draw_bins(bins: Sequence[Bin], label: str) -> str:
    altair = _altair()
    rows = [
        {"start": one.start, "end": one.end, "rows": one.rows, "said": f"{one.start:g} to {one.end:g}: {one.rows:,}"}
        for one in bins
    ]
    chart = (
        altair.Chart(_values(rows))
        .mark_bar(color=_COLOUR["accent"], binSpacing=1)
        .encode(
            x=altair.X(
                "start:Q",
                bin="binned",
                scale=altair.Scale(zero=False, nice=False),
                axis=altair.Axis(title=None, format=_form(one.end for one in bins), tickCount=6, grid=False),
            ),
            x2=altair.X2("end"),
            y=_upwards("rows", rows, tickMinStep=1),
            description=altair.Description("said:N"),
        )
    )
    return _svg(chart, label, size=(_WIDTH, _HEIGHT))


def draw_course(moments: Sequence[Moment]) -> tuple[str, str]:
    """Return throughput and concurrency over the time of a run."""
    unit, length = _unit(moments[-1].seconds)
    moments = [moments[0]._replace(seconds=0.0), *moments]
    rows = [{"time": one.seconds / length, "rate": one.rate, "flight": one.in_flight} for one in moments]
    return (
        _line(rows, "rate", f"{unit} since the start", "Rows a second over the time of the run"),
        _line(rows, "flight", f"{unit} since the start", "Requests in flight over the time of the run"),
    )


def draw_pace(ledger: Ledger) -> str:
    """Return the requests a second of all runs with a cache, from the first request on."""
    start = ledger.pace[0][0]
    rates = {round((at - start) / ledger.stretch): count / ledger.stretch for at, count in ledger.pace}
    number = max(rates) + 1
    unit, length = _unit(number * ledger.stretch)
    rows = [{"time": i * ledger.stretch / length, "rate": rates.get(i, 0)} for i in range(number)]
    first = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return _line(rows, "rate", f"{unit} since {first}", "Requests a second of all runs with this cache", "step-after")


def _unit(seconds: float) -> tuple[str, float]:
    """Return in what a stretch of time is best told, and how many seconds that has."""
    units = (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0))
    return next(((name, length) for name, length in units if seconds >= 3 * length), ("seconds", 1.0))


def _line(rows: list[dict[str, float]], name: str, title: str, label: str, shape: str = "monotone") -> str:
    altair = _altair()
    axis = altair.Axis(title=title, tickCount=6, grid=False, format=",~r")
    base = altair.Chart(_values(rows)).encode(
        x=altair.X("time:Q", axis=axis, scale=altair.Scale(nice=False, zero=False)),
        y=_upwards(name, rows),
    )
    area = base.mark_area(color=_COLOUR["accent"], opacity=0.14, interpolate=shape, aria=False)
    line = base.mark_line(color=_COLOUR["accent"], strokeWidth=1.6, interpolate=shape, aria=False)
    return _svg(altair.layer(area, line), label, size=(_WIDTH, _HEIGHT))


def draw_placements(found: Sequence[Placement]) -> str:
    """Return how the values of each field were found, as shares of one bar."""
    altair = _altair()
    colours = {"exact": "good", "normalised": "fair", "fuzzy": "poor", "missing": "bad"}
    rows = [
        {
            "place": i,
            "label": _shortened(one.path.removeprefix("$.")),
            "status": status,
            "order": order,
            "values": getattr(one, status),
        }
        for i, one in enumerate(found)
        for order, status in enumerate(colours)
    ]
    y = altair.Y("place:O", axis=None)
    scale = altair.Scale(domain=list(colours), range=[_COLOUR[colour] for colour in colours.values()])
    bars = altair.Chart(_values(rows)).mark_bar(height={"band": 0.7})
    bars = bars.encode(
        y=y,
        x=altair.X("values:Q", stack="normalize", axis=altair.Axis(format="%", title=None, tickCount=5, grid=False)),
        color=altair.Color("status:N", scale=scale),
        order=altair.Order("order:O"),
        description=altair.Description("said:N"),
    )
    names = altair.Chart(_values([row for row in rows if row["order"] == 0]))
    names = names.mark_text(align="right", baseline="middle", dx=-8, limit=_LABELS, color=_COLOUR["ink"])
    names = names.encode(y=y, x=altair.value(0), text=altair.Text("label:N"))
    padding = {"left": _room(one.path for one in found), "right": 22, "top": 4, "bottom": 24}
    label = "How the values of each field were found in their sources"
    return _svg(altair.layer(bars, names), label, size=(_WIDTH, 22 * len(found) + 28), padding=padding)


def draw_confusion(confusion: Mistaken) -> str:
    """Return a square per pair of labels, the darker the larger its share of the gold label's rows."""
    altair = _altair()
    totals: dict[str, int] = {}
    for gold, _, count in confusion.cells:
        totals[gold] = totals.get(gold, 0) + count
    place = {label: i for i, label in enumerate(confusion.labels)}
    rows = [
        {"gold": place[gold], "predicted": place[predicted], "rows": count, "share": count / totals[gold],
         "said": f"{_shortened(gold)}, predicted {_shortened(predicted)}: {count:,}",
         "colour": "accent" if gold == predicted else "bad"}
        for gold, predicted, count in confusion.cells
    ]  # fmt: skip
    chart = _heatmap(altair, rows, confusion.labels)
    padding = {"left": _room(confusion.labels), "right": 60, "top": min(110, _room(confusion.labels)), "bottom": 6}
    side = (34 if len(confusion.labels) <= _WITH_COUNTS else 20) * len(confusion.labels)
    size = (side + padding["left"] + padding["right"], side + padding["top"] + padding["bottom"])
    return _svg(chart, "Gold labels in rows, predicted labels in columns", size=size, padding=padding)


def _heatmap(altair: ModuleType, rows: list[dict[str, Any]], labels: Sequence[str]) -> Any:
    scale = altair.Scale(domain=list(range(len(labels))))
    axes = {name: {"scale": scale, "axis": None} for name in ("x", "y")}
    colour = altair.Scale(domain=["accent", "bad"], range=[_COLOUR["accent"], _COLOUR["bad"]])
    base = altair.Chart(_values(rows)).encode(
        x=altair.X("predicted:O", **axes["x"]),
        y=altair.Y("gold:O", **axes["y"]),
        description=altair.Description("said:N"),
    )
    cells = base.mark_rect().encode(
        color=altair.Color("colour:N", scale=colour),
        opacity=altair.Opacity("share:Q", scale=altair.Scale(domain=[0, 1], range=[0.1, 0.7])),
    )
    counts = base.mark_text(color=_COLOUR["ink"], fontSize=11).encode(text=altair.Text("rows:Q", format=","))
    names = [{"place": i, "label": _shortened(label)} for i, label in enumerate(labels)]
    named = altair.Chart(_values(names)).encode(text=altair.Text("label:N"))
    left = named.mark_text(align="right", baseline="middle", dx=-8, limit=_LABELS, color=_COLOUR["ink"])
    above = named.mark_text(align="left", baseline="middle", angle=300, dx=8, limit=100, color=_COLOUR["ink"])
    bands = altair.Chart(_values(names)).mark_rect(
        color=_COLOUR["line"], opacity=0.45, height={"band": 0.92}, aria=False
    )
    return altair.layer(
        bands.encode(y=altair.Y("place:O", **axes["y"])),
        cells,
        *((counts,) if len(labels) <= _WITH_COUNTS else ()),
        left.encode(y=altair.Y("place:O", **axes["y"]), x=altair.value(0)),
        above.encode(x=altair.X("place:O", **axes["x"]), y=altair.value(0)),
    )
