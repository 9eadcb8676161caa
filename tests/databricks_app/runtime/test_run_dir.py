"""The run folder belongs to one supervisor, and abandoned ones are removed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from databricks_app.runtime import run_dir

MAKE = "from databricks_app.runtime import run_dir; print(run_dir.make())"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A run folder of this process."""
    folder = run_dir.make()
    yield folder
    shutil.rmtree(folder)


def made_by_another() -> tuple[subprocess.Popen[str], Path]:
    """A process that has made a run folder and waits."""
    code = f"{MAKE}; import sys; sys.stdout.flush(); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_the_folder_is_only_for_its_owner(folder: Path) -> None:
    """Others can neither read nor replace the files."""
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_next_start_removes_the_folder_of_a_killed_supervisor() -> None:
    """Its lock ended with the process."""
    process, left = made_by_another()
    process.kill()
    process.communicate()

    folder = run_dir.make()
    shutil.rmtree(folder)

    assert not left.exists()


def test_the_next_start_keeps_the_folder_of_a_running_supervisor(folder: Path) -> None:
    """Two receivers may run on one machine."""
    process, running = made_by_another()

    another = run_dir.make()
    shutil.rmtree(another)

    assert running.exists()
    assert folder.exists()
    process.communicate("")
    shutil.rmtree(running)


def test_the_next_start_keeps_a_folder_without_a_lock(folder: Path) -> None:
    """Another supervisor may be making it just now."""
    unfinished = folder.with_name(f"{folder.name}-unfinished")
    unfinished.mkdir()

    shutil.rmtree(run_dir.make())

    assert unfinished.exists()
    unfinished.rmdir()
    assert os.access(folder, os.W_OK)
