"""Checks the newest commits of a local table before it is opened; undoes what a power cut broke.

delta-rs takes an empty log entry for a commit without rows, and fails on half a one. Only what was
not yet synced can be broken, and then no load has returned: the events are still in the inbox and
are loaded again. So the broken commit is moved aside, never deleted. What this cannot
explain is reported, not repaired.
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
# How many commits before the newest checkpoint are looked at.
_OLDER_COMMITS = 3


@dataclass(frozen=True, slots=True)
class Recovered:
    """A table whose newest commits are sound.

    Attributes:
        exists: Whether there is a table at all.
        checkpointed_version: Newest version with a sound checkpoint; -1 for none.
        commits: The commits after it, oldest first.
        problems: A sentence for each thing that was moved aside.
    """

    exists: bool
    checkpointed_version: int
    commits: tuple[Commit, ...]
    problems: tuple[str, ...]


def recover(table: Path, quarantine: Path, sync: Sync = fsync) -> Recovered:
    """Check a table's newest commits; move aside what a power cut left of the last one.

    Args:
        table: Its folder, which may be missing.
        quarantine: Where broken files go, in a folder with the table's name.
        sync: Syncs a file or a folder.

    Raises:
        LakeError: The table is damaged in a way that no power cut explains; says what to do.
        OSError: The folder cannot be read or changed.
    """
    return _Recovery(table, quarantine / table.name, sync).run()


class _Recovery:
    def __init__(self, table: Path, quarantine: Path, sync: Sync) -> None:
        self.table = table
        self.quarantine = quarantine
        self.sync = sync
        self.problems: list[str] = []

    def run(self) -> Recovered:
        base = self._newest_checkpoint()
        self._check_pointer()
        versions = self._versions()
        newer = [version for version in versions if version > base]
        self._require_contiguous(base, newer)
        commits = self._sound(newer)
        self._check_older([version for version in versions if version <= base], commits)
        if self.problems and self.quarantine.exists():
            for folder in (self.quarantine, self.table / LOG):
                self.sync(folder)
            crash_points.reach("lake.after_quarantine")
        return Recovered(base >= 0 or bool(commits), base, tuple(commits), tuple(self.problems))

    def _versions(self) -> list[int]:
        names = (path.stem for path in (self.table / LOG).glob("*.json"))
        return sorted(int(name) for name in names if name.isdecimal())

    def _newest_checkpoint(self) -> int:
        """Newest sound checkpoint, or -1; broken newer ones are moved aside."""
        for file in sorted((self.table / LOG).glob("*" + _CHECKPOINT), reverse=True):
            version = int(file.name.removesuffix(_CHECKPOINT))
            if _is_checkpoint(file):
                return version
            self._tell(f"the checkpoint of version {version} was broken", self._move_aside(file))
        return -1

    def _check_pointer(self) -> None:
        pointer = self.table / LOG / LAST_CHECKPOINT
        if pointer.exists() and not self._names_checkpoint(pointer):
            self._tell("the pointer to the newest checkpoint was broken", self._move_aside(pointer))

    def _names_checkpoint(self, pointer: Path) -> bool:
        try:
            version = int(json.loads(pointer.read_bytes())["version"])
        except (ValueError, KeyError, TypeError):
            return False
        return checkpoint_file(self.table, version).exists()

    def _require_contiguous(self, base: int, versions: Sequence[int]) -> None:
        for wanted, version in enumerate(versions, base + 1):
            if wanted != version:
                raise LakeError(
                    f"{self.table.name}: the log entry of version {wanted} is missing and newer "
                    f"ones exist. Restore {log_entry(self.table, wanted)} from a backup."
                )

    def _sound(self, versions: Sequence[int]) -> list[Commit]:
        """The commits that can stay. The broken end of the log is moved aside."""
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
        # Newest first: whenever this is interrupted, the log has no gap.
        for version in sorted((one for one in versions if one >= first), reverse=True):
            self._undo(version, commits[version], faults_found.get(version))
        return [commit for commit in commits.values() if commit and commit.version < first]

    def _require_end(
        self, first: int, found: Mapping[int, str], commits: Mapping[int, Commit | None]
    ) -> None:
        """Each commit with rows is synced before the next is begun, so only the last can break."""
        for version, commit in commits.items():
            if version > first and version not in found and commit and commit.is_data:
                raise LakeError(
                    f"{self.table.name}: version {first} is damaged ({found[first]}) although "
                    f"version {version} was loaded after it. Restore the file from a backup; "
                    "until then nothing is loaded and the inbox keeps every event."
                )

    def _undo(self, version: int, commit: Commit | None, fault: str | None) -> None:
        place = self._move_aside(log_entry(self.table, version))
        for file in commit.added if commit else ():
            if (self.table / file.path).exists():
                self._move_aside(self.table / file.path)
        self._tell(f"version {version} was undone ({fault or 'it follows a broken one'})", place)

    def _check_older(self, versions: Sequence[int], newer: Sequence[Commit]) -> None:
        """Name files that vanished from commits which were durable: no repair, but a warning."""
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

    def _tell(self, what: str, place: Path) -> None:
        self.problems.append(
            f"{self.table.name}: {what}, as after a loss of power. It lies in {place}. "
            "What the inbox still holds is loaded again."
        )

    def _move_aside(self, file: Path) -> Path:
        make_private_folder(self.quarantine, self.sync)
        target = self.quarantine / file.name
        number = 1
        while target.exists():
            target = self.quarantine / f"{file.name}.{number}"
            number += 1
        moved = file.rename(target)
        with contextlib.suppress(PermissionError):  # another user's; the folder is private
            moved.chmod(0o600)
        return moved


def _read(table: Path, version: int) -> Commit | None:
    try:
        return read_commit(table, version)
    except (ValueError, KeyError, TypeError, AttributeError):  # not JSON, or not a log entry
        return None


def _fault(table: Path, commit: Commit | None, removed: Set[str]) -> str | None:
    """What is wrong with a commit; None if nothing is."""
    if commit is None:
        return "its log entry is empty or cut"
    for file in commit.added:
        if file.path not in removed and not _is_whole(table / file.path, file.size):
            return f"its data file {file.path} is missing or cut"
    return None


def _is_whole(file: Path, size: int) -> bool:
    """Whether a Parquet file has its size and its end, which is written last."""
    try:
        if file.stat().st_size != size:
            return False
        with file.open("rb") as opened:
            opened.seek(-len(_MAGIC), os.SEEK_END)
            return opened.read() == _MAGIC
    except FileNotFoundError:
        return False


def _is_checkpoint(file: Path) -> bool:
    try:
        return bool(pq.read_metadata(file).num_rows)
    except (pa.ArrowException, OSError):
        return False
