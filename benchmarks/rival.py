"""The receiver's web server with other inboxes, for comparisons with durable receiving.

    python -m benchmarks.rival KIND

serves like `ciolake serve` without the loader: supervisor, worker and receiver are the same, only
the inbox differs. Settings come from the environment.
"""

from __future__ import annotations

import shutil
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence

from flask import Flask

from benchmarks import sampler
from databricks_app.app import create_app, open_inbox
from databricks_app.errors import InboxError
from databricks_app.events.record import Record
from databricks_app.ingest.inbox import Appender
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.runtime import logs, process, run_dir
from databricks_app.serving import supervisor
from databricks_app.serving.acceptor import Acceptor
from databricks_app.serving.server import Web
from databricks_app.serving.supervisor import Child, Supervisor
from databricks_app.settings import Settings, environment, from_environment

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class _Rival:
    """Base of the other inboxes. Without `submit`, a thread waits for each request."""

    def __init__(self, _settings: Settings) -> None:
        """Do nothing."""

    def trouble(self) -> str | None:
        """Report no problem."""
        return None

    def close(self) -> None:
        """Do nothing."""


class Nothing(_Rival):
    """Stores nothing: the maximum that the server can do."""

    groups = 1

    def append(self, record: Record, deadline_seconds: float) -> None:
        """Do nothing."""

    def submit(
        self, _records: Sequence[Record], done: Callable[[InboxError | None], None]
    ) -> Callable[[], bool]:
        """Report success at once."""
        done(None)
        return lambda: False


class NothingInThreads(_Rival):
    """Stores nothing, with one thread a request: the maximum for a Flask app on gunicorn."""

    def append(self, record: Record, deadline_seconds: float) -> None:
        """Do nothing."""


class Sqlite(_Rival):
    """A durable SQLite transaction for each request, in one database for all processes."""

    def __init__(self, settings: Settings) -> None:
        """Create the table."""
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        self._path = settings.data_dir / "events.sqlite"
        self._of_thread = threading.local()
        self._connection().execute("CREATE TABLE IF NOT EXISTS raw (received_at, key, body)")

    def append(self, record: Record, _deadline_seconds: float) -> None:
        """Insert and commit."""
        row = (record.received_at.isoformat(), record.key_fingerprint, record.body)
        try:
            self._connection().execute("INSERT INTO raw VALUES (?, ?, ?)", row)
        except sqlite3.Error as error:
            raise InboxError(type(error).__name__) from error

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._of_thread, "connection"):
            connection = sqlite3.connect(self._path, timeout=3.0, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            self._of_thread.connection = connection
        found: sqlite3.Connection = self._of_thread.connection
        return found


class Delta(_Rival):
    """A Delta commit for each request, by delta-rs, which syncs nothing."""

    def __init__(self, settings: Settings) -> None:
        """Create the table."""
        # Imported here, so that they use no memory in the workers of the other kinds.
        import deltalake
        import pyarrow as pa

        self._deltalake = deltalake
        self._make = pa.table
        self._schema = pa.schema(
            {"received_at": pa.timestamp("us", "UTC"), "key": pa.string(), "body": pa.binary()}
        )
        self._path = settings.data_dir / "raw"
        self._path.mkdir(parents=True, exist_ok=True)
        deltalake.DeltaTable.create(self._path, self._schema, mode="ignore")

    def append(self, record: Record, _deadline_seconds: float) -> None:
        """Append one row in its own commit."""
        row = (record.received_at, record.key_fingerprint, record.body)
        rows = self._make([[value] for value in row], schema=self._schema)
        try:
            self._deltalake.write_deltalake(self._path, rows, mode="append")
        except (self._deltalake.exceptions.DeltaError, OSError) as error:
            raise InboxError(type(error).__name__) from error


def unsynced(settings: Settings) -> LocalInbox:
    """Return the local inbox without its sync, to separate the cost of the disk from the rest."""
    return LocalInbox(settings.inbox_dir, sync=lambda _: None)


KINDS: dict[str, Callable[[Settings], Appender]] = {
    "ours": open_inbox,
    "unsynced": unsynced,
    "nothing": Nothing,
    "threads": NothingInThreads,
    "sqlite": Sqlite,
    "delta": Delta,
}


class RivalWeb(Web):
    """The web server with another inbox."""

    def __init__(self, kind: str, settings: Settings, descriptor: int) -> None:
        """Serve on the socket with this descriptor."""
        self._kind = kind
        super().__init__(settings, descriptor)

    def load(self) -> Flask:
        """Create the app; called in each worker after the fork."""
        sampler.start_if_wanted()
        return create_app(self._settings, inbox=KINDS[self._kind](self._settings))


def web(kind: str, descriptor: int) -> None:
    """Run the web server until a signal stops it."""
    process.begin()
    settings = process.configured("web")
    sys.argv = sys.argv[:1]
    RivalWeb(kind, settings, descriptor).run()


def serve(kind: str) -> int:
    """Run supervisor and web server until a signal stops them."""
    settings = from_environment(environment())
    logs.configure(settings.log_level, "supervisor")
    settings.inbox_dir.mkdir(parents=True, exist_ok=True)
    listener = supervisor.bind(settings.host, settings.port)
    folder = run_dir.make()
    descriptor = listener.fileno()
    command = [sys.executable, "-m", "benchmarks.rival", kind, str(descriptor)]
    print(listener.getsockname()[1], flush=True)
    # As in `supervisor.serve`, the signals must be blocked before the first thread starts.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    acceptor = Acceptor(folder, listener)
    acceptor.start()
    try:
        return Supervisor(
            [Child("web", command, (descriptor,))],
            supervisor.child_environment(folder),
            is_ready=lambda _: False,
            write_problems=lambda _: None,
            stopping=acceptor.refuse,
        ).run()
    finally:
        acceptor.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        web(sys.argv[1], int(sys.argv[2]))
    else:
        sys.exit(serve(sys.argv[1]))
