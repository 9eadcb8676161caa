"""Writes the rows of a load into a warehouse's tables: staged as Parquet, merged by key.

One MERGE both finds what is new and inserts it, so a repetition inserts nothing, whether the first
try was lost before its commit or after it. Which keys another load had written is asked only where
fewer rows went in than were offered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

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

# So many failures that no rule knows are no matter of single rows.
_UNCLEAR_ATTEMPTS = 64


@dataclass(frozen=True, slots=True)
class Merging:
    """The tables of a warehouse as a `Store`, for one batch.

    Attributes:
        tables: Every table.
        statements: Runs SQL.
        staging: Where the rows are put for it.
        times: Gives each commit its `loaded_at`.
        batch_id: What the rows are stamped with; no other load has it.
        doubts_rows: Whether an error that no rule knows is taken for a matter of single rows: it
            has come again and again.
    """

    tables: Mapping[str, Table]
    statements: Statements
    staging: Staging
    times: CommitTimes
    batch_id: str
    doubts_rows: bool
    _numbers: Iterator[int] = field(default_factory=count, init=False)
    _held_rows: dict[Key, StoredRow] = field(default_factory=dict, init=False)
    _unclear: Counter[str] = field(default_factory=Counter, init=False)

    def write(self, table: str, rows: ArrowTable, dates: Set[date]) -> Written:
        """See `Store.write`."""
        held: dict[Key, StoredRow | None] = {}

        def attempt(start: int, stop: int) -> None:
            held.update(self._merge(table, rows.slice(start, stop - start), dates))

        try:
            refused = bisect(rows.num_rows, attempt)
        except ValueRefused as error:
            raise LakeError(
                f"{table}: not one row can be written ({error}). The table's settings may refuse "
                "them, e.g. a constraint that is not of this project."
            ) from error
        self._held_rows.update({key: row for key, row in held.items() if row is not None})
        pairs = zip(keys(rows), rows.column("metric").to_pylist(), strict=True)
        new = [
            metric
            for place, (key, metric) in enumerate(pairs)
            if place not in refused and key not in held
        ]
        return Written(Counter(new), refused, held.keys())

    def held(self, written: Written, dates: Set[date]) -> Mapping[Key, StoredRow]:  # noqa: ARG002  # of the protocol
        """See `Store.held`; they came with their keys."""
        return {one: self._held_rows[one] for one in written.held}

    def _merge(self, table: str, rows: ArrowTable, dates: Set[date]) -> dict[Key, StoredRow | None]:
        """Merge rows in one statement; the keys that other loads had written."""
        kind = "raw" if table == RAW_TABLE else "typed"
        stamped = self.times.stamped(rows)
        path = self.staging.put(f"{self.batch_id}.{table}.{next(self._numbers)}", stamped)
        crash_points.reach("lake.after_stage")
        crash_points.reach(f"lake.before_{kind}_merge")
        inserted = self._run(statements.merge(self.tables[table], path, dates))
        crash_points.reach(f"lake.after_{kind}_merge")
        if inserted == rows.num_rows:
            return {}
        columns = statements.HELD_COLUMNS if kind == "raw" else statements.KEY
        sql = statements.held(self.tables[table], path, dates, columns)
        found = self.statements.run(sql, {"batch_id": self.batch_id}).rows
        return {(row[0], row[1]): _held(row) if kind == "raw" else None for row in found}

    def _run(self, sql: str) -> int | None:
        try:
            inserted = self.statements.run(sql).value("num_inserted_rows")
        except Unclear as error:
            self._unclear[error.name] += 1
            if not self.doubts_rows or self._unclear.total() > _UNCLEAR_ATTEMPTS:
                raise
            raise ValueRefused(error.name) from error
        return None if inserted is None else int(inserted)


def _held(row: tuple[Any, ...]) -> StoredRow:
    _, _, received_at, *others = row
    return StoredRow(utc(received_at), *others)


def utc(moment: datetime) -> datetime:
    """A time of the warehouse; without a zone it is UTC, the session's."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
