"""Alerts reach whoever is to be woken, once, over a real connection."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from benchmarks.harness.events import event
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import serving
from benchmarks.harness.wire import KEY, request
from databricks_app.ingest.inbox import Pending
from databricks_app.operations.alerting.process import (
    AlertingProcess,
    certificate_watch,
    post,
    sample,
)
from databricks_app.operations.alerting.rules import AlertChange, Sample
from databricks_app.runtime.metrics import Metrics
from databricks_app.runtime.status import WarehouseStatus
from tests.support.certificates import Authority, tls_server
from tests.support.still_time import FixedClock


class Receiver:
    """A receiver of alerts on loopback; `status` is what it answers."""

    def __init__(self) -> None:
        self.said: list[dict[str, object]] = []
        self.status = 204
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the library's name
                length = int(self.headers["Content-Length"])
                outer.said.append(json.loads(self.rfile.read(length)))
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self._server.server_port}/alerts"

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A running receiver of alerts."""
    receiver = Receiver()
    yield receiver
    receiver.close()


def alerting(tmp_path: Path, receiver: Receiver, samples: list[Sample]) -> AlertingProcess:
    """An alerting process that sees these samples one after the other."""
    waiting = iter(samples)
    return AlertingProcess(
        lambda: next(waiting), lambda one: post(receiver.url, one), tmp_path / "a.json"
    )


BAD = Sample(0, pending_events=1, oldest_pending_seconds=1000)


def test_an_alert_is_one_post_at_its_beginning_and_one_at_its_end(
    tmp_path: Path, receiver: Receiver
) -> None:
    """Between them nothing is said."""
    watching = alerting(tmp_path, receiver, [BAD, BAD, Sample(1), Sample(2)])

    for _ in range(4):
        watching.look()

    assert [(one["alert"], one["state"]) for one in receiver.said] == [
        ("backlog", "firing"),
        ("backlog", "resolved"),
    ]
    assert receiver.said[0]["at"] == "1970-01-01T00:00:00+00:00"
    assert str(receiver.said[0]["service"]).startswith("ciolake on ")


def test_what_does_not_arrive_is_told_the_next_time(tmp_path: Path, receiver: Receiver) -> None:
    """In order, and once it has arrived no more."""
    receiver.status = 500
    watching = alerting(tmp_path, receiver, [BAD, BAD, BAD])
    watching.look()
    receiver.status = 200

    watching.look()
    watching.look()

    assert [one["state"] for one in receiver.said] == ["firing", "firing"]


def test_a_restart_does_not_tell_again_and_still_clears(tmp_path: Path, receiver: Receiver) -> None:
    """What is firing is kept in a file."""
    alerting(tmp_path, receiver, [BAD]).look()
    after = alerting(tmp_path, receiver, [BAD, Sample(1)])
    after.begin()

    after.look()
    after.look()

    assert [one["state"] for one in receiver.said] == ["firing", "resolved"]


@pytest.mark.parametrize("content", ["{", "[1]", "7", '"x"'])
def test_a_file_that_cannot_be_read_counts_as_nothing(
    tmp_path: Path, receiver: Receiver, content: str
) -> None:
    """The alerting process starts all the same."""
    (tmp_path / "a.json").write_text(content)
    watching = alerting(tmp_path, receiver, [BAD])

    watching.begin()

    assert watching.rules.firing == {}


def test_nothing_is_lost_when_the_state_cannot_be_kept(tmp_path: Path, receiver: Receiver) -> None:
    """The alert is sent although its file cannot be written."""
    waiting = iter([BAD])
    watching = AlertingProcess(
        lambda: next(waiting), lambda one: post(receiver.url, one), tmp_path / "none/a.json"
    )

    watching.look()

    assert len(receiver.said) == 1


def test_post_raises_when_nobody_listens() -> None:
    """So that it is tried again."""
    with pytest.raises(OSError, match="refused"):
        post("http://127.0.0.1:1/", AlertChange("backlog", "firing", 0, "text"))


def test_sample_reads_the_totals_and_the_inbox() -> None:
    """Sums over all labels, and the age of the oldest event."""
    metrics = Metrics()
    metrics.accepted.labels("a").inc(2)
    metrics.accepted.labels("b").inc(3)
    metrics.unrouted.labels("unknown_metric").inc(4)
    metrics.rejected.labels("wrong_signature", "").inc(5)
    metrics.rejected.labels("not_found", "").inc(6)
    metrics.stale_age.observe(7)

    waiting = Pending(8, 700, datetime.fromtimestamp(90, UTC))

    found = sample(metrics.totals(), waiting, 100.0)

    assert found == Sample(
        100.0,
        accepted=5,
        unrouted=4,
        stale=1,
        wrong_signatures=5,
        refusals={"wrong_signature": 5, "not_found": 6},
        pending_events=8,
        oldest_pending_seconds=10,
    )


@pytest.mark.slow
def test_serve_tells_of_wrong_signatures(tmp_path: Path, receiver: Receiver) -> None:
    """The whole way: refused requests, counted by the workers, posted by the alerting process."""
    variables = {"CIO_ALERT_URL": receiver.url, "CIO_ALERT_LOOK_SECONDS": "0.2"}
    with serving(tmp_path, **variables) as served:
        for number in range(5):
            served.post(request(event(str(number)), key=f'"{KEY}"'))
        wait_until(lambda: len(receiver.said) == 1)

    assert receiver.said[0]["alert"] == "wrong_signatures"
    assert "quotes" in receiver.said[0]["text"]
    assert KEY not in json.dumps(receiver.said)


def test_a_certificate_that_ends_soon_is_an_alert_until_it_is_renewed(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of CIO_RELAY_URL, from a real TLS server; a server that is away ends no alert."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    metrics, clock = Metrics(), FixedClock(time.time())

    def look_in(hours: float) -> None:
        clock.at += hours * 3600
        process.look()

    with tls_server(authority.issue("127.0.0.1", days_left=9.5)) as port:
        watch = certificate_watch({"CIO_RELAY_URL": f"https://127.0.0.1:{port}"})
        process = AlertingProcess(
            lambda: sample(metrics.registry, Pending(0, 0, None), clock(), certificate=watch),
            lambda one: post(receiver.url, one),
            tmp_path / "a.json",
        )
        look_in(0)
        look_in(1)
    look_in(1)
    renewed = authority.issue("127.0.0.1", days_left=90)
    with tls_server(renewed, port):
        look_in(1)

    assert [(one["alert"], one["state"]) for one in receiver.said] == [
        ("certificate", "firing"),
        ("certificate", "resolved"),
    ]
    assert "127.0.0.1 ends in 9.5 days" in str(receiver.said[0]["text"])
    assert "renew" in str(receiver.said[0]["text"])


def test_a_restart_without_a_connection_does_not_end_an_alert(
    tmp_path: Path, receiver: Receiver
) -> None:
    """What was wrong before it still is, as far as anybody knows."""
    watch = certificate_watch({"CIO_RELAY_URL": "https://127.0.0.1:1"})
    (tmp_path / "a.json").write_text(json.dumps({"certificate": "it has expired"}))
    process = alerting(
        tmp_path, receiver, [sample(Metrics().registry, Pending(0, 0, None), 0, certificate=watch)]
    )
    process.begin()
    process.look()

    assert receiver.said == []
    assert process.rules.firing == {"certificate": "it has expired"}


@pytest.mark.parametrize("url", ["", "http://relay.example.com", "not a url"])
def test_without_an_https_address_no_certificate_is_watched(url: str) -> None:
    """A wrong address is logged, and doctor reports it; alerts go on."""
    with capture_logs() as lines:
        watch = certificate_watch({"CIO_RELAY_URL": url})

    assert watch is None
    assert [one["event"] for one in lines] == ["certificate_not_checked"] * (url == "not a url")


def reloaded(tmp_path: Path, url: str, before: list[Sample], after: list[Sample]) -> None:
    """Look at samples, then at others in a new process of the same receiver."""
    for samples in (before, after):
        waiting = iter(samples)
        process = AlertingProcess(
            partial(next, waiting),
            partial(post, url),
            tmp_path / "a.json",
            run_folder=tmp_path,
        )
        process.begin()
        for _ in samples:
            process.look()
        process.end()


def test_a_reload_posts_nothing_of_what_was_counted_before_it(
    tmp_path: Path, receiver: Receiver
) -> None:
    """The counters go on, so two strangers of last month are not new after a reload."""
    before = [Sample(n * 3600.0, wrong_signatures=2 * (n > 0)) for n in range(5)]
    after = [Sample(5 * 3600.0 + n * 60, wrong_signatures=2) for n in range(5)]

    reloaded(tmp_path, receiver.url, before, after)

    assert [one["state"] for one in receiver.said] == ["firing", "resolved"]


def test_a_reload_does_not_end_an_alert_that_lasts(tmp_path: Path, receiver: Receiver) -> None:
    """Nor is a silent feed forgotten."""
    busy = [Sample(n * 60.0, accepted=5.0 * n) for n in range(60)]
    silent = [Sample(3600.0 + n * 60, accepted=295) for n in range(60)]
    later = [Sample(7200.0 + n * 60, accepted=295) for n in range(60)]

    reloaded(tmp_path, receiver.url, busy + silent[:5], silent[5:] + later)

    assert [(one["alert"], one["state"]) for one in receiver.said] == [("feed_silent", "firing")]


def test_a_change_that_was_not_delivered_before_a_reload_is_delivered_after_it(
    tmp_path: Path, receiver: Receiver
) -> None:
    """The alert is firing already, so that nothing else would post it."""
    receiver.status = 503
    waiting = iter([BAD, BAD])
    for status in (503, 204):
        receiver.status = status
        process = AlertingProcess(
            partial(next, waiting),
            partial(post, receiver.url),
            tmp_path / "a.json",
            run_folder=tmp_path,
        )
        process.begin()
        process.look()
        process.end()

    assert [one["state"] for one in receiver.said] == ["firing", "firing"]  # refused, then taken
    assert process._waiting == deque()


@pytest.mark.parametrize("text", ["", "[]", '{"history": {"samples": [{}]}, "waiting": []}'])
def test_a_history_of_an_earlier_version_is_ignored(
    tmp_path: Path, receiver: Receiver, text: str
) -> None:
    """The process begins as after a start."""
    (tmp_path / "alert-history.json").write_text(text)

    reloaded(tmp_path, receiver.url, [BAD], [BAD])

    assert [one["state"] for one in receiver.said] == ["firing"]


@pytest.mark.parametrize(("seconds", "is_over"), [(599.0, False), (600.0, True)])
def test_a_sample_has_the_ceiling_of_the_warehouse(seconds: float, is_over: bool) -> None:
    """The loader reports it; this process asks no warehouse."""
    warehouse = WarehouseStatus(seconds, 600.0, "nothing waits", 3600.0)

    found = sample(Metrics().registry, Pending(0, 0, None), 0.0, warehouse=warehouse)

    assert bool(found.warehouse) is is_over
    assert found.stall_seconds == 4200
