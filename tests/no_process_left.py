"""Ends every process that a test run has left, however the run ended. A pytest plugin.

A run that is killed cannot clean up. So a second process watches it, and kills what is left when
the run is gone: descendants that it has seen, and processes that inherited the run's variable.
Named in `tests/conftest.py`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from pathlib import Path

import pytest

from benchmarks.harness.process_table import environment, parents, processes
from databricks_app.runtime.process_identity import identity, is_running

_ROOT = Path(__file__).resolve().parents[1]
_VARIABLE = "CIOLAKE_TEST_RUN"
_LOOK_SECONDS = 0.5


def pytest_configure(config: pytest.Config) -> None:
    """Start the watching process, once a run: processes of pytest-xdist are descendants."""
    if hasattr(config, "workerinput"):
        return
    run = identity(os.getpid())
    os.environ[_VARIABLE] = str(run)
    code = (
        f"import sys; sys.path.insert(0, {str(_ROOT)!r}); "
        f"from tests.no_process_left import watch; watch({os.getpid()}, {run!r})"
    )
    # In a session of its own: Ctrl-C ends the run, not the watching.
    os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ, setsid=True)


def watch(pid: int, run: str) -> None:
    """Wait for the end of a run, then kill what it has left.

    Args:
        pid: Process id of the run.
        run: Its identity, which its processes inherit as a variable.
    """
    seen: set[str] = set()
    end = os.pidfd_open(pid)
    # Some tests give a process other variables: it is seen in the tree, unless it loses its
    # parent within one pause.
    while not select.select([end], [], [], _LOOK_SECONDS)[0]:
        _note_descendants(pid, seen)
    for other in processes():
        if environment(other).get(_VARIABLE) == run and (known := identity(other)):
            seen.add(known)
    for known in seen - {identity(os.getpid())}:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if is_running(known):
                os.kill(int(known.partition("-")[0]), signal.SIGKILL)


def _note_descendants(pid: int, seen: set[str]) -> None:
    seen.intersection_update([one for one in seen if is_running(one)])
    family = {pid, *(int(one.partition("-")[0]) for one in seen)}
    of = parents()
    # One look at all processes, then level by level: a new process may have children already.
    while level := {child for child, parent in of.items() if parent in family} - family:
        family |= level
        seen |= {known for child in level if (known := identity(child))}
