"""What is known about a body before its payload is read into a row. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

UNDATED = date(1970, 1, 1)
"""`event_date` of an event without a usable timestamp."""

MAX_ID_LENGTH = 256


class UnroutedReason(StrEnum):
    """Why an event is in the raw table alone."""

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
    """What is known about a body before its payload is read into a row.

    Attributes:
        event_id: As sent, or `sha256:` and the hex digest of the body if it has no usable one.
        event_date: UTC day of the event, or `UNDATED`.
        event_timestamp: UTC, whole seconds; None if not usable.
        object_type: As sent; None unless text of 1 to 256 printable characters.
        metric: The same.
        payload: The whole event; empty if the body is no JSON object.
        text: The body as text, a byte order mark included; None if it is not UTF-8.
        table: The table that takes the event; None exactly if `unrouted_reason` is given.
        unrouted_reason: Why no table takes it.
        notes: What was odd, without values.
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
    """The envelope of a body that cannot be read; its id is its digest."""
    return EventEnvelope(
        digest_id(hashlib.sha256(body).hexdigest()), text=text, unrouted_reason=reason
    )


def digest_id(digest: str) -> str:
    """The id of a body without a usable one, from the hex SHA-256 of the whole body."""
    return f"sha256:{digest}"
