"""Replay stored events: copy their bodies from the raw table back into the inbox.

This module writes no table. The loader loads a replayed event like any other event: it inserts
missing rows and changes no existing row.
"""

from __future__ import annotations

import base64
import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from databricks_app.events.record import Record
from databricks_app.ingest.inbox.local_reader import replay_segment
from databricks_app.runtime.file_modes import make_private_folder

if TYPE_CHECKING:
    from databricks_app.lake.local.query import LocalQuery
    from databricks_app.lake.warehouse.query import WarehouseQuery

SEGMENT_EVENTS = 2_000
SEGMENT_BYTES = 16 << 20
_COLUMNS = "event_id, received_at, key_fingerprint, body, body_encoding, body_bytes"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which raw rows to replay. A row must meet all conditions; None is no condition.

    Attributes:
        unrouted: Only events that are in no typed table.
        first_date: First `event_date`, inclusive.
        last_date: Last `event_date`, inclusive.
        table: Only events with this `target_table`.
        event_ids: Only events with one of these ids; empty for all.
    """

    unrouted: bool = False
    first_date: date | None = None
    last_date: date | None = None
    table: str | None = None
    event_ids: tuple[str, ...] = ()

    def sql(self) -> tuple[str, dict[str, object]]:
        """Return the FROM and WHERE clauses, and their parameters."""
        source = "webhook_unrouted_events" if self.unrouted else "webhook_raw_events"
        conditions = {
            "event_date >= :first_date": ("first_date", self.first_date),
            "event_date <= :last_date": ("last_date", self.last_date),
            "target_table = :table": ("table", self.table),
            "array_contains(:event_ids, event_id)": ("event_ids", list(self.event_ids) or None),
        }
        used = {text: one for text, one in conditions.items() if one[1] is not None}
        where = " AND ".join([*used, "TRUE"])
        return f"FROM {source} WHERE {where}", dict(used.values())


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """How many events were put back, and how many were not because their body is cut."""

    events: int
    cut: int


def replay(query: LocalQuery, inbox_dir: Path, selection: Selection, now: datetime) -> ReplayReport:
    """Put the selected events back into the local inbox; they are durable on return.

    Raises:
        QueryError: The raw table cannot be read.
        OSError: The inbox cannot be written. Events that were put back before are replayed.
    """
    make_private_folder(inbox_dir)
    # Segments are loaded in the order of their names, so each gets a later time.
    moments = itertools.count(int(now.timestamp() * 1e6))

    def put(records: list[Record]) -> None:
        name = f"{next(moments):016d}-{secrets.token_hex(8)}"
        replay_segment(inbox_dir, records, name=name)

    return replay_through(query, put, selection)


def replay_through(
    query: LocalQuery | WarehouseQuery, put: Callable[[list[Record]], None], selection: Selection
) -> ReplayReport:
    """Put the selected events back into an inbox.

    Args:
        query: Reads the raw table.
        put: Stores records, at least one; they are durable on return.
        selection: The events to put back.

    Raises:
        QueryError: The raw table cannot be read.
    """
    events = cut = 0
    segment: list[Record] = []
    size = 0
    for record in _records(query, selection):
        if record is None:
            cut += 1
            continue
        if segment and (len(segment) >= SEGMENT_EVENTS or size + len(record.body) > SEGMENT_BYTES):
            put(segment)
            segment, size = [], 0
        segment.append(record)
        size += len(record.body)
        events += 1
    if segment:
        put(segment)
    return ReplayReport(events, cut)


def count(query: LocalQuery | WarehouseQuery, selection: Selection) -> int:
    """Count the selected events.

    Raises:
        QueryError: The raw table cannot be read.
    """
    source, parameters = selection.sql()
    number = query.run(f"SELECT count(*) {source}", parameters).rows[0][0]
    return int(str(number))


def _records(query: LocalQuery | WarehouseQuery, selection: Selection) -> Iterator[Record | None]:
    """Yield the selected events in the order of their keys; None for an event with a cut body."""
    source, parameters = selection.sql()
    # Pages by key, not one long result: a result of all bodies would not fit into memory.
    after: dict[str, object] = {"after_date": date.min, "after_id": ""}
    page = (
        f"SELECT event_date, {_COLUMNS} {source} AND (event_date > :after_date "
        "OR (event_date = :after_date AND event_id > :after_id)) "
        f"ORDER BY event_date, event_id LIMIT {SEGMENT_EVENTS}"
    )
    while rows := query.run(page, parameters | after).rows:
        for day, *row in rows:
            after = {"after_date": day, "after_id": row[0]}
            yield _record(row)


def _record(row: list[object]) -> Record | None:
    _, received_at, fingerprint, text, encoding, length = row
    body = str(text).encode() if encoding == "utf-8" else base64.b64decode(str(text))
    # Only the beginning of a body over the size limit is stored.
    if len(body) != length or not isinstance(received_at, datetime):
        return None  # its key is the digest of the whole body, which is not stored
    return Record(body, received_at, "", str(fingerprint or ""), len(body), kind="replay")
