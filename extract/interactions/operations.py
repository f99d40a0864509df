"""What the client does step by step, as generators that yield calls and are sent replies. Drivers carry them out."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any
from urllib.parse import quote

from pydantic_core import from_json, to_json

from extract.errors import AnswerTimeout, ApiError, BadRequest, ConfigError, Denied
from extract.interactions.dialects import merge
from extract.interactions.http.calls import Call, PollingProtocol, Protocol, Reply
from extract.interactions.http.retrying import Deadline, Retry, insist_on
from extract.interactions.interaction import Interaction

__all__ = [
    "CREATE_PATH",
    "FINISHED",
    "MOST_HOPS",
    "cancel",
    "create",
    "delete",
    "follow_up",
    "get",
    "identity_of",
    "next_hop",
    "unknown",
    "wait",
]

CREATE_PATH = "/interactions"
MOST_HOPS = 64  # against a service that hands out tokens for ever

FINISHED = frozenset(
    {
        *("completed", "incomplete", "failed", "cancelled", "budget_exceeded"),
        *("requires_action", "requires_continuation"),  # the next move is the caller's
    }
)
"""The statuses that do not change by themselves. One that is not known may: only a deadline ends waiting for it."""


def create(
    body: bytes, *, timeout: float | None = None, parent: str | None = None
) -> Protocol[Interaction, Interaction]:
    """Ask once, and follow `requires_continuation` to its end: steps joined, usage added up.

    The chain ends when the service stops handing out a new token; the status of its last hop is the result's. `parent`
    is the id that the body goes on from: one that is not known is then told apart from a wrong address.
    """
    first = Call("POST", CREATE_PATH, body, timeout=timeout)
    interaction: Interaction = (yield from _known(first, parent)) if parent else (yield first)
    return (yield from follow_up(body, interaction, timeout=timeout))


def follow_up(
    body: bytes, interaction: Interaction, *, timeout: float | None = None
) -> Protocol[Interaction, Interaction]:
    """Fetch the rest of an answer to `body`, if it is one that comes in several: see `create`."""
    sent = None
    for _ in range(MOST_HOPS):
        token = interaction.continuation_token
        if interaction.status != "requires_continuation" or not token or token == sent:
            break
        hop = yield Call("POST", CREATE_PATH, next_hop(body, interaction, token), timeout=timeout)
        interaction, sent = merge(interaction, hop), token
    return interaction


def next_hop(body: bytes, interaction: Interaction, token: str) -> bytes:
    """Return the body of the next hop: stored ones name their parent, the others say the first input again."""
    if body.startswith(b'{"store":false,'):
        if b'"continuation_token":' in body:  # perhaps as a field of the schema: reading it tells
            return to_json(from_json(body) | {"continuation_token": token})
        return body[:-1] + b',"continuation_token":' + to_json(token) + b"}"
    first = from_json(body)
    first.pop("input", None)
    return to_json(first | {"previous_interaction_id": interaction.id, "continuation_token": token})


def get(interaction_id: str, *, include_input: bool = False) -> Protocol[Interaction, Interaction]:
    """Fetch a stored interaction. Raises BadRequest where the service keeps none under this id."""
    query = "?include_input=true" if include_input else ""
    interaction: Interaction = yield from _known(Call("GET", interaction_path(interaction_id) + query), interaction_id)
    return interaction


def cancel(interaction_id: str) -> Protocol[Interaction, Interaction]:
    """Stop an interaction that runs in the background. Raises BadRequest for an id that is unknown or not running."""
    interaction: Interaction = yield from _known(
        Call("POST", interaction_path(interaction_id) + "/cancel"), interaction_id
    )
    return interaction


def delete(interaction_id: str) -> Protocol[Reply, None]:
    """Let the service forget a stored interaction. Work in flight goes on. Raises BadRequest for an unknown id."""
    yield from _known(Call("DELETE", interaction_path(interaction_id)), interaction_id)


def wait(
    interaction_id: str,
    *,
    deadline: float,
    poll: float,
    clock: Callable[[], float],
    retry: Retry,
    on_progress: Callable[[Interaction], None] | None = None,
) -> PollingProtocol[Interaction, Interaction]:
    """Fetch a stored interaction every `poll` seconds until it is finished. Raises AnswerTimeout at the deadline.

    A look that fails in passing is repeated as `retry` says, up to the deadline.
    """
    end = Deadline(deadline, clock)
    call = Call("GET", interaction_path(interaction_id))
    while True:
        try:
            interaction: Interaction = yield from insist_on(call, retry, end)
        except Denied as error:
            raise unknown(interaction_id, error) from None
        if on_progress is not None:
            on_progress(interaction)
        if interaction.status in FINISHED:
            return interaction
        if end.left <= 0:
            raise AnswerTimeout(
                f"the interaction {interaction_id} is still {interaction.status!r} after {deadline:g} s; it goes on: "
                "wait for it again, or cancel it"
            )
        yield end.sleep(poll)


def identity_of(interaction: Interaction | str) -> str:
    """Return an interaction's id. ConfigError where it has none: what is not stored cannot be named later."""
    found = interaction if isinstance(interaction, str) else interaction.id
    if not found:
        raise ConfigError("the interaction has no id: ask with store=True to name it later")
    return found


def interaction_path(interaction_id: str) -> str:
    """Return the path of a stored interaction."""
    try:
        return f"{CREATE_PATH}/{quote(interaction_id, safe='')}"
    except UnicodeError:
        raise ConfigError(f"{interaction_id!r} is no id of an interaction: it holds half a character") from None


def _known(call: Call, interaction_id: str) -> Generator[Call, Any, Any]:
    """Send a call that names an interaction, and say it in so many words where the service knows none."""
    try:
        return (yield call)
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
