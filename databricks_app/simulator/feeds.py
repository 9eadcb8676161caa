"""Reporting webhooks and their queues: which events one gets, and which is at its head.

Does no I/O: `driver` posts what is at the head and notes the outcome here.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from core.webhooks.signature import SigningKey
from databricks_app.simulator.events.payload import without_content
from databricks_app.simulator.schedule import Ending, PostOutcome, RetryRules, Trial, after

if TYPE_CHECKING:
    from core.webhooks.sender import Destination
    from databricks_app.simulator.events.payload import Event

_KEPT_ATTEMPTS = 100_000


@dataclass(frozen=True, slots=True)
class Webhook:
    """A reporting webhook as it is configured.

    Attributes:
        id: Its number.
        name: For people.
        endpoint: Where it posts to, as it was written.
        destination: The same, taken apart.
        events: Names of the events it gets.
        disabled: Whether it gets none for now.
        full_resolution: Whether it gets every open and click, or the first of a delivery only.
        with_content: Whether `sent` events carry the message.
    """

    id: int
    name: str
    endpoint: str
    destination: Destination
    events: tuple[str, ...]
    disabled: bool = False
    full_resolution: bool = False
    with_content: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """An event that happened, before any webhook takes it.

    Attributes:
        name: What a webhook subscribes to; None: nobody can.
        event: The whole event, its content included.
        is_first: Whether it is the delivery's first of its metric.
    """

    name: str | None
    event: Event
    is_first: bool = True


@dataclass(frozen=True, slots=True)
class Queued:
    """An event that waits for its acknowledgement."""

    event_id: str
    name: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PostAttempt:
    """One call that was made.

    Attributes:
        webhook_id: Whose.
        event_id: Of which event.
        name: The event's name.
        try_number: From 1.
        at: When, by the simulator's clock, in Unix seconds.
        timestamp: What the header said, by the machine's clock.
        outcome: A status, or why nothing came back.
        ending: `acknowledged` or `given_up`; None: it is tried again.
        next_at: When.
    """

    webhook_id: int
    event_id: str
    name: str
    try_number: int
    at: float
    timestamp: int
    outcome: PostOutcome
    ending: Ending | None
    next_at: float | None


class Feed:
    """A webhook with its queue; only the event at the head is ever tried.

    Attributes:
        webhook: Its configuration; replaced when that changes.
        key: Signs its calls.
        queue: What waits, oldest first.
        trial: How far the head has come; None: the queue is empty.
    """

    def __init__(self, webhook: Webhook, key_text: str) -> None:
        self.webhook = webhook
        self.key_text = key_text
        self.key = SigningKey.from_text(key_text)
        self.queue: deque[Queued] = deque()
        self.trial: Trial | None = None

    @property
    def due_at(self) -> float | None:
        """When the head is to be tried; None: there is none, or the webhook is disabled."""
        return None if self.trial is None or self.webhook.disabled else self.trial.next_at

    def take(self, report: Report, at: float) -> bool:
        """Queue an event, if the webhook gets it."""
        webhook = self.webhook
        if webhook.disabled or report.name is None or report.name not in webhook.events:
            return False
        metric = report.event["metric"]
        if metric in {"opened", "clicked"} and not (webhook.full_resolution or report.is_first):
            return False
        event = report.event if webhook.with_content else without_content(report.event)
        self.queue.append(Queued(event["event_id"], report.name, encoded(event)))
        if self.trial is None:
            self.trial = Trial(at)
        return True

    def begin(self, at: float) -> float:
        """Say that the head is tried now; returns when it was tried first.

        Raises:
            ValueError: The queue is empty.
        """
        if self.trial is None:
            raise ValueError("nothing is to be tried")
        if self.trial.first_at is None:
            self.trial = replace(self.trial, first_at=at)
        return at if self.trial.first_at is None else self.trial.first_at

    def record(
        self, outcome: PostOutcome, at: float, timestamp: int, rules: RetryRules
    ) -> PostAttempt:
        """Note the outcome of trying the head; if it is done with, the next event becomes the head.

        Raises:
            ValueError: The queue is empty.
        """
        if self.trial is None:
            raise ValueError("nothing was to be tried")
        head, trial = self.queue[0], self.trial
        then = after(trial, outcome, at, rules)
        ending = then if isinstance(then, Ending) else None
        if isinstance(then, Ending):
            self.queue.popleft()
            self.trial = Trial(at) if self.queue else None
        else:
            self.trial = then
        return PostAttempt(
            self.webhook.id,
            head.event_id,
            head.name,
            trial.failures + 1,
            at,
            timestamp,
            outcome,
            ending,
            then.next_at if isinstance(then, Trial) else None,
        )


class Feeds:
    """All webhooks of the workspace.

    Attributes:
        attempts: The newest calls, oldest first.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._feeds: dict[int, Feed] = {}
        self._last_id = 0
        self.attempts: deque[PostAttempt] = deque(maxlen=_KEPT_ATTEMPTS)

    def all(self) -> list[Feed]:
        """Every webhook, oldest first."""
        return list(self._feeds.values())

    def get(self, webhook_id: int) -> Feed | None:
        """One webhook."""
        return self._feeds.get(webhook_id)

    def next_id(self) -> int:
        """Count on."""
        self._last_id += 1
        return self._last_id

    def add(self, webhook: Webhook) -> Feed:
        """Add a webhook; its signing key follows from the seed and its number."""
        text = hashlib.sha256(f"{self._seed}/signing key/{webhook.id}".encode()).hexdigest()
        feed = self._feeds[webhook.id] = Feed(webhook, text)
        return feed

    def remove(self, webhook_id: int) -> Feed | None:
        """Remove a webhook; what waits in its queue is never sent."""
        return self._feeds.pop(webhook_id, None)

    def publish(self, report: Report, at: float) -> int:
        """Queue an event wherever it is wanted; returns at how many webhooks."""
        return sum(feed.take(report, at) for feed in self._feeds.values())

    def next_due(self) -> tuple[float, Feed] | None:
        """The head that is to be tried first, and when."""
        due = [(feed.due_at, feed) for feed in self._feeds.values()]
        waiting = [(at, feed) for at, feed in due if at is not None]
        return min(waiting, key=lambda pair: pair[0], default=None)


def encoded(value: Event) -> bytes:
    """Write JSON in UTF-8; half a surrogate pair, which has no bytes there, as an escape."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()
