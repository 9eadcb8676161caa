"""Reporting webhooks and their queues: which events a webhook gets, and which one is tried next.

Does no I/O: `driver` posts the event at the head of a queue, and records the outcome here.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from core.webhooks.signature import SigningKey
from databricks_app.simulator.events.payload import without_content
from databricks_app.simulator.schedule import (
    Ending,
    PostOutcome,
    RetryRules,
    RetryState,
    next_state,
)

if TYPE_CHECKING:
    from core.webhooks.sender import Destination
    from databricks_app.simulator.events.payload import Event

# Older attempts are dropped, so that a long simulation does not fill the memory.
_KEPT_ATTEMPTS = 100_000


@dataclass(frozen=True, slots=True)
class Webhook:
    """The configuration of a reporting webhook.

    Attributes:
        id: Its number.
        name: Its display name.
        endpoint: The URL that it posts to, as given in the call.
        destination: The same URL, parsed.
        events: Names of the events it gets.
        disabled: Whether it is switched off; events of that time are never sent.
        full_resolution: Whether it gets every open and click, or only the first of a delivery.
        with_content: Whether `sent` events contain the message.
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
    """An event that happened; each webhook decides whether it gets it.

    Attributes:
        name: The name that a webhook subscribes to; None: no webhook can subscribe to it.
        event: The whole event, with its content.
        is_first: Whether it is the first event of this metric of its delivery.
    """

    name: str | None
    event: Event
    is_first: bool = True


@dataclass(frozen=True, slots=True)
class Queued:
    """An event in a queue, until it is acknowledged or given up."""

    event_id: str
    name: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PostAttempt:
    """One call of a webhook.

    Attributes:
        webhook_id: Id of the webhook.
        event_id: Id of the event.
        name: Name of the event.
        try_number: Number of the try of this event, from 1.
        at: When the call ended, in Unix seconds of the simulator's clock.
        timestamp: The timestamp header, in Unix seconds of the machine's clock.
        outcome: The status of the answer, or the reason why there was none.
        ending: `acknowledged` or `given_up`; None: the event is tried again.
        next_at: When it is tried again, in Unix seconds of the simulator's clock.
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
    """A webhook with its queue. Only the event at the head is tried.

    Attributes:
        webhook: Its configuration; replaced when that changes.
        key: The key that signs its calls.
        queue: The events that wait, oldest first.
        retry_state: State of the tries of the event at the head; None: the queue is empty.
    """

    def __init__(self, webhook: Webhook, key_text: str) -> None:
        self.webhook = webhook
        self.key_text = key_text
        self.key = SigningKey.from_text(key_text)
        self.queue: deque[Queued] = deque()
        self.retry_state: RetryState | None = None

    @property
    def due_at(self) -> float | None:
        """When the head is tried next; None: the queue is empty or the webhook is disabled."""
        return (
            None if self.retry_state is None or self.webhook.disabled else self.retry_state.next_at
        )

    def take(self, report: Report, at: float) -> bool:
        """Queue an event if the webhook gets it; returns whether it does."""
        webhook = self.webhook
        # As at the vendor, events that happen while a webhook is disabled are never sent to it.
        if webhook.disabled or report.name is None or report.name not in webhook.events:
            return False
        metric = report.event["metric"]
        if metric in {"opened", "clicked"} and not (webhook.full_resolution or report.is_first):
            return False
        event = report.event if webhook.with_content else without_content(report.event)
        self.queue.append(Queued(event["event_id"], report.name, encoded(event)))
        if self.retry_state is None:
            self.retry_state = RetryState(at)
        return True

    def start_attempt(self, at: float) -> float:
        """Record that the head is tried now; returns the time of its first try.

        Raises:
            ValueError: The queue is empty.
        """
        if self.retry_state is None:
            raise ValueError("the queue is empty: there is no event to try")
        if self.retry_state.first_at is None:
            self.retry_state = replace(self.retry_state, first_at=at)
        return at if self.retry_state.first_at is None else self.retry_state.first_at

    def record_outcome(
        self, outcome: PostOutcome, at: float, timestamp: int, rules: RetryRules
    ) -> PostAttempt:
        """Record the outcome of a try; an event that is acknowledged or given up leaves the queue.

        Raises:
            ValueError: The queue is empty.
        """
        if self.retry_state is None:
            raise ValueError("the queue is empty: no event was tried")
        head, before = self.queue[0], self.retry_state
        after = next_state(before, outcome, at, rules)
        if isinstance(after, Ending):
            self.queue.popleft()
            self.retry_state = RetryState(at) if self.queue else None
        else:
            self.retry_state = after
        return PostAttempt(
            webhook_id=self.webhook.id,
            event_id=head.event_id,
            name=head.name,
            try_number=before.failures + 1,
            at=at,
            timestamp=timestamp,
            outcome=outcome,
            ending=after if isinstance(after, Ending) else None,
            next_at=after.next_at if isinstance(after, RetryState) else None,
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
        """Return every webhook, oldest first."""
        return list(self._feeds.values())

    def get(self, webhook_id: int) -> Feed | None:
        """Return one webhook, or None if it does not exist."""
        return self._feeds.get(webhook_id)

    def next_id(self) -> int:
        """Return the id for a new webhook; no id is used twice."""
        self._last_id += 1
        return self._last_id

    def add(self, webhook: Webhook) -> Feed:
        """Add a webhook; its signing key is derived from the seed and its id."""
        text = hashlib.sha256(f"{self._seed}/signing key/{webhook.id}".encode()).hexdigest()
        feed = self._feeds[webhook.id] = Feed(webhook, text)
        return feed

    def remove(self, webhook_id: int) -> Feed | None:
        """Remove a webhook; the events in its queue are never sent."""
        return self._feeds.pop(webhook_id, None)

    def publish(self, report: Report, at: float) -> int:
        """Queue an event at every webhook that gets it; returns how many do."""
        return sum(feed.take(report, at) for feed in self._feeds.values())

    def next_due(self) -> tuple[float, Feed] | None:
        """Return the webhook whose head is tried next, and when; None: no event waits."""
        due = [(feed.due_at, feed) for feed in self._feeds.values()]
        waiting = [(at, feed) for at, feed in due if at is not None]
        return min(waiting, key=lambda pair: pair[0], default=None)


def encoded(value: Event) -> bytes:
    """Write an event as compact JSON in UTF-8."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        # Half a surrogate pair has no bytes in UTF-8, so all text is written with escapes.
        return json.dumps(value, separators=(",", ":")).encode()
