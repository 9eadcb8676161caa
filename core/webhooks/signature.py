"""Sign and verify Customer.io's webhook requests.

The signature is the hex HMAC-SHA256, keyed with the webhook signing key, of the bytes
`v0:` + header `X-CIO-Timestamp` as received + `:` + raw body. A leading `v0=` is accepted.
Source: https://docs.customer.io/integrations/api/webhooks

Pure: the clock is an argument. Works on bytes only, so that no header and no body can raise an
exception.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from enum import StrEnum

# The relay repeats both headers as query parameters, because a platform may remove the headers.
SIGNATURE_PARAMETER = "cio_signature"
TIMESTAMP_PARAMETER = "cio_timestamp"
# Our own requests have this header with the value `1`. They are signed with the key that the
# receiver has, so they do not prove that Customer.io has the same one.
TEST_HEADER = "X-Ciolake-Test"

_SIGNATURE = re.compile(rb"(?:v0=)?([0-9a-fA-F]{64})", re.ASCII)
_TIMESTAMP = re.compile(rb"[0-9]{1,12}", re.ASCII)


class Refusal(StrEnum):
    """Why a request is refused."""

    MISSING_HEADER = "missing_header"
    MALFORMED_HEADER = "malformed_header"
    WRONG_SIGNATURE = "wrong_signature"
    STALE_TIMESTAMP = "stale_timestamp"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A webhook signing key. Its `repr` does not show the secret.

    Attributes:
        secret: The UTF-8 bytes of the text that Customer.io shows.
        fingerprint: The first 8 hex digits of the SHA-256 of the secret, for logs and metrics.
    """

    secret: bytes = field(repr=False)
    fingerprint: str

    @classmethod
    def from_text(cls, text: str) -> SigningKey:
        """Create a key from the text that Customer.io shows.

        Raises:
            ValueError: The text is blank.
        """
        secret = text.strip().encode()
        if not secret:
            raise ValueError("the signing key is blank")
        return cls(secret, hashlib.sha256(secret).hexdigest()[:8])


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a check.

    Attributes:
        key: The key that matched; None if none matched.
        refusal: Why the request is refused; None if it is accepted.
        age_seconds: `now` minus the timestamp of the header, negative if that is in the future.
            None if no key matched.
    """

    key: SigningKey | None
    refusal: Refusal | None
    age_seconds: float | None = None


class SignatureCheck:
    """Checks one request while its body is read, in bounded memory.

    Attributes:
        digest: The lower-case hex digits of the signature; empty if a header is refused.
        refusal: Set at once if the headers alone decide. Then the body need not be read.
        timestamp: The header as received.
        is_test: Whether the request is marked with `TEST_HEADER`; does not change the result.
    """

    __slots__ = ("_digests", "_keys", "digest", "is_test", "refusal", "timestamp")

    def __init__(
        self,
        keys: tuple[SigningKey, ...],
        signature: bytes | None,
        timestamp: bytes | None,
        *,
        is_test: bool = False,
    ) -> None:
        """Start a check.

        Args:
            keys: The active keys. Each is tried.
            signature: Header `X-CIO-Signature` as received.
            timestamp: Header `X-CIO-Timestamp` as received.
            is_test: Whether the request has `TEST_HEADER`.
        """
        self._keys = keys
        self.is_test = is_test
        self.refusal: Refusal | None = None
        self.timestamp = timestamp or b""
        self.digest = b""
        self._digests: list[hmac.HMAC] = []
        if signature is None or timestamp is None:
            self.refusal = Refusal.MISSING_HEADER
            return
        claimed = _SIGNATURE.fullmatch(signature)
        if claimed is None or _TIMESTAMP.fullmatch(timestamp) is None:
            self.refusal = Refusal.MALFORMED_HEADER
            return
        self.digest = claimed[1].lower()
        start = b"v0:" + timestamp + b":"
        self._digests = [hmac.new(key.secret, start, hashlib.sha256) for key in keys]

    def update(self, piece: bytes) -> None:
        """Add the next bytes of the body."""
        for digest in self._digests:
            digest.update(piece)

    def is_inside(self, now: float, tolerance_seconds: float) -> bool:
        """Return whether the timestamp, signed or not, is inside the window; see `verdict`."""
        return abs(now - int(self.timestamp or b"0")) <= tolerance_seconds

    def verdict(self, now: float, tolerance_seconds: float) -> Verification:
        """Return the result after the whole body was added.

        Args:
            now: Unix seconds.
            tolerance_seconds: The largest difference between timestamp and `now` in either
                direction, inclusive.
        """
        if self.refusal is not None:
            return Verification(None, self.refusal)
        matched: SigningKey | None = None
        for key, digest in zip(self._keys, self._digests, strict=True):
            # No early exit and a constant-time comparison: the time must not reveal a match.
            if hmac.compare_digest(digest.hexdigest().encode(), self.digest):
                matched = key
        if matched is None:
            return Verification(None, Refusal.WRONG_SIGNATURE)
        # After the signature: a sender without a key learns nothing about our clock.
        age = now - int(self.timestamp)
        if not self.is_inside(now, tolerance_seconds):
            return Verification(matched, Refusal.STALE_TIMESTAMP, age)
        return Verification(matched, None, age)


def sign(key: SigningKey, timestamp: int | str, body: bytes) -> str:
    """Return the signature of a body as Customer.io creates it: 64 lower-case hex digits."""
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
    """Check a complete request; see `SignatureCheck`."""
    check = SignatureCheck(keys, signature, timestamp)
    check.update(body)
    return check.verdict(now, tolerance_seconds)
