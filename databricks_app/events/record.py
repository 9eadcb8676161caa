"""One verified request, as it was received: what the receiver stores and the loader reads.

Pure: imports no Flask, no storage engine and no clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Record:
    """A verified request.

    Attributes:
        body: The raw bytes; of an oversized body only its first 64 KiB.
        received_at: When the last byte of the request was read, UTC, microseconds.
        timestamp: The header `X-CIO-Timestamp`, as received.
        key_fingerprint: Which signing key matched (first 8 hex digits of a SHA-256).
        body_bytes: Length of the whole body in bytes, also where `body` was cut.
        body_sha256: Hex digest of the whole body where `body` was cut, else None.
        kind: `event` from the sender, `replay` for a stored body that is read again.
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
        """Whether `body` is only the beginning of what was sent."""
        return len(self.body) < self.body_bytes
