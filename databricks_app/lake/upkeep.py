"""Keeps a local Delta table fast: checkpoints, short logs, few files.

Without it a commit costs ten times as much after a thousand of them. The order never changes: the
checkpoint is synced before any log entry is deleted, and nothing younger than the retention is
deleted at all, so that a reader may finish what it began.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa

from databricks_app import faults
from databricks_app.lake.durability import Sync, fsync, sync_checkpoint
from databricks_app.lake.handle import NO_HOOKS, PARTITION, TableHandle, explained

# What delta-rs calls a file while it writes it, and leaves when it is killed: `x.parquet#1`.
_UNFINISHED = "*/*#[0-9]*"


@dataclass(frozen=True, slots=True)
class Policy:
    """When upkeep is due.

    Attributes:
        checkpoint_every: Commits between two checkpoints.
        compact_files: Small files of one date that make a compaction worth while.
        compact_files_of_old_dates: The same for a date that is no longer the newest two, where
            hardly any more files will come; one such date at a time.
        small_bytes: Files below this size are small, and compaction makes files of it.
        retention: How long replaced files and log entries are kept; also the pause between two
            searches for files that nobody needs.
    """

    checkpoint_every: int = 10
    compact_files: int = 100
    compact_files_of_old_dates: int = 16
    small_bytes: int = 64 << 20
    retention: timedelta = timedelta(hours=1)

    def table_properties(self) -> dict[str, str]:
        """Properties of a table that is kept this way."""
        interval = f"interval {int(self.retention.total_seconds())} seconds"
        return {
            "delta.checkpointInterval": str(self.checkpoint_every),
            "delta.logRetentionDuration": interval,
            "delta.deletedFileRetentionDuration": interval,
            # A compaction of delta-rs 1.6 cleans up behind a checkpoint that nobody has synced,
            # whatever hooks it is given. Ours is done by `Upkeep`, which is not bound by this.
            "delta.enableExpiredLogCleanup": "false",
        }


@dataclass(slots=True)
class Upkeep:
    """The upkeep of one table.

    Attributes:
        handle: The table, opened again after each checkpoint.
        policy: When what is due.
        checkpointed_version: Newest version with a durable checkpoint; -1 for none.
        clock: Seconds, monotonic.
    """

    handle: TableHandle
    policy: Policy
    checkpointed_version: int
    sync: Sync = fsync
    clock: Callable[[], float] = time.monotonic
    _swept_at: float | None = field(default=None, init=False)

    def run(self) -> None:
        """Do what is due; usually nothing.

        Raises:
            LakeError: The storage fails; nothing was lost and the next call tries again.
        """
        if self.handle.version - self.checkpointed_version < self.policy.checkpoint_every:
            return
        self._compact()
        self._checkpoint()
        with explained(self.handle.name):
            self.handle.delta.cleanup_metadata()
        faults.reach("lake.after_log_cleanup")
        self._sweep()
        self.handle.reopen()

    def _checkpoint(self) -> None:
        version = self.handle.version
        with explained(self.handle.name):
            self.handle.delta.create_checkpoint()
            faults.reach("lake.after_checkpoint")
            sync_checkpoint(self.handle.path, version, self.sync)
        faults.reach("lake.after_checkpoint_sync")
        self.checkpointed_version = version

    def _compact(self) -> None:
        for day in self._crowded():
            with explained(self.handle.name):
                self.handle.delta.optimize.compact(
                    partition_filters=[(PARTITION, "=", day.isoformat())],
                    target_size=self.policy.small_bytes,
                    post_commithook_properties=NO_HOOKS,
                )
            faults.reach("lake.after_compact")
            self.handle.sync()
            faults.reach("lake.after_compact_sync")

    def _crowded(self) -> Iterator[date]:
        """Dates that are due: the busy ones, and at most one of the older."""
        counts = self._small_files()
        newest = set(sorted(counts)[-2:])
        is_old_taken = False
        for day, files in sorted(counts.items()):
            if files >= self.policy.compact_files:
                yield day
            elif (
                day not in newest
                and not is_old_taken
                and files >= self.policy.compact_files_of_old_dates
            ):
                is_old_taken = True
                yield day

    def _small_files(self) -> Counter[date]:
        with explained(self.handle.name):
            actions = pa.table(self.handle.delta.get_add_actions(flatten=True))
        days = actions.column(f"partition.{PARTITION}").to_pylist()
        sizes = actions.column("size_bytes").to_pylist()
        small = self.policy.small_bytes
        return Counter(day for day, size in zip(days, sizes, strict=True) if size < small)

    def _sweep(self) -> None:
        """Delete files that no version needs: replaced ones, and those of loads that failed."""
        now = self.clock()
        retention = self.policy.retention.total_seconds()
        if self._swept_at is not None and now - self._swept_at < retention:
            return
        self._swept_at = now
        hours = int(retention // 3600)
        with explained(self.handle.name):
            # A vacuum is two commits even if it has nothing to do; so it is asked first.
            if self._vacuum(hours, dry_run=True):
                self._vacuum(hours, dry_run=False)
                faults.reach("lake.after_vacuum")
                self.handle.sync()
            _remove_unfinished(self.handle.path, retention)

    def _vacuum(self, hours: int, *, dry_run: bool) -> list[str]:
        return self.handle.delta.vacuum(
            retention_hours=hours,
            dry_run=dry_run,
            enforce_retention_duration=False,
            post_commithook_properties=NO_HOOKS,
            # Also files that are in no log entry: those of commits that failed. They count from
            # their own age, replaced files from the time they were replaced.
            full=True,
        )


def _remove_unfinished(table: Path, retention_seconds: float) -> None:
    now = time.time()
    for path in table.glob(_UNFINISHED):
        if now - path.stat().st_mtime >= retention_seconds:
            path.unlink()
