"""A test run leaves no process, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.harness.process_table import wait_until
from databricks_app.runtime.process_identity import identity, is_running

ROOT = Path(__file__).resolve().parents[1]
# The sleeping process loses its parent, as a worker of a killed server does.
HANGS = """
import pathlib, subprocess, sys, time

def test_server():
    code = "import subprocess; print(subprocess.Popen(['sleep', '600'], stdout=-3, stderr=-3).pid)"
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    pathlib.Path(__file__).with_name("pid").write_text(started.stdout)
    time.sleep(600)
"""


def run(folder: Path, source: str) -> tuple[subprocess.Popen[bytes], str]:
    """A run of this test, and the identity of the process that it left."""
    (folder / "test_it.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-p", "tests.no_process_left"]
    running = subprocess.Popen(
        [*command, "-p", "no:cacheprovider", "-c", os.devnull, "-q", str(folder)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    file = folder / "pid"
    wait_until(lambda: file.exists() and file.read_text().endswith("\n"))
    known = identity(int(file.read_text()))
    assert known is not None
    return running, known


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        *(pytest.param(one, marks=pytest.mark.slow) for one in (signal.SIGTERM, signal.SIGINT)),
    ],
)
def test_a_run_that_is_interrupted_leaves_no_process(tmp_path: Path, number: int) -> None:
    """Not even one whose parent has ended."""
    running, known = run(tmp_path, HANGS)
    time.sleep(1)  # two looks

    running.send_signal(number)

    running.wait(timeout=30)
    wait_until(lambda: not is_running(known))
