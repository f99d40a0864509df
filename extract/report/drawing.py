"""What all drawings share: altair, colours, sizes, and the conversion to SVG, done locally without a network."""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from extract.errors import ConfigError
from extract.report.svg import COLOURS, safe_svg

__all__ = [
    "COLOUR",
    "HEIGHT",
    "LABELS",
    "WIDTH",
    "altair_module",
    "named_at_left",
    "room_for",
    "shortened",
    "svg_of",
    "values_of",
]

COLOUR = {name: code for code, name in COLOURS.items()}
WIDTH = 440  # of a whole drawing, in the page's pixels on a wide screen
LABELS = 150  # of that for the labels at the left
HEIGHT = 170
# Characters that XML 1.0 does not allow, and those that reverse the direction of the text after them.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
# The renderer cuts a label that is too wide, and fails where the cut falls inside the surrogate pair of such a letter.
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_NEVER_CUT = 9  # letters: a label that short is never too wide
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_MAX_LABEL = 200  # characters; the drawing shows about twenty of them
_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "sans-serif",
    "view": {"strokeOpacity": 0},
    "axis": {
        "labelColor": COLOUR["muted"],
        "titleColor": COLOUR["muted"],
        "domainColor": COLOUR["line"],
        "tickColor": COLOUR["line"],
        "gridColor": COLOUR["line"],
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelLimit": LABELS,
        "tickSize": 4,
    },
    "legend": {"disable": True},
}


def altair_module() -> ModuleType:
    try:
        import altair  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError("a report needs altair: pip install 'extract-interactions[report]'") from None
    return altair


def svg_of(chart: Any, label: str, *, size: tuple[int, int], padding: dict[str, int] | None = None) -> str:
    """Return a drawing of a size in pixels; axes make their own room, `padding` is room for labels at the sides."""
    try:
        from vl_convert import vegalite_to_svg  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError("a report needs vl-convert-python: pip install 'extract-interactions[report]'") from None
    width, height = size
    if padding is not None:
        width -= padding["left"] + padding["right"]
        height -= padding["top"] + padding["bottom"]
    autosize = {"type": "none"} if padding is not None else {"type": "fit", "contains": "padding"}
    fitted = chart.properties(width=width, height=height, padding=padding or 5, autosize=autosize).configure(**_CONFIG)
    return safe_svg(vegalite_to_svg(fitted.to_dict(validate=False), allowed_base_urls=[]), label)


def room_for(labels: Iterable[str]) -> int:
    """Return the width in pixels of labels at the left of a drawing."""
    return 18 + min(LABELS, round(6.4 * max((len(label) for label in labels), default=0)))


def values_of(rows: Iterable[dict[str, Any]]) -> Any:
    return altair_module().Data(values=list(rows))


def named_at_left(chart: Any) -> Any:
    """Return the labels of a chart's rows, which have a `label`, to the left of its bars."""
    altair = altair_module()
    names = chart.mark_text(align="right", baseline="middle", dx=-8, limit=LABELS, color=COLOUR["ink"])
    return names.encode(x=altair.value(0), text=altair.Text("label:N"))


def shortened(label: str) -> str:
    """Return a label as one line of characters that XML allows."""
    line = " ".join(label.split()) or "(empty)"
    line = _NOT_XML.sub(_REPLACEMENT, line[: _MAX_LABEL + 1])
    if len(line) > _NEVER_CUT:
        line = _ASTRAL.sub(_REPLACEMENT, line)
    return line if len(line) <= _MAX_LABEL else line[:_MAX_LABEL] + "…"
