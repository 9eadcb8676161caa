"""Lets time pass: what is due happens, and webhooks are posted, in the order of their times.

The only module that posts. One post is made at a time, so that a run repeats; a receiver that
does not answer holds up the other webhooks for its timeout too, which at the vendor it may not.
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
    from databricks_app.simulator.feeds import Feed, PostAttempt, Queued
    from databricks_app.simulator.schedule import PostOutcome
    from databricks_app.simulator.workspace import SimulatedWorkspace

_LONGEST_WAIT_SECONDS = 60.0


class Driver:
    """Moves a workspace along its clock, by itself in a thread, or step by step."""

    def __init__(
        self, workspace: SimulatedWorkspace, *, wall: Callable[[], float] = time.time
    ) -> None:
        """Prepare.

        Args:
            workspace: What is moved.
            wall: The time of day of the machine, in Unix seconds; the receiver's too.
        """
        self._workspace = workspace
        self._wall = wall
        self._driving = threading.RLock()
        self._woken = threading.Condition()
        self._is_dirty = False
        self._is_stopping = False
        self._tests = 0
        self._senders: dict[int, tuple[str, Sender]] = {}
        self._thread = threading.Thread(target=self._drive, name="driver", daemon=True)

    def start(self) -> None:
        """Let time pass by itself from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End; a post in flight is waited for."""
        self._is_stopping = True
        self.wake()
        if self._thread.is_alive():
            self._thread.join()
        with self._driving:
            for _, sender in self._senders.values():
                sender.close()
            self._senders.clear()

    def wake(self) -> None:
        """Say that something new may be due."""
        with self._woken:
            self._is_dirty = True
            self._woken.notify()

    def advance(self, seconds: float) -> None:
        """Let so much time pass at once; returns when all that it brings has happened."""
        with self._driving:
            clock = self._workspace.clock
            end = clock.now() + seconds
            self._run_until(end)
            clock.jump_to(end)
        self.wake()

    def test(self, feed: Feed) -> PostOutcome:
        """Post a made-up event to a webhook now, past its queue, as the Send Test button does."""
        now = self._workspace.clock.now()
        with self._workspace.lock:
            self._tests += 1
        random = Random(f"{self._workspace.options.seed}/test/{self._tests}")  # noqa: S311
        event = make_event("email", "sent", random=random, at=datetime.fromtimestamp(now, UTC))
        with self._sender(feed) as sender:
            return _post(sender, encoded(event), int(self._wall()))

    def _drive(self) -> None:
        while not self._is_stopping:
            with self._driving:
                self._run_until(self._workspace.clock.now())
            self._wait()

    def _wait(self) -> None:
        with self._workspace.lock:
            due = self._workspace.next_due()
        clock = self._workspace.clock
        # A clock that stands still is looked at as well: somebody may set it going.
        seconds = None if due is None else clock.machine_seconds_until(due)
        seconds = _LONGEST_WAIT_SECONDS if seconds is None else seconds
        with self._woken:
            if not self._is_dirty:
                self._woken.wait(min(seconds, _LONGEST_WAIT_SECONDS))
            self._is_dirty = False

    def _run_until(self, end: float) -> None:
        workspace = self._workspace
        while not self._is_stopping:
            with workspace.lock:
                due = workspace.next_due()
                if due is None or due > end:
                    return
                workspace.clock.jump_to(due)
                if workspace.scheduler.next_at == due:
                    at, call = workspace.scheduler.pop()
                    call(at)
                    continue
                feed = self._head()
            self._call(*feed)

    def _head(self) -> tuple[Feed, Queued]:
        found = self._workspace.feeds.next_due()
        if found is None:
            raise ValueError("nothing is due")
        return found[1], found[1].queue[0]

    def _call(self, feed: Feed, head: Queued) -> PostAttempt | None:
        """Post what is at the head of a queue, and note what came of it."""
        workspace, rules = self._workspace, self._workspace.options.rules
        began = workspace.clock.now()
        with workspace.lock:
            first_at = feed.begin(began)
        signed = began if rules.re_sign else first_at
        # The receiver uses the machine's clock: the header is as old there as it is here.
        timestamp = int(self._wall() - (began - signed))
        outcome = _post(self._kept_sender(feed), head.body, timestamp)
        with workspace.lock:
            if not feed.queue or feed.queue[0] is not head:
                return None  # the webhook was deleted meanwhile
            attempt = feed.record(outcome, workspace.clock.now(), timestamp, rules)
            workspace.feeds.attempts.append(attempt)
        return attempt

    def _kept_sender(self, feed: Feed) -> Sender:
        """The connection of a webhook, made anew when its endpoint changes."""
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
        return Sender(feed.webhook.destination, feed.key, timeout_seconds=timeout)


def _post(sender: Sender, body: bytes, timestamp: int) -> PostOutcome:
    try:
        return sender.post(body, timestamp=timestamp).status
    except NoAnswer as error:
        return error.reason
