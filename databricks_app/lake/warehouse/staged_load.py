"""A load of many portions: each is staged when it is read, and all are committed together.

To stage needs the volume and no warehouse. The commit sends one MERGE for each table over the files
of all portions. It expects that all events are new. Those that are not (other loads had written
their key, the warehouse refuses their row, or another event of the load has their key) are taken
out and go through `Insertion`, like every event of a load that is not staged.

Only the keys and the digests of the bodies stay in memory, about 0.3 KB for each event.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from concurrent.futures import Executor, wait
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from databricks_app.events import decoding
from databricks_app.events.decoding import Reading
from databricks_app.lake import RAW_TABLE
from databricks_app.lake.arrow_columns import ArrowSchema, ArrowTable, Row, constant
from databricks_app.lake.batch import (
    Key,
    LoadCounts,
    date_groups,
    digest,
    distinct,
    key,
    keys,
    prepare,
    stored_body,
    without,
)
from databricks_app.lake.insert import Insertion
from databricks_app.lake.warehouse.merge import MAX_DATES, Merging
from databricks_app.lake.warehouse.staging import StagedFile, Staging
from databricks_app.runtime import crash_points

if TYPE_CHECKING:
    from collections.abc import Iterator

# Events that share a key with another event of the load stay in memory until the commit, and each
# is compared with each.
_SHARING_EVENTS = 500
_SHARING_BYTES = 16 << 20


@dataclass(slots=True)
class _Portion:
    """Events of few dates whose rows are staged.

    Attributes:
        raw: The file of their raw rows.
        typed: The files of their typed rows, by table.
        digests: Digest of the body by key.
        unrouted: Reason by key, for the raw rows that name no table.
    """

    raw: StagedFile
    typed: dict[str, StagedFile]
    digests: Mapping[Key, bytes]
    unrouted: Mapping[Key, str]


@dataclass(frozen=True, slots=True)
class _TableResult:
    """What a typed table took: new rows by metric, and the errors of the refused rows."""

    metrics: Counter[str | None]
    refused: Sequence[str]


@dataclass(slots=True)
class StagedLoad:
    """The portions that are staged and not committed yet.

    Attributes:
        schemas: Arrow schemas of the tables.
        staging: Stores the rows.
        pool: Threads for files and for typed tables.
        stamps: The `batch_id` of the rows, and a `loaded_at` that the commit replaces.
        counts: Counts the rows.
    """

    schemas: Mapping[str, ArrowSchema]
    staging: Staging
    pool: Executor
    stamps: Row
    counts: LoadCounts = field(default_factory=LoadCounts)
    _portions: list[_Portion] = field(default_factory=list, init=False)
    _sharing: list[Reading] = field(default_factory=list, init=False)
    _sharing_bytes: int = field(default=0, init=False)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1), init=False)

    @property
    def batch_id(self) -> str:
        """The `batch_id` of the rows."""
        return str(self.stamps["batch_id"])

    @property
    def has_room(self) -> bool:
        """Whether the memory allows more events."""
        return len(self._sharing) < _SHARING_EVENTS and self._sharing_bytes < _SHARING_BYTES

    def stage(self, readings: Sequence[Reading]) -> None:
        """Stage the rows of one portion.

        Raises:
            LakeError: A file cannot be stored now. Then the whole load must be repeated.
        """
        for group in date_groups(self._new(readings), MAX_DATES):
            prepared = prepare(group, self.schemas, self.stamps)
            waiting = {
                name: self.pool.submit(self._stage_file, name, rows)
                for name, rows in {RAW_TABLE: prepared.raw, **prepared.typed}.items()
                if rows.num_rows
            }
            wait(waiting.values())
            files = {name: one.result() for name, one in waiting.items()}
            self.counts.reject(prepared.rejected.values())
            digests = {key(one): _digest(one) for one in group}
            raw = files.pop(RAW_TABLE)
            self._portions.append(_Portion(raw, files, digests, prepared.unrouted))

    def commit(self, merging: Merging) -> None:
        """Insert the rows of all portions, each event once; durable when it returns.

        Args:
            merging: Writes the tables; has the `batch_id` of this load.

        Raises:
            LakeError: The storage fails at the moment; a repetition adds the missing rows.
        """
        typed: defaultdict[str, list[StagedFile]] = defaultdict(list)
        written = merging.write_files(RAW_TABLE, [one.raw for one in self._portions])
        for portion in self._portions:
            taken = written.stored.keys() & portion.digests.keys()
            if portion.raw in written.refused:
                taken = set(portion.digests)
            if taken:
                for name, file in self._insert_again(portion, taken, merging).items():
                    typed[name].append(file)
            self.counts.add(RAW_TABLE, portion.raw.rows, portion.raw.metrics)
            self.counts.unrouted.update(portion.unrouted.values())
            for name, file in portion.typed.items():
                typed[name].append(file)
        self._write_typed(typed, merging)
        # Last: the typed row of such a key is in a file of the statements before.
        for group in date_groups(distinct(self._sharing, self.counts), MAX_DATES):
            self._insertion(merging).run(group)

    def _stage_file(self, name: str, rows: ArrowTable) -> StagedFile:
        file = self.staging.stage(f"{self.batch_id}.{name}", rows)
        crash_points.reach("lake.after_stage")
        return file

    def _new(self, readings: Sequence[Reading]) -> Iterator[Reading]:
        """Yield the first event of each key. Count the repeated ones, keep the others for later."""
        own: dict[Key, bytes] = {}
        for reading in distinct(readings, self.counts):
            one, found = key(reading), _digest(reading)
            known = own.get(one) or self._known(one)
            if known is None:
                own[one] = found
                yield reading
            elif known == found:
                self.counts.duplicates.update(
                    name for name in (RAW_TABLE, reading.table) if name is not None
                )
            else:
                # Only a comparison of both bodies can tell whether it is the same event.
                self._sharing.append(reading)
                self._sharing_bytes += len(str(reading.raw.get("body")))

    def _known(self, one: Key) -> bytes | None:
        return next(
            (portion.digests[one] for portion in self._portions if one in portion.digests), None
        )

    def _insertion(self, merging: Merging) -> Insertion:
        # With a `batch_id` of its own: rows of this load count as rows of another one, because an
        # event of this load may be the owner of the key.
        batch_id = f"{self.batch_id}.{next(self._numbers)}"
        return Insertion(
            store=replace(merging, batch_id=batch_id),
            schemas=self.schemas,
            pool=self.pool,
            reread=decoding.reread,
            stamps={**self.stamps, "batch_id": batch_id},
            counts=self.counts,
        )

    def _insert_again(
        self, portion: _Portion, taken: Set[Key], merging: Merging
    ) -> dict[str, StagedFile]:
        """Take events out of a portion and insert their raw rows as `Insertion` decides.

        Returns:
            The staged typed rows of these events, by table.
        """
        rows = self.staging.read(portion.raw)
        again = rows.filter([one in taken for one in keys(rows)])
        metrics = portion.raw.metrics - Counter(again.column("metric").to_pylist())
        portion.raw = replace(portion.raw, rows=portion.raw.rows - again.num_rows, metrics=metrics)
        portion.unrouted = {
            one: reason for one, reason in portion.unrouted.items() if one not in taken
        }
        if not portion.raw.rows:
            portion.typed.clear()
        for name in portion.typed.keys() & set(again.column("target_table").to_pylist()):
            kept = without(self.staging.read(portion.typed.pop(name)), taken)
            if kept.num_rows:
                portion.typed[name] = self._stage_file(name, kept)
        readings = [self._reading(row) for row in again.to_pylist()]
        typed = self._insertion(merging).insert_raw(readings)
        crash_points.reach("lake.after_insert_again")
        return {
            name: self._stage_file(name, constant(rows, "batch_id", self.batch_id))
            for name, rows in typed.items()
            if rows.num_rows
        }

    def _reading(self, row: Mapping[str, Any]) -> Reading:
        """Make the reading of a staged raw row again."""
        raw = {name: value for name, value in row.items() if name not in self.stamps}
        event_id, event_date = row["event_id"], row["event_date"]
        table, typed = row["target_table"], None
        if table is not None:
            body = stored_body(row["body"], row["body_encoding"])
            typed = decoding.reread(body, row["received_at"], table, row["workspace"]).typed
        return Reading(event_id, event_date, raw, table, typed, ())

    def _write_typed(self, typed: Mapping[str, Sequence[StagedFile]], merging: Merging) -> None:
        """Write the typed tables in parallel."""
        running = {
            name: self.pool.submit(self._write_table, name, files, merging)
            for name, files in typed.items()
        }
        wait(running.values())
        for name, future in running.items():
            written, offered = future.result(), sum(one.rows for one in typed[name])
            self.counts.add(name, offered, written.metrics, len(written.refused))
            self.counts.reject(written.refused)

    def _write_table(
        self, name: str, files: Sequence[StagedFile], merging: Merging
    ) -> _TableResult:
        """Write the files of one typed table; search the rejected rows in refused files."""
        written = merging.write_files(name, files)
        metrics: Counter[str | None] = Counter()
        for one in files:
            if one not in written.refused:
                metrics += one.metrics
        metrics -= Counter(written.stored.values())
        errors: list[str] = []
        for one in written.refused:
            by_row = merging.write(name, self.staging.read(one), one.dates)
            metrics += by_row.metrics
            errors += by_row.refused.values()
        return _TableResult(metrics, errors)


def _digest(reading: Reading) -> bytes:
    return bytes.fromhex(digest(reading.raw))
