"""The form of a create request: one table per dialect, and the rules between fields.

A strict service shows a client's mistakes before Google does. Where the documentation leaves open how today's service
reacts (a bare schema, `response_mime_type` or role turns in the `steps` dialect), the strict answer is a refusal.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from extract.emulator.messages import refusal
from extract.json_types import JsonObject

__all__ = ["Check", "check_create", "is_plain"]

Check: TypeAlias = Callable[[Any, str], None]

LABEL = re.compile(r"[^\WA-Z_](?:[^\WA-Z]|-){0,62}")
LABEL_VALUE = re.compile(r"(?:[^\WA-Z]|-){0,63}")


def anything(value: Any, path: str) -> None:
    """Accept every value."""


def kind(name: str, *types: type) -> Check:
    """Return a check for a JSON type; a boolean is not a number."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise refusal(f"Invalid value at {path!r}: must be {name}.")

    return check


def word(*words: str) -> Check:
    """Return a check for one of a closed list of strings."""

    def check(value: Any, path: str) -> None:
        if value not in words:
            raise refusal(f"Invalid value at {path!r}: {value!r} is not one of {', '.join(words)}.")

    return check


def either(first: Check, second: Check, *, when: type) -> Check:
    """Return a check that is `first` for values of type `when`, else `second`."""

    def check(value: Any, path: str) -> None:
        (first if isinstance(value, when) else second)(value, path)

    return check


def many(item: Check) -> Check:
    """Return a check for a list whose items all pass `item`."""

    def check(value: Any, path: str) -> None:
        array(value, path)
        for index, one in enumerate(value):
            item(one, f"{path}[{index}]")

    return check


def record(table: Mapping[str, Check], *required: str) -> Check:
    """Return a check for an object that has only the fields of `table`, each of which passes its check."""

    def check(value: Any, path: str) -> None:
        an_object(value, path)
        for name, field in value.items():
            place = f"{path}.{name}" if path else name
            if name not in table:
                raise refusal(f"Unknown parameter: {place!r}.", code="parameter_unknown")
            table[name](field, place)
        for name in required:
            if name not in value:
                raise refusal(f"Missing required parameter: {path + '.' if path else ''}{name}.")

    return check


def tagged(variants: Mapping[str, Check]) -> Check:
    """Return a check for an object whose `type` chooses among `variants`."""

    def check(value: Any, path: str) -> None:
        an_object(value, path)
        tag = value.get("type")
        if not isinstance(tag, str) or tag not in variants:
            raise refusal(f"Invalid value at '{path}.type': {tag!r} is not one of {', '.join(variants)}.")
        variants[tag](value, path)

    return check


string: Check = kind("a string", str)
number: Check = kind("a number", int, float)
integer: Check = kind("an integer", int)
boolean: Check = kind("a boolean", bool)
array: Check = kind("an array", list)
an_object: Check = kind("an object", dict)


def base64_text(value: Any, path: str) -> None:
    """Check that `value` is base64 in the standard alphabet."""
    string(value, path)
    try:
        binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        raise refusal(f"Invalid value at {path!r}: must be base64.") from None


def labels(value: Any, path: str) -> None:
    """Check label keys and values: lower case, digits, `_` and `-`, at most 63 characters, keys begin with a letter."""
    an_object(value, path)
    for key, text in value.items():
        string(text, f"{path}.{key}")
        if not LABEL.fullmatch(key) or key[0].isdecimal() or not LABEL_VALUE.fullmatch(text):
            raise refusal(f"Invalid value at '{path}.{key}': labels are lower-case letters, digits, '_' and '-'.")


def media(*extra: str) -> Check:
    """Return a check for a media content: bytes inline or a uri, not both."""
    table = dict.fromkeys((*extra, "type"), anything) | {"data": base64_text, "uri": string, "mime_type": string}
    fields = record(table)

    def check(value: Any, path: str) -> None:
        fields(value, path)
        if ("data" in value) == ("uri" in value):
            raise refusal(f"Invalid value at {path!r}: give either 'data' or 'uri'.")

    return check


def step(*fields: str, required: tuple[str, ...] = ()) -> Check:
    """Return a check for a step of which only the names of the fields are known."""
    return record(dict.fromkeys(("type", *fields), anything), *required)


CALL_ARGUMENTS = ("id", "arguments", "signature")
RESULT_FIELDS = ("call_id", "result", "is_error", "signature")
CONTENTS: dict[str, Check] = {
    "text": record({"type": string, "text": string, "annotations": array}, "text"),
    "image": media("resolution"),
    "audio": media("channels", "sample_rate", "processing"),
    "video": media("name", "resolution", "processing"),
    "document": media("resolution", "processing"),
}
TOOL_STEPS: dict[str, Check] = {
    "thought": step("signature", "summary"),
    "function_call": step(*CALL_ARGUMENTS, "name", required=("name", "arguments")),
    "function_result": step(*RESULT_FIELDS, "name", required=("call_id", "result")),
    "mcp_server_tool_call": step(*CALL_ARGUMENTS, "name", "server_name"),
    "mcp_server_tool_result": step(*RESULT_FIELDS, "name", "server_name"),
    "google_search_call": step(*CALL_ARGUMENTS, "search_type"),
    "retrieval_call": step(*CALL_ARGUMENTS, "retrieval_type"),
}
BUILT_IN = ("code_execution", "url_context", "google_search", "google_maps", "file_search", "retrieval", "processing")
for _name in (*BUILT_IN, "tool_search"):
    TOOL_STEPS.setdefault(f"{_name}_call", step(*CALL_ARGUMENTS))
    TOOL_STEPS.setdefault(f"{_name}_result", step(*RESULT_FIELDS))

content: Check = tagged(CONTENTS)
parts: Check = many(content)
STEPS: dict[str, Check] = TOOL_STEPS | {
    "user_input": record({"type": string, "content": parts}),
    "model_output": record({"type": string, "content": parts, "error": an_object}),
}
a_step: Check = tagged(STEPS)
legacy_content: Check = tagged(CONTENTS | TOOL_STEPS)
turn_content: Check = either(string, many(legacy_content), when=str)
turn: Check = record({"role": word("user", "model"), "content": turn_content}, "role", "content")

FORMATS: dict[str, Check] = {
    "text": record({"type": string, "mime_type": string, "schema": an_object}),
    "image": record(dict.fromkeys(("type", "mime_type", "aspect_ratio", "image_size", "delivery"), string)),
    "audio": step("mime_type", "delivery", "sample_rate", "bit_rate"),
    "video": step("mime_type", "aspect_ratio", "delivery", "duration", "gcs_uri", "resolution"),
}
response_format: Check = either(many(tagged(FORMATS)), tagged(FORMATS), when=list)
GENERATION: dict[str, Check] = {
    "max_output_tokens": integer,
    "seed": integer,
    "stop_sequences": many(string),
    "temperature": number,
    "top_p": number,
    "thinking_level": word("minimal", "low", "medium", "high", "xhigh"),
    "thinking_summaries": word("auto", "none"),
    "tool_choice": either(word("auto", "any", "none", "validated"), an_object, when=str),
    "image_config": an_object,
    "speech_config": either(array, an_object, when=list),
}
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")


def function_name(value: Any, path: str) -> None:
    """Check the name of a function: letters, digits, `_ . : -`, at most 128, beginning with a letter or `_`."""
    string(value, path)
    if not NAME.fullmatch(value):
        raise refusal(f"Invalid value at {path!r}: {value!r} is not the name of a function.")


SEARCH = record(
    {
        "type": string,
        "execution": word("server", "client"),
        "name": function_name,
        "description": string,
        "parameters": an_object,
    }
)


def tool_search(value: Any, path: str) -> None:
    """Check a `tool_search`: only one that the client executes is called by a name."""
    SEARCH(value, path)
    if value.get("execution") != "client" and value.keys() & {"name", "description", "parameters"}:
        raise refusal(f"Invalid value at {path!r}: 'name', 'description' and 'parameters' go with 'client' execution.")


TOOLS: dict[str, Check] = {
    "function": record(
        {
            "type": string,
            "name": function_name,
            "description": string,
            "parameters": an_object,
            "defer_loading": boolean,
            "short_description": string,
        },
        "name",
    ),
    "code_execution": record({"type": string}),
    "url_context": record({"type": string}),
    "google_search": record({"type": string, "search_types": many(string)}),
    "file_search": record(
        {"type": string, "file_search_store_names": many(string), "metadata_filter": string, "top_k": integer}
    ),
    "google_maps": record({"type": string, "latitude": number, "longitude": number, "enable_widget": boolean}),
    "mcp_server": record(
        {
            "type": string,
            "name": string,
            "url": string,
            "headers": an_object,
            "allowed_tools": many(record({"mode": string, "tools": many(string)})),
            "defer_loading": boolean,
        },
        "url",
    ),
    "computer_use": anything,
    "retrieval": anything,
    "tool_search": tool_search,
}
tool: Check = tagged(TOOLS)
safety: Check = record({"type": string, "threshold": string, "method": string}, "type", "threshold")


CONTENT_TYPES = tuple(CONTENTS)
STEP_KEYS, TEXT_KEYS = frozenset({"type", "content"}), frozenset({"type", "text"})


def is_plain(value: Any) -> bool:
    """Return whether a step holds one piece of text and nothing else, as most steps of a few-shot request do."""
    if not isinstance(value, dict) or value.keys() != STEP_KEYS or value["type"] not in ("user_input", "model_output"):
        return False
    contents = value["content"]
    return (
        isinstance(contents, list)
        and len(contents) == 1
        and isinstance(contents[0], dict)
        and contents[0].keys() == TEXT_KEYS
        and contents[0]["type"] == "text"
        and isinstance(contents[0]["text"], str)
    )


def steps_input(value: Any, path: str) -> None:
    """Check the `input` of the `steps` dialect: text, a content, contents or steps."""
    if isinstance(value, list) and value:
        if all(isinstance(one, dict) and one.get("type") in CONTENT_TYPES for one in value):
            parts(value, path)
            return
        for index, one in enumerate(value):
            if not is_plain(one):
                a_step(one, f"{path}[{index}]")
    else:
        single_input(value, path)


def outputs_input(value: Any, path: str) -> None:
    """Check the `input` of the `outputs` dialect: text, a content, contents or role turns."""
    if isinstance(value, list) and value:
        turns = isinstance(value[0], dict) and "role" in value[0]
        many(turn if turns else legacy_content)(value, path)
    else:
        single_input(value, path)


def single_input(value: Any, path: str) -> None:
    """Check an input that is one text or one content."""
    if isinstance(value, dict):
        content(value, path)
    elif not isinstance(value, str):
        raise refusal(f"Invalid value at {path!r}: must be text, a content, or a non-empty list.")


SHARED: dict[str, Check] = {
    "model": string,
    "agent": string,
    "agent_config": an_object,
    "system_instruction": string,
    "response_modalities": many(string),
    "tools": many(tool),
    "previous_interaction_id": string,
    "store": boolean,
    "stream": boolean,
    "background": boolean,
}
CREATE_STEPS = record(
    SHARED
    | {
        "input": steps_input,
        "response_format": response_format,
        "generation_config": record(GENERATION | {"video_config": an_object, "transcription_config": an_object}),
        "safety_settings": many(safety),
        "service_tier": word("standard", "flex", "priority"),
        "continuation_token": string,
        "webhook_config": record({"uris": many(string), "user_metadata": an_object}),
        "labels": labels,
        "environment": either(string, an_object, when=str),
        "cached_content": string,
    }
)
CREATE_OUTPUTS = record(
    SHARED
    | {
        "input": outputs_input,
        "response_format": an_object,
        "response_mime_type": string,
        "generation_config": record(GENERATION | {"thinking_level": word("low", "high")}),
        # Added while both dialects were served.
        "safety_settings": many(safety),
        "service_tier": word("standard", "flex", "priority"),
        "continuation_token": string,
        "labels": labels,
    }
)


def check_create(body: Any, *, legacy: bool, strict: bool) -> JsonObject:
    """Return `body` where it is a create request that the service would accept; raise Refusal where not.

    Without `strict` only the rules are checked without which there is no answer.
    """
    if not isinstance(body, dict):
        raise refusal("Invalid JSON payload: the request must be an object.")
    if strict:
        (CREATE_OUTPUTS if legacy else CREATE_STEPS)(body, "")
    check_rules(body)
    return body


def check_rules(body: JsonObject) -> None:
    """Raise Refusal where fields of `body` contradict each other or a needed one is missing."""
    has = body.keys()
    if ("model" in has) == ("agent" in has):
        raise refusal("Give either 'model' or 'agent', and not both.")
    if "agent" in has and has & {"generation_config", "cached_content"}:
        raise refusal("'generation_config' and 'cached_content' go with 'model', not with 'agent'.")
    if "agent_config" in has and "agent" not in has:
        raise refusal("'agent_config' needs 'agent'.")
    if body.get("input") in (None, "", []) and not body.get("continuation_token"):
        raise refusal("Missing required parameter: input.")
    if body.get("background") and body.get("store") is False:
        raise refusal("'background' needs 'store': a background interaction must be stored to be read later.")
    if str(body.get("agent", "")).startswith("deep-research") and not body.get("background"):
        raise refusal("Deep Research agents need 'background': they take longer than a request may.")
    if "webhook_config" in has and not body.get("background"):
        raise refusal("'webhook_config' needs 'background'.")
