"""The lake in a Databricks workspace: managed Delta tables, loaded through a SQL warehouse.

Rows are staged as Parquet in a volume, and one MERGE per table inserts them, see
`lake.warehouse.merge` and `lake.warehouse.staged_load`. One instance loads at a time, see
`lake.warehouse.lease`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from databricks_app.databricks.sql_sessions import Statements, Unclear
from databricks_app.databricks.volume_files import Files
from databricks_app.errors import LakeError
from databricks_app.events import decoding
from databricks_app.lake import LoadReport, StartReport, sql_dialect
from databricks_app.lake.arrow_schema import arrow_schema
from databricks_app.lake.batch import LoadCounts, date_groups, distinct
from databricks_app.lake.commit_times import CommitTimes
from databricks_app.lake.insert import Insertion
from databricks_app.lake.renaming import Rename
from databricks_app.lake.warehouse import statements
from databricks_app.lake.warehouse.lease import Lease
from databricks_app.lake.warehouse.merge import MAX_DATES, Merging, utc
from databricks_app.lake.warehouse.renaming import WarehouseRenaming
from databricks_app.lake.warehouse.staged_load import StagedLoad
from databricks_app.lake.warehouse.staging import Staging

if TYPE_CHECKING:
    from databricks_app.events.decoding import Reading
    from databricks_app.lake.arrow_columns import ArrowSchema

# Typed tables that are loaded at once; each needs a session.
_THREADS = 4
# After so many loads with an unclear error, the loader looks for single rows that cause it.
_TOLERATED_UNCLEAR = 3

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the tables and the volume are.

    Attributes:
        schema: Name of the schema.
        volume: Path of the volume, `/Volumes/<catalog>/<schema>/<volume>`.
    """

    schema: str
    volume: str


@dataclass(frozen=True, slots=True)
class _WarehouseResources:
    pool: ThreadPoolExecutor
    staging: Staging


class WarehouseLake:
    """Tables of one schema.

    Attributes:
        lease: Decides which instance loads.
    """

    def __init__(
        self,
        statements: Statements,
        files: Files,
        lease: Lease,
        place: Place,
        *,
        tables: Sequence[sql_dialect.Table] | None = None,
        views: Sequence[tuple[str, str]] | None = None,
    ) -> None:
        """Create the lake; `start` opens it.

        Args:
            statements: Runs SQL, in the catalog and schema of the tables.
            files: The volume.
            lease: Decides which instance loads.
            place: Where the tables and the volume are.
            tables: The raw table, then the typed tables; by default those of `sql/`.
            views: Name and CREATE statement of each view; by default those of `sql/`.
        """
        self.lease = lease
        self._statements = statements
        self._files = files
        self._place = place
        self._custom_tables, self._custom_views = tables, views
        self._running: _WarehouseResources | None = None
        self._staged: StagedLoad | None = None
        self._times = CommitTimes()
        self._is_stale = False
        self._unclear = 0

    def take(self) -> None:
        """Take the lease, if this instance does not own it; runs no statement.

        Raises:
            Standby: Another instance is the owner.
            LakeError: The volume cannot be used; says why.
        """
        if not self.lease.epoch:
            self.lease.take()

    def observe(self, around: Callable[[], AbstractContextManager[None]]) -> None:
        """Enter a context around each statement."""
        self._statements.around = around

    def start(self) -> StartReport:
        """See `Lake.start`."""
        self.take()
        try:
            staging = Staging(
                self._files, f"{self._place.volume}/staging", f"{self.lease.epoch:08d}"
            )
            staging.sweep()
            report = self._prepare()
        except LakeError:
            self.close()
            raise
        self._statements.close()  # an open session may keep the warehouse running
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="lake")
        self._running = _WarehouseResources(pool, staging)
        return report

    def load(
        self, readings: Sequence[Reading], *, batch_id: str, loaded_at: datetime
    ) -> LoadReport:
        """See `Lake.load`."""
        counts = LoadCounts()
        with self._loading(counts) as (running, report):
            merging = self._merging(running, batch_id, loaded_at)
            insertion = Insertion(
                store=merging,
                schemas=self._schemas(),
                pool=running.pool,
                reread=decoding.reread,
                stamps={"batch_id": batch_id, "loaded_at": loaded_at},
                counts=counts,
            )
            for group in date_groups(distinct(readings, counts), MAX_DATES):
                insertion.run(group)
        return report()

    def stage(self, readings: Sequence[Reading], *, batch_id: str, loaded_at: datetime) -> bool:
        """See `StagingLake.stage`."""
        running = self._started()
        if self._staged is None or self._staged.batch_id != batch_id:
            self.discard()
            stamps = {"batch_id": batch_id, "loaded_at": loaded_at}
            self._staged = StagedLoad(self._schemas(), running.staging, running.pool, stamps)
        self._staged.stage(readings)
        return self._staged.has_room

    def commit(self, *, loaded_at: datetime) -> LoadReport:
        """See `StagingLake.commit`."""
        staged = self._staged
        if staged is None:
            raise LakeError("Nothing is staged.")
        with self._loading(staged.counts) as (running, report):
            staged.commit(self._merging(running, staged.batch_id, loaded_at))
        return report()

    def discard(self) -> None:
        """See `StagingLake.discard`."""
        self._staged = None
        if self._running is not None:
            staging = self._running.staging
            # In the background, because nobody needs to wait for this but `close`.
            for path in staging.finished():
                self._running.pool.submit(staging.remove, path)

    @contextmanager
    def _loading(
        self, counts: LoadCounts
    ) -> Iterator[tuple[_WarehouseResources, Callable[[], LoadReport]]]:
        """Confirm the lease before and after a load, and note its failures."""
        began = time.perf_counter()
        running = self._started()
        self.lease.confirm()
        try:
            if self._is_stale:
                self._prepare()
                self._is_stale = False
            yield running, lambda: counts.report(time.perf_counter() - began)
        except LakeError as error:
            self._is_stale = True
            self._unclear += isinstance(error, Unclear)
            raise
        finally:
            self.discard()
            self._statements.close()  # an open session may keep the warehouse running
        self._unclear = 0
        # Before the caller deletes the batch: only the owner of the lease may do that.
        self.lease.confirm()

    def _started(self) -> _WarehouseResources:
        if self._running is None:
            raise LakeError("The lake is not started.")
        return self._running

    def _schemas(self) -> dict[str, ArrowSchema]:
        return {table.name: arrow_schema(table) for table in self._tables()}

    def _merging(self, running: _WarehouseResources, batch_id: str, began_at: datetime) -> Merging:
        return Merging(
            tables={table.name: table for table in self._tables()},
            statements=self._statements,
            staging=running.staging,
            times=self._times,
            batch_id=batch_id,
            began_at=began_at,
            suspects_rows=self._unclear >= _TOLERATED_UNCLEAR,
        )

    def newest_loaded_at(self) -> datetime | None:
        """See `Lake.newest_loaded_at`."""
        return self._times.newest

    def workspaces_of(self, fingerprints: Set[str]) -> frozenset[tuple[str, str]]:
        """See `Lake.workspaces_of`."""
        sql = statements.workspaces_of(fingerprints)
        return frozenset((str(row[0]), str(row[1])) for row in self._statements.run(sql).rows)

    def rows_to_rename(self, rename: Rename) -> Mapping[str, int]:
        """See `RenamingLake.rows_to_rename`."""
        return WarehouseRenaming(self._statements, self._tables(), rename).count()

    def rename(self, rename: Rename) -> Mapping[str, int]:
        """See `RenamingLake.rename`."""
        self.lease.confirm()
        return WarehouseRenaming(self._statements, self._tables(), rename, self.lease.confirm).run()

    def close(self) -> None:
        """See `Lake.close`."""
        self._staged = None
        if self._running is not None:
            self._running.pool.shutdown()
            self._running = None
        self._statements.close()
        self.lease.release()

    def _tables(self) -> Sequence[sql_dialect.Table]:
        return sql_dialect.tables() if self._custom_tables is None else self._custom_tables

    def _views(self) -> Sequence[tuple[str, str]]:
        if self._custom_views is not None:
            return self._custom_views
        texts = sql_dialect.statements("views")
        return [(v.name, text.sql) for v, text in zip(sql_dialect.views(), texts, strict=True)]

    def _prepare(self) -> StartReport:
        """Create missing tables, columns and views, and read the newest `loaded_at`."""
        existing = self._existing_columns()
        created: list[str] = []
        added: dict[str, tuple[str, ...]] = {}
        for table in self._tables():
            # What exists is never replaced, so the permission to read is enough.
            if table.name not in existing:
                self._statements.run(table.sql)
                created.append(table.name)
            elif missing := set(table.column_names) - existing[table.name]:
                self._statements.run(statements.add_columns(table, missing))
                added[table.name] = tuple(name for name in table.column_names if name in missing)
        answer = self._statements.run(statements.newest_loaded_at(self._tables()))
        newest = answer.value("newest_at")
        self._times.newest = None if newest is None else utc(newest)
        return StartReport(tuple(created), added, tuple(self._create_views(existing)))

    def _existing_columns(self) -> dict[str, set[str]]:
        """Return the columns of every table and view of the schema, in lower case."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        answer = self._statements.run(
            statements.EXISTING_COLUMNS, {"schema_name": self._place.schema}
        )
        for table, column in answer.rows:
            found[table].add(column.lower())
        return dict(found)

    def _create_views(self, existing: dict[str, set[str]]) -> list[str]:
        """Create missing views; return the problems."""
        problems = []
        wanted = dict(self._views())
        for name, sql in wanted.items():
            # To replace a view would drop its grants; somebody else may own it.
            if name not in existing:
                try:
                    self._statements.run(sql)
                except LakeError as error:
                    problems.append(f"the view {name} is missing and cannot be created: {error}")
        old = [
            view.name
            for view in sql_dialect.views()
            if view.name in wanted.keys() & existing.keys() and view.lacking(existing[view.name])
        ]
        if old:
            problems.append(
                f"views of an earlier release lack columns: {', '.join(old)}. Run "
                "`ciolake deploy --replace-views`, then restart the loader"
            )
        return problems
