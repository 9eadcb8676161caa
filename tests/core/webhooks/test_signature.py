"""Signatures: known digests, what is refused, and that no input raises an exception."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.webhooks.signature import Refusal, SignatureCheck, SigningKey, Verification, sign, verify

NOW = 1_700_000_000
TIMESTAMP = b"1700000000"
KEY = SigningKey.from_text("test_signing_key")
OTHER = SigningKey.from_text("another_signing_key")
BODY = b'{"event_id":"01E4C4CT6YDC7Y5M7FE1GWWPQJ","metric":"sent"}'
# Made with: printf 'v0:1700000000:%s' "$body" | openssl dgst -sha256 -hmac test_signing_key
DIGEST = b"3c6390ce25d3342592bc832d0db41e5b9a4807a4d7eaec33956d89ae5db02370"
EMPTY_DIGEST = b"67e29a942458266c212188086dddb4b5edd7bc24c82786f8d8ec5a4cd7e30c7a"
BINARY_DIGEST = b"6ef0608dee9f2edda4b51716145b40555d208a3b4b7ee1d9a39b7ad3471cd320"
ZEROS_DIGEST = b"4562a161845167a25f2561ffd4f1d2b981efaf76b0daf54d290f6731e4f5e09c"
UMLAUT_DIGEST = b"4763e05a4f14402e0e3ca6fa120bdea350e19b3b7a3962e8414fff933c69227a"


def check(
    signature: bytes | None, timestamp: bytes | None = TIMESTAMP, body: bytes = BODY
) -> Verification:
    """Verify with the test key at the time of the timestamp."""
    return verify((KEY,), signature, timestamp, body, now=NOW)


@pytest.mark.parametrize(
    ("digest", "timestamp", "body"),
    [
        pytest.param(DIGEST, b"1700000000", BODY, id="event"),
        pytest.param(ZEROS_DIGEST, b"001700000000", b"x", id="zeros-as-received"),
        pytest.param(EMPTY_DIGEST, b"1700000000", b"", id="empty-body"),
        pytest.param(BINARY_DIGEST, b"1700000000", b"\x00\xff\xfe\r\n", id="not-text"),
    ],
)
def test_verify_agrees_with_openssl(digest: bytes, timestamp: bytes, body: bytes) -> None:
    """The digests are those of openssl for `v0:`, the header as received, `:` and the raw body."""
    assert Verification(KEY, None, 0) == check(digest, timestamp, body)


def test_sign_agrees_with_openssl() -> None:
    """`sign` and openssl return the same digest."""
    assert DIGEST.decode() == sign(KEY, 1_700_000_000, BODY)


def test_key_is_the_utf8_bytes_of_its_text() -> None:
    """A key with characters outside ASCII is used as UTF-8."""
    key = SigningKey.from_text("schüssel")

    assert UMLAUT_DIGEST.decode() == sign(key, "1700000000", BODY)


@pytest.mark.parametrize(
    ("text", "fingerprint"),
    [
        ("test_signing_key", "651bf3b7"),
        (" test_signing_key\n", "651bf3b7"),
        ("schüssel", "2ea55cc6"),
    ],
)
def test_fingerprint_is_the_start_of_the_sha256(text: str, fingerprint: str) -> None:
    """The first 8 hex digits of the SHA-256 of the key without surrounding white space."""
    assert fingerprint == SigningKey.from_text(text).fingerprint


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_blank_text_makes_no_key(blank: str) -> None:
    """Anybody could sign with a blank key."""
    with pytest.raises(ValueError, match="blank"):
        SigningKey.from_text(blank)


def test_repr_shows_no_secret() -> None:
    """Neither a key nor a result of a check shows the secret."""
    shown = repr(KEY) + repr(check(DIGEST)) + repr(SignatureCheck((KEY,), DIGEST, TIMESTAMP))

    assert "test_signing_key" not in shown
    assert KEY.fingerprint in shown


def test_verify_accepts_spellings_of_the_same_digest() -> None:
    """A leading `v0=` and upper-case digits."""
    mixed = DIGEST[:32] + DIGEST[32:].upper()
    spellings = [b"v0=" + DIGEST, DIGEST.upper(), b"v0=" + DIGEST.upper(), mixed]

    refused = [spelling for spelling in spellings if check(spelling).refusal is not None]

    assert refused == []


def test_verify_refuses_a_malformed_signature() -> None:
    """Anything but 64 ASCII hex digits, alone or after `v0=`."""
    signatures = [
        b"",
        b"v0=",
        b"v1=" + DIGEST,
        b"V0=" + DIGEST,
        b"v0=v0=" + DIGEST,
        b"sha256=" + DIGEST,
        DIGEST[:-1],
        DIGEST + b"0",
        b" " + DIGEST,
        DIGEST + b"\n",
        DIGEST + b"," + DIGEST,
        DIGEST[:-1] + b"g",
        DIGEST[:-1] + b"\xe9",
        "\uff10".encode() * 64,
        "é".encode("latin-1") * 64,
        b"a" * 10_240,
        b"\x00" * 64,
    ]
    malformed = Verification(None, Refusal.MALFORMED_HEADER)

    assert [one for one in signatures if check(one) != malformed] == []


def test_verify_refuses_a_malformed_timestamp() -> None:
    """Anything but 1 to 12 ASCII digits, even with a valid signature."""
    timestamps = [
        b"",
        b"-1700000000",
        b"+1700000000",
        b" 1700000000",
        b"1700000000\n",
        b"1700000000.0",
        b"1_700_000_000",
        b"1.7e9",
        b"0x6553f100",
        b"1" * 13,
        b"1" * 10_240,
        b"1700000000,1700000000",
        "\uff11\uff17".encode(),
        b"\xb2",
        b"now",
    ]
    malformed = Verification(None, Refusal.MALFORMED_HEADER)

    results = {
        timestamp: check(sign(KEY, timestamp.decode("latin-1"), BODY).encode(), timestamp)
        for timestamp in timestamps
    }

    assert {one: result for one, result in results.items() if result != malformed} == {}


@pytest.mark.parametrize(
    ("signature", "timestamp"), [(None, TIMESTAMP), (DIGEST, None), (None, None)]
)
def test_verify_refuses_a_missing_header(signature: bytes | None, timestamp: bytes | None) -> None:
    """Both headers are required. A missing one is known before the body is read."""
    assert Verification(None, Refusal.MISSING_HEADER) == check(signature, timestamp)
    assert SignatureCheck((KEY,), signature, timestamp).refusal == Refusal.MISSING_HEADER


def test_verify_refuses_a_body_changed_by_one_bit() -> None:
    """At any position."""
    wrong = Verification(None, Refusal.WRONG_SIGNATURE)

    accepted = [
        position
        for position, byte in enumerate(BODY)
        if check(DIGEST, body=BODY[:position] + bytes([byte ^ 1]) + BODY[position + 1 :]) != wrong
    ]

    assert accepted == []


@pytest.mark.parametrize("body", [BODY + b"\n", BODY[:-1], b"", b"\xef\xbb\xbf" + BODY])
def test_verify_refuses_a_body_of_another_length(body: bytes) -> None:
    """Bytes were added or removed."""
    assert check(DIGEST, body=body).refusal == Refusal.WRONG_SIGNATURE


def test_verify_refuses_another_timestamp_than_the_signed_one() -> None:
    """The text of the timestamp header is signed too."""
    assert check(DIGEST, b"1700000001").refusal == Refusal.WRONG_SIGNATURE
    assert check(DIGEST, b"01700000000").refusal == Refusal.WRONG_SIGNATURE


@pytest.mark.parametrize("keys", [(KEY, OTHER), (OTHER, KEY), (OTHER, KEY, OTHER)])
def test_verify_tries_every_key_and_returns_the_one_that_matched(
    keys: tuple[SigningKey, ...],
) -> None:
    """During a rotation there are several active keys."""
    verdict = verify(keys, DIGEST, TIMESTAMP, BODY, now=NOW)

    assert verdict.key == KEY
    assert verdict.refusal is None


@pytest.mark.parametrize("keys", [(), (OTHER,)])
def test_verify_refuses_what_no_key_signed(keys: tuple[SigningKey, ...]) -> None:
    """Without keys, or with other keys only."""
    verdict = verify(keys, DIGEST, TIMESTAMP, BODY, now=NOW)

    assert Verification(None, Refusal.WRONG_SIGNATURE) == verdict


@pytest.mark.parametrize(
    ("age", "refusal"),
    [
        (0, None),
        (300, None),
        (-300, None),
        (300.001, Refusal.STALE_TIMESTAMP),
        (-300.001, Refusal.STALE_TIMESTAMP),
        (10**9, Refusal.STALE_TIMESTAMP),
    ],
)
def test_window_includes_its_limits(age: float, refusal: Refusal | None) -> None:
    """300 s in either direction are accepted. A stale request has its key and its age."""
    verdict = verify((KEY,), DIGEST, TIMESTAMP, BODY, now=NOW + age)

    assert verdict.key == KEY
    assert verdict.refusal == refusal
    assert verdict.age_seconds == pytest.approx(age)


def test_a_wrong_signature_is_never_called_stale() -> None:
    """The signature is checked first, so a forger learns nothing about our clock."""
    verdict = verify((OTHER,), DIGEST, TIMESTAMP, BODY, now=NOW + 10**6)

    assert Verification(None, Refusal.WRONG_SIGNATURE) == verdict


@given(st.binary(), st.lists(st.integers(0, 64)))
def test_a_body_in_parts_is_the_same_body(body: bytes, cuts: list[int]) -> None:
    """The result does not depend on how the body is split while it is read."""
    check = SignatureCheck((KEY,), sign(KEY, NOW, body).encode(), TIMESTAMP)
    positions = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, end in pairwise(positions):
        check.update(body[start:end])

    assert check.verdict(NOW, 300).refusal is None


@given(st.none() | st.binary(max_size=80), st.none() | st.binary(max_size=16), st.binary())
def test_no_bytes_make_verify_raise_or_accept(
    signature: bytes | None, timestamp: bytes | None, body: bytes
) -> None:
    """Random headers and bodies are refused with a reason, without an exception."""
    verdict = verify((KEY, OTHER), signature, timestamp, body, now=NOW)

    assert verdict.refusal is not None


@given(st.binary(min_size=32, max_size=32), st.integers(0, 10**12 - 1), st.binary())
def test_no_guess_of_the_right_shape_is_accepted(
    digest: bytes, timestamp: int, body: bytes
) -> None:
    """Well-formed headers without a key are a wrong signature, not malformed."""
    signature = digest.hex().encode()

    verdict = verify((KEY, OTHER), signature, b"%d" % timestamp, body, now=NOW)

    assert Verification(None, Refusal.WRONG_SIGNATURE) == verdict
