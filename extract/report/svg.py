"""Makes a drawing safe: only known shapes and attributes stay, and its colours become classes of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from xml.etree import ElementTree

from extract.errors import ExtractError

__all__ = ["COLOURS", "safe_svg"]

#: Colours that plots are drawn in -> the class that gives a shape the colour of the page's scheme.
COLOURS = {
    "#000001": "ink",
    "#000002": "muted",
    "#000003": "line",
    "#000004": "accent",
    "#000005": "good",
    "#000006": "fair",
    "#000007": "poor",
    "#000008": "bad",
    "#000009": "paper",
}
_SVG = "{http://www.w3.org/2000/svg}"
_SHAPES = {"svg", "g", "path", "rect", "line", "text", "tspan"}
_ATTRIBUTES = {
    "d", "x", "y", "x1", "x2", "y1", "y2", "dx", "dy", "width", "height", "viewBox", "transform", "opacity",
    "fill-opacity", "stroke-opacity", "stroke-width", "stroke-dasharray", "text-anchor", "font-size", "font-weight",
    "display",
}  # fmt: skip
_PLAIN = re.compile(r"[A-Za-z0-9 .,()+\-]*")


def safe_svg(drawing: str, label: str) -> str:
    """Return a drawing as SVG with nothing in it but shapes and text; `label` is its accessible name.

    What the drawing says about a mark becomes its tooltip.
    """
    try:
        root = ElementTree.fromstring(drawing)  # noqa: S314 - our own renderer's, and expat bounds what entities become
    except ElementTree.ParseError as error:
        raise ExtractError(f"a plot cannot be drawn: {error}") from None
    width, height = root.get("width", "1"), root.get("height", "1")
    root.attrib.setdefault("viewBox", f"0 0 {width} {height}")
    return "".join(_written(root, f' role="img" aria-label="{escape(label)}"'))


def _written(element: ElementTree.Element, more: str = "") -> Iterator[str]:
    name = element.tag.removeprefix(_SVG)
    if name not in _SHAPES or element.get("display") == "none" or element.get("class") == "background":
        return
    yield f"<{name}{more}{''.join(_attributes(element))}>"
    if element.get("role") == "graphics-symbol" and name in ("path", "rect"):
        yield f"<title>{escape(element.get('aria-label', ''))}</title>"
    if name in ("text", "tspan"):
        yield escape(element.text or "")
    for child in element:
        yield from _written(child)
    yield f"</{name}>"


def _attributes(element: ElementTree.Element) -> Iterator[str]:
    classes = []
    for name in ("fill", "stroke"):
        colour = element.get(name)
        if colour in COLOURS:
            classes.append(f"{name}-{COLOURS[colour]}")
        elif colour is not None:
            classes.append(f"{name}-none")
    if classes:
        yield f' class="{" ".join(classes)}"'
    for name, value in element.items():
        if name in _ATTRIBUTES and _PLAIN.fullmatch(value):
            yield f' {name}="{value}"'
