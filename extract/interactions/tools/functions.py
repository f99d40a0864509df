"""Python functions as tools: declared from their signature, and called with validated arguments."""

from __future__ import annotations

import asyncio
import inspect
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import PydanticUndefined, from_json, to_json

from extract.documents.parts import MediaPart, TextPart
from extract.errors import ConfigError, ExtractError, in_one_line
from extract.interactions.interaction import FunctionCall
from extract.json_types import JsonObject
from extract.schema import compile_schema

__all__ = ["Function", "FunctionResult", "call_functions", "call_functions_async", "function_tool", "functions_of"]

AnyFunction: TypeAlias = "Callable[..., Any] | Function"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_SPHINX = re.compile(r":param\s+(?:[^:]*\s)?(\w+):\s*(.*)")
_GOOGLE = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)")
_NUMPY = re.compile(r"\*{0,2}(\w+)\s*(?::.*)?()$")
_HEADINGS = ("args", "arguments", "parameters", "params")


@dataclass(frozen=True, slots=True)
class Function:
    """A Python function that the model may call. `parameters` is the wire form of its arguments' JSON Schema.

    With `defer_loading` the model sees only name and description, or `short_description`, until it asks for the rest:
    the request then needs a `ToolSearch()`, which spares input tokens where there are many functions.

    >>> def get_weather(city: str) -> str:
    ...     return "sunny"
    >>> function_tool(get_weather).bind({"city": "Bonn"})
    {'city': 'Bonn'}
    """

    call: Callable[..., Any] = field(repr=False)
    name: str
    description: str
    parameters: JsonObject = field(repr=False, hash=False)
    defer_loading: bool = False
    short_description: str = ""

    def as_wire(self, dialect: str = "steps", /) -> JsonObject:
        """Return the declaration. ConfigError where it is deferred and the dialect knows of no such thing."""
        deferred: JsonObject = {"defer_loading": True} if self.defer_loading else {}
        if self.short_description:
            deferred["short_description"] = self.short_description
        if deferred and dialect == "outputs":
            raise ConfigError(f"the outputs dialect has no {' and no '.join(deferred)}: use dialect 'steps'")
        described = {"description": self.description} if self.description else {}
        return {"type": "function", "name": self.name} | described | {"parameters": self.parameters} | deferred

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.call) or inspect.iscoroutinefunction(
            getattr(self.call, "__call__", None)  # noqa: B004 - the method itself is asked for
        )

    def bind(self, arguments: JsonObject) -> dict[str, Any]:
        """Return the model's arguments in the types of the signature. Raises ValidationError."""
        model = _model_of(self.call)
        checked = model.model_validate(arguments)
        names = {place: item.alias or place for place, item in model.model_fields.items()}
        return {names[place]: getattr(checked, place) for place in names if place in checked.model_fields_set}


@dataclass(frozen=True, slots=True)
class FunctionResult:
    """The result of one call: a value, or what went wrong in words, which goes to the model as well.

    >>> FunctionResult(FunctionCall("c1", "get_weather", {"city": "Bonn"}), "sunny").as_step()["result"]
    'sunny'
    """

    call: FunctionCall
    value: Any
    is_error: bool = False

    def as_step(self) -> JsonObject:
        """Return the step, in the `outputs` dialect the content, that answers the call."""
        result = {
            "type": "function_result",
            "call_id": self.call.id,
            "name": self.call.name,
            "result": _as_result(self.value),
        }
        return result | ({"is_error": True} if self.is_error else {})


def function_tool(
    call: Callable[..., Any],
    *,
    name: str | None = None,
    description: str | None = None,
    defer_loading: bool = False,
    short_description: str = "",
) -> Function:
    """Return the declaration of a function: types from its signature, words from its docstring.

    The docstring's first paragraph describes it, and its lines on parameters (Google, NumPy or Sphinx style) these. A
    parameter without a type takes any value. `defer_loading` and `short_description`: see `Function`. Raises
    ConfigError or SchemaError for what cannot be declared.

        >>> def get_weather(city: str) -> str:
        ...     "Return the weather of a city."
        >>> function_tool(get_weather).description
        'Return the weather of a city.'
    """
    named = name or str(getattr(call, "__name__", ""))
    if not _NAME.fullmatch(named):
        raise ConfigError(f"{named or call!r} is no name for a function: give one, function_tool(..., name='look_up')")
    first = inspect.cleandoc(call.__doc__ or "").partition("\n\n")[0]
    words: str = " ".join(first.split()) if description is None else description
    return Function(call, named, words, _parameters(call), defer_loading, short_description)


def functions_of(given: Iterable[AnyFunction]) -> dict[str, Function]:
    """Return functions by name, plain ones as declarations. Raises ConfigError where two have the same name."""
    functions: dict[str, Function] = {}
    if callable(given) or isinstance(given, Function):
        raise ConfigError(f"functions come in a list: [{getattr(given, 'name', getattr(given, '__name__', given))}]")
    for one in given:
        if not isinstance(one, Function) and not callable(one):
            raise ConfigError(f"{one!r} is no Python function; tools of the service go into Request(tools=(...,))")
        function = one if isinstance(one, Function) else function_tool(one)
        if function.name in functions:
            raise ConfigError(f"two functions are called {function.name!r}; give one another name with function_tool")
        functions[function.name] = function
    return functions


def call_functions(calls: Sequence[FunctionCall], functions: dict[str, Function]) -> tuple[FunctionResult, ...]:
    """Call one after the other and return a result for each. An exception becomes an error result.

    Raises ConfigError for an async function, which needs an event loop.
    """
    if waiting := [call.name for call in calls if call.name in functions and functions[call.name].is_async]:
        raise ConfigError(f"{waiting[0]!r} is an async function: call it through an AsyncClient")
    return tuple(_sendable(_call(call, functions)) for call in calls)


async def call_functions_async(
    calls: Sequence[FunctionCall], functions: dict[str, Function]
) -> tuple[FunctionResult, ...]:
    """Call all at once and return a result for each, in their order; what is not async runs in a thread."""

    async def answer(call: FunctionCall) -> FunctionResult:
        in_loop = call.name in functions and functions[call.name].is_async
        result = _begun(call, functions) if in_loop else await asyncio.to_thread(_begun, call, functions)
        if inspect.isawaitable(result.value):
            try:
                result = FunctionResult(call, await result.value)
            except SystemExit as error:
                raise _exited(call, error) from error
            except Exception as error:
                result = _failed(call, error)
        return _sendable(result)

    return tuple(await asyncio.gather(*map(answer, calls)))


def _call(call: FunctionCall, functions: dict[str, Function]) -> FunctionResult:
    result = _begun(call, functions)
    if inspect.isawaitable(result.value):
        if inspect.iscoroutine(result.value):
            result.value.close()
        raise ConfigError(f"{call.name!r} returns something to await: call it through an AsyncClient")
    return result


def _begun(call: FunctionCall, functions: dict[str, Function]) -> FunctionResult:
    """Call a function; its value may still have to be awaited."""
    function = functions.get(call.name)
    if function is None:
        return FunctionResult(call, f"there is no function {call.name!r}; there are {sorted(functions)}", is_error=True)
    if call.malformed is not None:
        message = f"the arguments must be a JSON object, not {call.malformed!r}; the function was not called"
        return FunctionResult(call, message, is_error=True)
    try:
        return FunctionResult(call, function.call(**function.bind(call.arguments)))
    except SystemExit as error:
        raise _exited(call, error) from error
    except Exception as error:
        return _failed(call, error)


def _exited(call: FunctionCall, error: SystemExit) -> ConfigError:
    """Return the error of a function that ends the program: in a task, `sys.exit` would break off the event loop."""
    return ConfigError(f"the function {call.name!r} raised {in_one_line(error)}")


def _failed(call: FunctionCall, error: Exception) -> FunctionResult:
    """Return a failure in words for the model; pydantic's own would repeat the arguments and name a website."""
    try:
        message = _in_words(error)
    except Exception:  # the __str__ of a user's error may fail
        message = type(error).__name__
    return FunctionResult(call, message.encode("utf-8", "replace").decode(), is_error=True)


def _in_words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        wrong = (f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}" for one in error.errors())
        return "; ".join(wrong)
    message = str(error)
    kind = "" if isinstance(error, ExtractError) and message else type(error).__name__
    return ": ".join(filter(None, (kind, message)))


def _sendable(result: FunctionResult) -> FunctionResult:
    """Return the result, or an error that says so where JSON cannot hold it."""
    try:
        to_json(result.as_step())
    except Exception as error:
        failed = _failed(result.call, error)
        kind = type(result.value).__name__
        return replace(failed, value=f"the function ran, but its result ({kind}) is not JSON: {failed.value}"[:400])
    return result


def _as_result(value: Any) -> Any:
    """Return a value in one of the forms a result may have: text, an object, a list of contents."""
    if isinstance(value, str):
        return value
    parts = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(part, TextPart | MediaPart) for part in parts) and all(
        isinstance(part, str | TextPart | MediaPart) for part in parts
    ):
        return [_content(part) for part in parts]
    plain = from_json(to_json(value, inf_nan_mode="strings"))
    return plain if isinstance(plain, dict) else {"result": plain}


def _content(part: str | TextPart | MediaPart) -> JsonObject:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    location = {"uri": part.uri} if part.data is None else {"data": b64encode(part.data).decode("ascii")}
    return {"type": part.kind, "mime_type": part.mime_type} | location


def _parameters(call: Callable[..., Any]) -> JsonObject:
    model = _model_of(call)
    if not model.model_fields:
        return {"type": "object", "properties": {}}
    return compile_schema(model).wire


def _model_of(call: Callable[..., Any]) -> type[BaseModel]:
    """Return a model of a function's parameters, made once for a hashable callable."""
    try:
        hash(call)
    except TypeError:
        return _make_model(call)
    return _cached_model(call)


@lru_cache(maxsize=256)
def _cached_model(call: Callable[..., Any]) -> type[BaseModel]:
    return _make_model(call)


def _make_model(call: Callable[..., Any]) -> type[BaseModel]:
    """Return a model of a function's parameters. Fields are p0, p1, ...: pydantic does not allow every name."""
    notes = dict(_notes(inspect.cleandoc(call.__doc__ or "")))
    try:
        signature = inspect.signature(call, eval_str=True)
    except (NameError, TypeError, ValueError) as error:
        raise ConfigError(f"the signature of {call!r} cannot be read: {error}") from None
    parameters: dict[str, Any] = {}
    for place, parameter in enumerate(signature.parameters.values()):
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ConfigError(f"{parameter} of {call!r} cannot be given by name: name each parameter")
        kind = Any if parameter.annotation is parameter.empty else parameter.annotation
        default = PydanticUndefined if parameter.default is parameter.empty else parameter.default
        # Without words in the docstring, a description in the annotation itself stays.
        described: dict[str, Any] = {"description": notes[parameter.name]} if parameter.name in notes else {}
        parameters[f"p{place}"] = (kind, Field(default, alias=parameter.name, **described))
    options = ConfigDict(extra="forbid", arbitrary_types_allowed=False)
    model: type[BaseModel] = create_model(getattr(call, "__name__", "arguments"), __config__=options, **parameters)
    return model


def _notes(text: str) -> Iterator[tuple[str, str]]:
    """Yield each parameter and what the docstring says of it."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if match := _SPHINX.match(line.strip()):
            yield match[1], _joined(match[2], lines[number + 1 :], _depth(line))
        elif line.strip().lower().removesuffix(":") in _HEADINGS:
            ruled = number + 1 < len(lines) and set(lines[number + 1].strip()) == {"-"}
            if ruled:
                yield from _entries(lines[number + 2 :], _NUMPY, _depth(line))
            elif line.rstrip().endswith(":"):
                yield from _entries(lines[number + 1 :], _GOOGLE, _depth(line) + 1)


def _entries(lines: list[str], form: re.Pattern[str], min_depth: int) -> Iterator[tuple[str, str]]:
    """Yield the entries of a section, which ends at a line that is less indented than `min_depth`."""
    depth = next((_depth(line) for line in lines if line.strip()), 0)
    for number, line in enumerate(lines):
        if line.strip() and _depth(line) < min_depth:
            return
        match = form.match(line.strip())
        if match and _depth(line) == depth:
            yield match[1], _joined(match[2], lines[number + 1 :], depth)


def _joined(first: str, following: Iterable[str], depth: int) -> str:
    """Return a note with its continuation lines, which are further indented."""
    words = [first]
    for line in following:
        if not line.strip() or _depth(line) <= depth:
            break
        words.append(line.strip())
    return " ".join(filter(None, words))


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
