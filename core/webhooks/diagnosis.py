"""Find out why a signature does not fit: try the usual mistakes one after the other.

This never accepts a request. It explains one that `signature` has refused. If a mistake fits, the
sender has the right key, because nobody else can make such a signature. Pure.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from core.webhooks.reencoding import byte_forms, json_forms
from core.webhooks.signature import Refusal, SignatureCheck, SigningKey

_BASE64_SIGNATURE = re.compile(
    rb"(?:v0=)?(?P<digest>[A-Za-z0-9+/_-]{43}=?)|(?:v0=)?(?P<hex>[A-Za-z0-9+/]{86}==)", re.ASCII
)
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_HEX_DIGEST = re.compile(rb"[0-9a-fA-F]{64}", re.ASCII)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_QUOTES = ((b'"', b'"'), (b"'", b"'"), (b"`", b"`"), (b"\xe2\x80\x9c", b"\xe2\x80\x9d"))
_AROUND = ((b"", b"\n"), (b"", b"\r\n"), (b"", b" "), (b" ", b""), (_BYTE_ORDER_MARK, b""))


class SignatureFault(StrEnum):
    """Why a request is not accepted, as far as its signature shows."""

    MISSING_HEADER = "missing_header"
    MALFORMED_HEADER = "malformed_header"
    STALE = "stale"
    """The signature is right, and the timestamp is outside the window."""
    BODY_ONLY = "body_only"
    """The signature is over the body, without `v0:` and the timestamp."""
    REENCODED_BODY = "reencoded_body"
    """The signature fits another form of the body."""
    QUOTED_KEY = "quoted_key"
    """The key has quotes, white space or a byte order mark around it, or lacks them."""
    ENCODED_KEY = "encoded_key"
    """The key was decoded from, or encoded as, base64 or hex."""
    BASE64_SIGNATURE = "base64_signature"
    """The header has the form of base64, not of hex."""
    OTHER_KEY = "other_key"
    """The signature fits a key of another workspace or an earlier one."""
    NOT_EXAMINED = "not_examined"
    UNKNOWN = "unknown"
    """None of these."""


PROVEN = frozenset(
    (
        SignatureFault.STALE,
        SignatureFault.BODY_ONLY,
        SignatureFault.REENCODED_BODY,
        SignatureFault.QUOTED_KEY,
        SignatureFault.ENCODED_KEY,
    )
)
"""Faults that only a sender with the right key can have."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the signature of a request shows.

    Attributes:
        fault: What is wrong; None if the signature is right.
        key: The key that the signature fits as it is; None if it fits none.
    """

    fault: SignatureFault | None
    key: SigningKey | None = None


def is_base64_signature(signature: bytes) -> bool:
    """Return whether a header has a SHA-256 digest in base64, of its bytes or of its hex digits."""
    return bool(_digest_in_base64(signature))


def fault_of_wrong_signature(
    keys: Iterable[SigningKey],
    digest: bytes,
    timestamp: bytes,
    body: bytes,
    *,
    parses_json: bool = False,
) -> SignatureFault:
    """Return why no key fits a well-formed signature. About 30 HMACs of the body for each key.

    Args:
        keys: The active keys.
        digest: The 64 hex digits of the signature.
        timestamp: Header `X-CIO-Timestamp` as received.
        body: The whole body as received.
        parses_json: Whether to try other forms of JSON too; 60 HMACs more for each key.

    Returns:
        `BODY_ONLY`, `QUOTED_KEY`, `ENCODED_KEY`, `REENCODED_BODY` or `UNKNOWN`.
    """
    claimed = bytes.fromhex(digest.decode("ascii"))
    secrets = [key.secret for key in keys]
    start = b"v0:" + timestamp + b":"
    message = start + body
    forms = chain(byte_forms(body), json_forms(body) if parses_json else ())
    candidates: tuple[tuple[SignatureFault, Iterable[tuple[bytes, bytes]]], ...] = (
        (SignatureFault.BODY_ONLY, ((one, body) for one in secrets)),
        (
            SignatureFault.QUOTED_KEY,
            ((other, message) for one in secrets for other in _requoted(one)),
        ),
        (
            SignatureFault.ENCODED_KEY,
            ((other, message) for one in secrets for other in _recoded(one)),
        ),
        (
            SignatureFault.REENCODED_BODY,
            ((one, start + form) for form in forms for one in secrets),
        ),
    )
    for fault, tries in candidates:
        if any(
            hmac.compare_digest(hmac.digest(secret, text, "sha256"), claimed)
            for secret, text in tries
        ):
            return fault
    return SignatureFault.UNKNOWN


def diagnose(
    keys: tuple[SigningKey, ...],
    signature: bytes | None,
    timestamp: bytes | None,
    body: bytes,
    *,
    now: float,
    tolerance_seconds: float = 300,
    other_keys: tuple[SigningKey, ...] = (),
) -> Diagnosis:
    """Explain a complete request. Work and memory are a multiple of the body: not for a receiver.

    Args:
        keys: The active keys.
        signature: Header `X-CIO-Signature` as received.
        timestamp: Header `X-CIO-Timestamp` as received.
        body: The whole body as received.
        now: When the request arrived, Unix seconds.
        tolerance_seconds: As in `SignatureCheck.verdict`.
        other_keys: Keys that are not active, of other workspaces or earlier ones.
    """

    def fitting(digest: bytes, among: tuple[SigningKey, ...]) -> SigningKey | None:
        check = SignatureCheck(among, digest, timestamp)
        check.update(body)
        return check.verdict(now, tolerance_seconds).key

    check = SignatureCheck(keys, signature, timestamp)
    if check.refusal is Refusal.MISSING_HEADER or signature is None:
        return Diagnosis(SignatureFault.MISSING_HEADER)
    if check.refusal is not None:
        if decoded := _digest_in_base64(signature):
            key = fitting(decoded, keys) or fitting(decoded, other_keys)
            return Diagnosis(SignatureFault.BASE64_SIGNATURE, key)
        return Diagnosis(SignatureFault.MALFORMED_HEADER)
    if key := fitting(signature, keys):
        is_inside = check.is_inside(now, tolerance_seconds)
        return Diagnosis(None if is_inside else SignatureFault.STALE, key)
    if key := fitting(signature, other_keys):
        return Diagnosis(SignatureFault.OTHER_KEY, key)
    return Diagnosis(
        fault_of_wrong_signature(keys, check.digest, check.timestamp, body, parses_json=True)
    )


def _digest_in_base64(signature: bytes) -> bytes:
    """Return the hex digits of a signature in base64; none if it has another form."""
    found = _BASE64_SIGNATURE.fullmatch(signature)
    if found is None:
        return b""
    if (text := found["hex"]) is not None:
        digits = base64.b64decode(text)
        return digits if _HEX_DIGEST.fullmatch(digits) else b""
    digest = found["digest"].rstrip(b"=").translate(_URL_SAFE) + b"="
    return base64.b64decode(digest).hex().encode()


def _requoted(secret: bytes) -> Iterator[bytes]:
    """Yield a key with something around it, and without what is around it."""
    for before, after in (*_QUOTES, *_AROUND):
        yield before + secret + after
    bare = secret.removeprefix(_BYTE_ORDER_MARK).strip(b" \t\r\n\"'`")
    if bare and bare != secret:
        yield bare


def _recoded(secret: bytes) -> Iterator[bytes]:
    """Yield a key decoded and encoded, in base64 and hex."""
    yield base64.b64encode(secret)
    yield secret.hex().encode()
    for decode in (_from_base64, _from_hex):
        try:
            decoded = decode(secret)
        except ValueError:
            continue
        if decoded:
            yield decoded


def _from_base64(secret: bytes) -> bytes:
    return base64.b64decode(secret + b"=" * (-len(secret) % 4), validate=True)


def _from_hex(secret: bytes) -> bytes:
    return bytes.fromhex(secret.decode("ascii"))
