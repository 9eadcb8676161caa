"""Each kind of failure, tried by Customer.io's own rules for a week, is an alert after two tries.

After 400, 401, 404, 405 and others the vendor waits an hour; after other failures its waits grow.
The clock is virtual, and the receiver is the real application with the fault in it.
https://docs.customer.io/integrations/api/webhooks
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from core.webhooks.signature import SigningKey, sign
from databricks_app.app import create_app
from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.errors import InboxError, InboxFull, InboxTimeout
from databricks_app.events.record import Record
from databricks_app.ingest.inbox import Pending
from databricks_app.ingest.stale_timestamps import StaleTimestamps
from databricks_app.ingest.verified_keys import VerifiedKeys
from databricks_app.operations.alerting.process import sample
from databricks_app.operations.alerting.rules import AlertChange, AlertRules, Sample
from databricks_app.runtime.metrics import Metrics
from databricks_app.runtime.shared_marks import SharedMarks
from databricks_app.runtime.status import RUN_DIR
from databricks_app.settings import Settings
from databricks_app.simulator.schedule import RetryRules, RetryState, next_state
from tests.support.still_time import FixedClock

HOUR, WEEK = 3600.0, 7 * 86400.0
LOOK_SECONDS = 10.0
KEY, OTHER = SigningKey.from_text("test_signing_key"), SigningKey.from_text("another key")
BODY = b'{"event_id":"e1"}'


class BrokenInbox:
    """An inbox that refuses each record with the same error; None: it stores."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def append(self, _record: Record, _deadline_seconds: float) -> None:
        """Refuse."""
        if self.error is not None:
            raise self.error

    def trouble(self) -> str | None:
        """Say nothing before the first refusal."""
        return None

    def close(self) -> None:
        """Hold nothing."""


@dataclass(frozen=True)
class Failure:
    """A kind of failure: what is wrong with the receiver, or with what reaches it.

    Attributes:
        alert: The alert that reports it.
        status: The answer that Customer.io gets.
        settings: Changes of the settings.
        error: What the inbox raises.
        key: The key that Customer.io signs with.
        change: What something on the way does to path, method, headers and body.
        clock_seconds: How far the receiver's clock is ahead.
        is_proven: Whether another webhook of the workspace has just verified a request.
    """

    alert: str
    status: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    error: Exception | None = None
    key: SigningKey = KEY
    change: Mapping[str, Any] = field(default_factory=dict)
    clock_seconds: float = 0.0
    is_proven: bool = False


def without(*names: str) -> Mapping[str, Any]:
    """What a proxy does that drops these headers."""
    return {"headers": dict.fromkeys(names)}


FAILURES = {
    "wrong key": Failure("wrong_signatures", 503, key=OTHER),
    "wrong key, always 401": Failure(
        "wrong_signatures", 401, {"unverified_status": 401}, key=OTHER
    ),
    "wrong key, another webhook is right": Failure(
        "wrong_signatures", 401, key=OTHER, is_proven=True
    ),
    "body changed by a proxy": Failure(
        "wrong_signatures", 401, change={"body": b"{}"}, is_proven=True
    ),
    "header dropped": Failure("refused_requests", 401, change=without("X-CIO-Signature")),
    "header changed": Failure(
        "refused_requests", 401, change={"headers": {"X-CIO-Timestamp": "tomorrow"}}
    ),
    "wrong path": Failure("refused_requests", 404, change={"path": "/webhooks"}),
    "redirect to GET": Failure("refused_requests", 405, change={"method": "GET"}),
    "body too large": Failure(
        "refused_requests", 413, {"max_body_bytes": 10}, change={"body": bytes(100)}
    ),
    "clock ahead": Failure("stale_timestamps", 401, clock_seconds=1200),
    "clock behind, refused": Failure(
        "stale_timestamps", 401, {"stale_timestamps": "reject"}, clock_seconds=-1200
    ),
    "no key": Failure("refused_requests", 503, {"signing_keys": ()}),
    "inbox full": Failure("refused_requests", 503, error=InboxFull("the inbox is full: wait")),
    "inbox broken": Failure("refused_requests", 503, error=InboxError("read-only: mount it")),
    "inbox slow": Failure("refused_requests", 503, error=InboxTimeout("too slow")),
    "bug": Failure("refused_requests", 503, error=ZeroDivisionError()),
}


@dataclass
class Story:
    """Customer.io, the receiver with its fault, and the alerting process, on one clock."""

    failure: Failure
    client: FlaskClient
    metrics: Metrics
    marks: SharedMarks
    verified: VerifiedKeys
    stale: StaleTimestamps
    clock: FixedClock
    rules: AlertRules = field(default_factory=AlertRules)
    tries: list[int] = field(default_factory=list)
    changes: list[tuple[int, AlertChange]] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        """Let Customer.io try one event by its rules, and look every half hour at least."""
        start = self.clock.at
        state: object = RetryState(start)
        while isinstance(state, RetryState) and self.clock.at < start + seconds:
            for at in _looks(self.clock.at, state.next_at):
                self._look(at)
            self.clock.at = state.next_at
            status = self.post()
            self.tries.append(status)
            state = next_state(state, status, self.clock.at, RetryRules())
            self._look(self.clock.at + LOOK_SECONDS)

    def post(self) -> int:
        """Post the event, signed now by Customer.io's clock."""
        at, change = int(self.clock.at), self.failure.change
        if self.failure.is_proven:
            self.marks.note_verified(KEY.fingerprint, self.clock.at)
        headers = {
            "X-CIO-Timestamp": str(at),
            "X-CIO-Signature": sign(self.failure.key, at, BODY),
            **change.get("headers", {}),
        }
        answer = self.client.open(
            change.get("path", WEBHOOK_PATH),
            method=change.get("method", "POST"),
            data=change.get("body", BODY),
            headers={name: value for name, value in headers.items() if value is not None},
        )
        return answer.status_code

    def _look(self, at: float) -> None:
        self.clock.at = max(self.clock.at, at)
        now = self.clock.at + self.failure.clock_seconds
        seen = sample(self.metrics.totals(), Pending(0, 0, None), now, self.verified, self.stale)
        self.changes += [(len(self.tries), one) for one in self.rules.observe(seen)]


def _looks(start: float, end: float) -> Iterator[float]:
    at = start + 1800
    while at < end:
        yield at
        at += 1800


@pytest.fixture
def story(
    settings: Settings, now: FixedClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Failure], Story]:
    """Make the story of a failure."""
    (tmp_path / "run").mkdir()
    monkeypatch.setenv(RUN_DIR, str(tmp_path / "run"))

    def make(failure: Failure) -> Story:
        made = replace(settings, **{"signing_keys": (KEY,), **failure.settings})
        metrics, marks = Metrics(), SharedMarks(tmp_path / "run")
        app = create_app(
            made,
            inbox=BrokenInbox(failure.error),
            now=lambda: now.at + failure.clock_seconds,
            metrics=metrics,
        )
        verified = VerifiedKeys(made.signing_keys or (), {}, marks)
        stale = StaleTimestamps(made.stale_timestamps, marks)
        return Story(failure, app.test_client(), metrics, marks, verified, stale, now)

    return make


@pytest.mark.parametrize("kind", FAILURES)
def test_each_kind_of_failure_is_one_alert_within_two_tries(
    story: Callable[[Failure], Story], kind: str
) -> None:
    """It lasts as long as the failure: neither silence for a week nor an alert each hour."""
    failure = FAILURES[kind]
    told = story(failure)

    told.run(WEEK)

    assert told.tries[0] == failure.status
    assert [(one.alert, one.state) for _, one in told.changes] == [(failure.alert, "firing")]
    tries_before, change = told.changes[0]
    assert tries_before <= 2
    assert change.text


@pytest.mark.parametrize("kind", FAILURES)
def test_each_alert_ends_when_requests_are_accepted_again(
    story: Callable[[Failure], Story], kind: str
) -> None:
    """At the latest when nothing was refused for two hours and a half."""
    told = story(FAILURES[kind])
    told.run(6 * HOUR)

    told.metrics.accepted.labels(KEY.fingerprint).inc()
    told.marks.note_verified(KEY.fingerprint, told.clock.at + told.failure.clock_seconds)
    start = told.clock.at
    for minutes in range(10, 180, 10):
        told._look(start + minutes * 60)

    assert [one.state for _, one in told.changes] == ["firing", "resolved"]


def test_a_slow_disk_for_a_moment_is_no_alert(story: Callable[[Failure], Story]) -> None:
    """Many requests are refused at once, and all are accepted when they come again."""
    told = story(Failure("", 503, error=InboxTimeout("too slow")))
    for _ in range(20):
        told.post()
    told.metrics.accepted.labels(KEY.fingerprint).inc(20)
    told._look(told.clock.at + LOOK_SECONDS)

    assert told.changes == []


def test_strangers_on_other_paths_are_no_alert(story: Callable[[Failure], Story]) -> None:
    """They do not send the signature header of Customer.io."""
    told = story(Failure("", 404, change={"path": "/wp-login.php"} | without("X-CIO-Signature")))

    told.run(6 * HOUR)

    assert set(told.tries) == {404}
    assert told.changes == []


def test_a_steady_feed_that_no_longer_arrives_is_an_alert_within_two_tries(
    now: FixedClock,
) -> None:
    """A refused connection, DNS or a certificate: an hour a try, and nothing is seen here."""
    rules, start = AlertRules(), now.at
    changes: list[AlertChange] = []
    for minute in range(24 * 60):
        events = 3.0 * min(minute, 12 * 60)
        changes += rules.observe(Sample(start + minute * 60, accepted=events))

    (change,) = changes
    assert (change.alert, change.state) == ("feed_silent", "firing")
    assert change.at - (start + 12 * HOUR) < RetryRules().hour_seconds * 2
