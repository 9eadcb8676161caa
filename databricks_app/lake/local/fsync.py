"""Makes the commits of a local Delta table survive a loss of power.

delta-rs syncs nothing on a local disk. A commit is durable when its data files, their folders, its
log entry and the folder of the log are durable. They are synced in this order, so that a durable
log entry never names a file that is not durable.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

LOG = "_delta_log"
LAST_CHECKPOINT = "_last_checkpoint"

Sync = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class DataFile:
    """A data file in a log entry.

    Attributes:
        path: Relative to the folder of the table.
        size: Bytes.
    """

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Commit:
    """The file changes of one log entry.

    Attributes:
        version: Its number.
        added: Files that it added.
        removed: Paths that it removed.
        is_data: Whether it changed rows; False for a compaction or a change of properties.
    """

    version: int
    added: tuple[DataFile, ...]
    removed: tuple[str, ...]
    is_data: bool


def fsync(path: Path) -> None:
    """Sync a file or a folder.

    Raises:
        OSError: It cannot be opened, or the disk failed.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def log_entry(table: Path, version: int) -> Path:
    """Return the path of the log entry of a version."""
    return table / LOG / f"{version:020}.json"


def checkpoint_file(table: Path, version: int) -> Path:
    """Return the path of the checkpoint of a version."""
    return table / LOG / f"{version:020}.checkpoint.parquet"


def read_commit(table: Path, version: int) -> Commit:
    """Read the log entry of a version.

    Raises:
        OSError: It does not exist or cannot be read.
        ValueError: It is empty, or its lines are not JSON objects.
    """
    text = log_entry(table, version).read_text(encoding="utf-8")
    actions = [json.loads(line) for line in text.splitlines() if line.strip()]
    if not actions or not all(isinstance(action, dict) for action in actions):
        raise ValueError("an empty log entry")
    adds = [action["add"] for action in actions if "add" in action]
    removes = [action["remove"] for action in actions if "remove" in action]
    return Commit(
        version,
        tuple(DataFile(unquote(add["path"]), add["size"]) for add in adds),
        tuple(unquote(remove["path"]) for remove in removes),
        any(change.get("dataChange", True) for change in adds + removes),
    )


def sync_commits(table: Path, commits: Iterable[Commit], sync: Sync = fsync) -> None:
    """Sync the files of these commits, then their log entries.

    Raises:
        OSError: A file is missing or the disk failed: the commits are not durable.
    """
    commits = list(commits)
    removed = {path for commit in commits for path in commit.removed}
    files = [
        table / file.path
        for commit in commits
        for file in commit.added
        # A file that a later one of these commits removed may be deleted already.
        if file.path not in removed
    ]
    for file in files:
        sync(file)
    for folder in sorted({file.parent for file in files}):
        sync(folder)
    sync(table)
    for commit in commits:
        sync(log_entry(table, commit.version))
    sync(table / LOG)


def sync_checkpoint(table: Path, version: int, sync: Sync = fsync) -> None:
    """Sync the checkpoint of a version, and the file that names the newest checkpoint.

    Raises:
        OSError: The checkpoint is missing or the disk failed.
    """
    sync(checkpoint_file(table, version))
    pointer = table / LOG / LAST_CHECKPOINT
    if pointer.exists():
        sync(pointer)
    sync(table / LOG)
