"""Checks the newest commits of a local table before it is opened, and undoes a broken commit.

A power cut can leave a log entry empty or incomplete. delta-rs reads an empty one as a commit
without rows, and fails on an incomplete one. A power cut can break only files that are not synced.
Then the load has not returned, the events are still in the inbox, and they are loaded again. So the
broken commit is moved to quarantine; nothing is deleted. Other damage is reported, not repaired.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from databricks_app.errors import LakeError
from databricks_app.lake.local.fsync import (
    LAST_CHECKPOINT,
    LOG,
    Commit,
    Sync,
    checkpoint_file,
    fsync,
    log_entry,
    read_commit,
)
from databricks_app.runtime import crash_points
from databricks_app.runtime.file_modes import make_private_folder

_MAGIC = b"PAR1"
_CHECKPOINT = ".checkpoint.parquet"
# How many commits before the newest checkpoint are checked.
_OLDER_COMMITS = 3


@dataclass(frozen=True, slots=True)
class Recovered:
    """A table whose newest commits are intact.

    Attributes:
        exists: Whether there is a table.
        checkpointed_version: Newest version with an intact checkpoint; -1 means none.
        commits: The commits after it, oldest first.
        problems: One sentence for each file that was moved to quarantine or is damaged.
    """

    exists: bool
    checkpointed_version: int
    commits: tuple[Commit, ...]
    problems: tuple[str, ...]


def recover(table: Path, quarantine: Path, sync: Sync = fsync) -> Recovered:
    """Check the newest commits of a table; move a broken last commit to quarantine.

    Args:
        table: Folder of the table; may be missing.
        quarantine: Folder for broken files; they go into a subfolder with the name of the table.
        sync: Syncs a file or a folder.

    Raises:
        LakeError: The table is damaged, and not by a power cut; the text says what to do.
        OSError: The folder cannot be read or changed.
    """
    return _Recovery(table, quarantine / table.name, sync).run()


class _Recovery:
    def __init__(self, table: Path, quarantine: Path, sync: Sync) -> None:
        self.table = table
        self.folder = quarantine
        self.sync = sync
        self.problems: list[str] = []

    def run(self) -> Recovered:
        base = self._newest_checkpoint()
        self._check_pointer()
        names = (path.stem for path in (self.table / LOG).glob("*.json"))
        versions = sorted(int(name) for name in names if name.isdecimal())
        newer = [version for version in versions if version > base]
        self._require_contiguous(base, newer)
        commits = self._undo_broken_end(newer)
        self._check_older([version for version in versions if version <= base], commits)
        if self.problems and self.folder.exists():
            for folder in (self.folder, self.table / LOG):
                self.sync(folder)
            crash_points.reach("lake.after_quarantine")
        return Recovered(base >= 0 or bool(commits), base, tuple(commits), tuple(self.problems))

    def _newest_checkpoint(self) -> int:
        """Return the newest version with an intact checkpoint, or -1; quarantine broken ones."""
        for file in sorted((self.table / LOG).glob("*" + _CHECKPOINT), reverse=True):
            version = int(file.name.removesuffix(_CHECKPOINT))
            with contextlib.suppress(pa.ArrowException, OSError):  # not a whole Parquet file
                if pq.read_metadata(file).num_rows:
                    return version
            moved = self._quarantine(file)
            self._report(f"the checkpoint of version {version} was broken", moved)
        return -1

    def _check_pointer(self) -> None:
        pointer = self.table / LOG / LAST_CHECKPOINT
        if not pointer.exists():
            return
        try:
            version = int(json.loads(pointer.read_bytes())["version"])
            is_valid = checkpoint_file(self.table, version).exists()
        except (ValueError, KeyError, TypeError):
            is_valid = False
        if not is_valid:
            moved = self._quarantine(pointer)
            self._report("the pointer to the newest checkpoint was broken", moved)

    def _require_contiguous(self, base: int, versions: Sequence[int]) -> None:
        for wanted, version in enumerate(versions, base + 1):
            if wanted != version:
                raise LakeError(
                    f"{self.table.name}: the log entry of version {wanted} is missing and newer "
                    f"ones exist. Restore {log_entry(self.table, wanted)} from a backup."
                )

    def _undo_broken_end(self, versions: Sequence[int]) -> list[Commit]:
        """Move the broken end of the log to quarantine; return the commits that stay."""
        commits = {version: _read(self.table, version) for version in versions}
        later_removed: set[str] = set()
        faults_found: dict[int, str] = {}
        for version in reversed(versions):
            commit = commits[version]
            fault = _fault(self.table, commit, later_removed)
            if fault is not None:
                faults_found[version] = fault
            later_removed.update(commit.removed if commit else ())
        if not faults_found:
            return [commit for commit in commits.values() if commit]
        first = min(faults_found)
        self._require_end(first, faults_found, commits)
        # Newest first: so the log has no gap if this is interrupted.
        for version in sorted((one for one in versions if one >= first), reverse=True):
            commit = commits[version]
            moved = self._quarantine(log_entry(self.table, version))
            for file in commit.added if commit else ():
                if (self.table / file.path).exists():
                    self._quarantine(self.table / file.path)
            fault = faults_found.get(version, "it follows a broken one")
            self._report(f"version {version} was undone ({fault})", moved)
        return [one for one in commits.values() if one and one.version < first]

    def _require_end(
        self, first: int, found: Mapping[int, str], commits: Mapping[int, Commit | None]
    ) -> None:
        """Refuse a broken commit that has an intact commit with rows after it."""
        # Each commit with rows is synced before the next one begins, so a power cut can break only
        # the last one.
        for version, commit in commits.items():
            if version > first and version not in found and commit and commit.is_data:
                raise LakeError(
                    f"{self.table.name}: version {first} is damaged ({found[first]}) although "
                    f"version {version} was loaded after it. Restore the file from a backup; "
                    "until then nothing is loaded and the inbox keeps every event."
                )

    def _check_older(self, versions: Sequence[int], newer: Sequence[Commit]) -> None:
        """Report missing files of commits that were durable; they cannot be repaired here."""
        removed = {path for commit in newer for path in commit.removed}
        for version in reversed(versions[-_OLDER_COMMITS:]):
            commit = _read(self.table, version)
            fault = commit and _fault(self.table, commit, removed)
            if commit and fault:
                self.problems.append(
                    f"{self.table.name}: version {version} is damaged ({fault}). Restore the file "
                    "from a backup; loads of that date fail until then."
                )
            removed.update(commit.removed if commit else ())

    def _report(self, what: str, moved: Path) -> None:
        self.problems.append(
            f"{self.table.name}: {what}, probably by a loss of power. It was moved to {moved}. "
            "Events that are still in the inbox are loaded again."
        )

    def _quarantine(self, file: Path) -> Path:
        make_private_folder(self.folder, self.sync)
        target = self.folder / file.name
        number = 1
        while target.exists():
            target = self.folder / f"{file.name}.{number}"
            number += 1
        moved = file.rename(target)
        with contextlib.suppress(PermissionError):  # another user owns it; the folder is private
            moved.chmod(0o600)
        return moved


def _read(table: Path, version: int) -> Commit | None:
    try:
        return read_commit(table, version)
    except (ValueError, KeyError, TypeError, AttributeError):  # not JSON, or not a log entry
        return None


def _fault(table: Path, commit: Commit | None, removed: Set[str]) -> str | None:
    """Return what is wrong with a commit; None if it is intact."""
    if commit is None:
        return "its log entry is empty or cut"
    for file in commit.added:
        if file.path not in removed and not _is_whole(table / file.path, file.size):
            return f"its data file {file.path} is missing or cut"
    return None


def _is_whole(file: Path, size: int) -> bool:
    """Whether a Parquet file has the right size and its last bytes, which are written last."""
    try:
        if file.stat().st_size != size:
            return False
        with file.open("rb") as opened:
            opened.seek(-len(_MAGIC), os.SEEK_END)
            return opened.read() == _MAGIC
    except FileNotFoundError:
        return False
