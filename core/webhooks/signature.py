"""Sign and verify Customer.io's webhook requests.

The signature is the hex HMAC-SHA256, keyed with the webhook signing key, of the bytes
`v0:` + header `X-CIO-Timestamp` as received + `:` + raw body. A leading `v0=` is accepted.
Source: https://docs.customer.io/integrations/api/webhooks

Pure: the clock is an argument, nothing is read or written. Works on bytes throughout, so that no
header or body can make it raise.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from enum import StrEnum

# Where the relay writes both a second time, should a platform drop the headers.
SIGNATURE_PARAMETER = "cio_signature"
TIMESTAMP_PARAMETER = "cio_timestamp"

_SIGNATURE = re.compile(rb"(?:v0=)?([0-9a-fA-F]{64})", re.ASCII)
_TIMESTAMP = re.compile(rb"[0-9]{1,12}", re.ASCII)


class Refusal(StrEnum):
    """Why a request is not taken for Customer.io's."""

    MISSING_HEADER = "missing_header"
    MALFORMED_HEADER = "malformed_header"
    WRONG_SIGNATURE = "wrong_signature"
    STALE_TIMESTAMP = "stale_timestamp"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A webhook signing key; its text appears in no `repr`.

    Attributes:
        secret: The key as the UTF-8 bytes of the text that Customer.io shows.
        fingerprint: First 8 hex digits of the secret's SHA-256, fit for logs and metrics.
    """

    secret: bytes = field(repr=False)
    fingerprint: str

    @classmethod
    def from_text(cls, text: str) -> SigningKey:
        """Make a key from the text that Customer.io shows.

        Raises:
            ValueError: The text is blank.
        """
        secret = text.strip().encode()
        if not secret:
            raise ValueError("a signing key is blank")
        return cls(secret, hashlib.sha256(secret).hexdigest()[:8])


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check found.

    Attributes:
        key: The key that matched; None when none did.
        refusal: Why the request is refused; None when it is accepted.
        age_seconds: `now` minus the header's timestamp, where a key matched; negative: the future.
    """

    key: SigningKey | None
    refusal: Refusal | None
    age_seconds: float | None = None


class SignatureCheck:
    """A check of one request, fed with its body piece by piece.

    Bodies larger than memory allows are verified too: only the digests are kept.

    Attributes:
        refusal: Set from the start where the headers alone decide; the body need not be read then.
        timestamp: The header as received.
    """

    __slots__ = ("_claimed", "_digests", "_keys", "refusal", "timestamp")

    def __init__(
        self, keys: tuple[SigningKey, ...], signature: bytes | None, timestamp: bytes | None
    ) -> None:
        """Begin a check.

        Args:
            keys: The active keys; each is tried.
            signature: Header `X-CIO-Signature` as received.
            timestamp: Header `X-CIO-Timestamp` as received.
        """
        self._keys = keys
        self.refusal: Refusal | None = None
        self.timestamp = timestamp or b""
        self._claimed = b""
        self._digests: list[hmac.HMAC] = []
        if signature is None or timestamp is None:
            self.refusal = Refusal.MISSING_HEADER
            return
        claimed = _SIGNATURE.fullmatch(signature)
        if claimed is None or _TIMESTAMP.fullmatch(timestamp) is None:
            self.refusal = Refusal.MALFORMED_HEADER
            return
        self._claimed = claimed[1].lower()
        start = b"v0:" + timestamp + b":"
        self._digests = [hmac.new(key.secret, start, hashlib.sha256) for key in keys]

    def update(self, piece: bytes) -> None:
        """Feed the next bytes of the body."""
        for digest in self._digests:
            digest.update(piece)

    def verdict(self, now: float, tolerance_seconds: float) -> Verification:
        """Decide, once the whole body was fed.

        Args:
            now: Unix seconds.
            tolerance_seconds: How far the timestamp may lie from `now`, either way, inclusive.
        """
        if self.refusal is not None:
            return Verification(None, self.refusal)
        matched: SigningKey | None = None
        for key, digest in zip(self._keys, self._digests, strict=True):
            if hmac.compare_digest(digest.hexdigest().encode(), self._claimed):
                matched = key
        if matched is None:
            return Verification(None, Refusal.WRONG_SIGNATURE)
        age = now - int(self.timestamp)
        if abs(age) > tolerance_seconds:
            return Verification(matched, Refusal.STALE_TIMESTAMP, age)
        return Verification(matched, None, age)


def sign(key: SigningKey, timestamp: int | str, body: bytes) -> str:
    """Sign a body as Customer.io does: 64 lower-case hex digits."""
    message = f"v0:{timestamp}:".encode() + body
    return hmac.new(key.secret, message, hashlib.sha256).hexdigest()


def verify(
    keys: tuple[SigningKey, ...],
    signature: bytes | None,
    timestamp: bytes | None,
    body: bytes,
    *,
    now: float,
    tolerance_seconds: float = 300,
) -> Verification:
    """Check a whole request at once; see `SignatureCheck`."""
    check = SignatureCheck(keys, signature, timestamp)
    check.update(body)
    return check.verdict(now, tolerance_seconds)
