"""Each usual mistake of a signature is recognised, whatever the body and the key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.webhooks.diagnosis import (
    Diagnosis,
    SignatureFault,
    diagnose,
    fault_of_wrong_signature,
    is_base64_signature,
)
from core.webhooks.signature import SigningKey

NOW = 1_700_000_000
TIMESTAMP = b"1700000000"
OTHER = SigningKey.from_text("the key of another workspace")

# As Customer.io shows them, and any other printable text.
KEYS = (
    st.binary(min_size=32, max_size=32).map(bytes.hex)
    | st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=70)
).filter(lambda text: text.strip("\"'` ") == text and text != "the key of another workspace")
BODIES = st.binary(max_size=300)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
STYLES = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "separators": st.sampled_from([(",", ":"), (", ", ": "), (",", ": ")]),
        "indent": st.sampled_from([None, 2, 4, "\t"]),
    }
).map(lambda style: {**style, "separators": (",", ": ")} if style["indent"] else style)


def digest(key: str | bytes, message: bytes) -> bytes:
    """The HMAC of a message."""
    secret = key.encode() if isinstance(key, str) else key
    return hmac.new(secret, message, hashlib.sha256).digest()


def signature(key: str | bytes, body: bytes) -> bytes:
    """The signature of Customer.io."""
    return digest(key, b"v0:" + TIMESTAMP + b":" + body).hex().encode()


def found(key: str, signature: bytes | None, body: bytes, now: float = NOW) -> Diagnosis:
    """The diagnosis with one active key and one other key."""
    active = (SigningKey.from_text(key),)
    return diagnose(active, signature, TIMESTAMP, body, now=now, other_keys=(OTHER,))


@given(KEYS, BODIES)
def test_a_right_signature_has_no_fault(key: str, body: bytes) -> None:
    """The key is named."""
    assert found(key, signature(key, body), body) == Diagnosis(None, SigningKey.from_text(key))


@given(KEYS, BODIES, st.integers(301, 10**6), st.booleans())
def test_a_stale_request_is_stale(key: str, body: bytes, seconds: int, is_old: bool) -> None:
    """Too old or too new, with a right signature."""
    now = NOW + (seconds if is_old else -seconds)

    assert found(key, signature(key, body), body, now).fault is SignatureFault.STALE


@given(KEYS, BODIES)
def test_a_signature_over_the_body_alone_is_recognised(key: str, body: bytes) -> None:
    """Without `v0:` and the timestamp."""
    claimed = digest(key, body).hex().encode()

    assert found(key, claimed, body).fault is SignatureFault.BODY_ONLY


@given(KEYS, BODIES, st.sampled_from(['"{}"', "'{}'", "`{}`", "{}\n", "{}\r\n", " {}", "\ufeff{}"]))
def test_a_key_with_something_around_it_is_recognised(key: str, body: bytes, around: str) -> None:
    """With the sender, or here if the keys are the other way round."""
    quoted = around.format(key)

    assert found(key, signature(quoted, body), body).fault is SignatureFault.QUOTED_KEY
    if not quoted.isspace() and quoted.strip() == quoted:
        assert found(quoted, signature(key, body), body).fault is SignatureFault.QUOTED_KEY


@given(st.binary(min_size=16, max_size=32), BODIES)
def test_an_encoded_or_decoded_key_is_recognised(secret: bytes, body: bytes) -> None:
    """Base64 or hex, with the sender or here."""
    for encoded in (base64.b64encode(secret).decode(), secret.hex()):
        assert found(encoded, signature(secret, body), body).fault is SignatureFault.ENCODED_KEY
    hexed = secret.hex()
    twice = base64.b64encode(hexed.encode())
    assert found(hexed, signature(twice, body), body).fault is SignatureFault.ENCODED_KEY


@given(
    KEYS,
    BODIES,
    st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]),
    st.booleans(),
)
def test_a_base64_signature_is_recognised(
    key: str, body: bytes, encode: Callable[[bytes], bytes], has_padding: bool
) -> None:
    """And the key that it fits is named."""
    claimed = encode(digest(key, b"v0:" + TIMESTAMP + b":" + body))
    claimed = claimed if has_padding else claimed.rstrip(b"=")

    diagnosis = found(key, claimed, body)

    assert diagnosis == Diagnosis(SignatureFault.BASE64_SIGNATURE, SigningKey.from_text(key))
    assert is_base64_signature(base64.b64encode(signature(key, body)))


@given(KEYS, BODIES)
def test_the_key_of_another_workspace_is_recognised(key: str, body: bytes) -> None:
    """If that key is known; otherwise the fault is not known."""
    claimed = signature(OTHER.secret, body)

    known = found(key, claimed, body)
    unknown = diagnose((SigningKey.from_text(key),), claimed, TIMESTAMP, body, now=NOW)

    assert known == Diagnosis(SignatureFault.OTHER_KEY, OTHER)
    assert unknown == Diagnosis(SignatureFault.UNKNOWN)


@given(
    KEYS,
    st.binary(min_size=1, max_size=50),
    st.sampled_from(
        [
            lambda body: body + b"\n",
            lambda body: body + b"\r\n",
            lambda body: b"\xef\xbb\xbf" + body,
            lambda body: body.rstrip(b"\r\n"),
            lambda body: body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
            lambda body: body.decode("latin-1").encode(),
        ]
    ),
)
def test_a_body_with_changed_bytes_is_recognised(
    key: str, core: bytes, change: Callable[[bytes], bytes]
) -> None:
    """Line ends, byte order mark, character set: also without reading JSON."""
    body = b"{" + core.replace(b"\r", b"") + b"}\n"
    received = change(body)
    assume(received != body)
    active = (SigningKey.from_text(key),)

    fault = fault_of_wrong_signature(active, signature(key, body), TIMESTAMP, received)

    assert fault is SignatureFault.REENCODED_BODY


@given(KEYS, JSON, STYLES, STYLES)
def test_json_that_was_written_again_is_recognised(
    key: str, value: Any, style: dict[str, Any], other: dict[str, Any]
) -> None:
    """Other white space, other escapes."""
    body, received = (json.dumps(value, **one).encode() for one in (style, other))
    assume(body != received)

    assert found(key, signature(key, body), received).fault is SignatureFault.REENCODED_BODY


@pytest.mark.parametrize(
    ("body", "received"),
    [
        (b'{"a":"\\u003cb\\u003e","n":1.50}', b'{"a": "<b>", "n": 1.50}'),  # Go, Rails
        (b'{"url":"http:\\/\\/x\\/\\u00e9"}', '{"url":"http://x/é"}'.encode()),  # PHP
        (b'{"a":1,"b":{"c":2,"d":3}}', b'{"b":{"d":3,"c":2},"a":1}'),  # order of keys
    ],
)
def test_json_of_other_languages_is_recognised(body: bytes, received: bytes) -> None:
    """Their escapes; numbers keep their spelling."""
    assert found("key", signature("key", body), received).fault is SignatureFault.REENCODED_BODY


@given(BODIES, st.binary(max_size=100) | st.none(), st.binary(max_size=20) | st.none())
def test_hostile_input_gets_a_reason(
    body: bytes, signature: bytes | None, timestamp: bytes | None
) -> None:
    """Nothing raises."""
    active = (SigningKey.from_text("key"),)

    assert diagnose(active, signature, timestamp, body, now=NOW).fault is not None


@pytest.mark.parametrize(
    ("signature", "fault"),
    [
        (None, SignatureFault.MISSING_HEADER),
        (b"sha256=" + b"0" * 64, SignatureFault.MALFORMED_HEADER),
        (b"-+" + b"A" * 41 + b"=", SignatureFault.BASE64_SIGNATURE),
        (b"0" * 64, SignatureFault.UNKNOWN),
    ],
)
@pytest.mark.parametrize("body", [b"", b"[" * 50_000, b"\xff\x00", b'{"a":"\\ud800"}'])
def test_odd_bodies_raise_nothing(
    signature: bytes | None, fault: SignatureFault, body: bytes
) -> None:
    """Nesting without end, bytes that are not text, half a surrogate pair."""
    assert found("key", signature, body).fault is fault
