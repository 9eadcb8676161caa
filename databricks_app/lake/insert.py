"""Carries readings of a few dates into the raw table and then into the typed tables.

The raw row decides. Where the raw table held a key before, the typed row is made from the body it
holds and goes to the table it names; the sender's new body changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import Executor, wait
from dataclasses import dataclass, replace
from datetime import date, datetime
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
    distinct,
    failed,
    is_condemned,
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
    """A row of the raw table, as far as it decides about the typed row.

    Attributes:
        received_at: When the event was first received, UTC.
        target_table: Where it went; None if nowhere.
        unrouted_reason: Why it went nowhere.
        body: The column, see `body_encoding`.
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
    """What became of rows that were offered to a table.

    Attributes:
        metrics: How many are new, by the event's metric.
        refused: Position of each row the engine will never take, to the error's type.
        held: Keys of the rows that the table held before.
        files: The data files that held them, where the store has such.
    """

    metrics: Counter[str | None]
    refused: Mapping[int, str]
    held: Set[Key]
    files: Sequence[Path] = ()


class Store(Protocol):
    """Where rows are written: what the lakes differ in. Several threads use one."""

    def write(self, table: str, rows: ArrowTable, dates: Set[date]) -> Written:
        """Insert what is new and can be taken; durable when it returns.

        Each commit gives its rows a `loaded_at` of its own, later than all in the table.

        Args:
            table: Its name.
            rows: Distinct by key, with the table's columns; may be none.
            dates: Every `event_date` in `rows`; few.

        Raises:
            LakeError: The storage fails for now.
        """
        ...

    def held(self, written: Written, dates: Set[date]) -> Mapping[Key, StoredRow]:
        """The rows of the raw table that were there before they were offered again.

        Raises:
            LakeError: The storage fails for now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Insertion:
    """The insertion of one batch.

    Attributes:
        store: Writes the rows.
        schemas: Arrow schemas of the tables.
        pool: Where typed tables are written beside each other.
        reread: Reads a stored body again.
        stamps: `batch_id`, and the `loaded_at` that no commit of this load goes below.
        counts: Where rows are counted.
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
            LakeError: The storage fails for now; a repetition completes what is missing.
        """
        by_key: dict[Key, Reading] = {}
        for reading in readings:
            by_key.setdefault(key(reading), reading)
        group = list(by_key.values())
        prepared = prepare(group, self.schemas, self.stamps)
        dates = {reading.event_date for reading in group}
        written = self._write_raw(group, prepared.raw, dates)
        known = self.store.held(written, dates) if written.held else {}
        conflicts = [one for one in readings if _is_another(one, known, by_key)]
        others = set(map(id, conflicts))
        offered = {key(one) for one in readings if id(one) not in others}
        lost = {key(group[position]): error for position, error in written.refused.items()}
        unrouted = {**prepared.unrouted, **{one: failed(error) for one, error in lost.items()}}
        self.counts.add(RAW_TABLE, len(offered), written.metrics)
        self.counts.unrouted.update(unrouted[one] for one in unrouted.keys() - known.keys())
        condemned = {key(reading): CRASH for reading in group if is_condemned(reading)}
        rejected = {**prepared.rejected, **lost, **condemned}
        typed = dict(prepared.typed)
        if known or lost:
            typed = {name: without(rows, {*known, *lost}) for name, rows in typed.items()}
            again = {one: known[one] for one in known.keys() & offered - condemned.keys()}
            rejected |= self._add_known(typed, again)
        self.counts.reject(rejected.values())
        self._insert_conflicts(conflicts, dates)
        self._write_typed(typed, dates)

    def _insert_conflicts(self, conflicts: Sequence[Reading], dates: Set[date]) -> None:
        """Keep events whose key another event has as raw rows of their own."""
        if not conflicts:
            return
        readings = distinct(map(conflicting, conflicts), self.counts)
        prepared = prepare(readings, self.schemas, self.stamps)
        written = self._write_raw(readings, prepared.raw, dates)
        self.counts.reject([*prepared.rejected.values(), *written.refused.values()])
        self.counts.add(RAW_TABLE, len(readings), written.metrics)
        self.counts.unrouted[UnroutedReason.KEY_CONFLICT] += written.metrics.total()

    def _write_raw(self, group: Sequence[Reading], rows: ArrowTable, dates: Set[date]) -> Written:
        """Write the raw rows; those that are refused again with less and less in them."""
        first = self.store.write(RAW_TABLE, rows, dates)
        metrics = first.metrics
        waiting = [(group[position], error) for position, error in first.refused.items()]
        for row in (self._unrouted_row, self._minimal_row):
            if not waiting:
                break
            offered = build([row(*one) for one in waiting], self.schemas[RAW_TABLE], self.stamps)
            more = self.store.write(RAW_TABLE, offered.table, dates)
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

    def _unrouted_row(self, reading: Reading, error: str) -> Row:
        return unrouted_row(reading.raw, error)

    def _minimal_row(self, reading: Reading, error: str) -> Row:
        columns = [name for name in self.schemas[RAW_TABLE].names if name not in self.stamps]
        return minimal_row(reading, error, columns, self.stamps)

    def _add_known(
        self, typed: dict[str, ArrowTable], known: Mapping[Key, StoredRow]
    ) -> dict[Key, str]:
        """Add the typed rows of events that the raw table held; the events that have none."""
        readings = (self._read_again(one, row) for one, row in known.items())
        rows, rejected = prepare_typed(
            [reading for reading in readings if reading], self.schemas, self.stamps
        )
        for name, more in rows.items():
            typed[name] = pa.concat_tables([typed[name], more]) if name in typed else more
        return rejected

    def _read_again(self, one: Key, row: StoredRow) -> Reading | None:
        """What the held body is today; None if it was cut, so that its key is gone."""
        if row.body is None or row.unrouted_reason == UnroutedReason.TOO_LARGE:
            return None
        body = stored_body(row.body, row.body_encoding)
        workspace = row.workspace or DEFAULT
        reading = self.reread(body, row.received_at, row.target_table, workspace)
        return reading if key(reading) == one else None

    def _write_typed(self, typed: Mapping[str, ArrowTable], dates: Set[date]) -> None:
        """Write the typed tables beside each other; delta-rs works outside the interpreter."""
        running = {
            name: self.pool.submit(self.store.write, name, rows, dates)
            for name, rows in typed.items()
        }
        wait(running.values())
        for name, future in running.items():
            written = future.result()
            self.counts.add(name, typed[name].num_rows, written.metrics, len(written.refused))
            self.counts.reject(written.refused.values())


def _is_another(
    reading: Reading, known: Mapping[Key, StoredRow], first: Mapping[Key, Reading]
) -> bool:
    """Whether a reading is another event than the one that has its key.

    That is the one in the raw table, else the first in the batch.
    """
    stored = known.get(key(reading))
    if stored is None:
        return first[key(reading)] is not reading
    # A body that was cut or erased tells nothing; a digest is the key of nothing else.
    if stored.body is None or stored.unrouted_reason == UnroutedReason.TOO_LARGE:
        return False
    text, encoding = stored.body, stored.body_encoding
    return not is_repeated(reading, stored.body_sha256, lambda: stored_body(text, encoding))
