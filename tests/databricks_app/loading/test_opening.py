"""The loader of a workspace whose inbox is a local disk, and a change of CIO_INBOX."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from databricks_app.databricks import workspace
from databricks_app.events.record import Record
from databricks_app.ingest.inbox import combined, local_reader
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.volume_reader import pending, put_replay
from databricks_app.lake.warehouse.connect import is_loading, open_query
from databricks_app.lake.warehouse.lease import Lease
from databricks_app.loading.loader import Loader, open_loader
from databricks_app.runtime.metrics import Metrics
from databricks_app.settings import Settings, from_environment
from tests.doubles import Databricks
from tests.support.lake_events import body

VOLUME = "/Volumes/main/cio/events"


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Databricks]:
    """A workspace with a volume and no tables; the environment has its address."""
    with Databricks(tmp_path / "double", volume="main.cio.events") as double:
        for name, value in double.environment().items():
            monkeypatch.setenv(name, value)
        yield double


@pytest.fixture
def joined(double: Databricks) -> Iterator[workspace.DatabricksWorkspace]:
    """Its volume."""
    joined = workspace.connect(double.environment())
    yield joined
    joined.close()


def settings_of(double: Databricks, data: Path, inbox: str) -> Settings:
    """The settings of one machine."""
    return from_environment(
        double.environment()
        | {
            "CIO_STORE": "databricks",
            "CIO_CATALOG": "main",
            "CIO_SCHEMA": "cio",
            "CIO_VOLUME": "events",
            "CIO_INBOX": inbox,
            "CIO_DATA_DIR": str(data),
            "CIO_FRESHNESS_SECONDS": "1",
        }
    )


def records(*ids: str) -> list[Record]:
    """Events with these ids."""
    bodies = [body(one) for one in ids]
    return [Record(one, datetime.now(UTC), "1", "0badf00d", len(one)) for one in bodies]


def store(data: Path, *ids: str) -> None:
    """Put events into a local inbox."""
    inbox = LocalInbox(data / "inbox", floor_bytes=0)
    for one in records(*ids):
        inbox.append(one, 5)
    inbox.close()


def waiting(data: Path) -> int:
    """How many events are in a local inbox."""
    return local_reader.pending(data / "inbox").events


def run_until(is_enough: Callable[[], bool], *loaders: Loader) -> None:
    """Run loaders, each in a thread, until this holds."""
    threads = [threading.Thread(target=loader.run) for loader in loaders]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 60
    while not is_enough() and time.monotonic() < end:
        time.sleep(0.02)
    for loader in loaders:
        loader.stopping.set()
    for thread in threads:
        thread.join()
    assert is_enough()


def ids_in_tables(joined: workspace.DatabricksWorkspace, settings: Settings) -> list[object]:
    """The ids of the raw table."""
    query = open_query(joined, settings)
    rows = query.run("SELECT event_id FROM webhook_raw_events ORDER BY 1").rows
    query.statements.close()
    return [row[0] for row in rows]


def test_two_machines_drain_their_inboxes_into_the_same_tables(
    double: Databricks, joined: workspace.DatabricksWorkspace, tmp_path: Path
) -> None:
    """Neither keeps the lease. An event that both received is one row."""
    machines = [settings_of(double, tmp_path / name, "local") for name in ("one", "two")]
    store(tmp_path / "one", "A", "both")
    store(tmp_path / "two", "B", "both")

    run_until(
        lambda: not waiting(tmp_path / "one") + waiting(tmp_path / "two"),
        *(open_loader(one, Metrics(), None) for one in machines),
    )

    assert ids_in_tables(joined, machines[0]) == ["A", "B", "both"]
    newest = Lease(joined, f"{VOLUME}/lease").newest()
    assert (newest.is_released, newest.is_for_one_drain) == (True, True)
    # `ciolake verify` leaves the newest batch out: a loader may take the lease at any moment.
    assert is_loading(joined, machines[0])


def test_events_in_the_volume_are_loaded_after_a_change_to_a_local_inbox(
    double: Databricks, joined: workspace.DatabricksWorkspace, tmp_path: Path
) -> None:
    """Also those of `ciolake replay`, which puts them there from any machine."""
    settings = settings_of(double, tmp_path / "one", "local")
    put_replay(joined, VOLUME, records("of the volume"))
    store(tmp_path / "one", "of the disk")

    run_until(
        lambda: not waiting(tmp_path / "one") + pending(joined, VOLUME).events,
        open_loader(settings, Metrics(), None),
    )

    assert ids_in_tables(joined, settings) == ["of the disk", "of the volume"]


def test_events_on_the_disk_move_into_the_volume_after_a_change_to_the_volume(
    double: Databricks, joined: workspace.DatabricksWorkspace, tmp_path: Path
) -> None:
    """Also while another instance owns the lease, which cannot see this disk."""
    data = tmp_path / "one"
    open_loader(settings_of(double, data, "local"), Metrics(), None)
    store(data, "A", "B")
    Lease(joined, f"{VOLUME}/lease", renew_seconds=0).take()

    run_until(
        lambda: not waiting(data),
        open_loader(settings_of(double, data, "volume"), Metrics(), None),
    )

    assert pending(joined, VOLUME).events == 2


@pytest.mark.parametrize("noted", [None, "/Volumes/other/cio/events"])
def test_events_of_other_tables_stay_on_the_disk(
    double: Databricks,
    joined: workspace.DatabricksWorkspace,
    tmp_path: Path,
    noted: str | None,
) -> None:
    """Those of a local store and those of another volume; the log says so."""
    data = tmp_path / "one"
    store(data, "A")
    if noted is not None:
        combined.note_volume(data / "inbox", noted)
    with capture_logs() as logged:
        loader = open_loader(settings_of(double, data, "volume"), Metrics(), None)

    loader.before_pass()

    assert (waiting(data), pending(joined, VOLUME).events) == (1, 0)
    (warning,) = [one for one in logged if one["event"] == "segments_of_other_tables"]
    assert (warning["events"], warning["tables"]) == (1, noted or "the local store")
