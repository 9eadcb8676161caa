"""Writes the rows of a load into the tables of a warehouse: staged as Parquet, merged by key.

One MERGE finds the new rows and inserts them. So it may be repeated if its answer is lost, before
or after its commit. Only if fewer rows were inserted than offered, a query asks which keys were
written by other loads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from databricks_app.databricks.sql_sessions import Rows, Statements, Unclear
from databricks_app.errors import LakeError, ValueRefused
from databricks_app.lake import RAW_TABLE
from databricks_app.lake.batch import Key, bisect, keys
from databricks_app.lake.commit_times import CommitTimes
from databricks_app.lake.insert import StoredRow, Written
from databricks_app.lake.warehouse import statements
from databricks_app.lake.warehouse.staging import MISSING, StagedFile, Staging, pattern
from databricks_app.runtime import crash_points

if TYPE_CHECKING:
    from databricks_app.lake.arrow_columns import ArrowTable
    from databricks_app.lake.sql_dialect import Table

MAX_DATES = 32
"""Dates that are loaded at once; each statement contains them."""

# After so many unclear errors the cause is not in single rows.
_UNCLEAR_ATTEMPTS = 64


@dataclass(frozen=True, slots=True)
class WrittenFiles:
    """The result of writing staged files into one table.

    Attributes:
        refused: Files of which the warehouse refuses a row; nothing of them is written.
        stored: Keys of the rows that other loads had written, with the metric of the stored row.
    """

    refused: Sequence[StagedFile]
    stored: Mapping[Key, str | None]


@dataclass(frozen=True, slots=True)
class Merging:
    """The tables of a warehouse as a `Store`, for one batch.

    Attributes:
        tables: Every table.
        statements: Runs SQL.
        staging: Stores the rows for the MERGE.
        times: Gives each commit its `loaded_at`.
        batch_id: The `batch_id` of the rows; no other load has it.
        began_at: The earliest `loaded_at` of the commits, UTC.
        suspects_rows: Whether an unclear error counts as the refusal of a row. True after several
            loads have failed with such an error.
        unclear: Counts the unclear errors of a load by name.
    """

    tables: Mapping[str, Table]
    statements: Statements
    staging: Staging
    times: CommitTimes
    batch_id: str
    began_at: datetime
    suspects_rows: bool
    unclear: Counter[str] = field(default_factory=Counter)
    _stored_rows: dict[Key, StoredRow] = field(default_factory=dict, init=False)

    def write(self, table: str, rows: ArrowTable, dates: Set[date]) -> Written:
        """See `Store.write`."""
        stored: dict[Key, StoredRow | None] = {}

        def attempt(start: int, stop: int) -> None:
            stored.update(self._merge_rows(table, rows.slice(start, stop - start), dates))

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

    def write_files(self, table: str, files: Sequence[StagedFile]) -> WrittenFiles:
        """Insert the rows of staged files that are new; durable when it returns.

        One statement has as many files as `MAX_DATES` allows. If the warehouse refuses a row, the
        files are bisected, and the others are written.

        Args:
            table: Its name.
            files: Distinct by key, also from one file to the next.

        Raises:
            LakeError: The storage fails at the moment.
        """
        stored: dict[Key, str | None] = {}
        refused: list[StagedFile] = []
        for group in _of_few_dates(files):

            def attempt(start: int, stop: int, group: Sequence[StagedFile] = group) -> None:
                stored.update(self._merge_files(table, group[start:stop]))

            refused += [group[place] for place in bisect(len(group), attempt)]
        return WrittenFiles(refused, stored)

    def _merge_rows(
        self, table: str, rows: ArrowTable, dates: Set[date]
    ) -> dict[Key, StoredRow | None]:
        """Merge rows in one statement; return the keys that other loads had written."""
        path = self.staging.put(f"{self.batch_id}.{table}", rows)
        crash_points.reach("lake.after_stage")
        if self._merge(table, path, dates) == rows.num_rows:
            return {}
        if table != RAW_TABLE:
            found = self._others(table, path, dates, statements.KEY)
            return {(event_id, day): None for event_id, day in found}
        return {
            (event_id, day): StoredRow(utc(received_at), *others)
            for event_id, day, received_at, *others in self._others(
                table, path, dates, statements.STORED_COLUMNS
            )
        }

    def _merge_files(self, table: str, files: Sequence[StagedFile]) -> dict[Key, str | None]:
        """Merge staged files in one statement; return the keys that other loads had written."""
        path, dates = pattern(files), frozenset().union(*(one.dates for one in files))
        offered = sum(one.rows for one in files)
        if self._merge(table, path, dates) == offered:
            return {}
        if len(files) > 1:
            # A pattern matches the files that exist. So a missing file would look like rows that
            # are already stored, and its events would be lost.
            counted = self.statements.run(statements.staged_rows(self.tables[table], path))
            if counted.value("staged_rows") != offered:
                raise LakeError(f"{MISSING}. The load is repeated")
        found = self._others(table, path, dates, statements.COUNTED_COLUMNS)
        return {(event_id, day): metric for event_id, day, metric in found}

    def _merge(self, table: str, path: str, dates: Set[date]) -> int | None:
        """Run a MERGE; return how many rows it says it inserted."""
        kind = "raw" if table == RAW_TABLE else "typed"
        crash_points.reach(f"lake.before_{kind}_merge")
        sql = statements.merge(self.tables[table], path, dates)
        try:
            answer = self.statements.run(sql, {"loaded_at": self.times.next(self.began_at)})
        except Unclear as error:
            self.unclear[error.name] += 1
            if not self.suspects_rows or self.unclear.total() > _UNCLEAR_ATTEMPTS:
                raise
            raise ValueRefused(error.name) from error
        crash_points.reach(f"lake.after_{kind}_merge")
        inserted = answer.value("num_inserted_rows")
        return None if inserted is None else int(inserted)

    def _others(self, table: str, path: str, dates: Set[date], columns: Sequence[str]) -> Rows:
        sql = statements.rows_of_other_loads(self.tables[table], path, dates, columns)
        return self.statements.run(sql, {"batch_id": self.batch_id}).rows


def _of_few_dates(files: Sequence[StagedFile]) -> Iterator[Sequence[StagedFile]]:
    group: list[StagedFile] = []
    dates: frozenset[date] = frozenset()
    for one in files:
        if group and len(dates | one.dates) > MAX_DATES:
            yield group
            group, dates = [], frozenset()
        group.append(one)
        dates |= one.dates
    if group:
        yield group


def utc(moment: datetime) -> datetime:
    """Return a time of the warehouse in UTC, the time zone of the sessions."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
