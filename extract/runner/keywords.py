"""A decorator for functions that take the keywords of another: it shows them, and answers a typo with a hint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, ParamSpec, TypeVar

from extract.errors import ConfigError

__all__ = ["checks_keywords"]

P = ParamSpec("P")
T = TypeVar("T")


def checks_keywords(
    keywords: type | None = None, *, as_in: Callable[..., Any] | None = None, instead: str = ""
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator: an unknown keyword is a TypeError of the function that was called, with the nearest name.

    Python itself suggests names only from 3.13 on, and never for `**options`. `keywords` is the TypedDict that the
    function unpacks, `as_in` the function that has the same keywords in its signature: `help` and notebooks show them
    with their defaults. A keyword that only `as_in` takes is a ConfigError, which says what to do `instead`.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        shown = _shown(function, keywords, as_in)
        names = [name for name, one in shown.parameters.items() if one.kind is not Parameter.POSITIONAL_ONLY]

        @wraps(function)
        def call(*args: P.args, **options: P.kwargs) -> T:
            if unknown := [name for name in options if name not in shown.parameters]:
                if instead and as_in is not None and unknown[0] in signature(as_in).parameters:
                    raise ConfigError(f"{function.__name__}() takes no {unknown[0]}= here: {instead}")
                raise TypeError(_unexpected(function.__name__, unknown[0], names))
            return function(*args, **options)

        vars(call)["__signature__"] = shown  # where `inspect.signature` looks first
        return call

    return decorate


def _unexpected(function: str, name: str, names: list[str]) -> str:
    near = get_close_matches(name, names, 1)
    hint = f". Did you mean {near[0]!r}?" if near else f"; it takes {', '.join(names)}"
    return f"{function}() got an unexpected keyword argument {name!r}{hint}"


def _shown(function: Callable[..., Any], keywords: type | None, as_in: Callable[..., Any] | None) -> Signature:
    """Return a function's signature with its `**options` written out."""
    own = signature(function)
    if keywords is None or as_in is None:
        return own
    written_out = signature(as_in).parameters

    def parameters() -> Iterator[Parameter]:
        for one in own.parameters.values():
            if one.kind is not Parameter.VAR_KEYWORD:
                yield one
        yield from (written_out[name] for name in written_out if name in keywords.__annotations__)

    return own.replace(parameters=list(parameters()))
