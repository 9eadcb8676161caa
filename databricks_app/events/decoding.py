"""Turn a stored request into rows: always a raw row, and a typed row if a table takes the event.

Pure and total: it raises for no input, and the key (`event_id`, `event_date`) depends on the bytes
only. The loader adds `loaded_at` and `batch_id`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from databricks_app.events.envelope import EventEnvelope, UnroutedReason, digest_id, unreadable
from databricks_app.events.handlers import HANDLERS_BY_TABLE
from databricks_app.events.handlers.base import Column, TypedRow
from databricks_app.events.routing import envelope
from databricks_app.events.workspaces import DEFAULT

if TYPE_CHECKING:
    from datetime import date, datetime

    from databricks_app.events.record import Record

RAW_TABLE = "webhook_raw_events"
RAW_COLUMNS = (
    Column("event_id", "STRING", nullable=False),
    Column("object_type", "STRING"),
    Column("metric", "STRING"),
    Column("event_timestamp", "TIMESTAMP"),
    Column("event_date", "DATE", nullable=False),
    Column("received_at", "TIMESTAMP", nullable=False),
    Column("workspace", "STRING"),
    Column("target_table", "STRING"),
    Column("unrouted_reason", "STRING"),
    Column("key_fingerprint", "STRING"),
    Column("body", "STRING"),
    Column("body_encoding", "STRING"),
    Column("body_bytes", "BIGINT"),
    Column("body_sha256", "STRING"),
)
"""The columns of the raw table in order, without `loaded_at` and `batch_id`."""

# With these reasons the event has an id and a payload, so a table can still take it.
_TYPABLE = (None, UnroutedReason.UNKNOWN_OBJECT_TYPE, UnroutedReason.UNKNOWN_METRIC)

_MAX_UNKNOWN = 20
# A field name can be personal data: an e-mail address is a valid JSON key. Only names that look
# like field names are logged and counted.
_LOGGABLE_PATH = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}", re.ASCII)
_OTHER = "data.(other)"


@dataclass(frozen=True, slots=True)
class Reading:
    """The rows of one body.

    Attributes:
        event_id: The key of both rows, together with `event_date`.
        event_date: UTC day of the event, or 1970-01-01.
        raw: The raw row: every column of `RAW_COLUMNS`, in order. `unrouted_reason` is one of
            `UnroutedReason`; `internal_error` is followed by `: ` and the exception's type.
        table: The table that takes the event; None if there is only the raw row.
        typed: The row of that table, in order, without `loaded_at` and `batch_id`.
        unknown_fields: Dot paths of payload fields without a column: at most 20, each at most 64
            characters. One `data.(other)` stands for all that are left out.
    """

    event_id: str
    event_date: date
    raw: dict[str, object] = field(repr=False)
    table: str | None
    typed: dict[str, object] | None = field(repr=False)
    unknown_fields: tuple[str, ...]


def read(record: Record, workspace: str = DEFAULT) -> Reading:
    """Read a record. Never raises.

    Args:
        record: A verified request.
        workspace: Name of the workspace that owns the signing key.
    """
    if record.is_cut:
        event = EventEnvelope(digest_id(record.digest), unrouted_reason=UnroutedReason.TOO_LARGE)
        reason = event.unrouted_reason
        raw = _raw_row(event, record.body, record.received_at, workspace, None, reason)
        # The digest and the length are those of the whole body, not of the part that is kept.
        raw |= {"body_bytes": record.body_bytes, "body_sha256": record.digest}
        reading = Reading(event.event_id, event.event_date, raw, None, None, ())
    else:
        reading = reread(record.body, record.received_at, None, workspace)
    reading.raw["key_fingerprint"] = record.key_fingerprint
    return reading


def reread(
    body: bytes, received_at: datetime, table: str | None, workspace: str = DEFAULT
) -> Reading:
    """Read a stored body again. Never raises.

    Args:
        body: The whole body. Do not pass a body that was cut when it was stored: its key is the
            digest of the whole body, which cannot be computed from the part.
        received_at: When it was first received, UTC.
        table: The table that already has the event. The event stays in it even if the routing has
            changed. None to route the event now. An unknown table gives a raw row with the reason
            `unknown_table`.
        workspace: Name of the workspace that sent it.
    """
    event: EventEnvelope | None = None
    row: TypedRow | None = None
    reason: str | None
    try:
        event = envelope(body)
        table, reason = _route(event, table)
        if table is not None:
            row = HANDLERS_BY_TABLE[table].row(event, received_at, workspace)
    except Exception as error:  # noqa: BLE001  # a bug of ours must not stop the feed
        event = event or unreadable(body, UnroutedReason.INTERNAL_ERROR)
        # Only the type: the text of an error can contain values of the event.
        table, reason = None, f"{UnroutedReason.INTERNAL_ERROR}: {type(error).__name__}"
    raw = _raw_row(event, body, received_at, workspace, table, reason)
    typed, unknown = (None, []) if row is None else row
    return Reading(event.event_id, event.event_date, raw, table, typed, _loggable(unknown))


def _route(event: EventEnvelope, present_table: str | None) -> tuple[str | None, str | None]:
    """Return the table that takes the event, or None and the reason."""
    # A later release can route an event elsewhere. If a replay did that, the event would be in two
    # typed tables.
    if present_table is None or event.unrouted_reason not in _TYPABLE:
        return event.table, event.unrouted_reason
    if present_table in HANDLERS_BY_TABLE:
        return present_table, None
    return None, UnroutedReason.UNKNOWN_TABLE


def _raw_row(
    event: EventEnvelope,
    body: bytes,
    received_at: datetime,
    workspace: str,
    table: str | None,
    reason: str | None,
) -> dict[str, object]:
    text = _text(body) if event.text is None else event.text
    return {
        "event_id": event.event_id,
        "object_type": event.object_type,
        "metric": event.metric,
        "event_timestamp": event.event_timestamp,
        "event_date": event.event_date,
        "received_at": received_at,
        "workspace": workspace,
        "target_table": table,
        "unrouted_reason": None if reason is None else str(reason),
        "key_fingerprint": None,
        "body": base64.b64encode(body).decode() if text is None else text,
        "body_encoding": "base64" if text is None else "utf-8",
        "body_bytes": len(body),
        "body_sha256": hashlib.sha256(body).hexdigest(),
    }


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _loggable(paths: list[str]) -> tuple[str, ...]:
    """Return the distinct paths that may be logged, at most `_MAX_UNKNOWN` of them."""
    if not paths:
        return ()
    distinct = dict.fromkeys(paths)
    loggable = [path for path in distinct if _LOGGABLE_PATH.fullmatch(path)]
    if len(loggable) == len(distinct) <= _MAX_UNKNOWN:
        return tuple(loggable)
    return (*loggable[: _MAX_UNKNOWN - 1], _OTHER)
