"""Disks that are full or refuse changes."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a file system in memory; the test is skipped where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    if not _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)):
        pytest.skip("this user may not mount a file system")
    try:
        yield
    finally:
        _run("umount", "-l", str(folder))


@contextlib.contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Let nobody change the names in a folder, the superuser neither; skipped where impossible."""
    if not _run("chattr", "+i", str(folder)):
        pytest.skip("folders cannot be made immutable here")
    try:
        yield
    finally:
        _run("chattr", "-i", str(folder))


def fill(file: Path) -> None:
    """Write a file until its disk is full."""
    with file.open("wb", buffering=0) as opened, contextlib.suppress(OSError):
        while opened.write(bytes(4096)):
            pass


def _run(*command: str) -> bool:
    try:
        return not subprocess.run(command, capture_output=True, check=False).returncode
    except FileNotFoundError:
        return False
