"""The app with the double of a Databricks workspace, which runs in its own process.

Faults of the double are set over HTTP.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.exactly_once import Found
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from databricks_app.databricks import workspace
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.volume_reader import pending, put_replay
from databricks_app.lake import sql_dialect
from databricks_app.lake.warehouse import verify
from databricks_app.lake.warehouse.connect import open_query
from databricks_app.settings import Settings, from_environment

_ROOT = Path(__file__).resolve().parents[2]
_VOLUME = {"CIO_CATALOG": "main", "CIO_SCHEMA": "cio", "CIO_VOLUME": "events"}
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class DatabricksDouble:
    """A double that runs as a process.

    Attributes:
        url: Its URL.
        variables: Environment variables for an app that uses it.
    """

    url: str
    variables: dict[str, str]

    def set(self, action: str, **how: Any) -> None:
        """Set a fault; it acts each time unless `times` is given. `Fault` has the fields."""
        self._control("POST", "faults", {"action": action, "times": None} | how)

    def clear(self) -> None:
        """Remove all faults."""
        self._control("DELETE", "faults")

    def warehouse(self, **how: Any) -> None:
        """Stop the warehouse, or set how long it takes to start."""
        self._control("POST", "warehouse", how)

    def revoke_tokens(self) -> None:
        """Revoke every token issued so far."""
        self._control("POST", "tokens/revoke", {})

    def counts(self) -> dict[str, int]:
        """Return the number of requests by operation, and of statements by their first word."""
        counts: dict[str, int] = self._control("GET", "state")["counts"]
        return counts

    def limits(self) -> dict[str, int]:
        """Return how many calls of the Files API were refused, and how many ran at most at once."""
        limits: dict[str, int] = self._control("GET", "state")["limits"]
        return limits

    def failed(self) -> dict[str, int]:
        """Return the number of failed requests by operation, e.g. those over a limit."""
        failed: dict[str, int] = self._control("GET", "state")["failed"]
        return failed

    def has_acted(self) -> bool:
        """Return whether a fault has acted."""
        return any(fault["acted"] for fault in self._control("GET", "state")["faults"])

    def waiting(self) -> int:
        """Return how many events are in the inbox of the volume."""
        with self._joined() as joined:
            return pending(joined, self.settings.volume_path).events

    def put(self, records: list[Record]) -> None:
        """Put events into the inbox of the volume, as a former instance would have left them."""
        with self._joined() as joined:
            put_replay(joined, self.settings.volume_path, records)

    def found(self) -> Found:
        """Read the tables. The loader must have ended, or the inbox must be empty."""
        typed = [table.name for table in sql_dialect.tables()][1:]
        with self._joined() as joined:
            query = open_query(joined, self.settings)
            rows = query.run("SELECT event_id FROM webhook_raw_events ORDER BY event_id").rows
            verdict = verify.check(query, typed, is_loading=False)
            query.statements.close()
        return Found([str(row[0]) for row in rows], verdict.differences)

    @property
    def settings(self) -> Settings:
        """The settings of an app that uses it."""
        return from_environment(self.variables)

    @contextlib.contextmanager
    def _joined(self) -> Iterator[workspace.DatabricksWorkspace]:
        joined = workspace.connect(self.variables)
        try:
            yield joined
        finally:
            joined.close()

    def _control(self, method: str, path: str, value: dict[str, Any] | None = None) -> Any:
        body = None if value is None else json.dumps(value).encode()
        url = f"{self.url}/double/{path}"
        request = urllib.request.Request(url, body, method=method)  # noqa: S310  # loopback
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            return json.load(answer)


@contextlib.contextmanager
def databricks_double(folder: Path) -> Iterator[DatabricksDouble]:
    """Run the double in its own process, until the end of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.doubles", "--dir", str(folder)]
    command += ["--volume", ".".join(_VOLUME.values())]
    process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101  # it is a pipe
        started = json.loads(process.stdout.readline())
        variables = started["environment"] | _VOLUME | {"CIO_STORE": "databricks"}
        yield DatabricksDouble(started["url"], variables)
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def app(double: DatabricksDouble, folder: Path, **variables: str) -> Iterator[Receiver]:
    """Run one instance of the app, with its own disk."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = {"CIO_WEB_WORKERS": "1"} | double.variables | variables
    with serving(folder, **chosen) as receiver:
        yield receiver


def readiness(receiver: Receiver) -> dict[str, Any]:
    """Return the body of `/readyz`."""
    return dict(json.loads(receiver.page("/readyz").body))


def await_words(receiver: Receiver, words: str, seconds: float = 90.0) -> None:
    """Wait until a problem that `/readyz` names matches a pattern."""

    def is_listed() -> bool:
        return any(re.search(words, one) for one in readiness(receiver)["problems"])

    wait_until(is_listed, seconds)


def await_loaded(double: DatabricksDouble, seconds: float = 180.0) -> None:
    """Wait until the inbox of the volume is empty."""
    wait_until(lambda: not double.waiting(), seconds)
