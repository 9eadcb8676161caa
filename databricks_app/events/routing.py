"""Open a body: who is it (event_id, event_date), what is it, and which table takes it.

Pure and total: the same bytes give the same envelope on every machine and in every year, and no
bytes make it raise. What cannot be read is an envelope with a reason.

Routing, metric first (https://docs.customer.io/integrations/api/webhooks):

1. `subscribed` and `cio_subscription_preferences_changed` are customer events whatever the object
   type says: it may be the channel that caused the change.
2. `unsubscribed` is an email event or a customer event:
   - object type `customer` or a channel other than email: customer, as no other channel has it;
   - object type `email` or none: email if `data` has a delivery_id or recipient, else customer if
     it has an email_address, else email if that is the object type;
   - an object type that is not known: customer if `data` has an email_address and neither
     delivery_id nor recipient, else unrouted.
3. Everything else goes to its object type's table, if the metric is one of that type's.
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


_FIRST_SECOND = int(datetime(2012, 1, 1, tzinfo=UTC).timestamp())
_END_SECOND = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())

# `str.isprintable` would follow the Unicode tables of the Python version, and with them the key:
# so only what is unprintable for ever (controls, invisible marks, line separators, surrogates).
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufffe\uffff]"
)

_ALWAYS_CUSTOMER = frozenset({"subscribed", "cio_subscription_preferences_changed"})


def envelope(body: bytes) -> EventEnvelope:
    """Open a whole body."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return unreadable(body, UnroutedReason.NOT_UTF8)
    try:
        payload, notes = parse(text.removeprefix("\ufeff"))
    except RecursionError:
        return unreadable(body, UnroutedReason.TOO_DEEP, text)
    except ValueError:
        return unreadable(body, UnroutedReason.NOT_JSON, text)
    if type(payload) is not dict:
        return unreadable(body, UnroutedReason.NOT_OBJECT, text)
    if is_too_deep(text, payload):
        return unreadable(body, UnroutedReason.TOO_DEEP, text)
    return _addressed(body, text, payload, notes)


def _addressed(
    body: bytes, text: str, payload: dict[str, object], notes: list[str]
) -> EventEnvelope:
    event_id = _name(payload.get("event_id"))
    object_type = payload.get("object_type")
    metric = payload.get("metric")
    taker: Handler | UnroutedReason
    if event_id is None:
        event_id = digest_id(hashlib.sha256(body).hexdigest())
        taker = UnroutedReason.NO_EVENT_ID
    else:
        taker = _route(object_type, metric, payload.get("data"))
    timestamp = _timestamp(payload.get("timestamp"), notes)
    return EventEnvelope(
        event_id,
        UNDATED if timestamp is None else timestamp.date(),
        timestamp,
        _name(object_type),
        _name(metric),
        payload,
        text,
        None if isinstance(taker, UnroutedReason) else taker.table,
        taker if isinstance(taker, UnroutedReason) else None,
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
    names_message = bool(data.get("delivery_id") or data.get("recipient"))
    if not names_message and "email_address" in data:
        return HANDLERS["customer"]
    if object_type == "email" or (object_type is None and names_message):
        return HANDLERS["email"]
    return UnroutedReason.UNKNOWN_OBJECT_TYPE


def _name(value: object) -> str | None:
    if type(value) is not str or not 0 < len(value) <= MAX_ID_LENGTH:
        return None
    # For ASCII both rules agree, and this one is faster.
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
