"""The earlier turns that a request sends back: its input as steps, and thoughts, calls and results checked.

A thought's signature is made from the function calls that follow it, so that a history which leaves out, invents or
changes one is refused. The real signatures are opaque; of their rules it is known that thoughts must be sent back byte
for byte, that a call without its thought is refused, and that `skip_thought_signature_validator` passes for any.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from pydantic_core import to_json

from extract.emulator.conversation import objects
from extract.emulator.messages import refusal
from extract.json_types import JsonObject

__all__ = ["check_history", "open_calls", "sign", "steps_given"]

CONTENT_KINDS = ("text", "image", "audio", "video", "document")
SIGNED = b"emulated thought "
ANY_SIGNATURE = "skip_thought_signature_validator"
ANY_SIGNATURES = (ANY_SIGNATURE, b64encode(ANY_SIGNATURE.encode()).decode())


def sign(calls: Iterable[JsonObject]) -> str:
    """Return the signature of a thought that these function calls follow."""
    content = to_json([[call.get("id"), call.get("name"), call.get("arguments")] for call in calls])
    return b64encode(SIGNED + hashlib.sha256(content).digest()[:12]).decode()


def steps_given(given: Any) -> list[JsonObject]:
    """Return an `input` of any form and dialect as steps."""
    if isinstance(given, str):
        return [{"type": "user_input", "content": [{"type": "text", "text": given}]}]
    steps: list[JsonObject] = []
    for one in objects([given] if isinstance(given, dict) else given):
        steps += turn_steps(one) if "role" in one else [one]
    return list(grouped(steps, "user_input"))


def turn_steps(turn: JsonObject) -> list[JsonObject]:
    """Return a role turn as steps with the same content."""
    kind: Literal["user_input", "model_output"] = "user_input" if turn.get("role") == "user" else "model_output"
    content = turn.get("content")
    if isinstance(content, str):
        return [{"type": kind, "content": [{"type": "text", "text": content}]}]
    return list(grouped(objects(content), kind))


def grouped(items: Sequence[JsonObject], kind: str) -> Iterator[JsonObject]:
    """Yield the steps among `items`, and adjacent contents as one step of `kind`."""
    contents: list[JsonObject] = []
    for one in items:
        if one.get("type") in CONTENT_KINDS:
            contents.append(one)
            continue
        if contents:
            yield {"type": kind, "content": contents}
            contents = []
        yield one
    if contents:
        yield {"type": kind, "content": contents}


def open_calls(steps: Iterable[JsonObject]) -> dict[str, JsonObject]:
    """Return the function calls among `steps` without a result, by their id."""
    calls: dict[str, JsonObject] = {}
    for step in steps:
        if step.get("type") == "function_call":
            calls[str(step.get("id"))] = step
        elif step.get("type") == "function_result":
            calls.pop(str(step.get("call_id")), None)
    return calls


def check_history(steps: Sequence[JsonObject], waiting: dict[str, JsonObject]) -> None:
    """Raise Refusal where results do not fit the calls, or thoughts are not those that were sent with them.

    `waiting` are the open calls of the stored interaction that the request continues.
    """
    calls = dict(waiting)
    for place, step in enumerate(steps):
        kind = step.get("type")
        if kind == "thought":
            check_thought(step, calls_after(steps, place), f"input[{place}]")
        elif kind == "function_call":
            if not follows_thought(steps, place):
                raise refusal(
                    f"Invalid value at 'input[{place}]': function call {step.get('name')!r} lacks its thought."
                )
            calls[str(step.get("id"))] = step
        elif kind == "function_result":
            check_result(step, calls, f"input[{place}]")
            del calls[str(step["call_id"])]
    if calls:
        names = ", ".join(f"{name} ({call.get('name')})" for name, call in calls.items())
        raise refusal(f"Every function call needs one function_result; none came for {names}.")


def calls_after(steps: Sequence[JsonObject], place: int) -> Iterator[JsonObject]:
    """Yield the function calls that follow a thought at once, or after a search for their declarations."""
    for step in steps[place + 1 :]:
        if step.get("type") == "function_call":
            yield step
        elif step.get("type") not in ("tool_search_call", "tool_search_result"):
            return


def follows_thought(steps: Sequence[JsonObject], place: int) -> bool:
    """Return whether the model thought in this turn before it called the function at `place`."""
    for step in reversed(steps[:place]):
        if step.get("type") in ("user_input", "function_result"):
            return False
        if step.get("type") == "thought":
            return True
    return False


def check_thought(thought: JsonObject, calls: Iterable[JsonObject], path: str) -> None:
    """Raise Refusal for a thought whose signature is missing or not the one that was given for these calls."""
    signature = thought.get("signature")
    if signature in ANY_SIGNATURES:
        return
    if not isinstance(signature, str) or not signature:
        raise refusal(f"Missing thought signature at '{path}'.", code="missing_thought_signature")
    try:
        binascii.a2b_base64(signature, strict_mode=True)
    except ValueError:
        raise refusal(f"Invalid value at '{path}.signature': must be base64.") from None
    if signature != sign(calls):
        raise refusal(f"Invalid value at '{path}.signature': thoughts and calls must come back as they were sent.")


def check_result(result: JsonObject, calls: dict[str, JsonObject], path: str) -> None:
    """Raise Refusal for a function's result that answers none of `calls`, or names another function."""
    call = calls.get(str(result.get("call_id")))
    if call is None:
        raise refusal(
            f"Invalid value at '{path}.call_id': no call with the id {result.get('call_id')!r} waits for a result."
        )
    if result.get("name") not in (None, call.get("name")):
        raise refusal(f"Invalid value at '{path}.name': the call was to {call.get('name')!r}.")
