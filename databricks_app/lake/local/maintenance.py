"""Keeps a local Delta table fast: writes checkpoints, shortens the log, merges and deletes files.

Without this work a commit takes ten times as long after a thousand commits. The order must stay:
the checkpoint is synced before any log entry or file is deleted. Nothing younger than the retention
is deleted, so that a running query can finish.

Checkpoints are written immediately. Merges of files and searches for unused files are chores: they
run one after another, in parts, so that no load waits long for them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from databricks_app.lake.local.fsync import Sync, checkpoint_file, fsync, sync_checkpoint
from databricks_app.lake.local.merge import can_merge, merge
from databricks_app.lake.local.merge_plan import MergeLimits, in_commits, planned
from databricks_app.lake.local.table_handle import (
    NO_HOOKS,
    STATISTICS,
    TableHandle,
    translated_errors,
)
from databricks_app.runtime import crash_points

# The name of a file that delta-rs is writing, e.g. `x.parquet#1`. It stays if delta-rs is killed.
_UNFINISHED = "*/*#[0-9]*"
# Files that one part of a chore deletes.
_DELETED_AT_ONCE = 500
_DONE = object()


@dataclass(frozen=True, slots=True)
class Policy:
    """When upkeep is due.

    Attributes:
        checkpoint_every: Least number of commits between two checkpoints.
        checkpoint_every_at_most: Greatest number of commits between two checkpoints.
        checkpoint_bytes: Bytes of checkpoint per commit: the larger a checkpoint is, the more
            commits are between two of them.
        limits: Which files are merged.
        retention: How long replaced files and log entries are kept; also the pause between two
            searches for unused files.
        chores_seconds: Seconds of one load after which no further part of a chore begins, over
            all tables. At least one part is done.
    """

    checkpoint_every: int = 10
    # Each commit since the last checkpoint makes the next one slower. Measured with 360 files: a
    # commit takes 7 ms after 10 commits and 12 ms after 40.
    checkpoint_every_at_most: int = 40
    # A checkpoint of 300 kB is then written every 36 commits. Nine tables with a commit every two
    # seconds write 3 GB of checkpoints a day.
    checkpoint_bytes: int = 8 << 10
    limits: MergeLimits = field(default_factory=MergeLimits)
    retention: timedelta = timedelta(hours=1)
    chores_seconds: float = 0.5

    def checkpoint_interval(self, size: int) -> int:
        """Return the number of commits after a checkpoint of this size (bytes) to the next one."""
        wanted = min(size // self.checkpoint_bytes, self.checkpoint_every_at_most)
        return max(wanted, self.checkpoint_every)

    def table_properties(self) -> dict[str, str]:
        """Return the Delta table properties that belong to this policy."""
        interval = f"interval {int(self.retention.total_seconds())} seconds"
        return {
            "delta.checkpointInterval": str(self.checkpoint_every),
            "delta.dataSkippingStatsColumns": ",".join(STATISTICS),
            "delta.logRetentionDuration": interval,
            "delta.deletedFileRetentionDuration": interval,
            # A compaction of delta-rs 1.6 deletes log entries after a checkpoint that is not
            # synced, even if its hooks are off. `Upkeep` deletes them itself and ignores this
            # property.
            "delta.enableExpiredLogCleanup": "false",
        }


@dataclass(slots=True, eq=False)
class Upkeep:
    """The upkeep of one table.

    Attributes:
        handle: The table. It is opened again after each checkpoint.
        policy: When the work is due.
        checkpointed_version: Newest version with a durable checkpoint; -1 means none.
        sync: Syncs a file or a folder.
        today: Returns the current UTC day.
        chores: The waiting chores; each step of a generator is one part.
        has_begun_chore: Whether the first chore has begun.
    """

    handle: TableHandle
    policy: Policy
    checkpointed_version: int
    sync: Sync = fsync
    today: Callable[[], date] = lambda: datetime.now(UTC).date()
    chores: deque[Generator[None, None, None]] = field(default_factory=deque, init=False)
    has_begun_chore: bool = field(default=False, init=False)
    _searched_version: int = field(default=-1, init=False)
    _swept_at: float | None = field(default=None, init=False)

    def run(self) -> None:
        """Write a checkpoint if one is due, and look for chores. Usually there is nothing to do.

        Raises:
            LakeError: The storage fails. Nothing is lost; the next call tries again.
        """
        # The interval grows with the size of the last checkpoint, and so with the number of files.
        last = checkpoint_file(self.handle.path, self.checkpointed_version)
        has_one = self.checkpointed_version >= 0 and last.exists()
        interval = self.policy.checkpoint_interval(last.stat().st_size if has_one else 0)
        if self.handle.version - self.checkpointed_version >= interval:
            self._checkpoint()
            with translated_errors(self.handle.name):
                self.handle.delta.cleanup_metadata()
            crash_points.reach("lake.after_log_cleanup")
            self.handle.reopen()
        is_due = self.handle.version - self._searched_version >= self.policy.checkpoint_every
        if is_due and not self.chores:
            self._searched_version = self.handle.version
            self._find_chores()

    def do_chore(self, until: float = float("inf")) -> None:
        """Do the oldest chore, or parts of it.

        Args:
            until: Time on the monotonic clock after which no further part begins.

        Raises:
            LakeError: The storage fails. Nothing is lost; the chore will be found again.
        """
        chore = self.chores.popleft()
        self.has_begun_chore = False
        with translated_errors(self.handle.name):
            while next(chore, _DONE) is not _DONE:
                if time.monotonic() >= until:
                    self.chores.appendleft(chore)
                    self.has_begun_chore = True
                    return

    def close(self) -> None:
        """Cancel all chores."""
        for chore in self.chores:
            chore.close()
        self.chores.clear()

    @property
    def _retention_seconds(self) -> float:
        return self.policy.retention.total_seconds()

    def _find_chores(self) -> None:
        if can_merge(self.handle):
            files = self.handle.stored_files()
            plans = planned(files, self.policy.limits, self.today())
            for together in in_commits(plans, self.policy.limits):
                self.chores.append(merge(self.handle, together, self.sync))
        now = time.monotonic()
        if self._swept_at is None or now - self._swept_at >= self._retention_seconds:
            self._swept_at = now
            self.chores.append(self._sweep())

    def _checkpoint(self) -> None:
        version = self.handle.version
        with translated_errors(self.handle.name):
            self.handle.delta.create_checkpoint()
            crash_points.reach("lake.after_checkpoint")
            sync_checkpoint(self.handle.path, version, self.sync)
        crash_points.reach("lake.after_checkpoint_sync")
        self.checkpointed_version = version

    def _sweep(self) -> Generator[None, None, None]:
        """Delete files that no version needs: replaced files and files of failed loads."""
        # A dry run: the real vacuum makes two commits and deletes everything in one step.
        names = self.handle.delta.vacuum(
            retention_hours=int(self._retention_seconds // 3600),
            dry_run=True,
            enforce_retention_duration=False,
            post_commithook_properties=NO_HOOKS,
            # Also files that are in no log entry: those of failed commits. Their age counts from
            # their modification; the age of a replaced file counts from its replacement.
            full=True,
        )
        yield
        if names and self.handle.version > self.checkpointed_version:
            self._checkpoint()
            yield
        for start in range(0, len(names), _DELETED_AT_ONCE):
            for name in names[start : start + _DELETED_AT_ONCE]:
                (self.handle.path / name).unlink(missing_ok=True)
            crash_points.reach("lake.after_vacuum")
            yield
        now = time.time()
        for path in self.handle.path.glob(_UNFINISHED):
            if now - path.stat().st_mtime >= self._retention_seconds:
                path.unlink()
