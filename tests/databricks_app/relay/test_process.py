"""The relay as it is deployed: under gunicorn, in front of the real receiver."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from benchmarks.harness.events import event
from benchmarks.harness.posting import posting
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import KEY, request
from databricks_app.endpoint import WEBHOOK_PATH
from tests.support.relay_platform import Handler, Platform, genuine, hang, page, reset
from tests.support.relay_process import relaying


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """The real receiver, with a single web process."""
    (tmp_path / "app").mkdir()
    with serving(tmp_path / "app", CIO_WEB_WORKERS="1") as receiver:
        yield receiver


def test_an_event_reaches_the_receiver_through_the_relay(
    receiver: Receiver, tmp_path: Path
) -> None:
    """The answer is 200, and the event is stored behind a platform that requires a token."""
    with Platform(app=receiver.address) as platform:
        assert request_without_token(platform) == (401, b"{}")
        with relaying(tmp_path / "relay", platform) as relay:
            answers = [relay.post(request(event(f"id{number}"))) for number in range(3)]
            stranger = relay.post(request(event("other"), key="not the key"))

    assert [answer.status for answer in answers] == [200] * 3
    assert answers[0].body == b""
    assert stranger.status == 401
    assert receiver.stored() == {"id0", "id1", "id2"}
    assert KEY not in relay.log


def request_without_token(platform: Platform) -> tuple[int, bytes]:
    """Post to the platform as Customer.io would."""
    connection = HTTPConnection(*platform.address, timeout=10)
    connection.request("POST", WEBHOOK_PATH, event("direct"))
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.slow
def test_different_keys_at_the_app_are_answered_503(receiver: Receiver, tmp_path: Path) -> None:
    """As the app does while no key is proven; the log names the reason."""
    with (
        Platform(app=receiver.address) as platform,
        relaying(tmp_path / "relay", platform, CIO_WEBHOOK_SIGNING_KEYS="newer") as relay,
    ):
        answer = relay.post(request(event("id"), key="newer"))

    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    (line,) = relay.logged("not_delivered")
    assert (line["reason"], line["process"]) == ("app_unavailable", "relay")


def test_bytes_arrive_as_they_were_sent(tmp_path: Path) -> None:
    """A megabyte with all byte values, over real sockets."""
    body = bytes(range(256)) * 4096
    with Platform() as platform, relaying(tmp_path / "relay", platform) as relay:
        sent = request(body, {"Content-Type": "application/json; charset=utf-8"})
        answer = relay.post(sent)

    assert answer.status == 200
    (seen,) = platform.seen
    assert seen.body == body
    head = sent[: -len(body)].decode().split("\r\n")
    for name in ("X-CIO-Signature", "X-CIO-Timestamp", "Content-Type"):
        assert f"{name}: {seen.headers[name.lower()]}" in head


def test_parallel_requests_get_200_or_503_while_the_app_restarts(
    receiver: Receiver, tmp_path: Path
) -> None:
    """With refused and reset connections and pages of the platform."""
    with (
        Platform(app=receiver.address) as platform,
        relaying(tmp_path / "relay", platform) as relay,
        posting(relay, keep_alive=True, clients=32, pause_seconds=0.05) as clients,
    ):
        clients.wait_for(100)
        for always in (page(502), reset, page(200), page(302)):
            platform.always = always
            clients.wait_for(100)
        platform.stop()
        clients.wait_for(100)
        platform.always = None
        platform.start()
        clients.wait_for(200)
        tally = clients.stop()

    assert tally.kinds == {"200", "503"}
    assert tally.slowest_seconds < 4
    assert set(tally.acknowledged) <= receiver.stored()


def test_slow_clients_do_not_block_the_sender(tmp_path: Path) -> None:
    """There are more unfinished requests than the relay has threads."""
    with (
        Platform() as platform,
        relaying(tmp_path / "relay", platform) as relay,
        contextlib.ExitStack() as slow_clients,
    ):
        for _ in range(40):
            wire = slow_clients.enter_context(relay.connect())
            wire.send(request(event("slow", padding=100))[:-50])

        assert relay.post(request(event("id"))).status == 200


@pytest.mark.slow
def test_a_stop_finishes_the_requests_in_progress(tmp_path: Path) -> None:
    """A deployment of the relay costs no answer."""
    arrived, release = threading.Event(), threading.Event()

    def late(handler: Handler) -> None:
        arrived.set()
        release.wait(20)
        genuine(200)(handler)

    with (
        Platform(behaviours=[late]) as platform,
        relaying(tmp_path / "relay", platform) as relay,
        relay.connect() as wire,
    ):
        wire.send(request(event("id")))
        assert arrived.wait(20)
        relay.process.terminate()
        wait_until(lambda: "Handling signal: term" in relay.log)
        release.set()

        assert wire.answer().status == 200
        assert relay.process.wait(20) == 0


@pytest.mark.slow
def test_relay_answers_503_in_time_when_the_app_hangs(tmp_path: Path) -> None:
    """Customer.io gives up after 4 s; the default deadline is shorter."""
    with Platform(always=hang) as platform, relaying(tmp_path / "relay", platform) as relay:
        started = time.monotonic()
        answer = relay.post(request(event("id")))
        taken = time.monotonic() - started

    assert answer.status == 503
    assert 3 < taken < 3.9


def test_a_missing_setting_ends_the_relay_at_the_start(tmp_path: Path) -> None:
    """The host keeps the old release; the log names the variable."""
    with (
        Platform() as platform,
        relaying(tmp_path / "relay", platform, DATABRICKS_HOST="") as relay,
    ):
        assert relay.process.wait(20) != 0

    assert "DATABRICKS_HOST cannot be used" in relay.log
    assert json.dumps(KEY) not in relay.log
