"""What the proofs under faults share: a writer that dies on demand, small disks, events in bulk.

Not a test module.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from databricks_app.events.record import Record
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.lake.local.maintenance import Policy
from databricks_app.lake.local.query import LocalQuery
from databricks_app.lake.local.store import LocalLake, definitions
from databricks_app.lake.local.verify import Verdict, check
from databricks_app.loading.loader import Writer
from databricks_app.runtime import crash_points, logs
from databricks_app.runtime.metrics import Metrics
from databricks_app.runtime.status import WriterStatus

# Every upkeep at every load, and nothing kept longer than needed.
BUSY = Policy(
    checkpoint_every=1,
    compact_files=4,
    compact_files_of_old_dates=4,
    retention=timedelta(0),
    chores_seconds=60,
)
KINDS = ("email/opened", "email/clicked", "sms/sent", "push/sent", "customer/subscribed", "x/y")
_RECEIVED = datetime(2026, 11, 22, 12, tzinfo=UTC)
_THREADS = 64

# Where the server of the children begins: what they need is imported once.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["databricks_app.lake.local.store", "databricks_app.loading.loader"])


def body(event_id: str, kind: str = "email/opened", days: int = 0) -> bytes:
    """Return the body of an event."""
    object_type, metric = kind.split("/")
    payload = {
        "event_id": event_id,
        "object_type": object_type,
        "metric": metric,
        "timestamp": 1_763_800_000 - 86_400 * days,
        "data": {"recipient": "person@example.com"},
    }
    return json.dumps(payload).encode()


def record(content: bytes) -> Record:
    """Return a body as the door stores it."""
    return Record(content, _RECEIVED, "1763800001", "0badf00d", len(content))


def store(folder: Path, bodies: Iterable[bytes], *, clock: float | None = None) -> None:
    """Put bodies into the inbox of a data folder, as sealed segments.

    Args:
        folder: The data folder.
        bodies: What to store.
        clock: Unix seconds of the segments' names; now if left out.
    """
    options = {} if clock is None else {"clock": lambda: clock}
    inbox = LocalInbox(folder / "inbox", **options)
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(lambda one: inbox.append(record(one), 60), bodies):
            pass
    inbox.close()


def carry(folder: Path, fault: str = "", policy: Policy | None = None) -> int:
    """Run a writer in a process of its own until the inbox is empty; return its exit code."""
    return in_child(_carry, folder, fault, policy)


def in_child(function: Callable[..., object], *arguments: object) -> int:
    """Call a function in a process of its own; return its exit code."""
    child = _SERVER.Process(target=function, args=arguments)
    child.start()
    child.join()
    code = child.exitcode
    child.close()
    assert code is not None
    return code


def _carry(folder: Path, fault: str, policy: Policy | None) -> None:
    logs.configure("warning", "writer")
    crash_points.arm(fault)
    writer_that_ends(folder, policy).run()


def writer_that_ends(folder: Path, policy: Policy | None = None) -> Writer:
    """Return a writer that stops when it has emptied the inbox."""
    stopping = threading.Event()
    reader = SegmentReader(folder / "inbox")

    def tell(_: WriterStatus) -> None:
        if not reader.pending().events:
            stopping.set()

    lake = LocalLake(folder, policy=policy)
    return Writer(reader, lake, Metrics(), 0.01, tell, stopping)


@contextlib.contextmanager
def writer_process(
    folder: Path, *, prefix: Sequence[str] = (), **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the product's writer process over `<folder>/data`; its log is `<folder>/stderr`.

    What it tells of itself is in `<folder>/writer.json`.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CIO_")}
    environ |= {
        "CIO_DATA_DIR": str(folder / "data"),
        "CIO_RUN_DIR": str(folder),
        "CIO_WEBHOOK_SIGNING_KEYS": "a key of the tests",
        "CIO_FLUSH_INTERVAL_SECONDS": "0.2",
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
    """Return what the writer process says is wrong."""
    try:
        return " ".join(json.loads((folder / "writer.json").read_text())["problems"])
    except (OSError, ValueError):
        return ""


def is_empty(folder: Path) -> bool:
    """Whether nothing waits in the inbox of a data folder."""
    return not any(path.suffix in (".seg", ".open") for path in (folder / "inbox").iterdir())


def verdict(folder: Path) -> Verdict:
    """Return what `ciolake verify` finds."""
    return check(folder, [one.name for one in definitions()][1:])


def raw_ids(folder: Path) -> list[str]:
    """Return the ids of the raw table, ordered, repeated if they stand there more than once."""
    rows = LocalQuery(folder).run("SELECT event_id FROM webhook_raw_events").rows
    return sorted(str(row[0]) for row in rows)


def assert_exactly_once(folder: Path, ids: Iterable[str]) -> None:
    """Check that exactly these stand in the raw table, each once, and that the tables agree."""
    assert raw_ids(folder) == sorted(set(ids))
    assert verdict(folder).differences == ()


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
