"""Any dialect of JSON Schema -> one flat document: keywords of 2020-12, and all references local, into `$defs`."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from referencing import Registry
from referencing.exceptions import Unresolvable

from extract.errors import SchemaError
from extract.json_types import JsonObject
from extract.schema.circles import on_circles
from extract.schema.drafts import META_SCHEMAS, Dialect, declared_dialect, violation_of
from extract.schema.keywords import LOST, child_path, map_subschemas, nodes, subschemas
from extract.schema.regex import fault_of

if TYPE_CHECKING:
    pass

__all__ = ["Document", "normalise", "resolver_of"]


@dataclass(frozen=True, slots=True)
class Document:
    """A root schema and the definitions that it reaches; each `$ref` is `#/$defs/` and the name of a definition."""

    root: JsonObject
    definitions: dict[str, JsonObject]

    def target(self, node: JsonObject) -> str | None:
        """Return the name of the definition that `node` refers to, None for a node without `$ref`."""
        reference = node.get("$ref")
        return None if reference is None else str(reference).removeprefix("#/$defs/")

    def resolved(self, node: JsonObject) -> JsonObject:
        """Return the node that a chain of references ends at; `node` itself if it has no `$ref`."""
        while (name := self.target(node)) is not None:
            node = self.definitions[name]
        return node

    def references(self, node: JsonObject) -> Iterator[str]:
        """Yield the definitions that `node` refers to, at any depth."""
        if (name := self.target(node)) is not None:
            yield name
        for inner in subschemas(node):
            if isinstance(inner, dict):
                yield from self.references(inner)

    def recursive(self) -> frozenset[str]:
        """Return the definitions that reach themselves."""
        return on_circles({name: set(self.references(node)) for name, node in self.definitions.items()})

    def wrapped(self, key: str) -> Document:
        """Return the document of an object whose only member, `key`, is the root of this one."""
        members = {"type": "object", "properties": {key: self.root}, "required": [key]}
        return Document({**members, "additionalProperties": {"not": {}}}, self.definitions)

    @property
    def has_columns(self) -> bool:
        """Whether the root is an object with declared members, which can be columns."""
        root = self.resolved(self.root)
        return root.get("type") == "object" and bool(root.get("properties"))


def normalise(schema: JsonObject | bool, dialect: Dialect, *, patterns_here: bool = True) -> Document:
    """Return `schema` as a flat 2020-12 document with the definitions that it reaches.

    Invariant: the document accepts every instance that `schema` accepts. Raises SchemaError, with the JSON path, for a
    reference that leads outside the schema or nowhere, and for a pattern that no linear engine takes; not where
    `patterns_here` is False: then Pydantic has compiled them, and matches them in its own way.
    """
    try:
        return _Normaliser(schema, dialect, patterns_here=patterns_here).document()
    except RecursionError:
        raise SchemaError("nested too deeply to be read") from None


@dataclass(frozen=True, slots=True)
class _Scope:
    """The context of a node: the resolver of its references, its dialect, its JSON path."""

    resolver: Any
    dialect: Dialect
    path: str

    def inside(self, node: JsonObject) -> _Scope:
        dialect = declared_dialect(node["$schema"]) if isinstance(node.get("$schema"), str) else self.dialect
        resolver = self.resolver.in_subresource(dialect.specification.create_resource(node))
        return _Scope(resolver, dialect, self.path)

    def at(self, path: str) -> _Scope:
        return _Scope(self.resolver, self.dialect, path)


class _Normaliser:
    def __init__(self, schema: JsonObject | bool, dialect: Dialect, *, patterns_here: bool) -> None:
        self._patterns_here = patterns_here
        self._schema = schema
        self._scope = _Scope(resolver_of(schema, dialect), dialect, "$")
        # By identity of the target: two references to one target share a definition, whatever form they have.
        self._names: dict[int, str] = {}
        self._used_names: dict[str, int] = {}
        self._known = set(map(id, nodes(schema)))
        self._definitions: dict[str, JsonObject] = {}
        self._pending: deque[tuple[str, JsonObject, _Scope]] = deque()

    def document(self) -> Document:
        # A queue instead of recursion: a definition may refer to itself, and each target is worked on once.
        root = self._resource(self._schema, self._scope)
        while self._pending:
            name, node, scope = self._pending.popleft()
            self._definitions[name] = self._resource(node, scope)
        return Document(root, self._definitions)

    def _node(self, node: Any, scope: _Scope) -> JsonObject:
        return self._resource(node, scope.inside(node) if isinstance(node, dict) else scope)

    def _resource(self, node: Any, scope: _Scope) -> JsonObject:
        """Return the flat form of a node whose identifier, if any, is in `scope` already."""
        if isinstance(node, bool):
            return {} if node else {"not": {}}
        if "$ref" in node and not scope.dialect.siblings_count:
            node = {"$ref": node["$ref"]}
        known = scope.dialect.keywords
        node = {key: value for key, value in node.items() if key in known and key not in ("$defs", "definitions")}
        if self._patterns_here:
            _check_patterns(node, scope.path)
        rewritten = map_subschemas(_modern(node), lambda item, keyword, name: self._child(item, scope, keyword, name))
        if "$ref" in rewritten:
            rewritten |= self._reference(rewritten.pop("$ref"), scope)
        return rewritten

    def _child(self, node: Any, scope: _Scope, keyword: str, name: str | int | None) -> JsonObject:
        return self._node(node, scope.at(child_path(scope.path, keyword, name)))

    def _reference(self, reference: str, scope: _Scope) -> JsonObject:
        try:
            resolved = scope.resolver.lookup(reference)
        except (Unresolvable, ValueError) as error:
            raise SchemaError(
                f"$ref {reference!r} leads out of this schema or nowhere; nothing is fetched: put its target in $defs",
                path=scope.path,
            ) from error
        except (AttributeError, TypeError):  # on its way there is an `id` that is no text, or a step into true or false
            raise _no_schema(reference, scope) from None
        if isinstance(resolved.contents, bool):
            return {} if resolved.contents else {"not": {}}
        if not isinstance(resolved.contents, dict):
            raise _no_schema(reference, scope)
        self._check_target(reference, resolved.contents, scope)
        return {"$ref": f"#/$defs/{self._name(reference, resolved, scope)}"}

    def _check_target(self, reference: str, target: JsonObject, scope: _Scope) -> None:
        """Raise SchemaError for a target where the meta-schema expects no schema, and which is none."""
        if id(target) in self._known:
            return
        # An `id`, or what else is only an annotation, does no harm there.
        asserted = {key: target[key] for key in target.keys() & (scope.dialect.keywords - {"title"} | {"$schema"})}
        if violation_of(asserted, scope.dialect):
            raise _no_schema(reference, scope)
        self._known.update(map(id, nodes(target)))

    def _name(self, reference: str, resolved: Any, scope: _Scope) -> str:
        name = self._names.get(id(resolved.contents))
        if name is None:
            name = self._free_name(reference, resolved.contents)
            self._names[id(resolved.contents)] = name
            self._pending.append((name, resolved.contents, _Scope(resolved.resolver, scope.dialect, scope.path)))
        return name

    def _free_name(self, reference: str, contents: JsonObject) -> str:
        last = re.split(r"[/#]", unquote(reference))[-1] or str(contents.get("title") or "Root")
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", last) or "Definition"
        number = self._used_names.get(stem, 0)
        while (name := stem if not number else f"{stem}_{number + 1}") in self._used_names:
            number += 1
        self._used_names[stem] = number + 1  # where the next search for this stem begins
        self._used_names.setdefault(name, 0)
        return name


def resolver_of(schema: JsonObject | bool, dialect: Dialect) -> Any:
    """Return the resolver of a root schema's references.

    Its registry has looked at the whole schema: one that has not does so at every reference to an `$id` or `$anchor`.
    """
    resource = dialect.specification.create_resource(schema)
    registry: Registry[Any] = META_SCHEMAS.with_resource("", resource)
    resolver: Any = registry.resolver_with_root(resource)
    try:
        crawled = resolver._registry.crawl()
    except (AttributeError, TypeError, ValueError):  # something is no schema: only a reference through it is a fault
        return resolver
    return resolver._evolve(base_uri=resolver._base_uri, registry=crawled)


def _no_schema(reference: str, scope: _Scope) -> SchemaError:
    return SchemaError(f"$ref {reference!r} does not lead to a schema", path=scope.path)


def _check_patterns(node: JsonObject, path: str) -> None:
    patterns = [node["pattern"]] if isinstance(node.get("pattern"), str) else []
    for pattern in [*patterns, *node.get("patternProperties", ())]:
        if fault := fault_of(pattern):
            raise SchemaError(fault, path=path)


def _modern(node: JsonObject) -> JsonObject:
    """Return `node`, of any dialect, in the keywords of 2020-12; its subschemas are not changed."""
    node = dict(node)
    for rewrite in _REWRITES:
        rewrite(node)
    return node


def _modern_const(node: JsonObject) -> None:
    if "const" in node:
        value = node.pop("const")
        # A const beside an enum that lacks it accepts nothing.
        node["enum"] = [value] if "enum" not in node or value in node["enum"] else []


def _modern_bounds(node: JsonObject) -> None:
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        # In draft 4 the exclusive keyword is a flag beside the bound; later it is a bound by itself.
        if isinstance(node.get(exclusive), bool) and node.pop(exclusive) and bound in node:
            node[exclusive] = node.pop(bound)


def _modern_items(node: JsonObject) -> None:
    # Before 2020-12 a list of `items` describes a tuple, and `additionalItems` what follows it.
    if isinstance(node.get("items"), list):
        node["prefixItems"] = node.pop("items")
        if "additionalItems" in node:
            node["items"] = node["additionalItems"]
    node.pop("additionalItems", None)


def _modern_dependencies(node: JsonObject) -> None:
    for name, needed in node.pop("dependencies", {}).items():
        keyword = "dependentRequired" if isinstance(needed, list) else "dependentSchemas"
        node[keyword] = {**node.get(keyword, {}), name: needed}


def _modern_dynamic_references(node: JsonObject) -> None:
    # The target of a dynamic reference depends on the path of the evaluation; only the local validator can follow it.
    for keyword in ("$dynamicRef", "$recursiveRef"):
        if keyword in node:
            node.setdefault(LOST, []).append((keyword, node.pop(keyword)))


_REWRITES: tuple[Callable[[JsonObject], None], ...] = (
    _modern_const,
    _modern_bounds,
    _modern_items,
    _modern_dependencies,
    _modern_dynamic_references,
)
