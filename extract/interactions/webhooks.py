"""Webhooks: checking that a notification came from the service, and reading it.

A webhook of the project is signed with its secret (Standard Webhooks, HMAC-SHA256); one that a request named carries a
token signed by Google (RS256), to be checked against Google's public keys. The documentation does not say what that
token claims; the checks here are those that hold for any such token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from extract.errors import BadSignature, ConfigError
from extract.json_types import JsonObject

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

__all__ = ["JWKS_URL", "WebhookEvent", "verify_webhook"]

JWKS_URL = "https://generativelanguage.googleapis.com/.well-known/jwks.json"
"""Where Google's public keys are. Fetch them yourself, and again when a token names a key that is not there."""

TOLERANCE = 300.0
_MIN_BITS = 2048
_MAX_BYTES = 1_000_000
_MAX_TIME = 1e15


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """One notification, such as `interaction.completed` with the interaction's id. Get the interaction for the rest.

    Deliveries are repeated until they are answered with 2xx: store `webhook_id` and drop repetitions. `covered` is
    False where the token proves that Google sent something, but not that it sent this body; such an event comes with
    `accept_uncovered` only. Take it as a hint to ask the service, no more.

        >>> WebhookEvent(type="interaction.completed", id="v1_abc", data={"id": "v1_abc"}).covered
        True
    """

    type: str
    id: str | None = None
    timestamp: datetime | None = None
    data: JsonObject = field(default_factory=dict)
    webhook_id: str | None = None
    covered: bool = True
    raw: JsonObject = field(default_factory=dict, repr=False)


def verify_webhook(
    payload: bytes,
    headers: Mapping[str, str],
    *,
    secret: str | Sequence[str] | None = None,
    keys: Mapping[str, Any] | None = None,
    audience: str | None = None,
    accept_uncovered: bool = False,
    now: float | None = None,
    tolerance: float = TOLERANCE,
) -> WebhookEvent:
    """Return the event in a delivery that can be trusted; raise BadSignature for any other: answer it with 400.

    `payload` is the body as it came, byte for byte. `secret` (`whsec_...`, several while rotating) is for webhooks of
    the project, `keys` (the JSON of `JWKS_URL`) for those that a request named; give what you use. `audience` is what
    the token must be meant for, usually your URL; a token that names an audience needs it. `now` is in seconds since
    1970; a delivery more than `tolerance` seconds away from it is refused. ConfigError where the secret or the keys
    cannot be read, and for arguments of other types.

    A token that repeats neither the body nor its digest is refused: anybody with any token of Google's could attach it
    to another body. What Google's tokens claim is not documented; where yours do not cover the body,
    `accept_uncovered=True` accepts them. Then get the interaction before you believe the event.

        >>> verify_webhook(b"{}", {}, secret="whsec_c2VjcmV0")
        Traceback (most recent call last):
        extract.errors.BadSignature: there is no webhook-signature header
    """
    _check_arguments(payload, keys, now, tolerance)
    if secret is None and keys is None:
        raise ConfigError("give secret= (webhooks of the project) or keys= (webhooks that a request named), or both")
    if len(payload) > _MAX_BYTES:
        raise BadSignature(f"the body has {len(payload):,} bytes; notifications are short")
    lowered = _lowered(headers)
    signature = lowered.get("webhook-signature", "").strip()
    if not signature:
        raise BadSignature("there is no webhook-signature header")
    clock = time.time() if now is None else now
    if _is_token(signature):
        event = _by_token(payload, lowered, signature, keys, audience, clock, tolerance)
        if not event.covered and not accept_uncovered:
            raise BadSignature(
                "the token does not cover the body, so it may belong to another one: accept_uncovered=True accepts it"
            )
        return event
    return _by_secret(payload, lowered, signature, secret, clock, tolerance)


def _check_arguments(payload: Any, keys: Any, now: Any, tolerance: Any) -> None:
    if not isinstance(payload, bytes | bytearray):
        raise ConfigError(f"payload takes the body as bytes, as it came, not a {type(payload).__name__}")
    if keys is not None and not isinstance(keys, Mapping):
        raise ConfigError(f"keys= takes the JSON object at {JWKS_URL}, parsed, not a {type(keys).__name__}")
    for name, value in (("tolerance", tolerance), ("now", 0 if now is None else now)):
        if not isinstance(value, int | float) or not 0 <= value < _MAX_TIME:
            raise ConfigError(f"{name} takes seconds, not {value!r}")


def _lowered(headers: Any) -> dict[str, str]:
    """Return the headers by lower-case names; anything with `items()` will do, as servers have their own classes."""
    if not callable(getattr(headers, "items", None)):
        raise ConfigError(f"headers takes a mapping of names to values, not a {type(headers).__name__}")
    pairs = dict(headers.items())
    if not all(isinstance(text, str) for pair in pairs.items() for text in pair):
        raise ConfigError("headers: names and values must be text (str)")
    return {name.lower(): value for name, value in pairs.items()}


def _is_token(signature: str) -> bool:
    """True for a JWT, which is three parts joined by points; other signatures look like `v1,...`."""
    return signature.isascii() and signature.count(".") == 2 and "," not in signature and " " not in signature


def _by_secret(
    payload: bytes,
    headers: Mapping[str, str],
    signature: str,
    secret: str | Sequence[str] | None,
    now: float,
    tolerance: float,
) -> WebhookEvent:
    if secret is None:
        raise BadSignature("the delivery is signed with a secret, and none was given: give secret=")
    identity, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not identity or not sent:
        raise BadSignature("the headers webhook-id and webhook-timestamp are needed")
    signed = b".".join((identity.encode("latin-1", "replace"), sent.encode("latin-1", "replace"), payload))
    # Every secret is compared with every signature, so that the time taken does not reveal which one fits.
    expected = [hmac.new(key, signed, hashlib.sha256).digest() for key in _secrets(secret)]
    given = [mac for one in signature.split() if (mac := _mac(one)) is not None]
    fits = [hmac.compare_digest(mac, wanted) for mac in given for wanted in expected]
    if not any(fits):
        raise BadSignature("no signature fits: check the secret, and that the body is passed byte for byte")
    _check_time(sent, now, tolerance)
    return _event(_object(payload, "the body"), identity)


def _secrets(secret: str | Sequence[str]) -> list[bytes]:
    """Return the keys in secrets. ConfigError, which does not repeat them, for those that cannot be read."""
    keys = []
    for one in [secret] if isinstance(secret, str) else secret:
        try:
            key = base64.b64decode(one.strip().removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError, AttributeError):
            key = b""
        if not key:
            raise ConfigError(
                "the webhook secret cannot be read: it looks like whsec_ and base64, as it was shown once"
            )
        keys.append(key)
    if not keys:
        raise ConfigError("no webhook secret was given")
    return keys


def _mac(signature: str) -> bytes | None:
    """Return the bytes of a signature of version v1, None for any other."""
    version, _, text = signature.partition(",")
    if version != "v1":
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _by_token(
    payload: bytes,
    headers: Mapping[str, str],
    token: str,
    keys: Mapping[str, Any] | None,
    audience: str | None,
    now: float,
    tolerance: float,
) -> WebhookEvent:
    if keys is None:
        raise BadSignature(f"the delivery carries a token of Google's: give keys=, the JSON at {JWKS_URL}")
    claims = _claims(token, keys)
    _check_claims(claims, audience, now, tolerance)
    if "webhook-timestamp" in headers:
        _check_time(headers["webhook-timestamp"], now, tolerance)
    body = _object(payload, "the body")
    named = [name for name in ("type", "data") if name in claims]
    if any(claims[name] != body.get(name) for name in named):
        raise BadSignature("the token is about another event than the body")
    covered = len(named) == 2 or _covers(claims, payload)
    return _event(body, headers.get("webhook-id"), covered=covered)


def _covers(claims: JsonObject, payload: bytes) -> bool:
    """True where a claim is a digest of the body, in one of the usual forms."""
    digest = hashlib.sha256(payload).digest()
    forms = (digest.hex(), base64.b64encode(digest).decode(), base64.urlsafe_b64encode(digest).decode().rstrip("="))
    return any(isinstance(value, str) and value in forms for value in claims.values())


def _claims(token: str, keys: Mapping[str, Any]) -> JsonObject:
    """Return what a token claims, its signature checked against the key it names."""
    encoded_head, claims, signature = token.split(".")
    head = _object(_unpadded(encoded_head), "the token's head")
    if head.get("alg") != "RS256":  # nothing else: a token must not choose how it is checked
        raise BadSignature(f"the token is signed by {str(head.get('alg'))[:20]!r}, not by RS256")
    if "crit" in head:  # extensions that a reader must understand; none are supported here
        raise BadSignature("the token needs extensions (crit) that are not supported")
    key = _key(keys, head.get("kid"))
    if not _fits(key, _unpadded(signature), f"{encoded_head}.{claims}".encode("ascii")):
        raise BadSignature("the token's signature does not fit")
    return _object(_unpadded(claims), "the token")


def _key(keys: Mapping[str, Any], identity: Any) -> RSAPublicKey:
    """Return the key that a token names."""
    listed = keys.get("keys")
    if not isinstance(listed, list):
        raise ConfigError(f"keys= takes the JSON object at {JWKS_URL}, which holds a list 'keys'")
    for one in listed:
        if isinstance(one, Mapping) and one.get("kty") == "RSA" and one.get("kid") == identity:
            return _public_key(one)
    raise BadSignature(f"no key {str(identity)[:60]!r} is among those given: fetch {JWKS_URL} anew")


def _public_key(key: Mapping[str, Any]) -> RSAPublicKey:
    try:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        message = "checking Google's tokens needs cryptography: pip install 'extract-interactions[webhooks]'"
        raise ConfigError(message) from None
    try:
        modulus, exponent = (int.from_bytes(_unpadded(str(key[name])), "big") for name in ("n", "e"))
        public = RSAPublicNumbers(exponent, modulus).public_key()
    except (KeyError, ValueError, BadSignature):
        raise ConfigError("keys=: an RSA key cannot be read") from None
    if public.key_size < _MIN_BITS:
        raise ConfigError(f"keys=: an RSA key has {public.key_size} bits; it needs {_MIN_BITS}")
    return public


def _fits(key: RSAPublicKey, signature: bytes, signed: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - an extra, and there: see _public_key
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    try:
        key.verify(signature, signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _check_claims(claims: JsonObject, audience: str | None, now: float, tolerance: float) -> None:
    """Raise BadSignature where a token is not valid now, or meant for somebody else."""
    issued, ends = claims.get("iat"), claims.get("exp")
    if issued is None and ends is None:
        raise BadSignature("the token has no time")
    if issued is not None:
        _check_time(issued, now, tolerance)
    if ends is not None and _seconds(ends) + tolerance < now:
        raise BadSignature("the token is no longer valid")
    if issued is None:  # one that is valid for long could be played back for long
        _check_time(ends, now, tolerance)
    if claims.get("nbf") is not None and _seconds(claims["nbf"]) - tolerance > now:
        raise BadSignature("the token is not valid yet")
    meant = claims.get("aud")
    if meant is not None and audience is None:
        raise BadSignature(f"the token is meant for {str(meant)[:80]!r}: give audience= if that is you")
    if audience is not None and audience not in (meant if isinstance(meant, list) else [meant]):
        raise BadSignature("the token is meant for somebody else")


def _check_time(sent: Any, now: float, tolerance: float) -> None:
    away = now - _seconds(sent)
    if abs(away) > tolerance:
        when = "old" if away > 0 else "in the future"
        raise BadSignature(f"the delivery is {abs(away):.0f} s {when}; at most {tolerance:g} s are accepted")


def _seconds(value: Any) -> float:
    """Return a time in seconds since 1970."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
        return float(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MAX_TIME:
        return float(value)
    raise BadSignature("the delivery's time cannot be read")


def _unpadded(text: str) -> bytes:
    """Return the bytes of URL-safe base64 without padding."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadSignature("the token cannot be read") from None


def _object(text: bytes, what: str) -> JsonObject:
    try:
        value = from_json(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise BadSignature(f"{what} is not a JSON object")
    return value


def _event(raw: JsonObject, webhook_id: str | None, *, covered: bool = True) -> WebhookEvent:
    data = raw.get("data")
    known = data if isinstance(data, dict) else {}
    return WebhookEvent(
        type=str(raw.get("type") or ""),
        id=known["id"] if isinstance(known.get("id"), str) else None,
        timestamp=_time(raw.get("timestamp")),
        data=known,
        webhook_id=webhook_id,
        covered=covered,
        raw=raw,
    )


def _time(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
