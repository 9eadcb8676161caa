"""Load the whole inbox at once, where the lake can stage: many portions, then one commit.

A warehouse costs money while it runs, and a MERGE of many rows takes little longer than one of few.
So all batches that are ready are read, decoded and staged while the warehouse sleeps; then one
commit wakes it. The batches stay in the inbox until the commit has returned.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from databricks_app.lake import LoadReport, StagingLake
from databricks_app.loading import memory
from databricks_app.loading.counting import Offered
from databricks_app.loading.crash_isolation import LoadAttempts, Part
from databricks_app.runtime import crash_points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from databricks_app.events.decoding import Reading
    from databricks_app.events.record import Record
    from databricks_app.ingest.inbox import Batch, Reader

# The keys of so many events need about 60 MB.
LOAD_ROWS = 200_000
# A statement must end within its time limit, also on the smallest warehouse.
LOAD_BYTES = 256 << 20


@dataclass(slots=True)
class CommittedLoad:
    """A load whose rows are durable in the tables; its batches may be deleted.

    Attributes:
        report: The report of the lake.
        offered: What was loaded.
        batches: The batches without their records, each with the number of its events.
    """

    report: LoadReport
    offered: Offered
    batches: Sequence[tuple[Batch, int]]


@dataclass(slots=True)
class StagedLoads:
    """Stages the batches of an inbox and commits them.

    Attributes:
        lake: The tables.
        reader: The inbox.
        attempts: Notes what is being done, for the case that this process dies of it.
        read: Decodes the records of a part of a batch.
        goes_on: Called when a batch is staged; False ends.
        now: Clock, Unix seconds.
        batch_rows: Most rows of a batch.
        batch_bytes: Most bytes of a batch.
        load_rows: A load that has so many rows is committed.
        load_bytes: A load that has so many bytes of bodies is committed.
    """

    lake: StagingLake
    reader: Reader
    attempts: LoadAttempts
    read: Callable[[Sequence[Record], Part], list[Reading]]
    goes_on: Callable[[], bool]
    now: Callable[[], float]
    batch_rows: int
    batch_bytes: int
    load_rows: int = LOAD_ROWS
    load_bytes: int = LOAD_BYTES

    def committed(self) -> Iterator[CommittedLoad]:
        """Stage and commit all events that are ready; yield each load after its commit.

        Before the caller asks for the next load, it deletes the batches of this one. A stop does
        not wait for a commit: what is staged then stays in the inbox.

        Raises:
            Standby: Another loader has taken over.
            LakeError: The volume or the tables cannot be written now.
            OSError: The inbox cannot be read.
        """
        load = _Load()
        try:
            for batch in self.reader.batches(self.batch_rows, self.batch_bytes):
                has_room = self._stage(batch, load)
                del batch  # free its memory before the reader creates the next batch
                if not self.goes_on():
                    self.attempts.pause()
                    return
                if not has_room or self._is_full(load):
                    yield self._commit(load)
                    load = _Load()
            if load.batches:
                yield self._commit(load)
        finally:
            self.lake.discard()

    def _is_full(self, load: _Load) -> bool:
        # A further batch must fit.
        return (
            load.offered.events + self.batch_rows > self.load_rows
            or load.bytes + self.batch_bytes > self.load_bytes
        )

    def _stage(self, batch: Batch, load: _Load) -> bool:
        """Stage a batch; return whether the load takes another one."""
        has_room = True
        self.attempts.note(batch.sources, len(batch.records))
        loaded_at = datetime.fromtimestamp(self.now(), UTC)
        for part in memory.portions(batch.records, Part(0, len(batch.records))):
            records = batch.records[part.start : part.stop]
            if not records:
                continue
            with memory.spared():
                found = self.read(batch.records, part)
                has_room = self.lake.stage(found, batch_id=load.batch_id, loaded_at=loaded_at)
                load.offered.add(records, found)
                load.bytes += sum(len(record.body) for record in records)
                del found, records
        crash_points.reach("loader.after_stage")
        load.batches.append((replace(batch, records=()), len(batch.records)))
        return has_room

    def _commit(self, load: _Load) -> CommittedLoad:
        self.attempts.note_commit()
        crash_points.reach("loader.before_commit")
        report = LoadReport({}, {}, {}, {}, 0.0)
        if load.offered.events:
            loaded_at = datetime.fromtimestamp(self.now(), UTC)
            with memory.spared():
                report = self.lake.commit(loaded_at=loaded_at)
        return CommittedLoad(report, load.offered, load.batches)


@dataclass(slots=True)
class _Load:
    """A load that is being staged."""

    batch_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    offered: Offered = field(default_factory=Offered)
    batches: list[tuple[Batch, int]] = field(default_factory=list)
    bytes: int = 0
