"""A loader over a memory inbox and a folder of tables, for the tests of the loader."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from databricks_app.events.record import Record
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.lake.local.query import LocalQuery
from databricks_app.lake.local.store import LocalLake
from databricks_app.loading.loader import Loader
from databricks_app.runtime import status
from databricks_app.runtime.metrics import Metrics

RECEIVED = datetime(2026, 11, 22, 12, tzinfo=UTC)


def record(event_id: str, **changes: object) -> Record:
    """One email event; None leaves a field out."""
    payload = {
        "event_id": event_id,
        "object_type": "email",
        "metric": "opened",
        "timestamp": 1_763_800_000,
        "data": {"recipient": "person@example.com"},
    }
    kept = {name: value for name, value in (payload | changes).items() if value is not None}
    body = json.dumps(kept).encode()
    return Record(body, RECEIVED, "1763800001", "0badf00d", len(body))


class LoaderUnderTest:
    """An inbox, a lake and the loader between them, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metrics = Metrics()
        self.statuses: list[status.LoaderStatus] = []
        self.lake = LocalLake(folder)
        self.loader = Loader(
            SegmentReader(folder / "inbox"), self.lake, self.metrics, 0.01, self.statuses.append
        )

    def store(self, *records: Record) -> None:
        """Put records into the inbox, closed."""
        inbox = LocalInbox(self.folder / "inbox")
        for one in records:
            inbox.append(one, 5)
        inbox.close()

    def drain(self) -> None:
        """Load what is ready."""
        self.loader.drain()

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Ask the tables."""
        return LocalQuery(self.folder).run(sql).rows

    def sample(self, name: str, **labels: str) -> float:
        """Return one metric."""
        return self.metrics.registry.get_sample_value(f"ciolake_{name}", labels) or 0.0


def stopping_when(loader: Loader, is_enough: Callable[[], bool]) -> Loader:
    """Make a loader stop at the first status after which this holds."""
    write_status = loader.write_status

    def write_and_stop(newest: status.LoaderStatus) -> None:
        write_status(newest)
        if is_enough():
            loader.stopping.set()

    loader.write_status = write_and_stop
    return loader
