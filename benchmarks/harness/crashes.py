"""Loaders in their own processes, which can be killed at a crash point."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from benchmarks.harness.wire import KEY
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.lake.local.maintenance import Policy
from databricks_app.lake.local.merge_plan import MergeLimits
from databricks_app.lake.local.store import LocalLake
from databricks_app.loading.loader import Loader
from databricks_app.runtime import crash_points, logs
from databricks_app.runtime.metrics import Metrics
from databricks_app.runtime.status import LoaderStatus

# All maintenance at every load, and no old files are kept.
BUSY = Policy(
    checkpoint_every=1,
    checkpoint_every_at_most=1,
    limits=MergeLimits(compact_files=4),
    retention=timedelta(0),
    chores_seconds=60,
)

# A fork server that has imported what the child processes need, so that they start quickly.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["databricks_app.lake.local.store", "databricks_app.loading.loader"])


def run_loader(folder: Path, crash_point: str = "", policy: Policy | None = None) -> int:
    """Run a loader in its own process until the inbox is empty; return its exit code."""
    return in_child(_load, folder, crash_point, policy)


def in_child(function: Callable[..., object], *arguments: object) -> int:
    """Call a function in its own process; return the exit code."""
    child = _SERVER.Process(target=function, args=arguments)
    child.start()
    child.join()
    code = child.exitcode
    child.close()
    if code is None:
        raise RuntimeError("the process was joined but has no exit code")
    return code


def _load(folder: Path, crash_point: str, policy: Policy | None) -> None:
    logs.configure("warning", "writer")
    crash_points.arm(crash_point)
    loader_that_ends(folder, policy).run()


def loader_that_ends(folder: Path, policy: Policy | None = None) -> Loader:
    """Return a loader that stops when it has emptied the inbox."""
    stopping = threading.Event()
    reader = SegmentReader(folder / "inbox")

    def stop_when_empty(_: LoaderStatus) -> None:
        if not reader.pending().events:
            stopping.set()

    lake = LocalLake(folder, policy=policy)
    return Loader(reader, lake, Metrics(), 0.01, stop_when_empty, stopping)


@contextlib.contextmanager
def loader_process(
    folder: Path, *, prefix: Sequence[str] = (), **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the product's loader process over `<folder>/data`; its log is `<folder>/stderr`.

    Its status is in `<folder>/writer.json`.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CIO_")}
    environ |= {
        "CIO_DATA_DIR": str(folder / "data"),
        "CIO_RUN_DIR": str(folder),
        "CIO_WEBHOOK_SIGNING_KEYS": KEY,
        "CIO_FLUSH_INTERVAL_SECONDS": "0.2",
        "CIO_FRESHNESS_SECONDS": "0.2",
        "CIO_LOG_LEVEL": "info",
    }
    with (folder / "stderr").open("ab") as err:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "databricks_app.loading.loader"],
            cwd=folder,
            env=environ | variables,
            stdin=subprocess.DEVNULL,
            stderr=err,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def problems(folder: Path) -> str:
    """Return the problems that the loader process reports."""
    try:
        return " ".join(json.loads((folder / "writer.json").read_text())["problems"])
    except (OSError, ValueError):
        return ""
