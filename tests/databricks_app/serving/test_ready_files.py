"""The ready files of web processes exist as long as their processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from databricks_app.serving import ready_files


def test_a_marked_process_serves(tmp_path: Path) -> None:
    """Its file stays."""
    assert not ready_files.is_marked(tmp_path, os.getpid())

    ready_files.mark(tmp_path, os.getpid())
    ready_files.remove_ended(tmp_path)

    assert ready_files.is_marked(tmp_path, os.getpid())


def test_the_file_of_an_earlier_process_does_not_count(tmp_path: Path) -> None:
    """The kernel has reused the process id."""
    (tmp_path / f"web-ready-{os.getpid()}-1").touch()

    assert not ready_files.is_marked(tmp_path, os.getpid())


def test_the_file_of_an_ended_process_is_removed(tmp_path: Path) -> None:
    """Also of a zombie; no new one is made for it."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        ready_files.mark(tmp_path, process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        ready_files.remove_ended(tmp_path)
        ready_files.mark(tmp_path, process.pid)

        assert list(tmp_path.iterdir()) == []
