"""The lock on the folder: one loader at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from databricks_app.errors import LakeError
from databricks_app.lake.local.lock import FolderLock, is_held


def test_lock_is_held_until_it_is_released(tmp_path: Path) -> None:
    """Others see it, and the error for a second loader names the process."""
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.acquire()

    with pytest.raises(LakeError, match=f"Process {os.getpid()} already loads"):
        second.acquire()
    assert is_held(tmp_path)
    first.release()

    assert not is_held(tmp_path)
    second.acquire()
    second.release()


def test_lock_of_a_new_folder_is_not_held(tmp_path: Path) -> None:
    """The check creates no file."""
    assert not is_held(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_lock_can_be_released_twice(tmp_path: Path) -> None:
    """A second release does nothing."""
    lock = FolderLock(tmp_path)
    lock.acquire()

    lock.release()
    lock.release()
