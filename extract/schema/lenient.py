"""Local mends: an answer with the right content in a wrong form is fixed without another request.

A mend changes the form and never the content: nothing is guessed, filled in or completed, so a truncated answer stays
invalid. A mended answer must pass the whole validation; otherwise the original answer counts. In the order tried:

    fence          remove a code fence around the JSON
    surroundings   remove prose before and after the only JSON object of a text, or the only array in a fence
    comma          remove a comma after the last member or element
    not_a_number   replace NaN and infinities by null, which only a nullable schema accepts
    wrapped        put a bare root value into its `{"value": ...}`
    unwrapped      take a root object out of a `{"value": ...}` that the schema does not have
    stringified    parse an object or array that is a string of JSON
    number_text    "12.5" becomes 12.5, plain decimal digits only, where no string is allowed
    whole_number   5.0 becomes 5 where only an integer is allowed
    boolean_text   "true" becomes true where no string is allowed
    single_item    put a single item into a list where the schema has a list of such items

The last five are tried only at the places that fail validation, and only where the schema leaves one reading.
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

__all__ = ["MENDS", "Mender", "parsed_leniently"]

#: The name of every mend, in the order in which they are tried.
MENDS = (
    "fence", "surroundings", "comma", "not_a_number", "wrapped", "unwrapped", "stringified", "number_text",
    "whole_number", "boolean_text", "single_item",
)  # fmt: skip

#: One fault can hide another (a number inside a stringified object): how often validation locates the faults anew.
_MAX_ROUNDS = 4
#: Places that one round looks at; an answer with more faults is better requested again.
_MAX_PLACES = 10_000
#: 64-bit floats are exact for all decimals of up to 15 significant digits, and for all integers below 2**53.
_FLOAT_DIGITS = 15
_FLOAT_INTEGERS = 2**53

# All quantifiers are possessive, and an unclosed string matches the rest of the text: no backtracking, linear time.
_STRING = r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'
_BRACKETS = re.compile(_STRING + r"|[\[\]{}]", re.DOTALL)
_TEXT_FAULTS = re.compile(_STRING + r"|[\[{][ \t\r\n]*+,|,(?=[ \t\r\n]*+[\]}])|-?(?:NaN|Infinity)", re.DOTALL)
_OPENED_FENCE = re.compile(r"```[\w+-]*[ \t\r\n]*\Z")
_INFO = re.compile(r"[\w+-]*+\s")
_KEY = re.compile(r'"\s*+:')
_LETTER = re.compile(r"[^\W\d_]")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?")
_SEPARATOR = re.compile(r"[,;|\r\n]")
_ABSENT = object()
_ANYTHING: JsonObject = {}

_Mended: TypeAlias = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Mender:
    """Mends the answers for one schema.

    `read` is the whole validation, from text to value; `places` yields the places at which a JSON value fails it.
    `document` is the schema's normal form, `wrapper` the key of a wrapped root, and `wrapped` says whether this
    schema's root is.
    """

    document: Document
    read: Callable[[str], Any]
    places: Callable[[Any], Iterable[Place]]
    wrapper: str
    wrapped: bool

    def mend(self, text: str) -> tuple[Any, tuple[str, ...]] | None:
        """Return the value of an invalid text and the mends that made it valid, in order; None where none can."""
        try:
            answer, names = _parsed(text)
            answer = self._with_root_wrapper_fixed(answer, names)
            return self._mended_until_valid(answer, names)
        except (InvalidAnswer, RecursionError, ValueError):  # a mended value can also be too deep or large for JSON
            return None

    def _with_root_wrapper_fixed(self, answer: Any, names: set[str]) -> Any:
        """Return an answer with the wrapper if the schema has one, and without it if not."""
        if not self.wrapped:
            root = [self.document.root]
            if not _is_wrapper(answer, self.wrapper) or self._declares_all(root, answer):
                return answer
            if self._declares_all(root, answer[self.wrapper]):
                names.add("unwrapped")
                return answer[self.wrapper]
            return answer
        inner = _read_json(answer)
        if _is_wrapper(inner, self.wrapper):
            names.add("stringified")
            return inner
        if isinstance(answer, dict) and self.wrapper in answer:  # may be the wrapper or not: nothing is guessed
            return answer
        bare = _child(self.document.resolved(self.document.root), self.wrapper)
        arrays = [option for option in _alternatives(self.document, bare) if "array" in _types(option)]
        if not self._declares_all([bare, *(_child(array, 0) for array in arrays)], answer):
            return answer
        names.add("wrapped")
        return {self.wrapper: answer}

    def _declares_all(self, nodes: Iterable[JsonObject], value: Any) -> bool:
        """Whether a value may be moved to a node: for an object, only where a node declares all its members.

        Without this check, an unrelated object would pass where all members are optional and others are ignored.
        """
        if not isinstance(value, dict):
            return True
        options = (option for node in nodes for option in _alternatives(self.document, node))
        return any(_kind(value) in _types(option) and _declares(option, value) for option in options)

    def _mended_until_valid(self, answer: Any, names: set[str]) -> tuple[Any, tuple[str, ...]] | None:
        for _ in range(_MAX_ROUNDS):
            try:
                return self.read(json_text(answer)), tuple(name for name in MENDS if name in names)
            except InvalidAnswer:
                container = [answer]  # the root, too, can be replaced
                places = dict.fromkeys(islice(self.places(answer), _MAX_PLACES))  # all, before the first is mended
                applied = [name for place in places if (name := self._mend_place(container, place))]
                if not applied:
                    return None
                names.update(applied)
                answer = container[0]
        return None

    def _mend_place(self, container: list[Any], place: Place) -> str | None:
        """Mend the value at one place, in its container; return the mend's name, None without a change."""
        nodes = [self.document.root]
        parent: Any = container
        last: str | int = 0
        for step in place:
            value = _item(parent, last)
            # Each node once: in a recursive schema the number of ways to a node doubles with every step.
            nodes = list({id(child): child for node in nodes for child in self._children(node, value, step)}.values())
            parent, last = value, step
        value = _item(parent, last)
        if value is _ABSENT:
            return None
        mended = self._mended(value, nodes, in_list=bool(place) and isinstance(last, int))
        if mended is None:
            return None
        name, parent[last] = mended
        return name

    def _children(self, node: JsonObject, value: Any, step: str | int) -> Iterator[JsonObject]:
        """Yield the nodes that apply one step into a value, for every alternative that the value does not exclude."""
        options = list(_alternatives(self.document, node))
        for option in [option for option in options if not _excluded(self.document, option, value)] or options:
            yield _child(option, step)

    def _mended(self, value: Any, nodes: list[JsonObject], *, in_list: bool) -> _Mended | None:
        options = [option for node in nodes for option in _alternatives(self.document, node)]
        expected = {name for option in options for name in _types(option)}
        kind = _kind(value)
        if not expected or kind == "null" or kind in expected:
            return None
        if kind == "string" and (mended := _from_text(value, expected)):
            return mended
        if kind == "number" and "integer" in expected and abs(value) < _FLOAT_INTEGERS and value == int(value):
            return "whole_number", int(value)
        if expected <= {"array", "null"} and not in_list and self._is_item(value, options):
            return "single_item", [value]
        return None

    def _is_item(self, value: Any, arrays: list[JsonObject]) -> bool:
        items = [option for node in arrays for option in _alternatives(self.document, _child(node, 0))]
        fits = any(_kind(value) in _types(item) for item in items)
        return fits and not _may_mean_several(value) and self._declares_all(items, value)


def parsed_leniently(text: str) -> Any:
    """Return the JSON value of a text, without the fence or prose around it. InvalidAnswer where there is none."""
    return _parsed(text)[0]


def _parsed(text: str) -> tuple[Any, set[str]]:
    """Return the JSON value of a text, and the mends of the text that parsing needed."""
    names: set[str] = set()
    for step in (_without_fence, _without_surroundings, _without_text_faults):
        try:
            return parse(text), names
        except InvalidAnswer:
            text, applied = step(text)
            names |= applied
    return parse(text), names


def _without_fence(text: str) -> tuple[str, set[str]]:
    """Return the content of a code fence around the whole text."""
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
    elif text[span[0]] == "[" or span[1] - span[0] == 2:  # "[1]" and "{}" occur in prose, too
        return text, set()
    if not (_is_prose(before) and _is_prose(after)):
        return text, set()
    if before or after:
        names.add("surroundings")
    return text[slice(*span)], names


def _outer_brackets(text: str) -> tuple[int, int] | None:
    """Return the span of the first object or array, None where it has no end."""
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
    """Whether a text beside a JSON value is prose, and not a part of that value or of another one."""
    if not text:
        return True
    if any(bracket in text for bracket in "{}[]") or _KEY.search(text) or not _LETTER.search(text):
        return False
    try:
        parse(text)
    except InvalidAnswer:
        return True
    return False


def _without_text_faults(text: str) -> tuple[str, set[str]]:
    """Return a text without trailing commas and with null for NaN and infinities; strings are left alone."""
    names: set[str] = set()

    def rewrite(token: re.Match[str]) -> str:
        matched = token[0]
        if matched == ",":
            names.add("comma")
            return ""
        if matched[0] in '"[{':
            return matched
        names.add("not_a_number")
        return "null"

    return _TEXT_FAULTS.sub(rewrite, text), names


def _from_text(text: str, expected: set[str]) -> _Mended | None:
    """Return the value that a string writes out, of the one type that the schema expects there."""
    if expected & {"object", "array"}:
        inner = _read_json(text)
        return ("stringified", inner) if inner is not None and _kind(inner) in expected else None
    if expected <= {"integer", "number", "null"}:
        number = _number(text)
        return ("number_text", number) if _kind(number) in expected - {"null"} else None
    if expected <= {"boolean", "null"} and text in ("true", "false"):
        return "boolean_text", text == "true"
    return None


def _may_mean_several(value: Any) -> bool:
    """Whether a value may mean no item or several: an empty value, a list in words, a truncated list."""
    if not isinstance(value, str):
        return isinstance(value, dict) and not value
    return not value.strip() or value.strip()[0] in "[{" or bool(_SEPARATOR.search(value))


def _number(text: str) -> int | float | None:
    """Return the number that plain digits write, None for other texts and where a digit would be lost."""
    if not _DECIMAL.fullmatch(text):
        return None
    whole, _, fraction = text.partition(".")
    if not fraction.strip("0"):
        return int(whole)
    digits = (whole + fraction).lstrip("-0")
    return float(text) if len(digits) <= _FLOAT_DIGITS else None


def _read_json(value: Any) -> Any:
    """Return the object or array in a string of JSON, None for any other value."""
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
    """Return the types that a plain node accepts; all of them where it has no `type`."""
    types = frozenset(types_of(node)) or _TYPES
    return types | {"integer"} if "number" in types else types


def _declares(node: JsonObject, value: JsonObject) -> bool:
    """Whether a node declares all members of an object; a node that declares none accepts any."""
    members = node.get("properties")
    return not members or all(name in members for name in value)


def _item(container: Any, step: str | int) -> Any:
    if isinstance(container, dict):
        return container.get(step, _ABSENT)
    inside = isinstance(container, list) and isinstance(step, int) and step < len(container)
    return container[step] if inside else _ABSENT


def _alternatives(document: Document, node: JsonObject) -> Iterator[JsonObject]:
    """Yield the plain nodes behind a node of the normal form: references followed, alternatives one by one."""
    pending, seen = [node], set[int]()
    while pending:
        option = document.resolved(pending.pop())
        if id(option) in seen:
            continue
        seen.add(id(option))
        if "anyOf" in option:
            pending += reversed(option["anyOf"])
        elif option.get("not") != {}:
            yield option


def _child(node: JsonObject, step: str | int) -> JsonObject:
    """Return the node of a member or element; the empty node, which accepts anything, if the schema has none."""
    if isinstance(step, int):
        parts = node.get("prefixItems", ())
        child: JsonObject = parts[step] if step < len(parts) else node.get("items", _ANYTHING)
    else:
        child = node.get("properties", {}).get(step, node.get("additionalProperties", _ANYTHING))
    return child


def _excluded(document: Document, option: JsonObject, value: Any) -> bool:
    """Whether a value cannot be of this alternative: its type or a member with fixed values differs."""
    if _kind(value) not in _types(option):
        return True
    if not isinstance(value, dict):
        return False
    members = option.get("properties", {})
    fixed = ((item, document.resolved(members[name])) for name, item in value.items() if name in members)
    return any("enum" in node and item not in node["enum"] for item, node in fixed)
