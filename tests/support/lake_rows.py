"""Local tables with hand-made rows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import write_deltalake

from databricks_app.lake.arrow_schema import arrow_schema
from databricks_app.lake.local.query import LocalQuery
from databricks_app.lake.sql_dialect import table

if TYPE_CHECKING:
    from pathlib import Path

LOADED_AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
BAD_DAY = date(1970, 1, 1)

Rows = list[dict[str, object]]


class LocalTables:
    """A folder of local tables."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = iter(range(1, 10_000))

    def add(self, short_name: str, *events: dict[str, object]) -> None:
        """Append events to `webhook_<short_name>_events`; what they leave out is made up."""
        name = f"webhook_{short_name}_events"
        schema = arrow_schema(table(name))
        rows = [self._row(event) for event in events]
        write_deltalake(
            self._folder / "tables" / name,
            pa.Table.from_pylist(rows, schema=schema),
            mode="append",
            partition_by=["event_date"],
        )

    def _row(self, event: dict[str, object]) -> dict[str, object]:
        moment = event.get("event_timestamp")
        day = moment.date() if isinstance(moment, datetime) else BAD_DAY
        made_up = {"event_id": f"e{next(self._numbers)}", "event_date": day}
        return {**made_up, "received_at": LOADED_AT, "loaded_at": LOADED_AT, **event}

    def records(self, sql: str) -> Rows:
        """Answer of a query, one dict a row."""
        result = LocalQuery(self._folder).run(sql)
        return [dict(zip(result.names, row, strict=True)) for row in result.rows]

    def record(self, sql: str) -> dict[str, object]:
        """Answer of a query that has one row."""
        (record,) = self.records(sql)
        return record
