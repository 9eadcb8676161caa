"""Read the envelope of a body: its key (event_id, event_date), its type, and its table.

Pure and total: it raises for no input, and the same bytes give the same envelope on every machine
and Python version. For a body that cannot be read the envelope has a reason.

Routing looks at the metric first (https://docs.customer.io/integrations/api/webhooks):

1. `subscribed` and `cio_subscription_preferences_changed` are customer events for every object
   type, because the object type can be the channel that caused the change.
2. `unsubscribed` is an email event or a customer event:
   - object type `customer`, or a channel other than email: customer. Only email has this metric
     for messages;
   - object type `email`, or none: email if `data` has a delivery_id or recipient; else customer if
     it has an email_address; else email if the object type is `email`;
   - unknown object type: customer if `data` has an email_address and neither delivery_id nor
     recipient; else unrouted.
3. Every other event goes to the table of its object type if the object type has the metric.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from databricks_app.events.envelope import (
    MAX_ID_LENGTH,
    UNDATED,
    EventEnvelope,
    UnroutedReason,
    digest_id,
    unreadable,
)
from databricks_app.events.handlers import HANDLERS
from databricks_app.events.handlers.conversions import Unfit, bigint
from databricks_app.events.parsing import is_too_deep, parse

if TYPE_CHECKING:
    from databricks_app.events.handlers.base import Handler


# A timestamp in milliseconds is outside this range.
_FIRST_SECOND = int(datetime(2012, 1, 1, tzinfo=UTC).timestamp())
_END_SECOND = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())

# `str.isprintable` depends on the Unicode tables of the Python version, and the key must not. These
# characters are unprintable in every version: controls, invisible marks, line separators,
# surrogates.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufffe\uffff]"
)

_ALWAYS_CUSTOMER = frozenset({"subscribed", "cio_subscription_preferences_changed"})


def envelope(body: bytes) -> EventEnvelope:
    """Return the envelope of a whole body. Never raises."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return unreadable(body, UnroutedReason.NOT_UTF8)
    try:
        # JSON has no byte order mark, but some senders write one (RFC 8259, section 8.1).
        payload, notes = parse(text.removeprefix("\ufeff"))
    except RecursionError:
        return unreadable(body, UnroutedReason.TOO_DEEP, text)
    except ValueError:
        return unreadable(body, UnroutedReason.NOT_JSON, text)
    if type(payload) is not dict:
        return unreadable(body, UnroutedReason.NOT_OBJECT, text)
    if is_too_deep(text, payload):
        return unreadable(body, UnroutedReason.TOO_DEEP, text)
    return _readable(body, text, payload, notes)


def _readable(
    body: bytes, text: str, payload: dict[str, object], notes: list[str]
) -> EventEnvelope:
    event_id = _printable(payload.get("event_id"))
    object_type = payload.get("object_type")
    metric = payload.get("metric")
    route: Handler | UnroutedReason
    if event_id is None:
        event_id = digest_id(hashlib.sha256(body).hexdigest())
        route = UnroutedReason.NO_EVENT_ID
    else:
        route = _route(object_type, metric, payload.get("data"))
    # Never the time of receipt: the key must be the same when the event is sent again.
    timestamp = _timestamp(payload.get("timestamp"), notes)
    return EventEnvelope(
        event_id,
        UNDATED if timestamp is None else timestamp.date(),
        timestamp,
        _printable(object_type),
        _printable(metric),
        payload,
        text,
        None if isinstance(route, UnroutedReason) else route.table,
        route if isinstance(route, UnroutedReason) else None,
        tuple(notes),
    )


def _route(object_type: object, metric: object, data: object) -> Handler | UnroutedReason:
    object_type = object_type if isinstance(object_type, str) else None
    metric = metric if isinstance(metric, str) else None
    if metric in _ALWAYS_CUSTOMER:
        return HANDLERS["customer"]
    if metric == "unsubscribed":
        return _route_unsubscribed(object_type, data if isinstance(data, dict) else {})
    handler = HANDLERS.get(object_type or "")
    if handler is None:
        return UnroutedReason.UNKNOWN_OBJECT_TYPE
    return handler if metric in handler.metrics else UnroutedReason.UNKNOWN_METRIC


def _route_unsubscribed(
    object_type: str | None, data: dict[str, object]
) -> Handler | UnroutedReason:
    if object_type in HANDLERS and object_type != "email":
        return HANDLERS["customer"]
    has_message = bool(data.get("delivery_id") or data.get("recipient"))
    if not has_message and "email_address" in data:
        return HANDLERS["customer"]
    if object_type == "email" or (object_type is None and has_message):
        return HANDLERS["email"]
    return UnroutedReason.UNKNOWN_OBJECT_TYPE


def _printable(value: object) -> str | None:
    """Return a value that is text of 1 to `MAX_ID_LENGTH` printable characters, else None."""
    if type(value) is not str or not 0 < len(value) <= MAX_ID_LENGTH:
        return None
    # For ASCII `isprintable` gives the same result in every Python version, and it is faster.
    if value.isascii():
        return value if value.isprintable() else None
    return None if _UNPRINTABLE.search(value) else value


def _timestamp(value: object, notes: list[str]) -> datetime | None:
    if value is None:
        notes.append("event_date: 1970-01-01, timestamp is missing")
        return None
    try:
        seconds = bigint(value)
    except Unfit as unfit:
        notes.append(f"event_date: 1970-01-01, timestamp: {unfit}")
        return None
    if not _FIRST_SECOND <= seconds < _END_SECOND:
        notes.append("event_date: 1970-01-01, timestamp is not of 2012 to 2099")
        return None
    return datetime.fromtimestamp(seconds, UTC)
