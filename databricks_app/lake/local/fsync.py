"""Makes commits of a local Delta table survive a loss of power.

delta-rs syncs nothing on a local disk. A commit is durable when its data files, the folders that
name them, its log entry and the log's folder are; they are synced in this order, so that a log
entry is never safer than what it promises.
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
    """A data file as a log entry names it.

    Attributes:
        path: Relative to the table's folder.
        size: Bytes.
    """

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Commit:
    """What one log entry did with files.

    Attributes:
        version: Its number.
        added: Files it brought.
        removed: Paths it took out.
        is_data: Whether rows came or went; a compaction or a change of settings is not.
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
    """File of a version's log entry."""
    return table / LOG / f"{version:020}.json"


def checkpoint_file(table: Path, version: int) -> Path:
    """File of a version's checkpoint."""
    return table / LOG / f"{version:020}.checkpoint.parquet"


def read_commit(table: Path, version: int) -> Commit:
    """Read the log entry of a version.

    Raises:
        OSError: There is none, or it cannot be read.
        ValueError: It is empty or not lines of JSON objects.
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
    """Make these commits durable.

    Raises:
        OSError: A file is missing or the disk failed: the commits are not durable.
    """
    commits = list(commits)
    removed = {path for commit in commits for path in commit.removed}
    files = [
        table / file.path
        for commit in commits
        for file in commit.added
        # What a later one of these commits took out may be gone already.
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
    """Make the checkpoint of a version durable, and the pointer to it if there is one.

    Raises:
        OSError: It is missing or the disk failed.
    """
    sync(checkpoint_file(table, version))
    pointer = table / LOG / LAST_CHECKPOINT
    if pointer.exists():
        sync(pointer)
    sync(table / LOG)
