"""The accuracy-cost front as one HTML file that loads nothing: a point for each variant, and the table."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path

from extract.errors import ConfigError
from extract.evaluation.tables import html_table, share
from extract.report.drawing import COLOUR, altair_module, shortened, svg_of, values_of
from extract.report.write import put_page
from extract.tuning.tuning import Tuning

__all__ = ["check_picture", "draw_front", "write_picture"]

_SIZE = (720, 320)
_OWN_STYLE = "main { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; } svg { width: 100%; height: auto; }"


def check_picture(path: Path) -> None:
    """Raise ConfigError, before anything is paid for, for a file that cannot become the picture."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"{path}: the picture ends in .html")
    altair_module()


def draw_front(result: Tuning) -> str:
    """Return the drawing: right rows over what a row costs, or over its tokens where a price is unknown."""
    altair = altair_module()
    priced = all(one.cost is not None for one in result.scores)
    title = "US dollars for 1,000 rows" if priced else "tokens for a row"
    rows = [
        {
            "x": float(one.cost or 0) * 1000 if priced else one.tokens or 0.0,
            "y": one.accuracy,
            "low": one.interval.low if one.interval else one.accuracy,
            "high": one.interval.high if one.interval else one.accuracy,
            "name": str(place + 1),  # names of variants would cover each other
            "text": f"{shortened(one.variant.name)}: {share(one.accuracy, one.interval)} of {one.rows:,} rows",
            "kind": "winner" if place == 0 else "front" if one.on_front else "other",
        }
        for place, one in enumerate(result.scores)
    ]
    colours = {"winner": COLOUR["good"], "front": COLOUR["accent"], "other": COLOUR["muted"]}
    colour = altair.Color("kind:N", scale=altair.Scale(domain=[*colours], range=[*colours.values()]), legend=None)
    scale = altair.Scale(zero=False, nice=True)
    base = altair.Chart(values_of(rows)).encode(
        x=altair.X("x:Q", scale=altair.Scale(zero=True), axis=altair.Axis(title=title)),
        description=altair.Description("text:N"),
    )
    height = altair.Y("y:Q", scale=scale, axis=altair.Axis(title="right rows", format=".0%"))
    bars = base.mark_rule(color=COLOUR["line"]).encode(
        y=altair.Y("low:Q", scale=scale, title="right rows"), y2="high:Q"
    )
    names = base.mark_text(align="left", dx=8, color=COLOUR["ink"]).encode(y=height, text="name:N")
    points = base.mark_point(filled=True, size=70, opacity=1).encode(y=height, color=colour)
    label = "Right rows of each variant over its cost"
    return svg_of(altair.layer(bars, points, names), label, size=_SIZE)


def write_picture(result: Tuning, path: Path) -> Path:
    """Write the picture and the table, and return the path. OutputError where the file cannot be written."""
    style = (files("extract.report") / "page.css").read_text("utf-8") + _OWN_STYLE
    allowed = b64encode(sha256(style.encode()).digest()).decode()
    header, rows = result.table()
    numbered = html_table("", ("", *header), ((str(place), *row) for place, row in enumerate(rows, start=1)))
    lines = "".join(f"<p>{escape(line)}</p>" for line in result.remarks())
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{allowed}'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Tuning</title>\n<style>{style}</style>\n</head>\n<body><main>\n<h1>Variants</h1>\n"
        f'<div class="drawing">{draw_front(result)}</div>\n'
        f"{numbered}\n{lines}\n</main></body>\n</html>\n"
    )
    return put_page(page, path)
