"""A real `ciolake serve` as a process group, which is removed completely at the end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from deltalake import DeltaTable

from benchmarks.harness.process_table import (
    children,
    command,
    environment,
    is_zombie,
    processes,
    session,
    wait_until,
)
from benchmarks.harness.wire import ADMIN_TOKEN, ANSWER_SECONDS, KEY, Answer, Wire, connect, page
from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.ingest.inbox.local_reader import SegmentReader

_STOP_SECONDS = 20.0


@dataclass
class Receiver:
    """A running `ciolake serve`; its process is the leader of its own session."""

    process: subprocess.Popen[bytes]
    folder: Path
    address: tuple[str, int] = ("", 0)
    announced: str = ""
    run_folder: Path | None = None

    @property
    def url(self) -> str:
        """The URL of the webhook route."""
        return f"http://{self.address[0]}:{self.address[1]}{WEBHOOK_PATH}"

    @property
    def log(self) -> str:
        """The log of all its processes."""
        return (self.folder / "stderr").read_text()

    def logged(self, name: str) -> list[dict[str, object]]:
        """Return its log lines of one event."""
        lines = (line for line in self.log.splitlines() if line.startswith("{"))
        return [line for line in map(json.loads, lines) if line.get("event") == name]

    def connect(self, seconds: float = ANSWER_SECONDS) -> Wire:
        """Open a connection to it."""
        return connect(self.address, seconds)

    def post(self, data: bytes) -> Answer:
        """Send raw bytes on a new connection and wait for the answer."""
        with self.connect() as wire:
            return wire.send(data).answer()

    def page(self, path: str) -> Answer:
        """Get a page with the admin token."""
        return self.post(page(path))

    def web(self) -> list[int]:
        """Return the process ids of the running gunicorn masters."""
        return [
            pid
            for pid in children(self.process.pid)
            if "databricks_app.serving.server" in command(pid) and not is_zombie(pid)
        ]

    def ready(self) -> set[object]:
        """Return the process ids of the workers that serve."""
        # The log also has the workers that have ended.
        return {line["pid"] for line in self.logged("web_worker_ready")} & self.all()

    def loader(self) -> list[int]:
        """Return the process id of the loader, if it runs."""
        return [
            pid
            for pid in children(self.process.pid)
            if "databricks_app.loading.loader" in command(pid)
        ]

    def workers(self) -> list[int]:
        """Return the process ids of gunicorn's workers."""
        return [pid for master in self.web() for pid in children(master) if not is_zombie(pid)]

    def all(self) -> set[int]:
        """Return the process ids of all running processes of its session."""
        return {pid for pid in processes() if session(pid) == self.process.pid}

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(_STOP_SECONDS)

    def stored(self) -> set[str]:
        """Return the ids of all stored events, in the inbox and in the raw table."""
        batches = SegmentReader(self.folder / "data/inbox").batches(1 << 30, 1 << 40)
        records = (record for batch in batches for record in batch.records)
        inbox_ids = {json.loads(record.body)["event_id"] for record in records}
        return inbox_ids | _table_ids(self.folder / "data/tables/webhook_raw_events")


@contextlib.contextmanager
def serving(
    folder: Path, *, prefix: Sequence[str] = (), descriptors: Sequence[int] = (), **variables: str
) -> Iterator[Receiver]:
    """Run `ciolake serve` in a folder on a free port; at the end all its processes are stopped.

    Args:
        folder: Working folder: `.env`, data and logs.
        prefix: A command that runs it, as `strace -D`.
        descriptors: File descriptors that it inherits.
        variables: Environment variables. Without a `.env` in the folder, KEY is the signing key and
            ADMIN_TOKEN the admin token, unless they are given here.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CIO_")}
    environ |= {"PORT": "0", "CIO_FLUSH_INTERVAL_SECONDS": "0.5", "CIO_FRESHNESS_SECONDS": "0.5"}
    # Small disks, and those of machines that are nearly full, are to be written.
    environ |= {"CIO_INBOX_FLOOR_BYTES": "0"}
    if not (folder / ".env").exists():
        environ |= {"CIO_WEBHOOK_SIGNING_KEYS": KEY, "CIO_ADMIN_TOKEN": ADMIN_TOKEN}
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("ab") as err:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "databricks_app", "serve"],
            cwd=folder,
            env=environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            pass_fds=descriptors,
        )
    receiver = Receiver(process, folder)
    try:
        _await_address(receiver)
        number = int(variables.get("CIO_WEB_WORKERS", "2"))
        wait_until(lambda: len(receiver.ready()) >= number)
        receiver.run_folder = Path(environment(receiver.web()[0])["CIO_RUN_DIR"])
        yield receiver
    finally:
        _end(receiver)


def _await_address(receiver: Receiver) -> None:
    """Wait for the text that the receiver prints at its start, and read its address from it."""
    path = receiver.folder / "stdout"
    wait_until(lambda: "\nTry " in path.read_text() or receiver.process.poll() is not None)
    receiver.announced = path.read_text()
    if receiver.process.poll() is not None:
        raise RuntimeError(f"the receiver ended: {receiver.log}")
    host, _, port = receiver.announced.partition("http://")[2].partition("/")[0].rpartition(":")
    receiver.address = ("127.0.0.1" if host == "0.0.0.0" else host.strip("[]"), int(port))  # noqa: S104


def _end(receiver: Receiver) -> None:
    """Stop every process of the session; kill those that do not stop in time."""
    if receiver.process.poll() is None:
        receiver.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            receiver.process.wait(_STOP_SECONDS)
    for pid in receiver.all():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    receiver.process.wait(_STOP_SECONDS)
    if receiver.run_folder is not None:
        shutil.rmtree(receiver.run_folder, ignore_errors=True)


def _table_ids(folder: Path) -> set[str]:
    if not (folder / "_delta_log").exists():
        return set()
    files = DeltaTable(folder).file_uris()
    if not files:
        return set()
    rows = duckdb.execute("SELECT event_id FROM read_parquet(?)", [files]).fetchall()
    return {row[0] for row in rows}
