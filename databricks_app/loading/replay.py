"""Read stored events again: their bodies go from the raw table back into the inbox.

Tables are never written here. The loader loads a replayed event like any other: it inserts what is
missing and changes nothing that is there.
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
    """Which raw rows to read again; all conditions hold together, None asks for nothing.

    Attributes:
        unrouted: Only events that no typed table holds.
        first_date: First `event_date`, inclusive.
        last_date: Last `event_date`, inclusive.
        table: Only events whose raw row names this table.
        event_ids: Only these.
    """

    unrouted: bool = False
    first_date: date | None = None
    last_date: date | None = None
    table: str | None = None
    event_ids: tuple[str, ...] = ()

    def sql(self) -> tuple[str, dict[str, object]]:
        """Return FROM and WHERE of the selection, and its parameters."""
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
    """How many events were put back, and how many could not be because their body was cut."""

    events: int
    cut: int


def replay(query: LocalQuery, inbox_dir: Path, selection: Selection, now: datetime) -> ReplayReport:
    """Put the selected events back into the local inbox; durable on return.

    Raises:
        QueryError: The raw table cannot be read.
        OSError: The inbox cannot be written; what was written before is replayed all the same.
    """
    make_private_folder(inbox_dir)
    numbers = itertools.count()
    return replay_through(
        query, lambda records: _write(inbox_dir, records, now, next(numbers)), selection
    )


def replay_through(
    query: LocalQuery | WarehouseQuery, put: Callable[[list[Record]], None], selection: Selection
) -> ReplayReport:
    """Put the selected events back into an inbox.

    Args:
        query: Reads the raw table.
        put: Stores some records, never none; durable on return.
        selection: Which events.

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
    """Yield the selected events in the order of their keys; None for one whose body was cut."""
    source, parameters = selection.sql()
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
    if len(body) != length or not isinstance(received_at, datetime):
        return None  # its key came from the whole body, which is gone
    return Record(body, received_at, "", str(fingerprint or ""), len(body), kind="replay")


def _write(inbox_dir: Path, records: list[Record], now: datetime, number: int) -> None:
    moment = int(now.timestamp() * 1e6) + number
    replay_segment(inbox_dir, records, name=f"{moment:016d}-{secrets.token_hex(8)}")
