"""A verified request as it was received: the receiver stores it, the loader reads it.

Pure: imports no Flask, no storage engine and no clock.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Record:
    """A verified request.

    Attributes:
        body: The raw bytes; only the first 64 KiB if the body is over the size limit.
        received_at: When the last byte of the request was read, UTC, microseconds.
        timestamp: The header `X-CIO-Timestamp`, as received.
        key_fingerprint: First 8 hex digits of the SHA-256 of the signing key that matched.
        body_bytes: Length of the whole body in bytes, even if `body` is cut.
        body_sha256: Hex digest of the whole body if `body` is cut, else None.
        kind: `event` if the sender posted it, `replay` if a stored body is loaded again.
    """

    body: bytes = field(repr=False)
    received_at: datetime
    timestamp: str
    key_fingerprint: str
    body_bytes: int
    body_sha256: str | None = None
    kind: Literal["event", "replay"] = "event"

    @property
    def is_cut(self) -> bool:
        """Whether `body` is only the beginning of the body that was sent."""
        return len(self.body) < self.body_bytes

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the whole body; of what is left of it, if the digest of a cut is lost."""
        return self.body_sha256 or hashlib.sha256(self.body).hexdigest()
