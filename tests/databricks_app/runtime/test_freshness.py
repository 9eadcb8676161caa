"""How long an event may wait, derived from the flush interval."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.process_table import wait_until
from benchmarks.harness.wire import ADMIN_TOKEN, KEY
from databricks_app.app import INBOX, create_app
from databricks_app.runtime import status
from databricks_app.runtime.freshness import expected_by, longest_wait_seconds, stall_seconds
from databricks_app.settings import Settings, from_environment
from tests.doubles import Databricks
from tests.support.storing import store

VOLUME = "main.cio.events"
MINUTE = 60.0
AGES = [(14 * MINUTE, False), (40 * MINUTE, True)]


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Databricks]:
    """A workspace with a volume."""
    with Databricks(tmp_path / "double", volume=VOLUME) as double:
        yield double


@pytest.fixture
def variables(double: Databricks, tmp_path: Path) -> dict[str, str]:
    """The environment of an app with the default interval."""
    return double.environment() | {
        "CIO_STORE": "databricks",
        "CIO_CATALOG": "main",
        "CIO_SCHEMA": "cio",
        "CIO_VOLUME": "events",
        "CIO_DATA_DIR": str(tmp_path),
        "CIO_WEBHOOK_SIGNING_KEYS": KEY,
        "CIO_ADMIN_TOKEN": ADMIN_TOKEN,
    }


def settings_of(store: str, interval: str, inbox: str) -> Settings:
    """Settings with this store, interval or freshness, and inbox."""
    variables = {"CIO_STORE": store, "CIO_CATALOG": "main", "CIO_INBOX": inbox}
    name = "CIO_FLUSH_INTERVAL_SECONDS" if store == "local" else "CIO_FRESHNESS_SECONDS"
    return from_environment(variables | {name: interval})


@pytest.mark.parametrize(
    ("store", "interval", "inbox", "wait", "stall"),
    [
        ("local", "2", "local", 3, 603),
        ("databricks", "900", "volume", 900, 1500),
        ("databricks", "2", "volume", 2, 602),
        ("databricks", "900", "local", 900, 1500),
        ("databricks", "2", "local", 2, 602),
    ],
)
def test_a_wait_follows_from_the_interval(
    store: str, interval: str, inbox: str, wait: float, stall: float
) -> None:
    """A local segment is closed after half an interval, for a warehouse after 30 s at most."""
    settings = settings_of(store, interval, inbox)

    assert (longest_wait_seconds(settings), stall_seconds(settings)) == (wait, stall)


def test_above_the_ceiling_an_hour_is_no_stall() -> None:
    """The loader says how long events may wait."""
    warehouse = status.WarehouseStatus(seconds_today=700, ceiling_seconds=600, wait_seconds=3600)

    assert stall_seconds(settings_of("databricks", "900", "volume"), warehouse) == 4200


def test_a_row_is_expected_after_the_interval_and_a_load() -> None:
    """In UTC, rounded up to a minute: 22:13:20 plus 15 and 2 minutes is 22:30:20."""
    assert expected_by(settings_of("databricks", "900", "volume"), 1_700_000_000) == "22:31 UTC"


@pytest.mark.parametrize(("age", "is_stalled"), AGES)
def test_readyz_reports_a_stall_but_not_a_normal_wait(
    double: Databricks,
    variables: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    age: float,
    is_stalled: bool,
) -> None:
    """With the default interval 14 minutes are normal, and 40 are not."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(status.RUN_DIR, str(tmp_path))
    store(double, VOLUME, b"{}", age_seconds=age)
    status.write(tmp_path, status.LoaderStatus(time.time()))
    app = create_app(from_environment(variables))
    client = app.test_client()

    def readiness() -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        return dict(client.get("/readyz", headers=headers).get_json())

    wait_until(
        lambda: readiness()["inbox_pending_events"] == 1 and readiness()["status"] != "refusing"
    )
    shown = readiness()
    app.extensions[INBOX].close()

    assert shown["status"] == ("degraded" if is_stalled else "ok")
    assert ["the oldest for 40 minutes" in one for one in shown["problems"]] == [True] * is_stalled


class _Alerts:
    """Keeps the alerts that are posted to a free loopback port."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.posted.append(
                    json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                )
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self._thread.start()

    def __enter__(self) -> _Alerts:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.mark.parametrize(("age", "is_stalled"), AGES)
def test_an_alert_reports_a_stall_in_the_volume_but_not_a_normal_wait(
    double: Databricks, variables: dict[str, str], age: float, is_stalled: bool
) -> None:
    """The alerting process counts the inbox of the volume, with the same limit."""
    store(double, VOLUME, b"{}", age_seconds=age)
    counts = double.faults.counts
    with _Alerts() as alerts:
        url = f"http://127.0.0.1:{alerts.server.server_port}/"
        process = subprocess.Popen(
            [sys.executable, "-m", "databricks_app.operations.alerting.process"],
            env=variables | {"CIO_ALERT_URL": url, "CIO_ALERT_LOOK_SECONDS": "0.1"},
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: counts["directories.list"] >= 2)
            if is_stalled:
                wait_until(lambda: bool(alerts.posted))
            else:
                time.sleep(1)  # ten looks
        finally:
            process.terminate()
            process.wait(10)

    assert [one["alert"] for one in alerts.posted] == ["backlog"] * is_stalled
