"""Real processes from end to end: signed posts in, rows out, and processes that are killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.harness.events import event
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import KEY, request
from databricks_app.lake.local.query import LocalQuery
from tests.support.odd_bodies import ODD_BODIES
from tests.support.paths import ROOT

KILLS = 2


@pytest.fixture(scope="module")
def odd_bodies_loaded(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Receiver, LocalQuery]]:
    """A receiver that got every odd body and a good one, after all of them are loaded."""
    folder = tmp_path_factory.mktemp("odd")
    with serving(folder) as receiver:
        statuses = {name: receiver.post(request(body)).status for name, body in ODD_BODIES.items()}
        statuses["good"] = receiver.post(request(event("good"))).status
        assert {name: 200 for name in statuses} == statuses
        query = LocalQuery(folder / "data")
        wait_until(lambda: raw_rows(query) >= len(ODD_BODIES) + 1 and drained(receiver), 60)
        yield receiver, query


def raw_rows(query: LocalQuery) -> int:
    """Count the rows of the raw table."""
    return int(str(query.run("SELECT count(*) FROM webhook_raw_events").rows[0][0]))


def test_every_odd_body_is_answered_200_and_is_one_row(
    odd_bodies_loaded: tuple[Receiver, LocalQuery],
) -> None:
    """No verified body is refused, lost or doubled, and none stops another one."""
    _, query = odd_bodies_loaded

    distinct = query.run("SELECT count(DISTINCT event_id) FROM webhook_raw_events").rows

    assert raw_rows(query) == len(ODD_BODIES) + 1
    assert distinct == [(len(ODD_BODIES) + 1,)]


@pytest.mark.parametrize(
    ("table", "conditions"),
    [
        (
            "webhook_email_events",
            [
                "event_id = 'good'",
                "event_id = 's1' AND subject IS NULL",
                "event_id = 'i1' AND link_id IS NULL",
                "event_id = 'n1' AND campaign_id = 7 AND customer_id = '8'",
                "event_id = 'o1' AND event_date = DATE '1970-01-01'",
                "event_id = 'large' AND length(content) = 20971520",
                "event_id = 't1' AND event_timestamp IS NULL",
            ],
        ),
        ("webhook_sms_events", ["event_id LIKE 'it%DROP'"]),
        (
            "webhook_customer_events",
            [
                "event_id = 'c1' AND object_type = 'email'",
                "event_id = 'c2' AND object_type IS NULL",
            ],
        ),
        (
            "webhook_unrouted_events",
            [
                "unrouted_reason = 'too_deep' AND event_id LIKE 'sha256:%'",
                "unrouted_reason = 'not_utf8' AND body_encoding = 'base64'",
                "unrouted_reason = 'too_large' AND length(body) = 65536 AND body_bytes > 62914560",
                "unrouted_reason = 'unknown_object_type' AND event_id = 'u1'",
            ],
        ),
    ],
)
def test_an_odd_body_is_in_the_right_table(
    odd_bodies_loaded: tuple[Receiver, LocalQuery], table: str, conditions: list[str]
) -> None:
    """In a typed table if it can be read, else in the raw table with a reason."""
    _, query = odd_bodies_loaded

    rows = {
        condition: len(query.run(f"SELECT event_id FROM {table} WHERE {condition}").rows)
        for condition in conditions
    }

    assert rows == dict.fromkeys(conditions, 1)


def test_odd_bodies_leave_no_trace_in_the_log(
    odd_bodies_loaded: tuple[Receiver, LocalQuery],
) -> None:
    """The log has no address, no id and no stack trace."""
    receiver, _ = odd_bodies_loaded

    log = receiver.log

    assert "example.com" not in log
    assert "Traceback" not in log
    assert KEY not in log


def test_copies_of_an_event_at_the_same_time_are_one_row(tmp_path: Path) -> None:
    """Copies on sixteen connections and two workers become one row in each table."""
    with serving(tmp_path) as receiver:
        start = threading.Barrier(16)
        statuses: list[int] = []

        def post() -> None:
            with receiver.connect() as wire:
                start.wait()
                statuses.append(wire.send(request(event("same"))).answer().status)

        threads = [threading.Thread(target=post) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        query = LocalQuery(tmp_path / "data")
        wait_until(lambda: raw_rows(query) > 0 and drained(receiver))

        assert statuses == [200] * 16
        assert raw_rows(query) == 1
        assert query.run("SELECT count(*) FROM webhook_email_events").rows == [(1,)]


def test_acknowledged_events_survive_kill_9_of_all_processes(tmp_path: Path) -> None:
    """At random moments under load; every acknowledged event is stored exactly once."""
    chance = random.Random(20261122)
    acknowledged = tmp_path / "acknowledged.jsonl"
    for cycle in range(KILLS):
        with (
            serving(tmp_path) as receiver,
            simulating(receiver, acknowledged, cycle),
        ):
            before = size(acknowledged)
            wait_until(lambda before=before: size(acknowledged) > before)
            threading.Event().wait(chance.uniform(0.2, 1.5))
            os.killpg(receiver.process.pid, signal.SIGKILL)
            receiver.process.wait()

    with serving(tmp_path) as receiver:
        wait_until(lambda: drained(receiver), 60)

    sent = {json.loads(line)["event_id"] for line in whole_lines(acknowledged)}
    query = LocalQuery(tmp_path / "data")
    stored = {row[0] for row in query.run("SELECT event_id FROM webhook_raw_events").rows}
    assert sent
    assert sent <= stored
    assert verified(tmp_path)["differences"] == []


def test_serve_demo_and_query_work(tmp_path: Path) -> None:
    """These are the two commands of the README."""
    environ = os.environ | {
        "CIO_DATA_DIR": str(tmp_path / "data"),
        "CIO_WEBHOOK_SIGNING_KEYS": KEY,
        "CIO_FLUSH_INTERVAL_SECONDS": "1",
        "PORT": "0",
    }
    with (tmp_path / "stdout").open("wb") as out:
        serve = subprocess.Popen(
            ["./serve.sh", "--demo"], cwd=ROOT, env=environ, stdout=out, start_new_session=True
        )
    try:
        wait_until(lambda: b" 0 never acknowledged" in (tmp_path / "stdout").read_bytes(), 100)
        query = LocalQuery(tmp_path / "data")
        wait_until(lambda: raw_rows(query) == 5_000, 60)
        asked = subprocess.run(
            [".venv/bin/ciolake", "query", "SELECT * FROM daily_email_engagement"],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        serve.terminate()
        assert serve.wait(20) == 0

    assert "human_open_rate" in asked.stdout
    for table in ("email", "customer", "sms", "push", "in_app", "slack", "webhook", "whatsapp"):
        rows = query.run(f"SELECT count(*) FROM webhook_{table}_events").rows
        assert rows[0][0], table


class simulating:  # noqa: N801  # a context manager, used like a function
    """`ciolake simulate` with a receiver, in another process."""

    def __init__(self, receiver: Receiver, acknowledged: Path, seed: int) -> None:
        self._command = [
            *(sys.executable, "-m", "databricks_app", "simulate", "--count", "100000"),
            *("--url", receiver.url, "--acknowledged", str(acknowledged)),
            *("--seed", str(seed), "--repeat", "0.05"),
        ]

    def __enter__(self) -> None:
        """Start it."""
        environ = os.environ | {"CIO_WEBHOOK_SIGNING_KEYS": KEY}
        self._process = subprocess.Popen(
            self._command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def __exit__(self, *_: object) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()


def size(path: Path) -> int:
    """Return a file's length in bytes; 0 if it does not exist."""
    return path.stat().st_size if path.exists() else 0


def whole_lines(path: Path) -> list[str]:
    """Return the complete lines of a file whose writer may have been killed."""
    return [line for line in path.read_text().splitlines() if line.endswith("}")]


def drained(receiver: Receiver) -> bool:
    """Whether nothing is left in the inbox."""
    folder = receiver.folder / "data/inbox"
    return not any(path.suffix in (".seg", ".open") for path in folder.iterdir())


def verified(folder: Path) -> dict[str, object]:
    """Return the result of `ciolake verify`."""
    said = subprocess.run(
        [sys.executable, "-m", "databricks_app", "verify", "--format", "json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, object] = json.loads(said.stdout)
    return found
