"""Writes the rows of a load into the tables of a warehouse: staged as Parquet, merged by key.

One MERGE finds the new rows and inserts them. So it may be repeated if its answer is lost, before
or after its commit. Only if fewer rows were inserted than offered, a query asks which keys were
written by other loads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import count
from typing import TYPE_CHECKING

from databricks_app.databricks.sql_sessions import Statements, Unclear
from databricks_app.errors import LakeError, ValueRefused
from databricks_app.lake import RAW_TABLE
from databricks_app.lake.batch import Key, bisect, keys
from databricks_app.lake.commit_times import CommitTimes
from databricks_app.lake.insert import StoredRow, Written
from databricks_app.lake.warehouse import statements
from databricks_app.runtime import crash_points

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databricks_app.lake.arrow_columns import ArrowTable
    from databricks_app.lake.sql_dialect import Table
    from databricks_app.lake.warehouse.staging import Staging

# After so many unclear errors the cause is not in single rows.
_UNCLEAR_ATTEMPTS = 64


@dataclass(frozen=True, slots=True)
class Merging:
    """The tables of a warehouse as a `Store`, for one batch.

    Attributes:
        tables: Every table.
        statements: Runs SQL.
        staging: Stores the rows for the MERGE.
        times: Gives each commit its `loaded_at`.
        batch_id: The `batch_id` of the rows; no other load has it.
        suspects_rows: Whether an unclear error counts as the refusal of a row. True after several
            loads have failed with such an error.
    """

    tables: Mapping[str, Table]
    statements: Statements
    staging: Staging
    times: CommitTimes
    batch_id: str
    suspects_rows: bool
    _numbers: Iterator[int] = field(default_factory=count, init=False)
    _stored_rows: dict[Key, StoredRow] = field(default_factory=dict, init=False)
    _unclear: Counter[str] = field(default_factory=Counter, init=False)

    def write(self, table: str, rows: ArrowTable, dates: Set[date]) -> Written:
        """See `Store.write`."""
        stored: dict[Key, StoredRow | None] = {}

        def attempt(start: int, stop: int) -> None:
            stored.update(self._merge(table, rows.slice(start, stop - start), dates))

        try:
            refused = bisect(rows.num_rows, attempt)
        except ValueRefused as error:
            raise LakeError(
                f"{table}: no row can be written ({error}). The settings of the table may refuse "
                "them, e.g. a constraint that this project did not create."
            ) from error
        self._stored_rows.update({key: row for key, row in stored.items() if row is not None})
        pairs = zip(keys(rows), rows.column("metric").to_pylist(), strict=True)
        new = [
            metric
            for place, (key, metric) in enumerate(pairs)
            if place not in refused and key not in stored
        ]
        return Written(Counter(new), refused, stored.keys())

    def stored_rows(self, written: Written, dates: Set[date]) -> Mapping[Key, StoredRow]:  # noqa: ARG002  # of the protocol
        """See `Store.stored_rows`; `write` has already read them with their keys."""
        return {one: self._stored_rows[one] for one in written.stored}

    def _merge(self, table: str, rows: ArrowTable, dates: Set[date]) -> dict[Key, StoredRow | None]:
        """Merge rows in one statement; return the keys that other loads had written."""
        kind = "raw" if table == RAW_TABLE else "typed"
        stamped = self.times.stamped(rows)
        path = self.staging.put(f"{self.batch_id}.{table}.{next(self._numbers)}", stamped)
        crash_points.reach("lake.after_stage")
        crash_points.reach(f"lake.before_{kind}_merge")
        inserted = self._run(statements.merge(self.tables[table], path, dates))
        crash_points.reach(f"lake.after_{kind}_merge")
        if inserted == rows.num_rows:
            return {}
        columns = statements.STORED_COLUMNS if kind == "raw" else statements.KEY
        sql = statements.rows_of_other_loads(self.tables[table], path, dates, columns)
        found = self.statements.run(sql, {"batch_id": self.batch_id}).rows
        if kind == "typed":
            return {(event_id, day): None for event_id, day in found}
        return {
            (event_id, day): StoredRow(utc(received_at), *others)
            for event_id, day, received_at, *others in found
        }

    def _run(self, sql: str) -> int | None:
        try:
            inserted = self.statements.run(sql).value("num_inserted_rows")
        except Unclear as error:
            self._unclear[error.name] += 1
            if not self.suspects_rows or self._unclear.total() > _UNCLEAR_ATTEMPTS:
                raise
            raise ValueRefused(error.name) from error
        return None if inserted is None else int(inserted)


def utc(moment: datetime) -> datetime:
    """Return a time of the warehouse in UTC, the time zone of the sessions."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
