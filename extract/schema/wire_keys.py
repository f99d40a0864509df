"""The key under which each field of a Python class is asked for: its alias, its name, or the one that is its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from extract.errors import SchemaError

__all__ = ["wire_key", "with_own_keys"]


def wire_key(name: str, alias: str | list[Any]) -> str:
    """Return the wire key of a field. Raises SchemaError for an alias that only reaches into nested objects."""
    keys = _choices(alias)
    if not keys:
        raise SchemaError(f"field {name!r} has only an AliasPath, which cannot be asked for; give it a plain alias")
    return keys[0]


def _choices(alias: str | list[Any]) -> list[str]:
    """Return the keys of an alias, in the order in which they are tried; those that reach deeper are left out."""
    if isinstance(alias, str):
        return [alias]
    paths = alias if alias and isinstance(alias[0], list) else [alias]
    return [path[0] for path in paths if len(path) == 1 and isinstance(path[0], str)]


def with_own_keys(fields: Iterable[tuple[str, Mapping[str, Any]]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the fields, each of them with a key of its own where its alias leaves a choice.

    A field whose key another one has too is asked for under the first of its choices that no other field reads.
    Raises SchemaError, with both names, where there is none.
    """
    pairs = list(fields)
    choices = {name: _choices(field.get("validation_alias", name)) for name, field in pairs}
    shared = {key for key, count in Counter(keys[0] for keys in choices.values() if keys).items() if count > 1}
    if not shared:
        return pairs
    readers = Counter(key for keys in choices.values() for key in set(keys))
    return [
        (
            name,
            {**field, "validation_alias": _own_key(name, choices, readers)}
            if choices[name][:1] and choices[name][0] in shared
            else field,
        )
        for name, field in pairs
    ]


def _own_key(name: str, choices: Mapping[str, list[str]], readers: Mapping[str, int]) -> str:
    own = next((key for key in choices[name] if readers[key] == 1), None)
    if own is None:
        key = choices[name][0]
        other = next(field for field, keys in choices.items() if field != name and key in keys)
        raise SchemaError(f"the fields {name!r} and {other!r} have one key, {key!r}: give each an alias of its own")
    return own
