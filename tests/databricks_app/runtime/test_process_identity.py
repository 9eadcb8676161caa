"""The identity of a process: more than its process id."""

from __future__ import annotations

import os
import subprocess
import sys

from databricks_app.runtime.process_identity import identity, is_running, own


def test_this_process_runs() -> None:
    """Its identity begins with its process id and stays the same."""
    assert own() == identity(os.getpid())
    assert own().startswith(f"{os.getpid()}-")
    assert is_running(own())


def test_a_zombie_has_ended() -> None:
    """Although its process id is still taken."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        known = identity(process.pid)
        assert known is not None
        assert is_running(known)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert identity(process.pid) is None
        assert not is_running(known)
    assert not is_running(known)


def test_a_reused_process_id_is_another_process() -> None:
    """It has another start time."""
    assert not is_running(f"{os.getpid()}-1")


def test_a_fork_has_its_own_identity() -> None:
    """Also if the parent's identity was read before."""
    code = (
        "import os; from databricks_app.runtime.process_identity import own\n"
        "before = own()\n"
        "pid = os.fork()\n"
        "if not pid: os._exit(own() == before or own().partition('-')[0] != str(os.getpid()))\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
