"""A flat document -> its normal form, in which every node is of one of three kinds.

    {"$ref"}                          a reference, with nothing beside it
    {"anyOf", description, ...}       alternatives, with no constraint beside them
    {"type", ...}                     a plain node

`allOf` and the siblings of `$ref` and `anyOf` are merged in; `oneOf` becomes `anyOf`; `patternProperties` moves into
`additionalProperties`. Invariant: the normal form accepts every instance that the document accepts. It may accept more:
a constraint that could not be carried over is recorded under the key `LOST` of its node.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from extract.errors import SchemaError
from extract.json_types import JsonObject
from extract.schema.disjoint import disjoint, member_node
from extract.schema.keywords import LOST, MARK, map_subschemas, nodes, types_of
from extract.schema.normalise import Document

__all__ = ["simplify"]

#: Accepts nothing.
_NEVER: JsonObject = {"not": {}}
#: A target of up to this many nodes is copied so that a reference can have a description; a larger one stands alone in
#: an `anyOf` beside the description.
_MAX_INLINED_NODES = 40
_ANNOTATIONS = frozenset({"title", "description", "discriminator"})
_SHAPE_KEYWORDS = frozenset({"$ref", "additionalProperties", "anyOf", "enum", "items", "prefixItems", "properties"})
_MERGED_CHILDREN = frozenset({"properties", "items", "prefixItems", "additionalProperties", "anyOf", "oneOf", "allOf"})


def simplify(document: Document) -> Document:
    """Return the normal form of `document`.

    Raises SchemaError where references form a cycle without a step into the value: no instance could be checked.
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
        self._in_progress: list[str] = []

    def document(self) -> Document:
        root = self.node(self._source.root)
        for name in self._source.definitions:
            self._definition(name)
        return Document(root, {name: self._definitions[name] for name in self._source.definitions})

    def node(self, node: JsonObject) -> JsonObject:
        """Return the normal form of one node."""
        patterns = node.get("patternProperties", {})
        rest = {key: value for key, value in node.items() if key != "patternProperties"}
        node = map_subschemas(rest, lambda item, keyword, _: self.node(item) if keyword in _MERGED_CHILDREN else item)
        if patterns:
            node = _close_patterns(node, patterns, [self.node(value) for value in patterns.values()])
        return self._with_target(node) if "$ref" in node else self._combined(node)

    def _definition(self, name: str) -> JsonObject | None:
        """Return the normal form of a definition, None while it is in progress."""
        if name in self._definitions:
            return self._definitions[name]
        if name in self._in_progress:
            return None
        # Depth first, with a mark for what is in progress: a definition may reach itself through its members.
        self._in_progress.append(name)
        simplified = self.node(self._source.definitions[name])
        self._in_progress.pop()
        self._definitions[name] = simplified
        return simplified

    def _with_target(self, node: JsonObject) -> JsonObject:
        """Return a reference as it is, or its target merged with the siblings of the reference."""
        reference = {"$ref": node["$ref"]}
        rest = {key: value for key, value in node.items() if key not in ("$ref", "title")}
        target = self._definition(str(self._source.target(node)))
        if not rest:
            return reference
        if target is None:  # inside its own definition: merging the siblings in would never end
            dropped = [(key, value) for key, value in rest.items() if key not in _ANNOTATIONS | {LOST, MARK}]
            return _with_losses(reference, dropped + rest.get(LOST, []))
        if rest.keys() <= _ANNOTATIONS and _is_large(target):
            return {**rest, "anyOf": [reference]}
        return self.merged(self._combined(rest), target)

    def _combined(self, node: JsonObject) -> JsonObject:
        """Return `node` with its `allOf`, `anyOf` and `oneOf` merged in."""
        base = {key: value for key, value in node.items() if key not in ("allOf", "anyOf", "oneOf")}
        for branch in node.get("allOf", ()):
            base = self.merged(base, branch)
        alternatives = [(key, list(node[key])) for key in ("anyOf", "oneOf") if key in node]
        for keyword, branches in alternatives:
            base = self._with_alternatives(base, keyword, branches)
        return _without_impossible(base)

    def _with_alternatives(self, base: JsonObject, keyword: str, branches: list[JsonObject]) -> JsonObject:
        # An alternative that accepts nothing can be dropped; if none is left, the whole node accepts nothing.
        branches = [branch for branch in _flattened(branches) if not _is_never(branch)]
        if not branches:
            return dict(_NEVER)
        # Two unions would multiply (2 x 2 alternatives, then 4 x 2, ...), and branches that only add constraints, such
        # as `required`, describe no alternatives: both are lost here and left to the local validation.
        if "anyOf" in base or not all(_describes(branch, base) for branch in branches):
            return _with_losses(base, [(keyword, branches)])
        # A oneOf whose branches are disjoint means the same as anyOf; otherwise its exclusiveness is lost.
        exclusive = keyword == "oneOf" and not disjoint(branches, self._resolved)
        annotations = {key: value for key, value in base.items() if key in _ANNOTATIONS | {LOST, MARK}}
        constraints = {key: value for key, value in base.items() if key not in annotations}
        if constraints:
            branches = [branch for branch in (self.merged(constraints, b) for b in branches) if not _is_never(branch)]
            if not branches:
                return dict(_NEVER)
        union = _as_union(_unique(branches), annotations)
        return _with_losses(union, [("oneOf", branches)]) if exclusive else union

    def _resolved(self, node: JsonObject) -> JsonObject | None:
        target = self._source.target(node)
        return node if target is None else self._definition(target)

    def merged(self, first: JsonObject, second: JsonObject) -> JsonObject:
        """Return a node that accepts every instance that both accept; annotations of `first` win."""
        if not first or not second:
            return dict(first or second)
        if "$ref" in first or "$ref" in second:
            return self._merged_references(first, second)
        if "anyOf" in second and "anyOf" not in first:
            return self._distributed(second, first, first_wins=False)
        if "anyOf" in first:
            extra = {key: value for key, value in second.items() if key != "anyOf"}
            lost = [("anyOf", second["anyOf"])] if "anyOf" in second else []
            return _with_losses(self._distributed(first, extra, first_wins=True), lost)
        return self._merged_plain(first, second)

    def _merged_references(self, first: JsonObject, second: JsonObject) -> JsonObject:
        if first == second:
            return dict(first)
        known, other = self._resolved(first), self._resolved(second)
        # A target in progress cannot be merged yet: one side is kept as a reference, the other one's constraints lost.
        if known is None:
            return _with_losses(first, _constraints(second))
        if other is None:
            return _with_losses(known, _constraints(second)) if _constraints(known) else _with_losses(second, [])
        return self.merged(known, other)

    def _distributed(self, union: JsonObject, extra: JsonObject, *, first_wins: bool) -> JsonObject:
        """Return `union` with `extra` merged into each alternative: (A or B) and C is (A and C) or (B and C)."""
        annotations = {key: value for key, value in union.items() if key != "anyOf"}
        outer = {key: value for key, value in extra.items() if key in _ANNOTATIONS | {LOST, MARK}}
        lost = [*annotations.get(LOST, []), *outer.get(LOST, [])]
        annotations = ({**outer, **annotations} if first_wins else {**annotations, **outer}) | (
            {LOST: lost} if lost else {}
        )
        inner = {key: value for key, value in extra.items() if key not in outer}
        branches = [self.merged(branch, inner) for branch in union["anyOf"]] if inner else union["anyOf"]
        branches = [branch for branch in branches if not _is_never(branch)]
        return _as_union(_unique(branches), annotations) if branches else dict(_NEVER)

    def _merged_plain(self, first: JsonObject, second: JsonObject) -> JsonObject:
        lost = [*first.get(LOST, []), *second.get(LOST, [])]
        if "if" in first and "if" in second:  # the `then` of one must not be combined with the `if` of the other
            lost += [(key, second[key]) for key in _CONDITION if key in second]
            second = {key: value for key, value in second.items() if key not in _CONDITION}
        # Keywords that only one side has are simply united; for those of both, _JOINS has the rule, if there is one.
        merged = {**second, **first}
        for key in first.keys() & second.keys() - {LOST}:
            if first[key] != second[key] and key not in _ANNOTATIONS | {MARK} | _SUBSCHEMA_KEYWORDS:
                if (join := _JOINS.get(key)) is None:
                    lost.append((key, second[key]))
                else:
                    merged[key] = join(first[key], second[key])
        if merged.get("type") == [] or merged.get("enum") == []:
            return dict(_NEVER)
        self._merge_shapes(merged, first, second)
        merged.pop(LOST, None)
        return _with_losses(merged, sorted(lost, key=lambda pair: pair[0]))

    def _merged_members(self, first: JsonObject, second: JsonObject) -> JsonObject:
        one, two = first.get("properties", {}), second.get("properties", {})
        if "additionalProperties" in first or "additionalProperties" in second:
            names = dict.fromkeys([*one, *two])
            return {name: self.merged(member_node(first, name), member_node(second, name)) for name in names}
        return {**one, **two, **{name: self.merged(one[name], two[name]) for name in one.keys() & two.keys()}}

    def _merge_shapes(self, merged: JsonObject, first: JsonObject, second: JsonObject) -> None:
        """Merge the keywords that hold subschemas: members of an object, elements of an array."""
        if "properties" in merged or "additionalProperties" in merged:
            both = self._merged_members(first, second)
            if both or "properties" in merged:
                merged["properties"] = _possible(both, merged.get("required", ()))
            rest = [node["additionalProperties"] for node in (first, second) if "additionalProperties" in node]
            if rest:
                merged["additionalProperties"] = rest[0] if len(rest) == 1 else self.merged(*rest)
        if "items" in first and "items" in second:
            merged["items"] = self.merged(first["items"], second["items"])
        elif "prefixItems" in merged and not ("prefixItems" in first and "items" in first):
            merged.pop("items", None)  # without prefixItems it applied to other positions
        if "prefixItems" in first and "prefixItems" in second:
            pairs = zip(first["prefixItems"], second["prefixItems"], strict=False)
            merged["prefixItems"] = [self.merged(a, b) for a, b in pairs]
            merged.pop("items", None)


def _check_circles(document: Document) -> None:
    steps = {name: list(_in_place(document, node)) for name, node in document.definitions.items()}
    simplified: set[str] = set()

    def follow(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            circle = " -> ".join((*trail[trail.index(name) :], name))
            raise SchemaError(f"$ref goes in a circle without a step into the value: {circle}")
        if name not in simplified:
            for step in steps[name]:
                follow(step, (*trail, name))
            simplified.add(name)

    for name in steps:
        follow(name, ())


def _in_place(document: Document, node: JsonObject) -> Iterator[str]:
    """Yield the definitions that apply to the same value as `node`."""
    if (name := document.target(node)) is not None:
        yield name
    branches = [branch for keyword in ("allOf", "anyOf", "oneOf") for branch in node.get(keyword, ())]
    branches += [node[keyword] for keyword in ("not", "if", "then", "else") if keyword in node]
    for branch in (*branches, *node.get("dependentSchemas", {}).values()):
        yield from _in_place(document, branch)


def _is_large(node: JsonObject) -> bool:
    return next(islice(nodes(node), _MAX_INLINED_NODES, None), None) is not None


def _describes(branch: JsonObject, base: JsonObject) -> bool:
    """Whether a branch describes a shape of its own, rather than only adding constraints to the base."""
    return not branch or bool(branch.keys() & _SHAPE_KEYWORDS) or ("type" in branch and "type" not in base)


def _is_never(node: JsonObject) -> bool:
    return node.get("not") == {}


def _possible(members: JsonObject, required: Sequence[str]) -> JsonObject:
    """Return the members that can occur; an impossible one that is required stays, as then no object fits."""
    return {name: node for name, node in members.items() if not _is_never(node) or name in required}


def _constraints(node: JsonObject) -> list[tuple[str, Any]]:
    return [
        *((key, value) for key, value in node.items() if key not in _ANNOTATIONS | {LOST, MARK}),
        *node.get(LOST, []),
    ]


def _with_losses(node: JsonObject, lost: Sequence[tuple[str, Any]]) -> JsonObject:
    """Return `node` with `lost` added to its lost constraints."""
    return {**node, LOST: [*node.get(LOST, []), *lost]} if lost else dict(node)


def _unique(nodes: list[JsonObject]) -> list[JsonObject]:
    return list({repr(node): node for node in nodes}.values())  # by repr, as `==` makes no difference of 1 and True


def _flattened(branches: list[JsonObject]) -> list[JsonObject]:
    """Return the alternatives with nested unions flattened, where nothing stands beside their `anyOf`."""
    nested = [
        branch["anyOf"] if "anyOf" in branch and branch.keys() <= {"anyOf", "title", "discriminator"} else [branch]
        for branch in branches
    ]
    return [inner for inners in nested for inner in inners]


def _as_union(branches: list[JsonObject], annotations: JsonObject) -> JsonObject:
    """Return alternatives as one node: X or null becomes a nullable X, a single one stands for itself."""
    if any(not branch.keys() - _ANNOTATIONS for branch in branches):
        return dict(annotations)  # one of them accepts anything
    # {"type": ["string", "null"]} is shorter than an anyOf, cheaper for the service, and one column either way.
    null = [branch for branch in branches if branch.get("type") == "null" and branch.keys() <= {"type", *_ANNOTATIONS}]
    others = [branch for branch in branches if branch not in null]
    if len(branches) == 1 or (len(others) == 1 and "type" in others[0]):
        single = branches[0] if len(branches) == 1 else _nullable(others[0])
        if "$ref" not in single:
            lost = [*annotations.get(LOST, []), *single.get(LOST, [])]
            return {**single, **annotations, **({LOST: lost} if lost else {})}
        if not annotations.keys() - {"title"}:
            return dict(single)
    return {**annotations, "anyOf": branches}


def _nullable(node: JsonObject) -> JsonObject:
    node = {**node, "type": [*dict.fromkeys((*types_of(node), "null"))]}
    if "enum" in node and None not in node["enum"]:
        node["enum"] = [*node["enum"], None]
    return node


def _close_patterns(node: JsonObject, patterns: JsonObject, values: list[JsonObject]) -> JsonObject:
    """Return `node` with the schemas of its `patternProperties` moved into `additionalProperties`."""
    rest = node.get("additionalProperties", {})
    options = _unique([*values, *([] if _is_never(rest) else [rest])])
    node["additionalProperties"] = {} if {} in options else _as_union(_flattened(options), {})
    return _with_losses(node, [("patternProperties", patterns)])


def _without_impossible(node: JsonObject) -> JsonObject:
    """Return `node` without members and elements that can never occur, and with a single type as a string."""
    if "properties" in node:
        node["properties"] = _possible(node["properties"], node.get("required", ()))
    if "items" in node and _is_never(node["items"]):
        del node["items"]
        node["maxItems"] = min(node.get("maxItems", math.inf), len(node.get("prefixItems", ())))
    if isinstance(node.get("type"), list) and len(node["type"]) == 1:
        node["type"] = node["type"][0]
    return node


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
_SUBSCHEMA_KEYWORDS = frozenset({"properties", "additionalProperties", "items", "prefixItems"})
_JOINS: dict[str, Callable[[Any, Any], Any]] = {
    "type": _join_types,
    "enum": _join_enums,
    "required": _join_required,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}
