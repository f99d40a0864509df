"""What the client does step by step, as generators that yield calls and are sent replies. Drivers carry them out."""

from __future__ import annotations

from pydantic_core import from_json, to_json

from extract.interactions.dialects import merge
from extract.interactions.wire import Call, Protocol
from extract.types import Interaction

__all__ = ["CREATE_PATH", "create"]

CREATE_PATH = "/interactions"
_MOST_HOPS = 64  # against a service that hands out tokens for ever


def create(body: bytes) -> Protocol[Interaction, Interaction]:
    """Ask once, and follow `requires_continuation` to its end: steps joined, usage added up.

    The chain ends when the service stops handing out a new token; the status of its last hop is the result's.
    """
    interaction = yield Call("POST", CREATE_PATH, body)
    sent = None
    for _ in range(_MOST_HOPS):
        token = interaction.continuation_token
        if interaction.status != "requires_continuation" or not token or token == sent:
            break
        hop = yield Call("POST", CREATE_PATH, _next_hop(body, interaction, token))
        interaction, sent = merge(interaction, hop), token
    return interaction


def _next_hop(body: bytes, interaction: Interaction, token: str) -> bytes:
    """Return the body of the next hop: stored ones name their parent, the others say the first input again."""
    if body.startswith(b'{"store":false,'):
        return body[:-1] + b',"continuation_token":' + to_json(token) + b"}"
    first = from_json(body)
    first.pop("input", None)
    return to_json(first | {"previous_interaction_id": interaction.id, "continuation_token": token})
