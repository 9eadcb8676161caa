"""A wrong answer stalls the feed for an hour; the receiver never gives one.

A simulated Customer.io with a virtual clock delivers to a real receiver, which is reloaded, killed
and has a full disk meanwhile. The sender's rules:
https://docs.customer.io/integrations/api/webhooks
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.harness.exactly_once import is_empty
from benchmarks.harness.kills import kill_loader, kill_master, kill_worker, reload
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from core.webhooks import specification
from databricks_app.simulator.schedule import RetryRules
from databricks_app.simulator.simulator import Simulator
from databricks_app.simulator.workspace import SimulatorOptions
from tests.support.disks import fill, small_disk
from tests.support.exactly_once import assert_exactly_once
from tests.support.simulating import RecordingReceiver, app_client

HOUR, DAY = 3600.0, 86400.0
Make = Callable[..., Simulator]


class Feed:
    """A workspace whose reporting webhook posts every event to one endpoint."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self._webhook = {
            "name": "lake",
            "endpoint": "http://127.0.0.1:1/not-yet",
            "events": list(specification.subscription_names()),
            "full_resolution": True,
        }
        with app_client(simulator) as app:
            made = app.post("/v1/reporting_webhooks", json=self._webhook | {"disabled": True})
            self._number = made.json()["id"]
        self.key = simulator.signing_key(self._number)

    def enable(self, endpoint: str) -> None:
        """Begin to deliver."""
        body = self._webhook | {"endpoint": endpoint, "disabled": False}
        with app_client(self.simulator) as app:
            assert app.put(f"/v1/reporting_webhooks/{self._number}", json=body).status_code == 200

    def send(self, messages: int) -> None:
        """Send messages; each causes events, now and in the next days."""
        body = {
            "transactional_message_id": 401,
            "to": "ada@example.com",
            "identifiers": {"id": "10001"},
        }
        with app_client(self.simulator) as app:
            for _ in range(messages):
                assert app.post("/v1/send/email", json=body).status_code == 200

    @property
    def outcomes(self) -> set[object]:
        """The outcomes of all calls so far."""
        return {attempt.outcome for attempt in self.simulator.attempts()}

    @property
    def delivered(self) -> list[str]:
        """The events that were acknowledged."""
        return [one.event_id for one in self.simulator.attempts() if one.ending == "acknowledged"]

    @property
    def longest_wait(self) -> float:
        """The longest time from the first call of an event to the next of it, in seconds."""
        return max(
            (one.next_at - one.at for one in self.simulator.attempts() if one.next_at is not None),
            default=0.0,
        )


@pytest.fixture
def feed_of(make_simulator: Make) -> Callable[..., Feed]:
    """Creates a workspace, e.g. `feed_of(re_sign=False)`."""

    def make(**rules: bool) -> Feed:
        options = SimulatorOptions(
            seed=11, people=20, has_rate_limits=False, rules=RetryRules(**rules)
        )
        return Feed(make_simulator(options))

    return make


@contextmanager
def busy(feed: Feed) -> Iterator[None]:
    """Send and deliver during the block, and advance the virtual time."""
    is_over = threading.Event()

    def send_until_over() -> None:
        while not is_over.is_set():
            feed.send(1)
            feed.simulator.advance(30)

    thread = threading.Thread(target=send_until_over)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(120)


@contextmanager
def full(inbox: Path) -> Iterator[None]:
    """Fill the disk of the inbox during the block."""
    fill(inbox / "filler")
    try:
        yield
    finally:
        (inbox / "filler").unlink()


def readiness(receiver: Receiver) -> dict[str, object]:
    """The content of `/readyz`."""
    answer: dict[str, object] = json.loads(receiver.page("/readyz").body)
    return answer


def assert_all_stored_once(receiver: Receiver, feed: Feed) -> None:
    """Check that every event was acknowledged in the end, and is one row of each of its tables."""
    assert {one.event_id for one in feed.simulator.attempts()} == set(feed.delivered)
    wait_until(lambda: is_empty(receiver.folder / "data"), 60)
    assert_exactly_once(receiver.folder / "data", feed.delivered)


def test_a_receiver_that_answers_400_stalls_the_feed_for_an_hour(
    feed_of: Callable[..., Feed],
) -> None:
    """One refused event delays all later ones."""
    feed = feed_of()
    with RecordingReceiver(lambda number: 400 if number == 0 else 200) as receiver:
        feed.enable(receiver.url)
        feed.send(5)
        feed.simulator.advance(HOUR - 60)
        assert feed.delivered == []
        feed.simulator.advance(60 + DAY)

    assert feed.longest_wait == HOUR
    assert len(feed.delivered) > 10


def test_reloads_and_kills_never_stall_the_feed(
    feed_of: Callable[..., Feed], tmp_path: Path
) -> None:
    """A deploy, or the death of any process: answers are 200 and 503, and the delay is seconds."""
    feed = feed_of()
    with serving(tmp_path, CIO_WEBHOOK_SIGNING_KEYS=feed.key) as receiver:
        feed.enable(receiver.url)
        for trouble in (reload, kill_worker, kill_master, kill_loader, reload):
            with busy(feed):
                trouble(receiver)
        feed.simulator.advance(7 * DAY)

        assert {200} <= feed.outcomes <= {200, 503}
        assert len(feed.delivered) > 100
        assert feed.longest_wait < HOUR / 10
        assert_all_stored_once(receiver, feed)


def test_a_full_disk_delays_the_feed_until_there_is_space(
    feed_of: Callable[..., Feed], tmp_path: Path
) -> None:
    """503 while it is full; then the next try is accepted, and all later events."""
    feed = feed_of()
    inbox = tmp_path / "data/inbox"
    with (
        small_disk(inbox, "2m"),
        serving(
            tmp_path, CIO_WEBHOOK_SIGNING_KEYS=feed.key, CIO_INBOX_MAX_BYTES=str(1 << 30)
        ) as receiver,
    ):
        feed.enable(receiver.url)
        with full(inbox):
            feed.send(5)
            feed.simulator.advance(60)
            assert feed.outcomes == {503}
        wait_until(lambda: readiness(receiver)["status"] != "refusing")
        feed.simulator.advance(7 * DAY)

        assert feed.outcomes == {200, 503}
        assert feed.longest_wait < HOUR / 10
        assert_all_stored_once(receiver, feed)


@contextmanager
def after_an_hour_of_503(feed: Feed, folder: Path, **variables: str) -> Iterator[Receiver]:
    """A receiver whose disk was full for an hour, so that events wait at the sender."""
    inbox = folder / "data/inbox"
    fixed = {"CIO_WEBHOOK_SIGNING_KEYS": feed.key, "CIO_INBOX_MAX_BYTES": str(1 << 30)}
    with small_disk(inbox, "2m"), serving(folder, **fixed, **variables) as receiver:
        feed.enable(receiver.url)
        with full(inbox):
            feed.send(5)
            feed.simulator.advance(HOUR)
        wait_until(lambda: readiness(receiver)["status"] != "refusing")
        yield receiver


@pytest.mark.slow
def test_a_sender_that_repeats_its_first_timestamp_is_accepted_if_the_setting_says_so(
    feed_of: Callable[..., Feed], tmp_path: Path
) -> None:
    """With `CIO_STALE_TIMESTAMPS=accept` the feed continues after a long outage."""
    feed = feed_of(re_sign=False)
    with after_an_hour_of_503(feed, tmp_path, CIO_STALE_TIMESTAMPS="accept") as receiver:
        feed.simulator.advance(7 * DAY)

        assert feed.outcomes == {200, 503}
        assert_all_stored_once(receiver, feed)
        assert receiver.logged("stale_timestamp")


def test_a_sender_that_repeats_its_first_timestamp_waits_one_hour_by_default(
    feed_of: Callable[..., Feed], tmp_path: Path
) -> None:
    """Its first stale try is refused; the second one shows that it repeats, and all go on."""
    feed = feed_of(re_sign=False)
    with after_an_hour_of_503(feed, tmp_path) as receiver:
        feed.simulator.advance(7 * DAY)

        outcomes = [attempt.outcome for attempt in feed.simulator.attempts()]
        assert outcomes.count(401) == 1
        assert set(outcomes) == {200, 401, 503}
        assert_all_stored_once(receiver, feed)


@pytest.mark.slow
def test_a_sender_that_repeats_its_first_timestamp_is_refused_if_the_setting_says_so(
    feed_of: Callable[..., Feed], tmp_path: Path
) -> None:
    """Then the feed stalls; log and `/readyz` report it and name the setting that helps."""
    feed = feed_of(re_sign=False)
    with after_an_hour_of_503(feed, tmp_path, CIO_STALE_TIMESTAMPS="reject") as receiver:
        feed.simulator.advance(3 * HOUR)

        assert 401 in feed.outcomes
        assert feed.longest_wait == HOUR
        assert "CIO_STALE_TIMESTAMPS=accept" in str(receiver.logged("stale_timestamp"))
        assert "CIO_STALE_TIMESTAMPS" in json.dumps(readiness(receiver))
