"""A wrong clock: doctor finds it, by how much, and says to synchronise it, not to accept more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from benchmarks.harness.events import event as body_of
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import serving
from benchmarks.harness.wire import request, signed
from databricks_app.events.decoding import Reading, read
from databricks_app.events.record import Record
from databricks_app.lake.local.store import LocalLake
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.workspaces.app_api import AppApiOptions
from tests.support.doctoring import context_of, found
from tests.support.lake_events import body


@contextmanager
def server(offset: float, host: str = "127.0.0.1") -> Iterator[str]:
    """Run an HTTP server whose clock differs from ours by so many seconds; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string((timestamp or time.time()) + offset)

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer((host, 0), Handler)
    thread = Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://{host}:{made.server_port}"
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


OFFSETS = [
    (3, "ok", ""),
    (120, "warning", "120 s behind"),
    (-120, "warning", "120 s ahead"),
    (1200, "failure", "1200 s behind"),
    (-1200, "failure", "1200 s ahead"),
]


@pytest.mark.parametrize(("offset", "state", "words"), OFFSETS)
def test_the_clock_is_compared_with_that_of_customer_io(
    tmp_path: Path, offset: float, state: str, words: str
) -> None:
    """Also where the receiver is on this machine, so that nothing else has another clock."""
    with server(offset) as url:
        context = context_of(tmp_path, "http://127.0.0.1:1", CIO_APP_API_KEY="a" * 32)
        result = found(replace(context, app_api=AppApiOptions(base_url=url)), "clock")

    assert result.state == state
    assert words in result.says
    assert ("NTP" in result.fix) is (state != "ok")
    assert ("costs an hour" in result.says) is (state == "failure")


@pytest.mark.parametrize(("offset", "state", "words"), OFFSETS)
def test_the_clock_is_compared_with_a_remote_endpoint(
    tmp_path: Path, offset: float, state: str, words: str
) -> None:
    """A loopback endpoint has our own clock, and says nothing."""
    with server(offset, "127.0.0.2") as url:
        result = found(context_of(tmp_path, url), "clock")
    with server(offset) as url:
        here = found(context_of(tmp_path, url), "clock")

    assert (result.state, here.state) == (state, "skipped")
    assert words in result.says
    assert "CIO_APP_API_KEY" in here.fix


def test_a_clock_that_differs_is_no_failure_where_all_timestamps_are_accepted(
    tmp_path: Path,
) -> None:
    """But still to be mended."""
    with server(1200, "127.0.0.2") as url:
        result = found(context_of(tmp_path, url, CIO_STALE_TIMESTAMPS="accept"), "clock")

    assert result.state == "warning"


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def received(event_id: str, delay: float, kind: str = "email/opened") -> Reading:
    """An event that happened at noon, received so many seconds later by this machine's clock."""
    content = body(event_id, kind)
    at = NOON + timedelta(seconds=delay)
    return read(Record(content, at, "0", "0a1b2c3d", len(content)))


def after(folder: Path, *readings: Reading) -> DoctorContext:
    """The context of a folder that has loaded these, a few minutes later."""
    lake = LocalLake(folder)
    lake.start()
    if readings:
        lake.load(readings, batch_id="b", loaded_at=NOON)
    lake.close()
    now = (NOON + timedelta(minutes=30)).timestamp()
    return replace(context_of(folder), now=lambda: now)


@pytest.mark.parametrize(
    ("delay", "state", "words"),
    [
        (2, "ok", "2 s after"),
        (120, "warning", "120 s after"),
        (-120, "warning", "120 s before"),
        (-1200, "failure", "1200 s before"),
    ],
)
def test_the_clock_is_compared_with_the_events(
    tmp_path: Path, delay: float, state: str, words: str
) -> None:
    """Without any other machine: what the receiver has recorded shows its clock."""
    context = after(tmp_path, *(received(f"e{n}", delay + n) for n in range(25)))

    result = found(context, "clock")

    assert result.state == state
    assert words in result.says
    assert ("NTP" in result.fix) is (state != "ok")


@pytest.mark.parametrize(
    "readings",
    [
        (),
        [received("a", 120)],
        [received(f"e{n}", 120) for n in range(19)],
        [received(f"e{n}", 9000) for n in range(25)],
        [received(f"e{n}", -120, "ciolake/canary") for n in range(25)],
    ],
)
def test_few_late_or_own_events_say_nothing_of_the_clock(
    tmp_path: Path, readings: list[Reading]
) -> None:
    """One event may be late by itself, old ones are sent by hand, and we sign our own."""
    assert found(after(tmp_path, *readings), "clock").state == "skipped"


def test_events_show_a_clock_that_a_proxy_of_this_machine_hides(tmp_path: Path) -> None:
    """Its public address answers with our own time."""
    context = after(tmp_path, received("a", -120))
    with server(context.now() - time.time(), "127.0.0.2") as url:
        there = context_of(tmp_path, url).destination
        result = found(replace(context, destination=there), "clock")

    assert result.state == "warning"
    assert "120 s before" in result.says


@pytest.mark.parametrize(
    ("age", "policy", "advice"),
    [
        (1200, "second_sight", "nothing to do"),
        (1200, "reject", "set CIO_STALE_TIMESTAMPS=second_sight"),
        (-1200, "second_sight", "clock of this machine is behind"),
    ],
)
@pytest.mark.slow
def test_stale_requests_of_a_clock_that_is_twenty_minutes_off_point_to_the_clock(
    tmp_path: Path, age: int, policy: str, advice: str
) -> None:
    """The clock first; to accept whatever comes is no advice."""
    content = body_of("stale")
    headers = signed(content, timestamp=int(time.time()) - age)
    with serving(tmp_path, CIO_WEB_WORKERS="1", CIO_STALE_TIMESTAMPS=policy) as receiver:
        answer = receiver.post(request(content, headers))
        wait_until(lambda: b"timestamp_age_seconds_count 1" in receiver.page("/metrics").body)
        context = context_of(tmp_path / "data", receiver.url, CIO_STALE_TIMESTAMPS=policy)
        result = found(context, "timestamps")

    assert answer.status == 401
    assert result.state == "warning"
    assert "NTP" in result.fix
    assert advice in result.fix
    assert "=accept" not in result.fix
