"""The lake in a local folder: Delta tables that delta-rs writes, synced before `load` returns."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from databricks_app.errors import LakeError
from databricks_app.events import decoding
from databricks_app.lake import LoadReport, StartReport, sql_dialect
from databricks_app.lake.arrow_columns import ArrowSchema
from databricks_app.lake.arrow_schema import arrow_schema
from databricks_app.lake.batch import LoadCounts, date_groups, distinct
from databricks_app.lake.commit_times import CommitTimes
from databricks_app.lake.insert import Insertion, Reread
from databricks_app.lake.local.append import Appending
from databricks_app.lake.local.fsync import Sync, fsync
from databricks_app.lake.local.key_lookup import Lookup
from databricks_app.lake.local.lock import FolderLock
from databricks_app.lake.local.maintenance import Policy, Upkeep
from databricks_app.lake.local.open import open_table
from databricks_app.lake.local.query import LocalQuery
from databricks_app.lake.local.renaming import LocalRenaming
from databricks_app.lake.local.table_handle import Definition, TableHandle
from databricks_app.lake.renaming import Rename
from databricks_app.lake.warehouse import statements
from databricks_app.runtime.file_modes import TABLES, correct_tables, make_tables_folder

if TYPE_CHECKING:
    from databricks_app.events.decoding import Reading

# Parts of a path that delta-rs would decode or DuckDB would expand.
_UNUSABLE = re.compile(r"%[0-9A-Fa-f]{2}|[*?\[\]]")
# Dates that are written at once; each date is one file.
_MAX_DATES = 32
# Typed tables that are written in parallel.
_THREADS = 2

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _LocalResources:
    pool: ThreadPoolExecutor
    lookup: Lookup


def definitions() -> tuple[Definition, ...]:
    """Return the tables of `sql/`."""
    return tuple(
        Definition(table.name, arrow_schema(table), table.comment) for table in sql_dialect.tables()
    )


class LocalLake:
    """Tables under `<data_dir>/tables`; broken files are moved to `<data_dir>/quarantine`.

    Attributes:
        data_dir: Folder on a local disk.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        tables: Sequence[Definition] | None = None,
        policy: Policy | None = None,
        reread: Reread = decoding.reread,
        sync: Sync = fsync,
    ) -> None:
        """Create the lake; `start` opens it.

        Args:
            data_dir: Folder on a local disk.
            tables: The raw table, then the typed tables; by default those of `sql/`.
            policy: When checkpoints and compactions are due.
            reread: Decodes a stored body again.
            sync: Syncs a file or a folder.
        """
        self.data_dir = data_dir.absolute()
        self._definitions = tables
        self._policy = policy or Policy()
        self._reread = reread
        self._sync = sync
        self._lock = FolderLock(self._folder)
        self._schemas: dict[str, ArrowSchema] = {}
        self._handles: dict[str, TableHandle] = {}
        self._upkeep: list[Upkeep] = []
        self._times = CommitTimes()
        self._running: _LocalResources | None = None
        self._is_stale = False

    @property
    def _folder(self) -> Path:
        return self.data_dir / TABLES

    def start(self) -> StartReport:
        """See `Lake.start`."""
        if _UNUSABLE.search(str(self.data_dir)):
            raise LakeError(
                f"The folder {self.data_dir} cannot be used for tables: its path contains one of "
                "*?[] or a percent-encoded character. Set CIO_DATA_DIR to another folder."
            )
        try:
            make_tables_folder(self.data_dir, self._sync)
            self._lock.acquire()
            correct_tables(self.data_dir)
        except OSError as error:
            raise LakeError(f"{self._folder} cannot be used: {error.strerror}.") from error
        try:
            return self._open()
        except LakeError:
            self.close()
            raise

    def _open(self) -> StartReport:
        created: list[str] = []
        added: dict[str, tuple[str, ...]] = {}
        problems: list[str] = []
        for one in self._definitions or definitions():
            opened = open_table(self.data_dir, one, self._policy.table_properties(), self._sync)
            if opened.is_new:
                created.append(one.name)
            if opened.added_columns:
                added[one.name] = opened.added_columns
            problems.extend(opened.problems)
            self._schemas[one.name] = one.schema
            self._handles[one.name] = opened.handle
            version = opened.checkpointed_version
            self._upkeep.append(Upkeep(opened.handle, self._policy, version, self._sync))
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="lake")
        self._running = _LocalResources(pool, Lookup())
        self._read_times()
        self._is_stale = False
        return StartReport(tuple(created), added, tuple(problems))

    def load(
        self, readings: Sequence[Reading], *, batch_id: str, loaded_at: datetime
    ) -> LoadReport:
        """See `Lake.load`."""
        began = time.perf_counter()
        counts = LoadCounts()
        running = self._ready()
        insertion = Insertion(
            store=Appending(self._handles, running.lookup, self._times),
            schemas=self._schemas,
            pool=running.pool,
            reread=self._reread,
            stamps={"loaded_at": loaded_at, "batch_id": batch_id},
            counts=counts,
        )
        # If the load fails, the open handles may not match the tables.
        self._is_stale = True
        for group in date_groups(distinct(readings, counts), _MAX_DATES):
            insertion.run(group)
        self._is_stale = False
        self._keep_up()
        return counts.report(time.perf_counter() - began)

    def _ready(self) -> _LocalResources:
        """Return the open resources; after a failed load, open every table again."""
        if self._running is None:
            raise LakeError("The lake is not started.")
        if self._is_stale:
            for handle in self._handles.values():
                handle.reopen()
                handle.sync()
            self._read_times()
            self._is_stale = False
        return self._running

    def _read_times(self) -> None:
        newest = (handle.newest_loaded_at() for handle in self._handles.values())
        self._times.newest = max((one for one in newest if one is not None), default=None)

    def newest_loaded_at(self) -> datetime | None:
        """See `Lake.newest_loaded_at`."""
        return self._times.newest

    def workspaces_of(self, fingerprints: Set[str]) -> frozenset[tuple[str, str]]:
        """See `Lake.workspaces_of`."""
        found = LocalQuery(self.data_dir).run(statements.workspaces_of(fingerprints))
        return frozenset((str(row[0]), str(row[1])) for row in found.rows)

    def rows_to_rename(self, rename: Rename) -> Mapping[str, int]:
        """See `RenamingLake.rows_to_rename`."""
        self._ready()
        return LocalRenaming(self._handles, rename).count()

    def rename(self, rename: Rename) -> Mapping[str, int]:
        """See `RenamingLake.rename`."""
        self._ready()
        return LocalRenaming(self._handles, rename, self._keep_up).run()

    def _keep_up(self) -> None:
        """Do the upkeep that is due. The rows are durable already, so errors are only logged."""
        until = time.monotonic() + self._policy.chores_seconds
        for upkeep in self._upkeep:
            self._attempt(upkeep, upkeep.run)
            # Tables are often due at the same time. The other tables wait for the next load.
            if time.monotonic() >= until:
                break
        while not self._is_stale and (following := self._next_upkeep()):
            self._attempt(following, partial(following.do_chore, until))
            if time.monotonic() >= until:
                break

    def _next_upkeep(self) -> Upkeep | None:
        """Return the table with a begun chore, or else the one that has waited longest."""
        # A begun merge uses up to 32 MB of memory, so only one table may have one.
        for upkeep in sorted(self._upkeep, key=lambda one: not one.has_begun_chore):
            if upkeep.chores:
                self._upkeep.remove(upkeep)
                self._upkeep.append(upkeep)
                return upkeep
        return None

    def _attempt(self, upkeep: Upkeep, work: Callable[[], None]) -> None:
        try:
            work()
        except LakeError as error:
            log.warning("upkeep_failed", table=upkeep.handle.name, problem=str(error))
            self._is_stale = True

    def close(self) -> None:
        """See `Lake.close`."""
        if self._running is not None:
            self._running.pool.shutdown()
            self._running.lookup.close()
            self._running = None
        for upkeep in self._upkeep:
            upkeep.close()
        self._handles.clear()
        self._upkeep.clear()
        self._lock.release()
