"""Local mends: an answer that says the right thing in a wrong form is put right without another request.

A mend changes the form and never the content: nothing is guessed, filled in or completed, so a cut answer stays
invalid. What was mended must pass the whole validation; else the answer counts as it came. In the order tried:

    fence          a code fence around the JSON is taken off
    surroundings   so is prose before and after the one JSON object of a text, or the one array in a fence
    comma          a comma after the last member or element is taken out
    not_a_number   NaN and infinities become null; only a schema that takes null lets that pass
    wrapped        a bare root value is put into its `{"value": ...}`
    unwrapped      a root object is taken out of a `{"value": ...}` that nobody asked for
    stringified    an object or array that was written as a string of JSON is read
    number_text    "12.5" becomes 12.5, plain decimal digits only, where no string may stand
    whole_number   5.0 becomes 5 where only an integer may stand
    boolean_text   "true" becomes true where no string may stand
    single_item    one item alone, where a list of such items is asked, is put into a list

The last five are tried only at the places where validation found fault, and only where the schema leaves one reading.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from extract.errors import InvalidAnswer
from extract.json_types import JsonObject, json_text
from extract.schema.keywords import types_of
from extract.schema.normalise import Document
from extract.schema.validate import Place, parse

__all__ = ["MENDS", "Mender"]

#: The name of every mend, in the order in which they are tried.
MENDS = (
    "fence", "surroundings", "comma", "not_a_number", "wrapped", "unwrapped", "stringified", "number_text",
    "whole_number", "boolean_text", "single_item",
)  # fmt: skip

#: Faults hide one another (a number inside a stringified object): how often the places are looked up anew.
_ROUNDS = 4
#: A round looks at so many places; an answer with more faults is better asked for again.
_MOST_PLACES = 10_000
#: 64-bit floats tell all decimals of so many significant digits apart, and all integers below 2**53.
_FLOAT_DIGITS = 15
_FLOAT_INTEGERS = 2**53

# Every token of these runs is possessive, and an unclosed string takes the rest of the text: no text is read twice.
_STRING = r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'
_BRACKETS = re.compile(_STRING + r"|[\[\]{}]", re.DOTALL)
_SLIPS = re.compile(_STRING + r"|[\[{][ \t\r\n]*+,|,(?=[ \t\r\n]*+[\]}])|-?(?:NaN|Infinity)", re.DOTALL)
_OPENED_FENCE = re.compile(r"```[\w+-]*[ \t\r\n]*\Z")
_INFO = re.compile(r"[\w+-]*+\s")
_KEY = re.compile(r'"\s*+:')
_LETTER = re.compile(r"[^\W\d_]")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?")
_SEPARATOR = re.compile(r"[,;|\r\n]")
_NOTHING = object()
_ANYTHING: JsonObject = {}

_Mended: TypeAlias = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Mender:
    """Mends the answers to one schema.

    `read` is the whole validation, from text to value; `places` says where in a JSON value it finds fault. `document`
    is the schema's normal form, `wrapper` the name of the only member of a wrapped root, and `wrapped` says whether
    this schema's root is.
    """

    document: Document
    read: Callable[[str], Any]
    places: Callable[[Any], Iterable[Place]]
    wrapper: str
    wrapped: bool

    def mend(self, text: str) -> tuple[Any, tuple[str, ...]] | None:
        """Return the valid value of a text that is not valid as it stands, and the mends it took, in their order.

        None where no mend makes it valid.
        """
        try:
            answer, names = _parsed(text)
            answer = self._rooted(answer, names)
            return self._fitted(answer, names)
        except (InvalidAnswer, RecursionError, ValueError):  # a mended value can also be too deep or large for JSON
            return None

    def _rooted(self, answer: Any, names: set[str]) -> Any:
        """Return an answer with the wrapper that the schema asks for, and without one that it does not."""
        if not self.wrapped:
            root = [self.document.root]
            if not _is_wrapper(answer, self.wrapper) or self._knows(root, answer):
                return answer
            if self._knows(root, answer[self.wrapper]):
                names.add("unwrapped")
                return answer[self.wrapper]
            return answer
        inner = _read_json(answer)
        if _is_wrapper(inner, self.wrapper):
            names.add("stringified")
            return inner
        if isinstance(answer, dict) and self.wrapper in answer:  # whether that is the wrapper would be a guess
            return answer
        bare = _child(self.document.resolved(self.document.root), self.wrapper)
        arrays = [option for option in _alternatives(self.document, bare) if "array" in _types(option)]
        if not self._knows([bare, *(_child(array, 0) for array in arrays)], answer):
            return answer
        names.add("wrapped")
        return {self.wrapper: answer}

    def _knows(self, nodes: Iterable[JsonObject], value: Any) -> bool:
        """Whether a value that would change its place is at home in the new one: an object only with declared members.

        Without that, an object of another meaning would pass where all members are optional and others are ignored.
        """
        if not isinstance(value, dict):
            return True
        options = (option for node in nodes for option in _alternatives(self.document, node))
        return any(_kind(value) in _types(option) and _declares(option, value) for option in options)

    def _fitted(self, answer: Any, names: set[str]) -> tuple[Any, tuple[str, ...]] | None:
        for _ in range(_ROUNDS):
            try:
                return self.read(json_text(answer)), tuple(name for name in MENDS if name in names)
            except InvalidAnswer:
                holder = [answer]  # the root, too, can be replaced
                places = dict.fromkeys(islice(self.places(answer), _MOST_PLACES))  # all, before the first is mended
                taken = [name for place in places if (name := self._mend_place(holder, place))]
                if not taken:
                    return None
                names.update(taken)
                answer = holder[0]
        return None

    def _mend_place(self, holder: list[Any], place: Place) -> str | None:
        """Mend what stands at one place; return the mend's name, None where nothing is to be done."""
        nodes = [self.document.root]
        parent: Any = holder
        last: str | int = 0
        for step in place:
            value = _item(parent, last)
            # Each node once: in a recursive schema the ways to reach it double with every step.
            nodes = list({id(child): child for node in nodes for child in self._children(node, value, step)}.values())
            parent, last = value, step
        value = _item(parent, last)
        if value is _NOTHING:
            return None
        mended = self._mended(value, nodes, in_list=bool(place) and isinstance(last, int))
        if mended is None:
            return None
        name, parent[last] = mended
        return name

    def _children(self, node: JsonObject, value: Any, step: str | int) -> Iterator[JsonObject]:
        """Yield the nodes that speak about one step into a value, for every alternative that the value leaves open."""
        options = list(_alternatives(self.document, node))
        for option in [option for option in options if not _excluded(self.document, option, value)] or options:
            yield _child(option, step)

    def _mended(self, value: Any, nodes: list[JsonObject], *, in_list: bool) -> _Mended | None:
        options = [option for node in nodes for option in _alternatives(self.document, node)]
        wanted = {name for option in options for name in _types(option)}
        kind = _kind(value)
        if not wanted or kind == "null" or kind in wanted:
            return None
        if kind == "string" and (mended := _from_text(value, wanted)):
            return mended
        if kind == "number" and "integer" in wanted and abs(value) < _FLOAT_INTEGERS and value == int(value):
            return "whole_number", int(value)
        if wanted <= {"array", "null"} and not in_list and self._is_item(value, options):
            return "single_item", [value]
        return None

    def _is_item(self, value: Any, arrays: list[JsonObject]) -> bool:
        items = [option for node in arrays for option in _alternatives(self.document, _child(node, 0))]
        fits = any(_kind(value) in _types(item) for item in items)
        return fits and not _may_be_many(value) and self._knows(items, value)


def _parsed(text: str) -> tuple[Any, set[str]]:
    """Return the JSON value of a text, and the mends of the text that this took."""
    names: set[str] = set()
    for step in (_without_fence, _without_surroundings, _without_slips):
        try:
            return parse(text), names
        except InvalidAnswer:
            text, taken = step(text)
            names |= taken
    return parse(text), names


def _without_fence(text: str) -> tuple[str, set[str]]:
    """Return what a code fence around the whole text holds."""
    inner = text.strip()
    if len(inner) < 6 or not (inner.startswith("```") and inner.endswith("```")):
        return text, set()
    body = inner[3:-3]
    info = _INFO.match(body)
    return body[info.end() :] if info else body, {"fence"}


def _without_surroundings(text: str) -> tuple[str, set[str]]:
    """Return the one object or array of a text without the prose, and the fence, around it."""
    span = _outer_brackets(text)
    if span is None:
        return text, set()
    before, after = text[: span[0]].strip(), text[span[1] :].strip()
    names = set()
    fence = _OPENED_FENCE.search(before[-80:])
    if fence and after.startswith("```"):
        before, after = before[: len(before) - len(fence[0])].strip(), after[3:].strip()
        names.add("fence")
    elif text[span[0]] == "[" or span[1] - span[0] == 2:  # "[1]" and "{}" are also what prose holds
        return text, set()
    if not (_is_prose(before) and _is_prose(after)):
        return text, set()
    if before or after:
        names.add("surroundings")
    return text[slice(*span)], names


def _outer_brackets(text: str) -> tuple[int, int] | None:
    """Return where the first object or array begins and ends, None where it does not end."""
    begin = min((at for bracket in "{[" if (at := text.find(bracket)) >= 0), default=None)
    if begin is None:
        return None
    depth = 0
    for token in _BRACKETS.finditer(text, begin):
        depth += 1 if token[0] in "{[" else -1 if token[0] in "}]" else 0
        if not depth:
            return begin, token.end()
    return None


def _is_prose(text: str) -> bool:
    """Whether a text beside a JSON value is words, and no part of that value or of another one."""
    if not text:
        return True
    if any(bracket in text for bracket in "{}[]") or _KEY.search(text) or not _LETTER.search(text):
        return False
    try:
        parse(text)
    except InvalidAnswer:
        return True
    return False


def _without_slips(text: str) -> tuple[str, set[str]]:
    """Return a text without trailing commas and with null for what is no number, strings untouched."""
    names: set[str] = set()

    def rewrite(token: re.Match[str]) -> str:
        found = token[0]
        if found == ",":
            names.add("comma")
            return ""
        if found[0] in '"[{':
            return found
        names.add("not_a_number")
        return "null"

    return _SLIPS.sub(rewrite, text), names


def _from_text(text: str, wanted: set[str]) -> _Mended | None:
    """Return what a string says in the one type that is wanted in its place."""
    if wanted & {"object", "array"}:
        inner = _read_json(text)
        return ("stringified", inner) if inner is not None and _kind(inner) in wanted else None
    if wanted <= {"integer", "number", "null"}:
        number = _number(text)
        return ("number_text", number) if _kind(number) in wanted - {"null"} else None
    if wanted <= {"boolean", "null"} and text in ("true", "false"):
        return "boolean_text", text == "true"
    return None


def _may_be_many(value: Any) -> bool:
    """Whether a value could stand for no item or for several: nothing at all, a list in words, a cut list."""
    if not isinstance(value, str):
        return isinstance(value, dict) and not value
    return not value.strip() or value.strip()[0] in "[{" or bool(_SEPARATOR.search(value))


def _number(text: str) -> int | float | None:
    """Return the number that plain digits stand for, None for other texts and where a digit would be lost."""
    if not _DECIMAL.fullmatch(text):
        return None
    whole, _, fraction = text.partition(".")
    if not fraction.strip("0"):
        return int(whole)
    digits = (whole + fraction).lstrip("-0")
    return float(text) if len(digits) <= _FLOAT_DIGITS else None


def _read_json(value: Any) -> Any:
    """Return the object or array that a string holds as JSON, None for any other value."""
    if not isinstance(value, str) or value.strip()[:1] not in ("{", "["):
        return None
    try:
        return parse(value)
    except InvalidAnswer:
        return None


def _is_wrapper(value: Any, name: str) -> bool:
    return isinstance(value, dict) and list(value) == [name]


_TYPES = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
_KINDS = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "object")


def _types(node: JsonObject) -> frozenset[str]:
    """Return the kinds of values that a plain node takes; every one where it names none."""
    types = frozenset(types_of(node)) or _TYPES
    return types | {"integer"} if "number" in types else types


def _declares(node: JsonObject, value: JsonObject) -> bool:
    """Whether an object has only members that a node names; a node that names none takes any."""
    members = node.get("properties")
    return not members or all(name in members for name in value)


def _item(container: Any, step: str | int) -> Any:
    if isinstance(container, dict):
        return container.get(step, _NOTHING)
    inside = isinstance(container, list) and isinstance(step, int) and step < len(container)
    return container[step] if inside else _NOTHING


def _alternatives(document: Document, node: JsonObject) -> Iterator[JsonObject]:
    """Yield the plain nodes that a node of the normal form stands for."""
    waiting, seen = [node], set[int]()
    while waiting:
        option = document.resolved(waiting.pop())
        if id(option) in seen:
            continue
        seen.add(id(option))
        if "anyOf" in option:
            waiting += reversed(option["anyOf"])
        elif option.get("not") != {}:
            yield option


def _child(node: JsonObject, step: str | int) -> JsonObject:
    """Return the node of a member or an element; the empty one, which says nothing, where the schema is silent."""
    if isinstance(step, int):
        parts = node.get("prefixItems", ())
        found: JsonObject = parts[step] if step < len(parts) else node.get("items", _ANYTHING)
    else:
        found = node.get("properties", {}).get(step, node.get("additionalProperties", _ANYTHING))
    return found


def _excluded(document: Document, option: JsonObject, value: Any) -> bool:
    """Whether a value cannot mean this alternative: it is of another type, or a fixed member says otherwise."""
    if _kind(value) not in _types(option):
        return True
    if not isinstance(value, dict):
        return False
    members = option.get("properties", {})
    fixed = ((held, document.resolved(members[name])) for name, held in value.items() if name in members)
    return any("enum" in node and held not in node["enum"] for held, node in fixed)
