"""The receiver with a local inbox and tables in Databricks calls no workspace."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.harness.wire import ADMIN_TOKEN, KEY
from databricks_app.app import INBOX, create_app, open_inbox
from databricks_app.errors import SettingsError
from databricks_app.events.record import Record
from databricks_app.ingest.receiver import WebhookReceiver
from databricks_app.operations.alerting.process import counting
from databricks_app.runtime.metrics import Metrics
from databricks_app.settings import Settings, from_environment


def settings_of(data: Path) -> Settings:
    """Settings without the address of a workspace."""
    return from_environment(
        {
            "CIO_STORE": "databricks",
            "CIO_INBOX": "local",
            "CIO_CATALOG": "main",
            "CIO_DATA_DIR": str(data),
            "CIO_INBOX_FLOOR_BYTES": "0",
            "CIO_WEBHOOK_SIGNING_KEYS": KEY,
            "CIO_ADMIN_TOKEN": ADMIN_TOKEN,
        }
    )


def test_events_are_stored_and_counted_on_the_disk(tmp_path: Path) -> None:
    """By the receiver, in `/readyz` and for the alerts; large bodies wait on the same disk."""
    settings = settings_of(tmp_path)
    app = create_app(settings)
    inbox = app.extensions[INBOX]
    inbox.append(Record(b"{}", datetime.now(UTC), "1", "0badf00d", 2), 5)

    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    shown = app.test_client().get("/readyz", headers=headers).get_json()
    with ExitStack() as closing:
        counted = counting(settings, {}, closing)()
    folder = WebhookReceiver(settings, inbox, Metrics()).body_folder
    inbox.close()

    assert (shown["inbox_pending_events"], counted.events) == (1, 1)
    assert folder == tmp_path
    assert len(list((tmp_path / "inbox").glob("*.seg"))) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/shm is in memory on Linux")
def test_another_wsgi_server_refuses_a_disk_that_is_lost_too() -> None:
    """`ciolake serve` is not the only way to start the receiver."""
    data = Path("/dev/shm/ciolake-test-none/data")  # it is not made

    with pytest.raises(SettingsError, match=r"in memory \(tmpfs\)"):
        open_inbox(settings_of(data))

    assert not data.parent.exists()
