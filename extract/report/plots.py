"""Facts drawn as bars, bins, lines and squares. Values are data only: no value becomes part of a Vega expression."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from extract.report.distributions import Bar, Bin, Distribution
from extract.report.drawing import (
    COLOUR,
    HEIGHT,
    WIDTH,
    altair_module,
    named_at_left,
    room_for,
    shortened,
    svg_of,
    values_of,
)
from extract.report.placements import STATUSES, Placement
from extract.report.scores import ConfusionExcerpt
from extract.report.timeline import Ledger, Moment

__all__ = ["draw_bars", "draw_confusion", "draw_course", "draw_distribution", "draw_placements", "draw_rates"]

_WITH_COUNTS = 12  # labels in a confusion matrix whose squares have room for a number
_FEW_BARS = 4  # upright bars that few would be as wide as they are high
_TONES = dict(zip(STATUSES, ("good", "fair", "poor", "bad"), strict=True))


def _upwards(name: str, rows: Iterable[dict[str, Any]], **more: Any) -> Any:
    """Return a vertical axis with grid lines and little else."""
    altair = altair_module()
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
    altair = altair_module()
    # By number, since two labels may be equal once cut.
    labels = [shortened(bar.label) for bar in bars]
    rows = [
        {"place": i, "label": label, "rows": bar.rows, "text": f"{label}: {bar.rows:,}"}
        for i, (label, bar) in enumerate(zip(labels, bars, strict=True))
    ]
    highest = max([1, *(bar.rows for bar in bars)])
    base = altair.Chart(values_of(rows)).encode(
        y=altair.Y("place:O", axis=None),
        x=altair.X("rows:Q", axis=None, scale=altair.Scale(domain=[0, highest], nice=False)),
        description=altair.Description("text:N"),
    )
    counts = base.mark_text(align="left", baseline="middle", dx=6, color=COLOUR["muted"])
    chart = altair.layer(
        base.mark_bar(color=COLOUR[colour], height={"band": 0.7}),
        named_at_left(base),
        counts.encode(text=altair.Text("rows:Q", format=",")),
    )
    padding = {
        "left": room_for(bar.label for bar in bars),
        "right": 22 + 7 * len(f"{highest:,}"),
        "top": 4,
        "bottom": 4,
    }
    return svg_of(chart, label, size=(WIDTH, 22 * len(bars) + 8), padding=padding)


def draw_columns(bars: Sequence[Bar], label: str) -> str:
    """Return one upright bar per day, month or year."""
    altair = altair_module()
    rows = [{"label": bar.label, "rows": bar.rows, "text": f"{bar.label}: {bar.rows:,}"} for bar in bars]
    chart = (
        altair.Chart(values_of(rows))
        .mark_bar(color=COLOUR["accent"])
        .encode(
            x=altair.X(
                "label:O", sort=None, axis=altair.Axis(title=None, labelAngle=0, labelOverlap="greedy", ticks=False)
            ),
            y=_upwards("rows", rows, tickMinStep=1),
            description=altair.Description("text:N"),
        )
    )
    return svg_of(chart, label, size=(WIDTH, HEIGHT))


def _draw_bins(bins: Sequence[Bin], label: str) -> str:
    altair = altair_module()
    rows = [
        {"start": one.start, "end": one.end, "rows": one.rows, "text": f"{one.start:g} to {one.end:g}: {one.rows:,}"}
        for one in bins
    ]
    chart = (
        altair.Chart(values_of(rows))
        .mark_bar(color=COLOUR["accent"], binSpacing=1)
        .encode(
            x=altair.X(
                "start:Q",
                bin="binned",
                scale=altair.Scale(zero=False, nice=False),
                axis=altair.Axis(title=None, format=_form(one.end for one in bins), tickCount=6, grid=False),
            ),
            x2=altair.X2("end"),
            y=_upwards("rows", rows, tickMinStep=1),
            description=altair.Description("text:N"),
        )
    )
    return svg_of(chart, label, size=(WIDTH, HEIGHT))


def draw_course(moments: Sequence[Moment]) -> tuple[str, str]:
    """Return throughput and concurrency over the time of a run."""
    unit, length = _unit(moments[-1].seconds)
    moments = [moments[0]._replace(seconds=0.0), *moments]
    rows = [{"time": one.seconds / length, "rate": one.rate, "flight": one.in_flight} for one in moments]
    return (
        _line(rows, "rate", f"{unit} since the start", "Rows a second over the time of the run"),
        _line(rows, "flight", f"{unit} since the start", "Requests in flight over the time of the run"),
    )


def draw_rates(ledger: Ledger) -> str:
    """Return the requests a second of all runs with a cache, from the first request on."""
    start = ledger.rates[0][0]
    rates = {round((at - start) / ledger.interval): count / ledger.interval for at, count in ledger.rates}
    number = max(rates) + 1
    unit, length = _unit(number * ledger.interval)
    rows = [{"time": i * ledger.interval / length, "rate": rates.get(i, 0)} for i in range(number)]
    first = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return _line(rows, "rate", f"{unit} since {first}", "Requests a second of all runs with this cache", "step-after")


def _unit(seconds: float) -> tuple[str, float]:
    """Return the unit in which a time is best shown, and its length in seconds."""
    units = (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0))
    return next(((name, length) for name, length in units if seconds >= 3 * length), ("seconds", 1.0))


def _line(rows: list[dict[str, float]], name: str, title: str, label: str, shape: str = "monotone") -> str:
    altair = altair_module()
    axis = altair.Axis(title=title, tickCount=6, grid=False, format=",~r")
    base = altair.Chart(values_of(rows)).encode(
        x=altair.X("time:Q", axis=axis, scale=altair.Scale(nice=False, zero=False)),
        y=_upwards(name, rows),
    )
    area = base.mark_area(color=COLOUR["accent"], opacity=0.14, interpolate=shape, aria=False)
    line = base.mark_line(color=COLOUR["accent"], strokeWidth=1.6, interpolate=shape, aria=False)
    return svg_of(altair.layer(area, line), label, size=(WIDTH, HEIGHT))


def draw_placements(placements: Sequence[Placement]) -> str:
    """Return how the values of each field were found, as shares of one bar."""
    altair = altair_module()
    rows = [row for place, one in enumerate(placements) for row in _statuses(place, one)]
    scale = altair.Scale(domain=list(_TONES), range=[COLOUR[tone] for tone in _TONES.values()])
    axis = altair.Axis(format="%", title=None, tickCount=5, grid=False)
    y = altair.Y("place:O", axis=None)
    bars = altair.Chart(values_of(rows)).mark_bar(height={"band": 0.7})
    bars = bars.encode(
        y=y,
        x=altair.X("values:Q", stack="normalize", axis=axis),
        color=altair.Color("status:N", scale=scale),
        order=altair.Order("order:O"),
        description=altair.Description("text:N"),
    )
    names = named_at_left(altair.Chart(values_of(row for row in rows if row["order"] == 0)).encode(y=y))
    padding = {"left": room_for(one.path for one in placements), "right": 22, "top": 4, "bottom": 24}
    label = "How the values of each field were found in their sources"
    return svg_of(altair.layer(bars, names), label, size=(WIDTH, 22 * len(placements) + 28), padding=padding)


def _statuses(place: int, placement: Placement) -> Iterable[dict[str, Any]]:
    label = shortened(placement.path.removeprefix("$."))
    for order, status in enumerate(_TONES):
        count = getattr(placement, status)
        text = f"{label}: {count:,} {status}"
        yield {"place": place, "label": label, "status": status, "order": order, "values": count, "text": text}


def draw_confusion(confusion: ConfusionExcerpt) -> str:
    """Return a square per pair of labels, the darker the larger its share of the gold label's rows."""
    place = {label: i for i, label in enumerate(confusion.labels)}
    rows = [
        {
            "gold": place[gold],
            "predicted": place[predicted],
            "rows": count,
            "share": count / confusion.supports[gold],
            "text": f"{shortened(gold)}, predicted {shortened(predicted)}: {count:,}",
            "colour": "accent" if gold == predicted else "bad",
        }
        for gold, predicted, count in confusion.cells
    ]
    left = room_for(confusion.labels)
    padding = {"left": left, "right": 60, "top": min(110, left), "bottom": 6}
    side = (34 if len(place) <= _WITH_COUNTS else 20) * len(place)
    size = (side + padding["left"] + padding["right"], side + padding["top"] + padding["bottom"])
    chart = altair_module().layer(*_squares(rows, confusion.labels), *_frame(confusion.labels))
    return svg_of(chart, "Gold labels in rows, predicted labels in columns", size=size, padding=padding)


def _squares(rows: list[dict[str, Any]], labels: Sequence[str]) -> Iterable[Any]:
    altair = altair_module()
    scale = altair.Scale(domain=list(range(len(labels))))
    colour = altair.Scale(domain=["accent", "bad"], range=[COLOUR["accent"], COLOUR["bad"]])
    base = altair.Chart(values_of(rows)).encode(
        x=altair.X("predicted:O", scale=scale, axis=None),
        y=altair.Y("gold:O", scale=scale, axis=None),
        description=altair.Description("text:N"),
    )
    shade = altair.Opacity("share:Q", scale=altair.Scale(domain=[0, 1], range=[0.1, 0.7]))
    yield base.mark_rect().encode(color=altair.Color("colour:N", scale=colour), opacity=shade)
    if len(labels) <= _WITH_COUNTS:
        yield base.mark_text(color=COLOUR["ink"], fontSize=11).encode(text=altair.Text("rows:Q", format=","))


def _frame(labels: Sequence[str]) -> Iterable[Any]:
    """Yield the names at the left and above, and a band behind each row."""
    altair = altair_module()
    scale = altair.Scale(domain=list(range(len(labels))))
    rows = [{"place": i, "label": shortened(label)} for i, label in enumerate(labels)]
    named = altair.Chart(values_of(rows))
    down, across = (axis("place:O", scale=scale, axis=None) for axis in (altair.Y, altair.X))
    yield named.mark_rect(color=COLOUR["line"], opacity=0.3, height={"band": 0.92}, aria=False).encode(y=down)
    yield named_at_left(named.encode(y=down))
    above = named.mark_text(align="left", baseline="middle", angle=300, dx=8, limit=100, color=COLOUR["ink"])
    yield above.encode(x=across, y=altair.value(0), text=altair.Text("label:N"))
