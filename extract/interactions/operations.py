"""What a client does with interactions, step by step: operations, which `http.drivers` carries out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Literal
from urllib.parse import quote

from pydantic_core import from_json, to_json

from extract.errors import AnswerTimeout, ApiError, BadRequest, ConfigError, Denied
from extract.interactions.dialects import decode
from extract.interactions.http.calls import Call, Operation, Order, OrderT, T, once
from extract.interactions.http.retrying import Deadline, Retry, send, with_retries
from extract.interactions.interaction import Interaction
from extract.interactions.merging import merge

__all__ = [
    "CREATE_PATH",
    "FINISHED",
    "MAX_HOPS",
    "cancel",
    "create",
    "delete",
    "follow_up",
    "get",
    "identity_of",
    "interaction_path",
    "next_hop",
    "unknown",
    "wait",
]

CREATE_PATH = "/interactions"
MAX_HOPS = 64  # against a service that hands out tokens for ever

FINISHED = frozenset(
    {
        *("completed", "incomplete", "failed", "cancelled", "budget_exceeded"),
        *("requires_action", "requires_continuation", "idle"),  # the next move is the caller's
    }
)
"""The statuses that do not change by themselves. An unknown one may: only a deadline ends waiting for it."""


def create(call: Call, retry: Retry, *, parent: str | None = None) -> Operation[Order, Interaction]:
    """Create an interaction, and follow `requires_continuation` to its end: steps joined, usage added up.

    The chain ends when the service stops handing out a new token; the status of its last hop is the result's. `parent`
    is the id that the call goes on from: a 404 then means that this id is unknown, not that the address is wrong.
    """
    first = _ask(call, retry)
    interaction = yield from (_known(first, parent) if parent else first)
    return (yield from follow_up(call, interaction, lambda hop: _ask(hop, retry)))


def follow_up(
    call: Call, interaction: Interaction, send_hop: Callable[[Call], Operation[OrderT, Interaction]]
) -> Operation[OrderT, Interaction]:
    """Fetch the rest of the answer to a call, if it comes in several hops, each sent by `send_hop`: see `create`."""
    sent_token = None
    for _ in range(MAX_HOPS):
        token = interaction.continuation_token
        if interaction.status != "requires_continuation" or not token or token == sent_token:
            break
        hop = yield from send_hop(replace(call, body=next_hop(call.body, interaction, token)))
        interaction, sent_token = merge(interaction, hop), token
    return interaction


def next_hop(body: bytes, interaction: Interaction, token: str) -> bytes:
    """Return the body of the next hop: stored ones name their parent, the others repeat the first input."""
    if body.startswith(b'{"store":false,'):
        # Files make a body large: it is extended as bytes, and parsed only where the name occurs in it already.
        if b'"continuation_token":' in body:
            return to_json(from_json(body) | {"continuation_token": token})
        return body[:-1] + b',"continuation_token":' + to_json(token) + b"}"
    first = from_json(body)
    first.pop("input", None)
    return to_json(first | {"previous_interaction_id": interaction.id, "continuation_token": token})


def get(interaction_id: str, retry: Retry, *, include_input: bool = False) -> Operation[Order, Interaction]:
    """Fetch a stored interaction. Raises BadRequest where the service stores none under this id."""
    query = "?include_input=true" if include_input else ""
    return _known(_ask(_about(interaction_id, query), retry), interaction_id)


def cancel(interaction_id: str, retry: Retry) -> Operation[Order, Interaction]:
    """Stop an interaction that runs in the background. Raises BadRequest for an id that is unknown or not running."""
    try:
        return (yield from _known(_ask(_about(interaction_id, "/cancel", method="POST"), retry), interaction_id))
    except Denied as error:
        if error.reason != "failed_precondition":
            raise
        # Elsewhere the project may not do this; here the interaction is in no state to be cancelled.
        raise BadRequest(
            f"the interaction {interaction_id!r} cannot be cancelled: it has ended, or does not run in the background "
            f"({error.status} {error.reason})",
            status=error.status,
            reason=error.reason,
        ) from None


def delete(interaction_id: str, retry: Retry) -> Operation[Order, None]:
    """Delete a stored interaction. Work in flight goes on. Raises BadRequest for an unknown id."""
    yield from _known(send(Call("DELETE", interaction_path(interaction_id)), retry), interaction_id)


def wait(
    interaction: Interaction | str,
    retry: Retry,
    *,
    deadline: float,
    poll: float,
    clock: Callable[[], float],
    on_progress: Callable[[Interaction], None] | None = None,
) -> Operation[Order, Interaction]:
    """Fetch a stored interaction every `poll` seconds until it is finished. Raises AnswerTimeout at the deadline.

    A fetch that fails in passing is repeated as `retry` says, up to the deadline. One that is finished already is
    returned as it is.
    """
    if isinstance(interaction, Interaction) and interaction.status in FINISHED:
        return interaction
    interaction_id = identity_of(interaction)
    call = _about(interaction_id)
    end = Deadline(deadline, clock, f"{call.method} {call.path}")
    while True:
        latest = yield from _known(_ask(call, retry, end), interaction_id)
        if on_progress is not None:
            on_progress(latest)
        if latest.status in FINISHED:
            return latest
        if end.left <= 0:
            raise AnswerTimeout(
                f"the interaction {interaction_id} is still {latest.status!r} after {deadline:g} s; it goes on: "
                "wait for it again, or cancel it"
            )
        yield end.sleep(poll)


def _about(interaction_id: str, suffix: str = "", *, method: Literal["GET", "POST"] = "GET") -> Call:
    """Return a call about a stored interaction, which may be large and is bounded by silence alone."""
    return Call(method, interaction_path(interaction_id) + suffix, total=inf, media=True)


def _ask(call: Call, retry: Retry, deadline: Deadline | None = None) -> Operation[Order, Interaction]:
    """Send a call, again where it fails in passing or its body is cut, and return the interaction that comes back."""

    def attempt() -> Operation[Call, Interaction]:
        reply = yield from once(call)
        return decode(reply.body)

    return with_retries(attempt, retry, deadline=deadline)


def identity_of(interaction: Interaction | str) -> str:
    """Return an interaction's id. ConfigError where it has none: what is not stored cannot be named later."""
    identity: str | None = interaction if isinstance(interaction, str) else getattr(interaction, "id", None)
    if identity is None:
        raise ConfigError(f"an interaction or its id is needed, not a {type(interaction).__name__}")
    if not identity:
        raise ConfigError("the interaction has no id: ask with store=True to name it later")
    return identity


def interaction_path(interaction_id: str) -> str:
    """Return the path of a stored interaction."""
    try:
        return f"{CREATE_PATH}/{quote(interaction_id, safe='')}"
    except UnicodeError:
        raise ConfigError(f"{interaction_id!r} is no id of an interaction: it holds half a character") from None


def _known(operation: Operation[OrderT, T], interaction_id: str) -> Operation[OrderT, T]:
    """Run an operation on a stored interaction; an error says so where the service stores none under this id."""
    try:
        return (yield from operation)
    except Denied as error:
        raise unknown(interaction_id, error) from None


def unknown(interaction_id: str, error: Denied) -> ApiError:
    """Return what a refusal means for a call that names an interaction: a 404 then is no wrong address."""
    if error.status != 404 or error.reason == "model_not_found":
        return error
    return BadRequest(
        f"the service keeps no interaction {interaction_id!r}: it was deleted, has expired, was asked with "
        f"store=False, or belongs to another project (404 {error.reason})",
        status=error.status,
        reason=error.reason,
    )
