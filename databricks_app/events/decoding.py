"""Read a stored request into the rows it becomes: one raw row and, if a table takes it, one more.

Pure and total: no bytes make it raise, and the key (`event_id`, `event_date`) is a function of the
bytes alone. `loaded_at` and `batch_id` are the loader's.
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
    from collections.abc import Iterable
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
"""The raw table's columns but `loaded_at` and `batch_id`, in order."""

# Reasons that leave an event with an id and a payload, so that a table could take it.
_TYPABLE = (None, UnroutedReason.UNKNOWN_OBJECT_TYPE, UnroutedReason.UNKNOWN_METRIC)

_MAX_UNKNOWN = 20
_SAFE_PATH = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}", re.ASCII)
_OTHER = "data.(other)"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one body becomes.

    Attributes:
        event_id: With `event_date` the key of both rows.
        event_date: UTC day of the event, or 1970-01-01.
        raw: The raw row: every column of `RAW_COLUMNS`, in order. `unrouted_reason` is one of
            `UnroutedReason`; `internal_error` is followed by `: ` and the exception's type.
        table: The table that takes the event; None if the raw row is all.
        typed: The row of that table: every column but `loaded_at` and `batch_id`, in order.
        unknown_fields: Dot paths of the payload that no column takes: at most 20, of at most 64
            characters; what is left out is counted as one `data.(other)`.
    """

    event_id: str
    event_date: date
    raw: dict[str, object] = field(repr=False)
    table: str | None
    typed: dict[str, object] | None = field(repr=False)
    unknown_fields: tuple[str, ...]


def read(record: Record, workspace: str = DEFAULT) -> Reading:
    """Read a record; never raises.

    Args:
        record: A verified request.
        workspace: Name of the workspace that its key belongs to.
    """
    if record.is_cut:
        digest = record.body_sha256 or _sha256(record.body)
        opened = EventEnvelope(digest_id(digest), unrouted_reason=UnroutedReason.TOO_LARGE)
        reason = opened.unrouted_reason
        raw = _raw(opened, record.body, record.received_at, workspace, None, reason)
        raw |= {"body_bytes": record.body_bytes, "body_sha256": digest}
        reading = Reading(opened.event_id, opened.event_date, raw, None, None, ())
    else:
        reading = reread(record.body, record.received_at, None, workspace)
    reading.raw["key_fingerprint"] = record.key_fingerprint
    return reading


def reread(
    body: bytes, received_at: datetime, table: str | None, workspace: str = DEFAULT
) -> Reading:
    """Read a stored body again; never raises.

    Args:
        body: The whole body. One that was cut when it was stored has lost its key: do not pass it.
        received_at: When it was first received, UTC.
        table: The table that took it then, and keeps it whatever the routing says now; None: route
            it now. A name that is no table of ours gives a raw row with `unknown_table`.
        workspace: Name of the workspace that sent it.
    """
    opened: EventEnvelope | None = None
    row: TypedRow | None = None
    reason: str | None
    try:
        opened = envelope(body)
        table, reason = _taker(opened, table)
        if table is not None:
            row = HANDLERS_BY_TABLE[table].row(opened, received_at, workspace)
    except Exception as error:  # noqa: BLE001  # a fault of ours must not stop the feed
        opened = opened or unreadable(body, UnroutedReason.INTERNAL_ERROR)
        table, reason = None, f"{UnroutedReason.INTERNAL_ERROR}: {type(error).__name__}"
    raw = _raw(opened, body, received_at, workspace, table, reason)
    typed, unknown = (None, []) if row is None else row
    return Reading(
        opened.event_id, opened.event_date, raw, table, typed, _safe(unknown) if unknown else ()
    )


def _taker(opened: EventEnvelope, kept: str | None) -> tuple[str | None, str | None]:
    if kept is None or opened.unrouted_reason not in _TYPABLE:
        return opened.table, opened.unrouted_reason
    if kept in HANDLERS_BY_TABLE:
        return kept, None
    return None, UnroutedReason.UNKNOWN_TABLE


def _raw(
    opened: EventEnvelope,
    body: bytes,
    received_at: datetime,
    workspace: str,
    table: str | None,
    reason: str | None,
) -> dict[str, object]:
    text = _text(body) if opened.text is None else opened.text
    return {
        "event_id": opened.event_id,
        "object_type": opened.object_type,
        "metric": opened.metric,
        "event_timestamp": opened.event_timestamp,
        "event_date": opened.event_date,
        "received_at": received_at,
        "workspace": workspace,
        "target_table": table,
        "unrouted_reason": None if reason is None else str(reason),
        "key_fingerprint": None,
        "body": base64.b64encode(body).decode() if text is None else text,
        "body_encoding": "base64" if text is None else "utf-8",
        "body_bytes": len(body),
        "body_sha256": _sha256(body),
    }


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _safe(paths: Iterable[str]) -> tuple[str, ...]:
    distinct = dict.fromkeys(paths)
    safe = [path for path in distinct if _SAFE_PATH.fullmatch(path)]
    if len(safe) == len(distinct) <= _MAX_UNKNOWN:
        return tuple(safe)
    return (*safe[: _MAX_UNKNOWN - 1], _OTHER)
