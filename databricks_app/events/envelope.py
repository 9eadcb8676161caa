"""The envelope of an event: its key, its type and the table it goes to. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

UNDATED = date(1970, 1, 1)
"""The `event_date` of an event without a usable timestamp."""

# Characters.
MAX_ID_LENGTH = 256


class UnroutedReason(StrEnum):
    """Why an event is only in the raw table."""

    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    TOO_DEEP = "too_deep"
    NOT_OBJECT = "not_object"
    NO_EVENT_ID = "no_event_id"
    UNKNOWN_OBJECT_TYPE = "unknown_object_type"
    UNKNOWN_METRIC = "unknown_metric"
    UNKNOWN_TABLE = "unknown_table"
    TOO_LARGE = "too_large"
    KEY_CONFLICT = "key_conflict"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class EventEnvelope:
    """An event before its payload is read into a row.

    Attributes:
        event_id: As sent; `sha256:` and the hex digest of the body if the body has no usable id.
        event_date: UTC day of the event, or `UNDATED`.
        event_timestamp: UTC, whole seconds; None if it is missing or not usable.
        object_type: As sent; None unless it is text of 1 to 256 printable characters.
        metric: As sent; None in the same cases as `object_type`.
        payload: The whole event; empty if the body is not a JSON object.
        text: The body as text, with its byte order mark; None if it is not UTF-8.
        table: The table that takes the event; None if and only if `unrouted_reason` is set.
        unrouted_reason: Why no table takes the event.
        notes: Problems found while reading, without any value of the event.
    """

    event_id: str
    event_date: date = UNDATED
    event_timestamp: datetime | None = None
    object_type: str | None = None
    metric: str | None = None
    payload: dict[str, object] = field(default_factory=dict, repr=False)
    text: str | None = field(default=None, repr=False)
    table: str | None = None
    unrouted_reason: UnroutedReason | None = None
    notes: tuple[str, ...] = ()


def unreadable(body: bytes, reason: UnroutedReason, text: str | None = None) -> EventEnvelope:
    """Return the envelope of a body that cannot be read; its id is the digest of the body."""
    return EventEnvelope(
        digest_id(hashlib.sha256(body).hexdigest()), text=text, unrouted_reason=reason
    )


def digest_id(digest: str) -> str:
    """Return the id of an event without a usable id, from the hex SHA-256 of its whole body."""
    return f"sha256:{digest}"
