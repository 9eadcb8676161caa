"""Writes the rows of a load into local tables: look up the known keys, then append the new rows.

An append fails if anybody has changed the table since the look-up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import compress

import duckdb

from databricks_app.errors import LakeError, ValueRefused
from databricks_app.lake import RAW_TABLE
from databricks_app.lake.arrow_columns import ArrowTable
from databricks_app.lake.batch import Key, bisect, keys
from databricks_app.lake.commit_times import CommitTimes
from databricks_app.lake.insert import StoredRow, Written
from databricks_app.lake.local.key_lookup import KEY_COLUMNS, Lookup
from databricks_app.lake.local.table_handle import TableHandle
from databricks_app.runtime import crash_points


@dataclass(frozen=True, slots=True)
class Appending:
    """The tables of a folder as a `Store`.

    Attributes:
        handles: Every table, open.
        lookup: Finds known keys in their files.
        times: Gives each commit its `loaded_at`.
    """

    handles: Mapping[str, TableHandle]
    lookup: Lookup
    times: CommitTimes

    def write(self, table: str, rows: ArrowTable, dates: Set[date]) -> Written:
        """See `Store.write`."""
        return write(self.handles[table], self.lookup, self.times, rows, dates)

    def stored_rows(self, written: Written, dates: Set[date]) -> Mapping[Key, StoredRow]:
        """See `Store.stored_rows`."""
        with translated_lookup_errors(RAW_TABLE, dates):
            return self.lookup.rows(written.files, written.stored)


@contextmanager
def translated_lookup_errors(table: str, dates: Collection[date]) -> Iterator[None]:
    """Raise `LakeError` instead of the errors of DuckDB.

    Raises:
        LakeError: A file cannot be read.
    """
    try:
        yield
    except duckdb.Error as error:
        # The text of DuckDB is left out, because it may contain rows.
        raise LakeError(
            f"{table}: a data file of {min(dates)} to {max(dates)} is missing or cannot be read "
            f"({type(error).__name__}). Run `ciolake verify` and restore the file that it names "
            "from a backup."
        ) from error


def write(
    handle: TableHandle,
    lookup: Lookup,
    times: CommitTimes,
    rows: ArrowTable,
    dates: Collection[date],
) -> Written:
    """Insert the rows that are new and that the engine accepts; durable when it returns.

    Args:
        handle: The table.
        lookup: Finds known keys in its files.
        times: Gives each commit its `loaded_at`.
        rows: Distinct by key, with the columns of the table.
        dates: Every `event_date` in `rows`; few.

    Raises:
        LakeError: The storage fails at the moment.
    """
    if not rows.num_rows:
        return Written(Counter(), {}, frozenset(), ())
    kind = "raw" if handle.name == RAW_TABLE else "typed"
    files = handle.files(rows.select(KEY_COLUMNS))
    with translated_lookup_errors(handle.name, dates):
        known = lookup.keys(files, rows)
    is_new = [one not in known for one in keys(rows)] if known else [True] * rows.num_rows
    new = rows.filter(is_new) if known else rows

    def attempt(start: int, stop: int) -> None:
        crash_points.reach(f"lake.before_{kind}_append")
        handle.append(times.stamped(new.slice(start, stop - start)))
        crash_points.reach(f"lake.after_{kind}_append")
        # Before the next commit begins: so a power cut can damage only the newest commit.
        handle.sync()
        crash_points.reach(f"lake.after_{kind}_sync")

    try:
        refused = bisect(new.num_rows, attempt)
    except ValueRefused as error:
        raise LakeError(
            f"{handle.name}: no row can be written ({error}). The settings of the table may "
            "refuse them, e.g. a constraint that this project did not create."
        ) from error
    handle.sync()
    positions = list(compress(range(rows.num_rows), is_new))
    places = {positions[place]: error for place, error in refused.items()}
    if refused:
        new = new.filter([place not in refused for place in range(new.num_rows)])
    counts = new.column("metric").value_counts().to_pylist()
    metrics = Counter({count["values"]: count["counts"] for count in counts})
    return Written(metrics, places, known, files)
