"""Where `ciolake webhooks` looks for an event of Customer.io."""

from __future__ import annotations

from pathlib import Path

import pytest

from databricks_app.cli.webhooks_send_test import vendor_look
from databricks_app.operations.webhooks.rotation import RotationError

ENDPOINT = "http://127.0.0.1:1/api/webhooks/customerio"


def test_with_a_local_inbox_the_metrics_of_the_receiver_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The volume does not get the event."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CIO_STORE", "databricks")
    monkeypatch.setenv("DATABRICKS_HOST", "https://example.cloud.databricks.com")
    vendor_look(ENDPOINT, None)  # the volume: nothing is read before the key is known
    monkeypatch.setenv("CIO_INBOX", "local")

    with pytest.raises(RotationError):
        vendor_look(ENDPOINT, None)
