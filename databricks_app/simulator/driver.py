"""The driver: makes scheduled calls and posts webhooks, in the order in which they are due.

It is the only module that posts. It makes one post at a time, so that a run can be repeated
exactly. So a receiver that does not answer delays the other webhooks too, until its timeout; at the
vendor it perhaps does not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING

from core.webhooks.sender import NoAnswer, Sender
from databricks_app.simulator.events.payload import make_event
from databricks_app.simulator.feeds import encoded

if TYPE_CHECKING:
    from databricks_app.simulator.feeds import Feed, Queued
    from databricks_app.simulator.schedule import PostOutcome
    from databricks_app.simulator.workspace import SimulatedWorkspace

_MAX_WAIT_SECONDS = 60.0


class Driver:
    """Advances a workspace: in its own thread as the clock runs, or step by step."""

    def __init__(
        self, workspace: SimulatedWorkspace, *, wall: Callable[[], float] = time.time
    ) -> None:
        """Prepare; nothing happens before `start` or `advance`.

        Args:
            workspace: The workspace to advance.
            wall: Returns the machine's time of day in Unix seconds, which the receiver uses too.
        """
        self._workspace = workspace
        self._wall = wall
        self._driving = threading.RLock()
        self._woken = threading.Condition()
        self._is_woken = False
        self._is_stopping = False
        self._tests = 0
        self._senders: dict[int, tuple[str, Sender]] = {}
        self._thread = threading.Thread(target=self._run, name="driver", daemon=True)

    def start(self) -> None:
        """Start the thread that does what is due as the clock runs."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, after the post that it is making has ended."""
        self._is_stopping = True
        self.wake()
        if self._thread.is_alive():
            self._thread.join()
        with self._driving:
            for _, sender in self._senders.values():
                sender.close()
            self._senders.clear()

    def wake(self) -> None:
        """Wake the thread, because something new may be due."""
        with self._woken:
            self._is_woken = True
            self._woken.notify()

    def advance(self, seconds: float) -> None:
        """Advance the clock at once; returns when everything due by then has happened."""
        with self._driving:
            clock = self._workspace.clock
            end = clock.now() + seconds
            self._run_until(end)
            clock.jump_to(end)
        self.wake()

    def test(self, feed: Feed) -> PostOutcome:
        """Post a sample event at once, without the queue, as the Send Test button does."""
        now = self._workspace.clock.now()
        with self._workspace.lock:
            self._tests += 1
        random = Random(f"{self._workspace.options.seed}/test/{self._tests}")  # noqa: S311
        event = make_event("email", "sent", random=random, at=datetime.fromtimestamp(now, UTC))
        with self._sender(feed) as sender:
            return _post(sender, encoded(event), int(self._wall()))

    def _run(self) -> None:
        while not self._is_stopping:
            with self._driving:
                self._run_until(self._workspace.clock.now())
            self._wait()

    def _wait(self) -> None:
        with self._workspace.lock:
            due = self._workspace.next_due()
        clock = self._workspace.clock
        seconds = None if due is None else clock.machine_seconds_until(due)
        # While the clock stands still the wait is limited too: its speed may be changed.
        seconds = _MAX_WAIT_SECONDS if seconds is None else seconds
        with self._woken:
            if not self._is_woken:
                self._woken.wait(min(seconds, _MAX_WAIT_SECONDS))
            self._is_woken = False

    def _run_until(self, end: float) -> None:
        """Do everything that is due by this time, earliest first."""
        workspace = self._workspace
        while not self._is_stopping:
            with workspace.lock:
                due = workspace.next_due()
                if due is None or due > end:
                    return
                workspace.clock.jump_to(due)
                # At the same time a scheduled call comes before a post: it may report the event
                # that is posted.
                if workspace.scheduler.next_at == due:
                    at, call = workspace.scheduler.pop()
                    call(at)
                    continue
                next_post = workspace.feeds.next_due()
                if next_post is None:
                    raise ValueError("no post is due")
                feed = next_post[1]
                head = feed.queue[0]
            self._post_head(feed, head)

    def _post_head(self, feed: Feed, head: Queued) -> None:
        """Post the event at the head of a queue, and record the outcome."""
        workspace, rules = self._workspace, self._workspace.options.rules
        started_at = workspace.clock.now()
        with workspace.lock:
            first_at = feed.start_attempt(started_at)
        signed_at = started_at if rules.re_sign else first_at
        # The receiver compares the timestamp with the machine's clock, not with the simulated one.
        # So the header gets the machine's time, minus the simulated age of the signature.
        timestamp = int(self._wall() - (started_at - signed_at))
        # Without the lock, so that other calls are answered during the post.
        outcome = _post(self._kept_sender(feed), head.body, timestamp)
        with workspace.lock:
            # The event is no longer at the head if the webhook was deleted during the post.
            if feed.queue and feed.queue[0] is head:
                attempt = feed.record_outcome(outcome, workspace.clock.now(), timestamp, rules)
                workspace.feeds.attempts.append(attempt)

    def _kept_sender(self, feed: Feed) -> Sender:
        """Return the webhook's open connection, or a new one if its endpoint has changed."""
        webhook = feed.webhook
        endpoint, sender = self._senders.get(webhook.id, ("", None))
        if sender is None or endpoint != webhook.endpoint:
            if sender is not None:
                sender.close()
            sender = self._sender(feed)
            self._senders[webhook.id] = webhook.endpoint, sender
        return sender

    def _sender(self, feed: Feed) -> Sender:
        timeout = self._workspace.options.rules.timeout_seconds
        # Unmarked: the receiver must take these posts for those of Customer.io.
        return Sender(feed.webhook.destination, feed.key, timeout_seconds=timeout, is_test=False)


def _post(sender: Sender, body: bytes, timestamp: int) -> PostOutcome:
    try:
        return sender.post(body, timestamp=timestamp).status
    except NoAnswer as error:
        return error.reason
