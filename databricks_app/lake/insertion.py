"""Carries readings of a few dates into the raw table and then into the typed tables.

The raw row decides. Where the raw table held a key before, the typed row is made from the body it
holds and goes to the table it names; the sender's new body changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from concurrent.futures import Executor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from databricks_app import faults
from databricks_app.envelope import UnroutedReason
from databricks_app.errors import LakeError
from databricks_app.lake import RAW_TABLE
from databricks_app.lake.columns import ArrowSchema, ArrowTable, Row, build
from databricks_app.lake.handle import TableHandle
from databricks_app.lake.load import (
    CRASH,
    Key,
    Tally,
    ValueRefused,
    bisect,
    failed,
    is_condemned,
    key,
    keys,
    minimal_row,
    prepare,
    prepare_typed,
    stored_body,
    unrouted_row,
    without,
)
from databricks_app.lake.lookup import KEY_COLUMNS, Held, Lookup

if TYPE_CHECKING:
    from databricks_app.reading import Reading

Reread = Callable[[bytes, datetime, str | None], "Reading"]


@dataclass(frozen=True, slots=True)
class Written:
    """What became of rows that were offered to a table.

    Attributes:
        metrics: How many are new, by the event's metric.
        refused: Position of each row the engine will never take, to the error's type.
        held: Keys of the rows that the table held before.
        files: The data files that held them.
    """

    metrics: Counter[str | None]
    refused: Mapping[int, str]
    held: Set[Key]
    files: Sequence[Path]


@contextmanager
def readable(table: str, dates: Collection[date]) -> Iterator[None]:
    """Turn what a look-up raises into words; its own may show rows.

    Raises:
        LakeError: A file cannot be read.
    """
    try:
        yield
    except duckdb.Error as error:
        raise LakeError(
            f"{table}: a data file of {min(dates)} to {max(dates)} is missing or cannot be read "
            f"({type(error).__name__}). `ciolake verify` says more; restore it from a backup."
        ) from error


def write(
    handle: TableHandle, lookup: Lookup, rows: ArrowTable, dates: Collection[date]
) -> Written:
    """Insert what is new and can be taken; durable when it returns.

    Args:
        handle: The table.
        lookup: Reads its files.
        rows: Distinct by key, with the table's columns.
        dates: Every `event_date` in `rows`; few.

    Raises:
        LakeError: The storage fails for now.
    """
    if not rows.num_rows:
        return Written(Counter(), {}, frozenset(), ())
    kind = "raw" if handle.name == RAW_TABLE else "typed"
    files = handle.files(rows.select(KEY_COLUMNS))
    with readable(handle.name, dates):
        known = lookup.keys(files, rows)
    is_new = [one not in known for one in keys(rows)] if known else [True] * rows.num_rows
    new = rows.filter(is_new) if known else rows

    def attempt(start: int, stop: int) -> None:
        faults.reach(f"lake.before_{kind}_append")
        handle.append(new.slice(start, stop - start))
        faults.reach(f"lake.after_{kind}_append")
        # Before the next commit is begun: only the newest one can break in a power cut.
        handle.sync()
        faults.reach(f"lake.after_{kind}_sync")

    try:
        refused = bisect(new.num_rows, attempt)
    except ValueRefused as error:
        raise LakeError(
            f"{handle.name}: not one row can be written ({error}). The table's settings may "
            "refuse them, e.g. a constraint that is not of this project."
        ) from error
    handle.sync()
    positions = list(compress(range(rows.num_rows), is_new))
    places = {positions[place]: error for place, error in refused.items()}
    if refused:
        new = new.filter([place not in refused for place in range(new.num_rows)])
    counts = new.column("metric").value_counts().to_pylist()
    metrics = Counter({count["values"]: count["counts"] for count in counts})
    return Written(metrics, places, known, files)


@dataclass(frozen=True, slots=True)
class Insertion:
    """The insertion of one batch.

    Attributes:
        handles: Every table, open.
        schemas: Their Arrow schemas.
        lookup: Reads their files.
        pool: Where typed tables are written beside each other.
        reread: Reads a stored body again.
        stamps: `loaded_at` and `batch_id`.
        tally: Where rows are counted.
    """

    handles: Mapping[str, TableHandle]
    schemas: Mapping[str, ArrowSchema]
    lookup: Lookup
    pool: Executor
    reread: Reread
    stamps: Row
    tally: Tally

    def run(self, group: Sequence[Reading]) -> None:
        """Insert distinct readings of few dates; durable when it returns.

        Raises:
            LakeError: The storage fails for now; a repetition completes what is missing.
        """
        prepared = prepare(group, self.schemas, self.stamps)
        dates = {reading.event_date for reading in group}
        written = self._write_raw(group, prepared.raw, dates)
        known = self._held(written, dates)
        lost = {key(group[position]): error for position, error in written.refused.items()}
        unrouted = {**prepared.unrouted, **{one: failed(error) for one, error in lost.items()}}
        self.tally.add(RAW_TABLE, len(group), written.metrics)
        self.tally.unrouted.update(unrouted[one] for one in unrouted.keys() - known.keys())
        condemned = {key(reading): CRASH for reading in group if is_condemned(reading)}
        offenders = {**prepared.offenders, **lost, **condemned}
        typed = dict(prepared.typed)
        if known or lost:
            typed = {name: without(rows, {*known, *lost}) for name, rows in typed.items()}
            again = {one: row for one, row in known.items() if one not in condemned}
            offenders |= self._add_known(typed, again)
        self.tally.offend(offenders.values())
        self._write_typed(typed, dates)

    def _write_raw(self, group: Sequence[Reading], rows: ArrowTable, dates: Set[date]) -> Written:
        """Write the raw rows; those that are refused again with less and less in them."""
        first = self._write(RAW_TABLE, rows, dates)
        metrics = first.metrics
        waiting = [(group[position], error) for position, error in first.refused.items()]
        for row in (self._unrouted_row, self._minimal_row):
            if not waiting:
                break
            offered = build([row(*one) for one in waiting], self.schemas[RAW_TABLE], self.stamps)
            more = self._write(RAW_TABLE, offered.table, dates)
            metrics = metrics + more.metrics
            fitting = [place for place in range(len(waiting)) if place not in offered.refused]
            again = {*offered.refused, *(fitting[place] for place in more.refused)}
            waiting = [waiting[place] for place in sorted(again)]
        if waiting:
            raise LakeError(
                f"{RAW_TABLE}: even the smallest rows are refused. Is there a constraint on the "
                "table that is not of this project? Remove it."
            )
        return replace(first, metrics=metrics)

    def _write(self, table: str, rows: ArrowTable, dates: Set[date]) -> Written:
        return write(self.handles[table], self.lookup, rows, dates)

    def _unrouted_row(self, reading: Reading, error: str) -> Row:
        return unrouted_row(reading.raw, error)

    def _minimal_row(self, reading: Reading, error: str) -> Row:
        columns = [name for name in self.schemas[RAW_TABLE].names if name not in self.stamps]
        return minimal_row(reading, error, columns, self.stamps)

    def _held(self, written: Written, dates: Set[date]) -> Mapping[Key, Held]:
        """The raw rows that were there before this load."""
        if not written.held:
            return {}
        with readable(RAW_TABLE, dates):
            return self.lookup.rows(written.files, written.held)

    def _add_known(self, typed: dict[str, ArrowTable], known: Mapping[Key, Held]) -> dict[Key, str]:
        """Add the typed rows of events that the raw table held; the events that have none."""
        readings = (self._read_again(one, row) for one, row in known.items())
        rows, offenders = prepare_typed(
            [reading for reading in readings if reading], self.schemas, self.stamps
        )
        for name, more in rows.items():
            typed[name] = pa.concat_tables([typed[name], more]) if name in typed else more
        return offenders

    def _read_again(self, one: Key, row: Held) -> Reading | None:
        """What the held body is today; None if it was cut, so that its key is gone."""
        if row.body is None or row.unrouted_reason == UnroutedReason.TOO_LARGE:
            return None
        body = stored_body(row.body, row.body_encoding)
        reading = self.reread(body, row.received_at, row.target_table)
        return reading if key(reading) == one else None

    def _write_typed(self, typed: Mapping[str, ArrowTable], dates: Set[date]) -> None:
        """Write the typed tables beside each other; delta-rs works outside the interpreter."""
        running = {
            name: self.pool.submit(self._write, name, rows, dates) for name, rows in typed.items()
        }
        wait(running.values())
        for name, future in running.items():
            written = future.result()
            self.tally.add(name, typed[name].num_rows, written.metrics, len(written.refused))
            self.tally.offend(written.refused.values())
