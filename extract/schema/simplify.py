"""A flat document -> its normal form, in which every node is one of three things.

    {"$ref"}                          a definition, nothing beside it
    {"anyOf", description, ...}       alternatives, no constraint beside them
    {"type", ...}                     one plain node

`allOf`, the siblings of `$ref` and of `anyOf` are merged in; `oneOf` becomes `anyOf`; `patternProperties` moves into
`additionalProperties`. The normal form accepts every instance that the document accepts. What could not be kept is
noted under the key `LOST` of its node.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

from extract.errors import SchemaError
from extract.json_types import JsonObject
from extract.schema.keywords import LOST, MARK, map_subschemas, subschemas, types_of
from extract.schema.normalise import Document

__all__ = ["disjoint", "simplify"]

#: Never accepts anything.
_NEVER: JsonObject = {"not": {}}
#: How many nodes are copied so that a reference can carry a description; above that it stands alone in an `anyOf`.
_HEAVIEST = 40
_NOTES = frozenset({"title", "description", "discriminator"})
_DESCRIBING = frozenset({"$ref", "additionalProperties", "anyOf", "enum", "items", "prefixItems", "properties"})
_MERGED_CHILDREN = frozenset({"properties", "items", "prefixItems", "additionalProperties", "anyOf", "oneOf", "allOf"})


def simplify(document: Document) -> Document:
    """Return the normal form of `document`.

    Raises SchemaError where references lead in a circle without a step into the value: nothing could check that.
    """
    try:
        _check_circles(document)
        return _Simplifier(document).document()
    except RecursionError:
        raise SchemaError("nested too deeply to be read") from None


class _Simplifier:
    def __init__(self, source: Document) -> None:
        self._source = source
        self._definitions: dict[str, JsonObject] = {}
        self._open: list[str] = []

    def document(self) -> Document:
        root = self.node(self._source.root)
        for name in self._source.definitions:
            self._definition(name)
        return Document(root, {name: self._definitions[name] for name in self._source.definitions})

    def node(self, node: JsonObject) -> JsonObject:
        """Return the normal form of one node."""
        patterns = node.get("patternProperties", {})
        kept = {key: value for key, value in node.items() if key != "patternProperties"}
        node = map_subschemas(kept, lambda item, keyword, _: self.node(item) if keyword in _MERGED_CHILDREN else item)
        if patterns:
            node = _close_patterns(node, patterns, [self.node(value) for value in patterns.values()])
        return self._with_target(node) if "$ref" in node else self._combined(node)

    def _definition(self, name: str) -> JsonObject | None:
        """Return the normal form of a definition, None while that is still being worked out."""
        if name in self._definitions:
            return self._definitions[name]
        if name in self._open:
            return None
        self._open.append(name)
        done = self.node(self._source.definitions[name])
        self._open.pop()
        self._definitions[name] = done
        return done

    def _with_target(self, node: JsonObject) -> JsonObject:
        """Return a reference as it is, or merged with what stands beside it."""
        reference = {"$ref": node["$ref"]}
        rest = {key: value for key, value in node.items() if key not in ("$ref", "title")}
        target = self._definition(str(self._source.target(node)))
        if not rest:
            return reference
        if target is None:  # inside its own definition: the siblings cannot be inlined without end
            dropped = [(key, value) for key, value in rest.items() if key not in _NOTES | {LOST, MARK}]
            return _noting(reference, dropped + rest.get(LOST, []))
        if rest.keys() <= _NOTES and _weight(target) > _HEAVIEST:
            return {**rest, "anyOf": [reference]}
        return self.merged(self._combined(rest), target)

    def _combined(self, node: JsonObject) -> JsonObject:
        """Return `node` with its `allOf`, `anyOf` and `oneOf` worked in."""
        base = {key: value for key, value in node.items() if key not in ("allOf", "anyOf", "oneOf")}
        for branch in node.get("allOf", ()):
            base = self.merged(base, branch)
        alternatives = [(key, list(node[key])) for key in ("anyOf", "oneOf") if key in node]
        for keyword, branches in alternatives:
            base = self._with_alternatives(base, keyword, branches)
        return _tidy(base)

    def _with_alternatives(self, base: JsonObject, keyword: str, branches: list[JsonObject]) -> JsonObject:
        branches = [branch for branch in _spliced(branches) if not _is_never(branch)]
        if not branches:
            return dict(_NEVER)
        if "anyOf" in base or not all(_describes(branch, base) for branch in branches):
            return _noting(base, [(keyword, branches)])
        exclusive = keyword == "oneOf" and not disjoint(branches, self._resolved)
        notes = {key: value for key, value in base.items() if key in _NOTES | {LOST, MARK}}
        constraints = {key: value for key, value in base.items() if key not in notes}
        if constraints:
            branches = [branch for branch in (self.merged(constraints, b) for b in branches) if not _is_never(branch)]
            if not branches:
                return dict(_NEVER)
        union = _folded(_unique(branches), notes)
        return _noting(union, [("oneOf", branches)]) if exclusive else union

    def _resolved(self, node: JsonObject) -> JsonObject | None:
        target = self._source.target(node)
        return node if target is None else self._definition(target)

    def merged(self, first: JsonObject, second: JsonObject) -> JsonObject:
        """Return a node that accepts every instance both accept; notes of `first` win."""
        if not first or not second:
            return dict(first or second)
        if "$ref" in first or "$ref" in second:
            return self._merged_references(first, second)
        if "anyOf" in second and "anyOf" not in first:
            return self._spread(second, first, first_wins=False)
        if "anyOf" in first:
            extra = {key: value for key, value in second.items() if key != "anyOf"}
            lost = [("anyOf", second["anyOf"])] if "anyOf" in second else []
            return _noting(self._spread(first, extra, first_wins=True), lost)
        return self._merged_plain(first, second)

    def _merged_references(self, first: JsonObject, second: JsonObject) -> JsonObject:
        if first == second:
            return dict(first)
        known, other = self._resolved(first), self._resolved(second)
        if known is None:
            return _noting(first, _constraints(second))
        if other is None:
            return _noting(known, _constraints(second)) if _constraints(known) else _noting(second, [])
        return self.merged(known, other)

    def _spread(self, union: JsonObject, extra: JsonObject, *, first_wins: bool) -> JsonObject:
        """Return `union` with `extra` merged into each of its alternatives."""
        notes = {key: value for key, value in union.items() if key != "anyOf"}
        outer = {key: value for key, value in extra.items() if key in _NOTES | {LOST, MARK}}
        lost = [*notes.get(LOST, []), *outer.get(LOST, [])]
        notes = ({**outer, **notes} if first_wins else {**notes, **outer}) | ({LOST: lost} if lost else {})
        inner = {key: value for key, value in extra.items() if key not in outer}
        branches = [self.merged(branch, inner) for branch in union["anyOf"]] if inner else union["anyOf"]
        branches = [branch for branch in branches if not _is_never(branch)]
        return _folded(_unique(branches), notes) if branches else dict(_NEVER)

    def _merged_plain(self, first: JsonObject, second: JsonObject) -> JsonObject:
        lost = [*first.get(LOST, []), *second.get(LOST, [])]
        if "if" in first and "if" in second:  # one condition's `then` must not meet the other's `if`
            lost += [(key, second[key]) for key in _CONDITION if key in second]
            second = {key: value for key, value in second.items() if key not in _CONDITION}
        merged = {**second, **first}
        for key in first.keys() & second.keys() - {LOST}:
            if first[key] != second[key] and key not in _NOTES | {MARK} | _SHAPES:
                if (join := _JOINS.get(key)) is None:
                    lost.append((key, second[key]))
                else:
                    merged[key] = join(first[key], second[key])
        if merged.get("type") == [] or merged.get("enum") == []:
            return dict(_NEVER)
        self._merge_shapes(merged, first, second)
        merged.pop(LOST, None)
        return _noting(merged, sorted(lost, key=lambda pair: pair[0]))

    def _merge_shapes(self, merged: JsonObject, first: JsonObject, second: JsonObject) -> None:
        """Merge what holds schemas: members of an object, elements of an array."""
        if "properties" in merged or "additionalProperties" in merged:
            names = [*first.get("properties", {}), *second.get("properties", {})]
            both = {name: self.merged(_member(first, name), _member(second, name)) for name in dict.fromkeys(names)}
            if both or "properties" in merged:
                merged["properties"] = _possible(both, merged.get("required", ()))
            rest = [node["additionalProperties"] for node in (first, second) if "additionalProperties" in node]
            if rest:
                merged["additionalProperties"] = rest[0] if len(rest) == 1 else self.merged(*rest)
        if "items" in first and "items" in second:
            merged["items"] = self.merged(first["items"], second["items"])
        elif "prefixItems" in merged and not ("prefixItems" in first and "items" in first):
            merged.pop("items", None)  # it spoke of other positions
        if "prefixItems" in first and "prefixItems" in second:
            pairs = zip(first["prefixItems"], second["prefixItems"], strict=False)
            merged["prefixItems"] = [self.merged(a, b) for a, b in pairs]
            merged.pop("items", None)


def _check_circles(document: Document) -> None:
    steps = {name: list(_in_place(document, node)) for name, node in document.definitions.items()}
    done: set[str] = set()

    def follow(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            circle = " -> ".join((*trail[trail.index(name) :], name))
            raise SchemaError(f"$ref goes in a circle without a step into the value: {circle}")
        if name not in done:
            for step in steps[name]:
                follow(step, (*trail, name))
            done.add(name)

    for name in steps:
        follow(name, ())


def _in_place(document: Document, node: JsonObject) -> Iterator[str]:
    """Yield the definitions that speak about the same value as `node`."""
    if (name := document.target(node)) is not None:
        yield name
    branches = [branch for keyword in ("allOf", "anyOf", "oneOf") for branch in node.get(keyword, ())]
    branches += [node[keyword] for keyword in ("not", "if", "then", "else") if keyword in node]
    for branch in (*branches, *node.get("dependentSchemas", {}).values()):
        yield from _in_place(document, branch)


def _weight(node: JsonObject) -> int:
    return 1 + sum(map(_weight, (inner for inner in subschemas(node) if isinstance(inner, dict))))


def _describes(branch: JsonObject, base: JsonObject) -> bool:
    """Whether a branch says what a value looks like, and not merely what it must (not) hold."""
    return not branch or bool(branch.keys() & _DESCRIBING) or ("type" in branch and "type" not in base)


def _is_never(node: JsonObject) -> bool:
    return node.get("not") == {}


def _member(node: JsonObject, name: str) -> JsonObject:
    """Return what `node` says of the member `name`, declared or not."""
    found = node.get("properties", {}).get(name)
    member: JsonObject = node.get("additionalProperties", {}) if found is None else found
    return member


def _possible(members: JsonObject, required: Sequence[str]) -> JsonObject:
    """Return the members that can occur; a required one stays, for it tells that nothing fits."""
    return {name: node for name, node in members.items() if name in required or not _is_never(node)}


def _constraints(node: JsonObject) -> list[tuple[str, Any]]:
    return [*((key, value) for key, value in node.items() if key not in _NOTES | {LOST, MARK}), *node.get(LOST, [])]


def _noting(node: JsonObject, lost: Sequence[tuple[str, Any]]) -> JsonObject:
    """Return `node` with `lost` added to what it could not keep."""
    return {**node, LOST: [*node.get(LOST, []), *lost]} if lost else dict(node)


def _unique(nodes: list[JsonObject]) -> list[JsonObject]:
    return list({repr(node): node for node in nodes}.values())  # not `==`, for which 1 and True are one


def _spliced(branches: list[JsonObject]) -> list[JsonObject]:
    """Return the alternatives with nested pure alternatives taken apart."""
    nested = [
        branch["anyOf"] if "anyOf" in branch and branch.keys() <= {"anyOf", "title", "discriminator"} else [branch]
        for branch in branches
    ]
    return [inner for inners in nested for inner in inners]


def _folded(branches: list[JsonObject], notes: JsonObject) -> JsonObject:
    """Return alternatives as one node: X or null as a nullable X, a single one as itself."""
    if any(not branch.keys() - _NOTES for branch in branches):
        return dict(notes)  # one of them accepts anything
    null = [branch for branch in branches if branch.get("type") == "null" and branch.keys() <= {"type", *_NOTES}]
    others = [branch for branch in branches if branch not in null]
    if len(branches) == 1 or (len(others) == 1 and "type" in others[0]):
        single = branches[0] if len(branches) == 1 else _nullable(others[0])
        if "$ref" not in single:
            lost = [*notes.get(LOST, []), *single.get(LOST, [])]
            return {**single, **notes, **({LOST: lost} if lost else {})}
        if not notes.keys() - {"title"}:
            return dict(single)
    return {**notes, "anyOf": branches}


def _nullable(node: JsonObject) -> JsonObject:
    node = {**node, "type": [*dict.fromkeys((*types_of(node), "null"))]}
    if "enum" in node and None not in node["enum"]:
        node["enum"] = [*node["enum"], None]
    return node


def _close_patterns(node: JsonObject, patterns: JsonObject, values: list[JsonObject]) -> JsonObject:
    """Return `node` in which `additionalProperties` speaks for the members that patterns spoke for."""
    rest = node.get("additionalProperties", {})
    options = _unique([*values, *([] if _is_never(rest) else [rest])])
    node["additionalProperties"] = {} if {} in options else _folded(_spliced(options), {})
    return _noting(node, [("patternProperties", patterns)])


def _tidy(node: JsonObject) -> JsonObject:
    """Return `node` without members, elements and types that can never occur."""
    if "properties" in node:
        node["properties"] = _possible(node["properties"], node.get("required", ()))
    if "items" in node and _is_never(node["items"]):
        del node["items"]
        node["maxItems"] = min(node.get("maxItems", math.inf), len(node.get("prefixItems", ())))
    if isinstance(node.get("type"), list) and len(node["type"]) == 1:
        node["type"] = node["type"][0]
    return node


def disjoint(branches: Sequence[JsonObject], resolve: Callable[[JsonObject], JsonObject | None]) -> bool:
    """Whether it is plain to see that no value fits two of the branches."""
    nodes = [resolve(branch) for branch in branches]
    return all(a is not None and b is not None and _apart(a, b) for a, b in combinations(nodes, 2))


def _apart(first: JsonObject, second: JsonObject) -> bool:
    types = [{"number" if name == "integer" else name for name in types_of(node)} for node in (first, second)]
    if all(types) and not types[0] & types[1]:
        return True
    if types[0] != {"object"} or types[1] != {"object"}:
        return "enum" in first and "enum" in second and not any(value in second["enum"] for value in first["enum"])
    needed = set(first.get("required", ())) & set(second.get("required", ()))
    pairs = ((_member(first, name).get("enum"), _member(second, name).get("enum")) for name in needed)
    return any(one and two and not any(value in two for value in one) for one, two in pairs)


def _join_types(first: Any, second: Any) -> Any:
    one, two = types_of({"type": first}), types_of({"type": second})
    both = [name for name in one if name in two or (name == "integer" and "number" in two)]
    both += [name for name in two if name == "integer" and "number" in one and name not in both]
    return both[0] if len(both) == 1 else both


def _join_enums(first: list[Any], second: list[Any]) -> list[Any]:
    return [value for value in first if value in second]


def _join_required(first: list[str], second: list[str]) -> list[str]:
    return list(dict.fromkeys([*first, *second]))


_CONDITION = ("if", "then", "else")
_SHAPES = frozenset({"properties", "additionalProperties", "items", "prefixItems"})
_JOINS: dict[str, Callable[[Any, Any], Any]] = {
    "type": _join_types,
    "enum": _join_enums,
    "required": _join_required,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}
