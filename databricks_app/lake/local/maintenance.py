"""Keeps a local Delta table fast: checkpoints, short logs, few files.

Without it a commit costs ten times as much after a thousand of them. The order never changes: the
checkpoint is synced before any log entry or file is deleted, and nothing younger than the retention
is deleted at all, so that a reader may finish what it began.

Checkpoints are made at once. Merging files and searching for superfluous ones are chores: they
wait for each other, so that tables that are due together do not hold up one load together.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from itertools import accumulate
from pathlib import Path

import pyarrow as pa

from databricks_app.lake.local.fsync import Sync, fsync, sync_checkpoint
from databricks_app.lake.local.table_handle import NO_HOOKS, PARTITION, TableHandle, explained
from databricks_app.runtime import crash_points

# What delta-rs calls a file while it writes it, and leaves when it is killed: `x.parquet#1`.
_UNFINISHED = "*/*#[0-9]*"
# A file is merged only with smaller ones that have at least this share of its size together, so
# that how often a row is rewritten grows with the logarithm of what its day holds.
_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Policy:
    """When upkeep is due.

    Attributes:
        checkpoint_every: Commits between two checkpoints.
        compact_files: Small files of one date that make a compaction worth while.
        compact_files_of_old_dates: The same for a date that is no longer the newest two, where
            hardly any more files will come; one such date at a time.
        compact_bytes: The same in bytes of two small files or more, whatever the date: what one
            compaction rewrites is hardly more than this.
        small_bytes: Files below this size are small; others are never rewritten.
        retention: How long replaced files and log entries are kept; also the pause between two
            searches for files that nobody needs.
        chores_seconds: Time in one load after which no other chore of any table is begun; one
            chore is always done.
    """

    checkpoint_every: int = 10
    compact_files: int = 100
    compact_files_of_old_dates: int = 16
    compact_bytes: int = 32 << 20
    small_bytes: int = 4 << 20
    retention: timedelta = timedelta(hours=1)
    chores_seconds: float = 0.5

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
        chores: What waits for its turn.
    """

    handle: TableHandle
    policy: Policy
    checkpointed_version: int
    sync: Sync = fsync
    chores: deque[Callable[[], None]] = field(default_factory=deque, init=False)
    _swept_at: float | None = field(default=None, init=False)

    def run(self) -> None:
        """Do what is due at once, and find the chores; usually nothing.

        Raises:
            LakeError: The storage fails; nothing was lost and the next call tries again.
        """
        if self.handle.version - self.checkpointed_version < self.policy.checkpoint_every:
            return
        self._checkpoint()
        with explained(self.handle.name):
            self.handle.delta.cleanup_metadata()
        crash_points.reach("lake.after_log_cleanup")
        self.handle.reopen()
        if not self.chores:
            self._find_chores()

    def do_chore(self) -> None:
        """Do the chore that waits longest.

        Raises:
            LakeError: The storage fails; nothing was lost and the chore will be found again.
        """
        self.chores.popleft()()

    @property
    def _retention_seconds(self) -> float:
        return self.policy.retention.total_seconds()

    def _find_chores(self) -> None:
        days = crowded(self._sizes(), self.policy)
        self.chores.extend(partial(self._compact, day) for day in days)
        now = time.monotonic()
        if self._swept_at is None or now - self._swept_at >= self._retention_seconds:
            self._swept_at = now
            self.chores.append(self._sweep)

    def _checkpoint(self) -> None:
        version = self.handle.version
        with explained(self.handle.name):
            self.handle.delta.create_checkpoint()
            crash_points.reach("lake.after_checkpoint")
            sync_checkpoint(self.handle.path, version, self.sync)
        crash_points.reach("lake.after_checkpoint_sync")
        self.checkpointed_version = version

    def _compact(self, day: date) -> None:
        target = merge_bytes(self._sizes().get(day, ()), self.policy.small_bytes)
        if not target:
            return
        with explained(self.handle.name):
            self.handle.delta.optimize.compact(
                partition_filters=[(PARTITION, "=", day.isoformat())],
                # It merges the files that are not larger than this, into files of this size.
                target_size=target,
                post_commithook_properties=NO_HOOKS,
            )
        crash_points.reach("lake.after_compact")
        self.handle.sync()
        crash_points.reach("lake.after_compact_sync")

    def _sizes(self) -> Mapping[date, Sequence[int]]:
        """Sizes of all files of each date."""
        with explained(self.handle.name):
            actions = pa.table(self.handle.delta.get_add_actions(flatten=True))
        days = actions.column(f"partition.{PARTITION}").to_pylist()
        sizes = defaultdict[date, list[int]](list)
        for day, size in zip(days, actions.column("size_bytes").to_pylist(), strict=True):
            sizes[day].append(size)
        return sizes

    def _sweep(self) -> None:
        """Delete files that no version needs: replaced ones, and those of loads that failed."""
        if self.handle.version > self.checkpointed_version:
            self._checkpoint()
        hours = int(self._retention_seconds // 3600)
        with explained(self.handle.name):
            # A vacuum is two commits even if it has nothing to do; so it is asked first.
            if self._vacuum(hours, dry_run=True):
                self._vacuum(hours, dry_run=False)
                crash_points.reach("lake.after_vacuum")
                self.handle.sync()
            _remove_unfinished(self.handle.path, self._retention_seconds)

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


def crowded(sizes: Mapping[date, Sequence[int]], policy: Policy) -> list[date]:
    """Dates to compact: the busy ones, and at most one of the older.

    Args:
        sizes: Of all files of each date.
        policy: How many small ones are too many.
    """
    busy, old = [], []
    newest = sorted(sizes)[-2:]
    for day in sorted(sizes):
        small = [size for size in sizes[day] if size < policy.small_bytes]
        is_heavy = len(small) > 1 and sum(small) >= policy.compact_bytes
        if is_heavy or len(small) >= policy.compact_files:
            busy.append(day)
        elif day not in newest and len(small) >= policy.compact_files_of_old_dates:
            old.append(day)
    return [*busy, *old[:1]]


def merge_bytes(sizes: Sequence[int], small_bytes: int) -> int:
    """The size that merges as many small files as are worth it, and no others; 0 for none.

    Args:
        sizes: Of all files of one date, in any order.
        small_bytes: Files of this size and above are not touched.
    """
    small = sorted(size for size in sizes if size < small_bytes)
    sums = list(accumulate(small))
    worth = [
        total
        for size, before, total in zip(small[1:], sums, sums[1:], strict=False)
        if size * _SHARE <= before
    ]
    # All larger small files are more than twice the last of these sums, so it takes in none.
    large = min((size for size in sizes if size >= small_bytes), default=None)
    if not worth or large is None:
        return worth[-1] if worth else 0
    return min(worth[-1], large - 1)
