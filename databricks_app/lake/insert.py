"""Inserts readings of a few dates: first into the raw table, then into the typed tables.

The raw row decides. If the raw table already has a key, the typed row is made from the stored body
and goes to the table that the raw row names. The new body from the sender changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import Executor, wait
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from databricks_app.errors import LakeError
from databricks_app.events.envelope import UnroutedReason
from databricks_app.events.workspaces import DEFAULT
from databricks_app.lake import RAW_TABLE
from databricks_app.lake.arrow_columns import ArrowSchema, ArrowTable, Row, build
from databricks_app.lake.batch import (
    CRASH,
    Key,
    LoadCounts,
    conflicting,
    crashes_loader,
    distinct,
    failed,
    is_repeated,
    key,
    minimal_row,
    prepare,
    prepare_typed,
    stored_body,
    unrouted_row,
    without,
)

if TYPE_CHECKING:
    from databricks_app.events.decoding import Reading

Reread = Callable[[bytes, datetime, str | None, str], "Reading"]


@dataclass(frozen=True, slots=True)
class StoredRow:
    """The columns of a raw row that decide about the typed row.

    Attributes:
        received_at: When the event was first received, UTC.
        target_table: Table of the typed row; None if there is none.
        unrouted_reason: Why there is no typed row.
        body: The column, encoded as `body_encoding` says.
        body_encoding: `utf-8` or `base64`.
        workspace: Name of the workspace that sent it; None in a row of an earlier release.
        body_sha256: Digest of the whole body; None in a row of an earlier release.
    """

    received_at: datetime
    target_table: str | None
    unrouted_reason: str | None
    body: str | None
    body_encoding: str | None
    workspace: str | None
    body_sha256: str | None


@dataclass(frozen=True, slots=True)
class Written:
    """The result of a write to one table.

    Attributes:
        metrics: Number of new rows by the metric of the event.
        refused: Position of each row that the engine refuses, with the name of the error type.
        stored: Keys of the rows that the table already had.
        files: Data files that may contain them; empty on a warehouse.
    """

    metrics: Counter[str | None]
    refused: Mapping[int, str]
    stored: Set[Key]
    files: Sequence[Path] = ()


class Store(Protocol):
    """Writes rows; each lake has its own. Several threads use one store at the same time."""

    def write(self, table: str, rows: ArrowTable, dates: Set[date]) -> Written:
        """Insert the rows that are new and that the engine accepts; durable when it returns.

        Each commit sets a `loaded_at` that is later than all in the table.

        Args:
            table: Its name.
            rows: Distinct by key, with the columns of the table; may be empty.
            dates: Every `event_date` in `rows`; few.

        Raises:
            LakeError: The storage fails at the moment.
        """
        ...

    def stored_rows(self, written: Written, dates: Set[date]) -> Mapping[Key, StoredRow]:
        """Return the raw rows that were stored before this write.

        Raises:
            LakeError: The storage fails at the moment.
        """
        ...


@dataclass(frozen=True, slots=True)
class Insertion:
    """The insertion of one batch.

    Attributes:
        store: Writes the rows.
        schemas: Arrow schemas of the tables.
        pool: Threads that write the typed tables in parallel.
        reread: Decodes a stored body again.
        stamps: `batch_id`, and the earliest `loaded_at` of the commits of this load.
        counts: Counts the rows.
    """

    store: Store
    schemas: Mapping[str, ArrowSchema]
    pool: Executor
    reread: Reread
    stamps: Row
    counts: LoadCounts

    def run(self, readings: Sequence[Reading]) -> None:
        """Insert readings of few dates, each event once; durable when it returns.

        Raises:
            LakeError: The storage fails at the moment; a repetition adds the missing rows.
        """
        typed = self.insert_raw(readings)
        self._write_typed(typed, {reading.event_date for reading in readings})

    def insert_raw(self, readings: Sequence[Reading]) -> dict[str, ArrowTable]:
        """Insert the raw rows of readings of few dates; return the typed rows by table.

        The typed rows may be written only after this, because the raw table decides about them.

        Raises:
            LakeError: The storage fails at the moment; a repetition adds the missing rows.
        """
        by_key: dict[Key, Reading] = {}
        for reading in readings:
            by_key.setdefault(key(reading), reading)
        group = list(by_key.values())
        prepared = prepare(group, self.schemas, self.stamps)
        dates = {reading.event_date for reading in group}
        written = self._write_raw(group, prepared.raw, dates)
        stored = self.store.stored_rows(written, dates) if written.stored else {}
        conflicts: list[Reading] = []
        if stored or len(group) < len(readings):
            conflicts = [one for one in readings if _is_conflict(one, stored, by_key)]
        conflict_ids = set(map(id, conflicts))
        offered = {key(one) for one in readings if id(one) not in conflict_ids}
        refused = {key(group[position]): error for position, error in written.refused.items()}
        unrouted = {**prepared.unrouted, **{one: failed(error) for one, error in refused.items()}}
        self.counts.add(RAW_TABLE, len(offered), written.metrics)
        self.counts.unrouted.update(unrouted[one] for one in unrouted.keys() - stored.keys())
        crashing = {key(reading): CRASH for reading in group if crashes_loader(reading)}
        rejected = {**prepared.rejected, **refused, **crashing}
        typed = dict(prepared.typed)
        if stored or refused:
            typed = {name: without(rows, {*stored, *refused}) for name, rows in typed.items()}
            again = {one: stored[one] for one in stored.keys() & offered - crashing.keys()}
            rejected |= self._add_stored(typed, again)
        self.counts.reject(rejected.values())
        self._insert_conflicts(conflicts, dates)
        return typed

    def _insert_conflicts(self, conflicts: Sequence[Reading], dates: Set[date]) -> None:
        """Insert events whose key belongs to another event as raw rows with another id."""
        if not conflicts:
            return
        readings = distinct(map(conflicting, conflicts), self.counts)
        prepared = prepare(readings, self.schemas, self.stamps)
        written = self._write_raw(readings, prepared.raw, dates)
        self.counts.reject([*prepared.rejected.values(), *written.refused.values()])
        self.counts.add(RAW_TABLE, len(readings), written.metrics)
        self.counts.unrouted[UnroutedReason.KEY_CONFLICT] += written.metrics.total()

    def _write_raw(self, group: Sequence[Reading], rows: ArrowTable, dates: Set[date]) -> Written:
        """Write the raw rows. Retry refused rows without a table, then as minimal rows."""
        first = self.store.write(RAW_TABLE, rows, dates)
        metrics = first.metrics
        waiting = [(group[position], error) for position, error in first.refused.items()]
        columns = [name for name in self.schemas[RAW_TABLE].names if name not in self.stamps]

        def unrouted(reading: Reading, error: str) -> Row:
            return unrouted_row(reading.raw, error)

        def minimal(reading: Reading, error: str) -> Row:
            return minimal_row(reading, error, columns, self.stamps)

        for smaller in (unrouted, minimal):
            if not waiting:
                break
            smaller_rows = [smaller(reading, error) for reading, error in waiting]
            offered = build(smaller_rows, self.schemas[RAW_TABLE], self.stamps)
            more = self.store.write(RAW_TABLE, offered.table, dates)
            metrics = metrics + more.metrics
            fitting = [place for place in range(len(waiting)) if place not in offered.refused]
            again = {*offered.refused, *(fitting[place] for place in more.refused)}
            waiting = [waiting[place] for place in sorted(again)]
        if waiting:
            raise LakeError(
                f"{RAW_TABLE}: the table refuses even the smallest rows. If somebody added a "
                "constraint to the table, remove it."
            )
        return replace(first, metrics=metrics)

    def _add_stored(
        self, typed: dict[str, ArrowTable], stored: Mapping[Key, StoredRow]
    ) -> dict[Key, str]:
        """Add the typed rows of stored events; return the error of each that does not fit."""
        readings = (self._read_again(one, row) for one, row in stored.items())
        rows, rejected = prepare_typed(
            [reading for reading in readings if reading], self.schemas, self.stamps
        )
        for name, more in rows.items():
            typed[name] = pa.concat_tables([typed[name], more]) if name in typed else more
        return rejected

    def _read_again(self, one: Key, row: StoredRow) -> Reading | None:
        """Decode a stored body; None if it was cut or erased and no longer has this key."""
        if row.body is None or row.unrouted_reason == UnroutedReason.TOO_LARGE:
            return None
        body = stored_body(row.body, row.body_encoding)
        workspace = row.workspace or DEFAULT
        reading = self.reread(body, row.received_at, row.target_table, workspace)
        return reading if key(reading) == one else None

    def _write_typed(self, typed: Mapping[str, ArrowTable], dates: Set[date]) -> None:
        """Write the typed tables in parallel; delta-rs releases the interpreter lock."""
        running = {
            name: self.pool.submit(self.store.write, name, rows, dates)
            for name, rows in typed.items()
        }
        wait(running.values())
        for name, future in running.items():
            written = future.result()
            self.counts.add(name, typed[name].num_rows, written.metrics, len(written.refused))
            self.counts.reject(written.refused.values())


def _is_conflict(
    reading: Reading, stored: Mapping[Key, StoredRow], first: Mapping[Key, Reading]
) -> bool:
    """Whether the key of a reading belongs to another event.

    The owner of a key is the event in the raw table, or else the first one in the batch.
    """
    owner = stored.get(key(reading))
    if owner is None:
        return first[key(reading)] is not reading
    # An erased body cannot be compared. A body that was cut has its digest as id, which no other
    # body has.
    if owner.body is None or owner.unrouted_reason == UnroutedReason.TOO_LARGE:
        return False
    return not is_repeated(
        reading, owner.body_sha256, partial(stored_body, owner.body, owner.body_encoding)
    )
