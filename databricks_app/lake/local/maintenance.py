"""Keeps a local Delta table fast: checkpoints, short logs, few files.

Without it a commit costs ten times as much after a thousand of them. The order never changes: the
checkpoint is synced before any log entry or file is deleted, and nothing younger than the retention
is deleted at all, so that a reader may finish what it began.

Checkpoints are made at once. Merging files and searching for superfluous ones are chores: they
wait for each other, and each is done in parts, so that no load waits long for one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from databricks_app.lake.local.fsync import Sync, checkpoint_file, fsync, sync_checkpoint
from databricks_app.lake.local.merge import can_merge, merge
from databricks_app.lake.local.merge_plan import MergeLimits, in_commits, planned
from databricks_app.lake.local.table_handle import NO_HOOKS, STATISTICS, TableHandle, explained
from databricks_app.runtime import crash_points

# What delta-rs calls a file while it writes it, and leaves when it is killed: `x.parquet#1`.
_UNFINISHED = "*/*#[0-9]*"
# Files that are deleted as one part of a chore.
_DELETED_AT_ONCE = 500
_DONE = object()


@dataclass(frozen=True, slots=True)
class Policy:
    """When upkeep is due.

    Attributes:
        checkpoint_every: Commits between two checkpoints, at least.
        checkpoint_every_at_most: The same at most. Each commit since the last checkpoint makes
            the next commit slower: with 360 files 7 ms after 10 of them, 12 ms after 40.
        checkpoint_bytes: Bytes of checkpoints that a commit may cost: a checkpoint of 300 kB is
            written every 36 commits. Nine tables with a commit every two seconds then write 3 GB
            a day.
        limits: Which files are merged.
        retention: How long replaced files and log entries are kept; also the pause between two
            searches for files that nobody needs.
        chores_seconds: Time in one load after which no other part of a chore of any table is
            begun; one part is always done.
    """

    checkpoint_every: int = 10
    checkpoint_every_at_most: int = 40
    checkpoint_bytes: int = 8 << 10
    limits: MergeLimits = field(default_factory=MergeLimits)
    retention: timedelta = timedelta(hours=1)
    chores_seconds: float = 0.5

    def checkpoint_interval(self, size: int) -> int:
        """Commits from a checkpoint of this size to the next one."""
        wanted = min(size // self.checkpoint_bytes, self.checkpoint_every_at_most)
        return max(wanted, self.checkpoint_every)

    def table_properties(self) -> dict[str, str]:
        """Properties of a table that is kept this way."""
        interval = f"interval {int(self.retention.total_seconds())} seconds"
        return {
            "delta.checkpointInterval": str(self.checkpoint_every),
            "delta.dataSkippingStatsColumns": ",".join(STATISTICS),
            "delta.logRetentionDuration": interval,
            "delta.deletedFileRetentionDuration": interval,
            # A compaction of delta-rs 1.6 cleans up behind a checkpoint that nobody has synced,
            # whatever hooks it is given. Ours is done by `Upkeep`, which is not bound by this.
            "delta.enableExpiredLogCleanup": "false",
        }


def _today() -> date:
    return datetime.now(UTC).date()


@dataclass(slots=True, eq=False)
class Upkeep:
    """The upkeep of one table.

    Attributes:
        handle: The table, opened again after each checkpoint.
        policy: When what is due.
        checkpointed_version: Newest version with a durable checkpoint; -1 for none.
        today: The UTC day.
        chores: What waits for its turn; each step of one is a part.
        is_amid_chore: Whether the first of them has begun.
    """

    handle: TableHandle
    policy: Policy
    checkpointed_version: int
    sync: Sync = fsync
    today: Callable[[], date] = _today
    chores: deque[Generator[None, None, None]] = field(default_factory=deque, init=False)
    is_amid_chore: bool = field(default=False, init=False)
    _searched_version: int = field(default=-1, init=False)
    _swept_at: float | None = field(default=None, init=False)

    def run(self) -> None:
        """Do what is due at once, and find the chores; usually nothing.

        Raises:
            LakeError: The storage fails; nothing was lost and the next call tries again.
        """
        commits = self.handle.version - self.checkpointed_version
        if commits >= self._checkpoint_interval():
            self._checkpoint()
            with explained(self.handle.name):
                self.handle.delta.cleanup_metadata()
            crash_points.reach("lake.after_log_cleanup")
            self.handle.reopen()
        is_due = self.handle.version - self._searched_version >= self.policy.checkpoint_every
        if is_due and not self.chores:
            self._searched_version = self.handle.version
            self._find_chores()

    def do_chore(self, until: float = float("inf")) -> None:
        """Do the chore that waits longest, or parts of it.

        Args:
            until: Monotonic clock after which no other part is begun.

        Raises:
            LakeError: The storage fails; nothing was lost and the chore will be found again.
        """
        chore = self.chores.popleft()
        self.is_amid_chore = False
        with explained(self.handle.name):
            while next(chore, _DONE) is not _DONE:
                if time.monotonic() >= until:
                    self.chores.appendleft(chore)
                    self.is_amid_chore = True
                    return

    def close(self) -> None:
        """Give up what is begun."""
        for chore in self.chores:
            chore.close()
        self.chores.clear()

    @property
    def _retention_seconds(self) -> float:
        return self.policy.retention.total_seconds()

    def _checkpoint_interval(self) -> int:
        """By the size of the last checkpoint: what is written grows with the table's files."""
        file = checkpoint_file(self.handle.path, self.checkpointed_version)
        has_one = self.checkpointed_version >= 0 and file.exists()
        return self.policy.checkpoint_interval(file.stat().st_size if has_one else 0)

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
        with explained(self.handle.name):
            self.handle.delta.create_checkpoint()
            crash_points.reach("lake.after_checkpoint")
            sync_checkpoint(self.handle.path, version, self.sync)
        crash_points.reach("lake.after_checkpoint_sync")
        self.checkpointed_version = version

    def _sweep(self) -> Generator[None, None, None]:
        """Delete files that no version needs: replaced ones, and those of loads that failed."""
        names = self._superfluous()
        yield
        if names and self.handle.version > self.checkpointed_version:
            self._checkpoint()
            yield
        for start in range(0, len(names), _DELETED_AT_ONCE):
            for name in names[start : start + _DELETED_AT_ONCE]:
                (self.handle.path / name).unlink(missing_ok=True)
            crash_points.reach("lake.after_vacuum")
            yield
        _remove_unfinished(self.handle.path, self._retention_seconds)

    def _superfluous(self) -> list[str]:
        # Only asked: a vacuum of the engine is two commits, and deletes everything at once.
        return self.handle.delta.vacuum(
            retention_hours=int(self._retention_seconds // 3600),
            dry_run=True,
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
