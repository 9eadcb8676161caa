"""Events and tables for tests of the lake: real readings, real Delta files."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from deltalake import DeltaTable

from databricks_app.events.decoding import Reading, read
from databricks_app.events.record import Record
from databricks_app.lake import LoadReport
from databricks_app.lake.local.store import LocalLake, definitions
from databricks_app.lake.local.table_handle import Definition

RAW, EMAIL, SMS = "webhook_raw_events", "webhook_email_events", "webhook_sms_events"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def few_tables() -> tuple[Definition, ...]:
    """The raw table and two typed ones: what most tests need, made three times as fast."""
    return tuple(one for one in definitions() if one.name in {RAW, EMAIL, SMS})


def lake_in(folder: Path, **options: Any) -> LocalLake:
    """A lake of few tables, not started."""
    return LocalLake(folder, **{"tables": few_tables(), **options})


def body(event_id: str, kind: str = "email/opened", *, days_ago: int = 0, **data: object) -> bytes:
    """The body of an event as Customer.io sends it."""
    object_type, metric = kind.split("/")
    payload = {
        "event_id": event_id,
        "object_type": object_type,
        "metric": metric,
        "timestamp": int((NOON - timedelta(days=days_ago)).timestamp()),
        "data": {"delivery_id": f"d-{event_id}", "recipient": "ada@example.com", **data},
    }
    return json.dumps(payload).encode()


def reading_of(content: bytes, received_at: datetime = NOON) -> Reading:
    """What a body becomes."""
    return read(Record(content, received_at, "0", "0a1b2c3d", len(content)))


def event(event_id: str, kind: str = "email/opened", **options: Any) -> Reading:
    """The reading of an event; options as of `body`."""
    return reading_of(body(event_id, kind, **options))


def load(lake: LocalLake, *readings: Reading, batch_id: str = "batch") -> LoadReport:
    """Load these, at noon."""
    return lake.load(readings, batch_id=batch_id, loaded_at=NOON)


def rows(folder: Path, table: str, columns: str = "event_id") -> list[tuple[Any, ...]]:
    """Columns of a table's newest version, ordered, as an outsider reads them."""
    files = DeltaTable(folder / "tables" / table).file_uris()
    if not files:
        return []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(
            f"SELECT {columns} FROM read_parquet($files, hive_partitioning = true, "
            "union_by_name = true) ORDER BY ALL",
            {"files": files},
        ).fetchall()


def ids(folder: Path, table: str) -> list[str]:
    """Event ids of a table, ordered, repeated if they stand there more than once."""
    return [row[0] for row in rows(folder, table)]
