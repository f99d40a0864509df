"""Merges the answers of all windows of one text into one, with conflicts and the windows that each value is from.

Answers and schema are walked side by side from the root. Objects are merged by field, lists are joined (`lists`), and
of all other values one is chosen by the field's rule; values that differ from the chosen one make a `Conflict`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from extract.documents.windows.conflicts import Candidate, Conflict
from extract.documents.windows.cutting import Choice, Rule, Union, Window
from extract.documents.windows.equality import identity, is_empty
from extract.documents.windows.lists import Entry, WindowValue, join_lists
from extract.errors import ConfigError
from extract.json_types import JsonObject
from extract.schema import OutputSchema
from extract.schema.keywords import element, member, types_of

__all__ = ["Merged", "check_rules", "merge"]

_Kind: TypeAlias = Literal["object", "list", "value", "any"]

_STEP = re.compile(r'\.?([^.\[\]"]+)|\[\]|\[("(?:[^"\\]|\\.)*")\]')


@dataclass(frozen=True, slots=True)
class Merged:
    """The answers of all windows as one.

    `value` is JSON, still to be validated: joined lists may violate constraints such as `maxItems`. It is None where no
    window has an answer. `provenance` maps the path of each value and list item to the numbers of the windows that gave
    it; `rejected` are the windows without an answer.
    """

    value: Any
    conflicts: tuple[Conflict, ...] = ()
    provenance: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    rejected: tuple[int, ...] = ()


def merge(answers: Iterable[tuple[Window, Any]], rules: Mapping[str, Rule], schema: OutputSchema) -> Merged:
    """Return the answers of all windows of one text as one, whatever their order.

    An answer is plain JSON, keys as on the wire (in `{"value": ...}` where the schema is wrapped), and None for a
    window whose answer was rejected. Raises ConfigError for rules that do not fit the schema.
    """
    # By their ends, so that what a window adds to the earlier ones stands behind them in the text, whatever its pass.
    ordered = sorted(answers, key=lambda answer: (answer[0].end, answer[0].start, answer[0].number))
    rejected = tuple(sorted(window.number for window, value in ordered if value is None))
    values = [WindowValue(window, value) for window, value in ordered if value is not None]
    if not values:
        check_rules(rules, schema)
        return Merged(None, rejected=rejected)
    merger = _Merger(_checked(rules, schema), schema)
    value = merger.place("$", "$", schema.wire, values)
    return Merged(value, tuple(merger.conflicts), merger.provenance, rejected)


def check_rules(rules: Mapping[str, Rule], schema: OutputSchema) -> None:
    """Raise ConfigError for a rule that names no field, does not fit its type, or has no effect beside another rule."""
    _checked(rules, schema)


def _checked(rules: Mapping[str, Rule], schema: OutputSchema) -> dict[str, Rule]:
    """Return the rules by full JSON path."""
    checked = {_path(_steps(name)): rule for name, rule in rules.items()}
    if len(checked) < len(rules):
        raise ConfigError(f"merge: two of the names {', '.join(map(repr, rules))} mean the same field")
    for name, rule in rules.items():
        node, path = schema.wire, "$"
        for step in _steps(name):
            _check_parent(name, path, checked.get(path), step)
            node, path = _below(node, step, name, schema), _path([step], path)
        _check_rule(name, rule, _resolved(node, schema), schema)
    return checked


def _steps(name: str) -> list[str | None]:
    """Return the steps of a path: names, and None for every item of a list."""
    rest, steps = name[1:] if name.startswith(("$.", "$[")) else name, list[str | None]()
    while rest:
        match = _STEP.match(rest)
        if match is None:
            raise ConfigError(f'merge: {name!r} is no path; write vendor.name, items[].price or ["unit price"]')
        quoted = match[2]
        steps.append(json.loads(quoted) if quoted else match[1])
        rest = rest[match.end() :]
    return steps


def _path(steps: Iterable[str | None], path: str = "$") -> str:
    for step in steps:
        path = element(path) if step is None else member(path, step)
    return path


def _check_parent(name: str, path: str, rule: Rule | None, step: str | None) -> None:
    """Refuse a rule for a part of a value that is merged or chosen as a whole."""
    by_field = rule.by if isinstance(rule, Union) else ()
    if step is None and not by_field:
        raise ConfigError(
            f"merge: {name!r} has no effect: only items that are known by a field are merged by field; "
            f"give {path.removeprefix('$.')!r} a rule such as Union(by=('number',))"
        )
    if step is not None and rule is not None and not by_field:
        raise ConfigError(f"merge: {name!r} has no effect, as {path.removeprefix('$.')!r} is chosen as a whole")


def _below(node: JsonObject, step: str | None, name: str, schema: OutputSchema) -> JsonObject:
    """Return the schema of a member or item. ConfigError where there is none."""
    node = _resolved(node, schema)
    kind = _kind(node)
    if step is None and kind in ("list", "any"):
        return _items(node)
    if step is not None and kind in ("object", "any") and (step in node.get("properties", {}) or _is_open(node)):
        return _member(node, step)
    known = ", ".join(node.get("properties", {})) or "none"
    raise ConfigError(f"merge: the schema has no {name!r} that could be merged; fields are {known}")


def _check_rule(name: str, rule: Rule, node: JsonObject, schema: OutputSchema) -> None:
    kind = _kind(node)
    if (rule == "union" or isinstance(rule, Union)) and kind not in ("list", "any"):
        raise ConfigError(f"merge: {name!r} has the rule union, which is for lists")
    if rule == "longest" and not _has_length(node, kind):
        raise ConfigError(f"merge: {name!r} has the rule longest, which is for texts and lists")
    if isinstance(rule, Union) and rule.by:
        items = _resolved(_items(node), schema)
        branches = [_resolved(branch, schema) for branch in items.get("anyOf", [items])]
        for key in rule.by:
            if not any(key in branch.get("properties", {}) or _is_open(branch) for branch in branches):
                known = ", ".join(dict.fromkeys(key for branch in branches for key in branch.get("properties", {})))
                raise ConfigError(f"merge: items of {name!r} have no field {key!r}; there are {known or 'none'}")


def _has_length(node: JsonObject, kind: _Kind) -> bool:
    types = {name for branch in node.get("anyOf", [node]) for name in types_of(branch)}
    return kind in ("list", "any") or not types or not types.isdisjoint(("string", "array"))


def _resolved(node: JsonObject, schema: OutputSchema) -> JsonObject:
    """Return a node with references followed and the null of a nullable node removed."""
    while True:
        branches = [branch for branch in node.get("anyOf", ()) if types_of(branch) != ("null",)]
        if "$ref" in node:
            node = schema.wire["$defs"][node["$ref"].removeprefix("#/$defs/")]
        elif len(branches) == 1:
            node = branches[0]
        else:
            return node


def _kind(node: JsonObject) -> _Kind:
    """Return how the values of a resolved node are merged; "any" leaves it to the values themselves."""
    if "anyOf" in node or "enum" in node or "prefixItems" in node:
        return "value"  # merging the parts of two alternatives or tuples would make a third that no window gave
    types = set(types_of(node)) - {"null"}
    if not types:
        return "any" if not types_of(node) else "value"
    return "object" if types == {"object"} else "list" if types == {"array"} else "value"


def _is_open(node: JsonObject) -> bool:
    """Whether an object may hold members that the schema does not name."""
    # A pydantic model that ignores extra members has no such keyword, but a rule for an unknown name is a typo there.
    rest = node.get("additionalProperties", "properties" not in node)
    return rest is not False and (not types_of(node) or "object" in types_of(node))


def _items(node: JsonObject) -> JsonObject:
    items = node.get("items", {})
    return items if isinstance(items, dict) else {}


def _member(node: JsonObject, name: str) -> JsonObject:
    rest = node.get("additionalProperties")
    child = node.get("properties", {}).get(name, rest)
    return child if isinstance(child, dict) else {}


def _first(values: Sequence[WindowValue]) -> WindowValue:
    return values[0]


def _last(values: Sequence[WindowValue]) -> WindowValue:
    return values[-1]


def _longest(values: Sequence[WindowValue]) -> WindowValue:
    return max(values, key=lambda each: len(each.value) if isinstance(each.value, str | list) else 0)


def _vote(values: Sequence[WindowValue]) -> WindowValue:
    votes = Counter(identity(each.value) for each in values)
    return max(values, key=lambda each: votes[identity(each.value)])


_CHOOSE: dict[Choice, Callable[[Sequence[WindowValue]], WindowValue]] = {
    "first": _first,
    "last": _last,
    "longest": _longest,
    "vote": _vote,
}


@dataclass(slots=True)
class _Merger:
    """Walks answers and schema side by side; a `pattern` is a path in which list items have no index, as in rules."""

    rules: dict[str, Rule]
    schema: OutputSchema
    conflicts: list[Conflict] = field(default_factory=list)
    provenance: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def place(self, path: str, pattern: str, node: JsonObject, values: Sequence[WindowValue]) -> Any:
        """Return the merged value of one field from the values of the windows that have it."""
        non_empty = [each for each in values if not is_empty(each.value)]
        if not non_empty:  # all are empty, in one form or another (null, "", []): the first form is kept
            return self.value(path, [each for each in values if each.value == values[0].value], "first")
        node = _resolved(node, self.schema)
        rule = self.rules.get(pattern)
        if rule is not None and rule != "union" and not isinstance(rule, Union):
            return self.value(path, non_empty, rule)
        kind = _kind(node)
        # Where the schema leaves the kind open, the values decide, if they agree; a list and an object do not merge.
        if kind in ("object", "any") and all(isinstance(each.value, dict) for each in non_empty):
            return self.members(path, pattern, node, non_empty)
        if kind in ("list", "any") and all(isinstance(each.value, list) for each in non_empty):
            return self.items(path, pattern, node, non_empty, rule if isinstance(rule, Union) else Union())
        return self.value(path, non_empty, "first")

    def value(self, path: str, values: Sequence[WindowValue], rule: Choice) -> Any:
        """Return the value that a rule chooses; record its windows, and a conflict where others differ from it."""
        chosen = _CHOOSE[rule](values)
        # Grouped by identity: values that differ in case or blanks only are no conflict.
        groups: dict[Any, list[WindowValue]] = {}
        for each in values:
            groups.setdefault(identity(each.value), []).append(each)
        if len(groups) > 1:
            candidates = tuple(Candidate(group[0].value, _numbers(group)) for group in groups.values())
            self.conflicts.append(Conflict(path, candidates, chosen.value))
        self.provenance[path] = _numbers(groups[identity(chosen.value)])
        return chosen.value

    def members(self, path: str, pattern: str, node: JsonObject, values: Sequence[WindowValue]) -> dict[str, Any]:
        """Return an object merged by member."""
        merged: dict[str, Any] = {}
        for name in dict.fromkeys(name for each in values for name in each.value):
            member_values = [WindowValue(each.window, each.value[name]) for each in values if name in each.value]
            merged[name] = self.place(member(path, name), member(pattern, name), _member(node, name), member_values)
        return merged

    def items(self, path: str, pattern: str, node: JsonObject, values: Sequence[WindowValue], rule: Union) -> list[Any]:
        """Return a list joined by a `Union` rule."""
        entries = join_lists(values, rule, unique=self.is_unique(pattern))
        return [
            self.item(element(path, index), element(pattern), _items(node), entry, rule)
            for index, entry in enumerate(entries)
        ]

    def item(self, path: str, pattern: str, node: JsonObject, entry: Entry, rule: Union) -> Any:
        """Return one item of a joined list; only items known by key fields are merged by field."""
        value = entry.values[0].value
        if rule.by and len(entry.values) > 1:
            value = self.place(path, pattern, node, entry.values)
        self.provenance[path] = _numbers(entry.values)
        return value

    def is_unique(self, pattern: str) -> bool:
        """Whether the schema forbids equal items; as the wire form cannot say so, it stands among the losses."""
        return any(loss.keyword == "uniqueItems" and loss.path == pattern for loss in self.schema.losses)


def _numbers(values: Sequence[WindowValue]) -> tuple[int, ...]:
    return tuple(sorted({each.window.number for each in values}))
