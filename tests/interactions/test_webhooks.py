"""Webhooks: what is trusted, and what is not."""

from __future__ import annotations

import base64
import builtins
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from extract.errors import BadSignature, ConfigError, ExtractError
from extract.interactions.webhooks import verify_webhook

NOW = 1_790_000_000
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OLD = "whsec_" + base64.b64encode(b"an older secret that is on its way").decode()
EVENT = {
    "type": "interaction.completed",
    "version": "v1",
    "timestamp": "2026-11-22T10:00:00Z",
    "data": {"id": "v1_abc"},
}
BODY = json.dumps(EVENT).encode()
KEY, STRANGER = (generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))


def signature(body: bytes = BODY, secret: str = SECRET, sent: int = NOW) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, b"msg_1.%d." % sent + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(mac).decode()


def headers(*signatures: str, sent: int = NOW) -> dict[str, str]:
    return {"Webhook-Id": "msg_1", "Webhook-Timestamp": str(sent), "Webhook-Signature": " ".join(signatures)}


def part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def token(claims: dict[str, Any], key: RSAPrivateKey = KEY, **head: Any) -> str:
    signed = f"{part({'alg': 'RS256', 'kid': 'k1'} | head)}.{part(claims)}"
    return f"{signed}.{part(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def jwks(key: RSAPrivateKey = KEY) -> dict[str, Any]:
    numbers = key.public_key().public_numbers()
    n, e = (part(value.to_bytes(-(-value.bit_length() // 8), "big")) for value in (numbers.n, numbers.e))
    return {"keys": [{"kty": "EC", "kid": "other"}, {"kty": "RSA", "kid": "k1", "n": n, "e": e}]}


def test_a_delivery_signed_with_the_secret_becomes_a_typed_event() -> None:
    event = verify_webhook(BODY, headers(signature()), secret=SECRET, now=NOW)
    assert (event.type, event.id, event.webhook_id) == ("interaction.completed", "v1_abc", "msg_1")
    assert event.timestamp is not None
    assert event.timestamp.isoformat() == "2026-11-22T10:00:00+00:00"
    assert event.covered
    assert event.raw == EVENT


def test_one_fitting_signature_of_several_is_enough_while_the_secret_rotates() -> None:
    both = headers("v2,abc", "v1,not-base64!", signature(secret=OLD), signature())
    assert verify_webhook(BODY, both, secret=SECRET, now=NOW).id == "v1_abc"
    assert verify_webhook(BODY, headers(signature(secret=OLD)), secret=[SECRET, OLD], now=NOW).id == "v1_abc"


@pytest.mark.parametrize(
    ("body", "given"),
    [
        (BODY + b" ", headers(signature())),
        (BODY, headers(signature(secret=OLD))),
        (BODY, headers(signature(), sent=NOW + 1)),
        (BODY, headers("v1,")),
        (BODY, headers()),
        (BODY, {"webhook-signature": signature()}),
        (b"[]", headers(signature(b"[]"))),
        (BODY, headers(token({"iat": NOW}))),
    ],
)
def test_what_is_not_signed_as_it_should_be_is_refused(body: bytes, given: dict[str, str]) -> None:
    with pytest.raises(BadSignature) as caught:
        verify_webhook(body, given, secret=SECRET, now=NOW)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("away", [301, -301, 86_400])
def test_an_old_delivery_is_refused_even_with_a_good_signature(away: int) -> None:
    sent = NOW - away
    with pytest.raises(BadSignature, match="at most 300 s"):
        verify_webhook(BODY, headers(signature(sent=sent), sent=sent), secret=SECRET, now=NOW)
    verify_webhook(BODY, headers(signature(sent=sent), sent=sent), secret=SECRET, now=NOW, tolerance=90_000)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!private!!", []])
def test_a_secret_that_cannot_be_read_is_not_repeated_in_the_error(secret: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        verify_webhook(BODY, headers(signature()), secret=secret, now=NOW)
    assert "private" not in str(caught.value)


def test_without_secret_and_keys_nothing_can_be_verified() -> None:
    with pytest.raises(ConfigError, match="give secret="):
        verify_webhook(BODY, headers(signature()))


ME = "https://me.example/hook"


def test_a_token_of_google_is_checked_against_its_keys() -> None:
    claims = {"iat": NOW, "exp": NOW + 600, "aud": ME}
    repeated = claims | {"type": EVENT["type"], "data": EVENT["data"]}
    assert verify_webhook(BODY, headers(token(repeated)), keys=jwks(), audience=ME, now=NOW).covered
    digest = claims | {"body_sha256": hashlib.sha256(BODY).hexdigest()}
    assert verify_webhook(BODY, headers(token(digest)), keys=jwks(), audience=ME, now=NOW).covered


def test_a_token_that_does_not_cover_the_body_passes_on_request_only() -> None:
    sent = headers(token({"iat": NOW, "aud": ME}))
    with pytest.raises(BadSignature, match="accept_uncovered"):
        verify_webhook(BODY, sent, keys=jwks(), audience=ME, now=NOW)
    event = verify_webhook(BODY, sent, keys=jwks(), audience=ME, accept_uncovered=True, now=NOW)
    assert (event.id, event.covered) == ("v1_abc", False)


def test_a_token_for_somebody_needs_an_audience() -> None:
    with pytest.raises(BadSignature, match="audience="):
        verify_webhook(BODY, headers(token({"iat": NOW, "aud": ME})), keys=jwks(), accept_uncovered=True, now=NOW)


@pytest.mark.parametrize("away", [-200, 200])
def test_a_token_without_its_time_of_issue_passes_near_its_end(away: int) -> None:
    sent = headers(token({"exp": NOW + away}))
    assert verify_webhook(BODY, sent, keys=jwks(), accept_uncovered=True, now=NOW).id == "v1_abc"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"payload": BODY.decode()}, "payload takes the body as bytes"),
        ({"headers": list(headers(signature()).items())}, "headers takes a mapping"),
        ({"headers": {b"webhook-signature": b"v1,abc"}}, "must be text"),
        ({"headers": {"webhook-signature": ["v1,abc"]}}, "must be text"),
        ({"keys": b"{}"}, "parsed, not a bytes"),
        ({"tolerance": float("nan")}, "tolerance takes seconds"),
        ({"now": "today"}, "now takes seconds"),
    ],
)
def test_arguments_of_other_types_are_told_by_name(wrong: dict[str, Any], says: str) -> None:
    good: dict[str, Any] = {"payload": BODY, "headers": headers(signature()), "secret": SECRET, "now": NOW}
    arguments = good | wrong
    with pytest.raises(ConfigError, match=says):
        verify_webhook(arguments.pop("payload"), arguments.pop("headers"), **arguments)


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (token({"iat": NOW}, STRANGER), "does not fit"),
        (token({"iat": NOW}, alg="none"), "RS256"),
        (token({"iat": NOW}, alg="HS256"), "RS256"),
        (token({"iat": NOW}, kid="k2"), "fetch"),
        (token({}), "has no time"),
        (token({"iat": NOW - 400}), "old"),
        (token({"exp": NOW - 400}), "no longer valid"),
        (token({"exp": NOW + 86_400}), "in the future"),
        (token({"iat": NOW}, crit=["b64"]), "crit"),
        (token({"iat": NOW, "nbf": NOW + 400}), "not valid yet"),
        (token({"iat": NOW, "aud": "https://other.example"}), "somebody else"),
        (token({"iat": NOW, "aud": "a", "data": {"id": "v1_other"}}), "somebody else|another event"),
        (token({"iat": "soon"}), "time cannot be read"),
        ("a.b.c", "cannot be read|no JSON object"),
        ("a.b!.c", "cannot be read|no JSON object"),
    ],
)
def test_a_token_that_cannot_be_trusted_is_refused(sent: str, says: str) -> None:
    with pytest.raises(BadSignature, match=says):
        verify_webhook(BODY, headers(sent), keys=jwks(), audience="https://me.example/hook", now=NOW)


def test_a_token_for_another_event_than_the_body_is_refused() -> None:
    sent = token({"iat": NOW, "type": EVENT["type"], "data": {"id": "v1_other"}})
    with pytest.raises(BadSignature, match="another event"):
        verify_webhook(BODY, headers(sent), keys=jwks(), now=NOW)


def test_a_short_key_is_refused() -> None:
    weak = generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.raises(ConfigError, match="1024 bits"):
        verify_webhook(BODY, headers(token({"iat": NOW}, weak)), keys=jwks(weak), now=NOW)


def test_without_cryptography_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("cryptography"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"extract-interactions\[webhooks\]"):
        verify_webhook(BODY, headers(token({"iat": NOW})), keys=jwks(), now=NOW)


@settings(max_examples=300, deadline=None)
@given(
    body=st.binary(max_size=40) | st.just(BODY),
    sent=st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]),
        st.text(max_size=20) | st.sampled_from([signature(), str(NOW), token({"iat": NOW}), "v1,é", "é.b.c"]),
    ),
)
def test_whatever_is_delivered_ends_in_an_event_or_in_our_error(body: bytes, sent: dict[str, str]) -> None:
    try:
        verify_webhook(body, sent, secret=SECRET, keys=jwks(), now=NOW)
    except ExtractError as error:
        assert isinstance(error, BadSignature)
