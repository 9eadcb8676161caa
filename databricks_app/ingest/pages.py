"""Create the pages `/readyz` and `/metrics`, each at most once a second. Imports no web framework.

A page never fails because of its content: if something cannot be read, the page says so.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from databricks_app.errors import InboxError
from databricks_app.ingest.inbox import Pending
from databricks_app.ingest.inbox.local import HANGING_SECONDS
from databricks_app.ingest.readiness import readiness
from databricks_app.ingest.receiver import WebhookReceiver
from databricks_app.ingest.recent import RecentValue
from databricks_app.runtime import freshness, sender_pace, status
from databricks_app.runtime.metrics import Metrics
from databricks_app.runtime.shared_calls import SharedCalls
from databricks_app.settings import Settings

KEY_VERIFIED = "ciolake_key_verified_timestamp_seconds"
# Longer than the wait for the inbox, so that the page can still say that the inbox does not answer.
_PAGE_SECONDS = HANGING_SECONDS + 1.0


@dataclass(frozen=True, slots=True)
class ReadyPage:
    """The answer of `/readyz`.

    Attributes:
        status_code: 503 if the receiver would refuse an event now, else 200.
        detail: JSON for readers who may see details.
        status: JSON for all other readers.
    """

    status_code: int
    detail: bytes
    status: bytes


@dataclass(frozen=True, slots=True)
class _InboxState:
    """The state of the inbox.

    Attributes:
        trouble: Why an append would fail now; None if it would succeed.
        pending: The events that wait in the inbox; None if they could not be counted.
        unknown: Why they could not be counted.
    """

    trouble: str | None
    pending: Pending | None
    unknown: str | None = None


class StatusPages:
    """Creates the pages of one web process. Safe for several threads."""

    def __init__(
        self,
        settings: Settings,
        receiver: WebhookReceiver,
        metrics: Metrics,
        calls: SharedCalls,
        pending: Callable[[], Pending | None],
        now: Callable[[], float] = time.time,
    ) -> None:
        """Create it; pages are made on request.

        Args:
            settings: Settings of the receiver.
            receiver: Tells whether it would refuse an event.
            metrics: The counters to show.
            calls: The calls of the sender.
            pending: Counts the events that wait in the inbox; returns None before the first count.
                Raises OSError or InboxError if they cannot be counted.
            now: Clock, Unix seconds.
        """
        self._settings = settings
        self._receiver = receiver
        self._metrics = metrics
        self._calls = calls
        self._pending = pending
        self._now = now
        self._inbox = RecentValue(self._read_inbox, HANGING_SECONDS)
        self._readyz = RecentValue(self._make_readyz, _PAGE_SECONDS)
        self._exposition = RecentValue(self._make_exposition, _PAGE_SECONDS)

    def readyz(self) -> ReadyPage:
        """Return the readiness, at most two seconds old."""
        return self._readyz.get()

    def exposition(self) -> bytes:
        """Return the metrics of all processes and the gauges of the inbox, at most two s old."""
        return self._exposition.get()

    def _make_readyz(self) -> ReadyPage:
        inbox = self._inbox_state()
        now = self._now()
        folder = status.run_dir()
        loader = status.read(folder)
        unknown = [inbox.unknown, status.unreadable(folder)]
        try:
            stale = self._metrics.stale_total()
        except OSError as error:
            stale = 0.0
            unknown.append(f"the counters of all processes cannot be read ({_reason(error)})")
        content = readiness(
            trouble=inbox.trouble,
            pending=inbox.pending,
            loader=loader,
            processes=status.read_problems(folder),
            unknown=tuple(problem for problem in unknown if problem is not None),
            stale_requests=stale,
            stale_policy=self._settings.stale_timestamps,
            expects_stale=self._receiver.stale.expects_stale(now),
            suspects=self._receiver.verified.suspect(now),
            signature_faults=self._receiver.diagnosis.recent(now),
            verified_at=self._receiver.verified.times(),
            stall_seconds=freshness.stall_seconds(
                self._settings, None if loader is None else loader.warehouse
            ),
            freshness_setting=freshness.setting_name(self._settings),
            calls=self._calls.last_minute(time.monotonic()),
            now=now,
        )
        status_code = 200 if inbox.trouble is None else 503
        return ReadyPage(status_code, _json(content), _json({"status": content["status"]}))

    def _make_exposition(self) -> bytes:
        pending = self._inbox_state().pending
        loader = status.read(status.run_dir())
        now = self._now()
        # NaN, not 0: an unknown number must not look like an empty inbox.
        oldest = 0.0
        if pending is None:
            oldest = math.nan
        elif pending.oldest_at is not None:
            oldest = max(0.0, now - pending.oldest_at.timestamp())
        try:
            counters, is_readable = self._metrics.exposition(), 1
        except OSError:
            counters, is_readable = b"", 0
        gauges = {
            "inbox_pending_events": (
                math.nan if pending is None else pending.events,
                "Events that are stored and not yet in the tables; NaN if not known.",
            ),
            "inbox_pending_bytes": (
                math.nan if pending is None else pending.bytes,
                "Bytes of the segments with pending events; NaN if not known.",
            ),
            "oldest_pending_seconds": (
                oldest,
                "Age of the oldest pending event; NaN if not known.",
            ),
            "writer_silent_seconds": (
                now - loader.at if loader else -1,
                "Seconds since the loader last wrote its status; -1 if it never did.",
            ),
            "sender_calls_in_flight": (
                self._calls.in_flight(time.monotonic()),
                "Verified calls of the sender that wait for our answer now.",
            ),
            "sender_most_events_per_second": (
                sender_pace.most_events(self._calls.last_minute(time.monotonic())) or math.nan,
                "What a sender can send at most that waits for our answers; NaN if it does not.",
            ),
            "counters_readable": (
                is_readable,
                "1 if the counters of all processes can be read; 0 if they are missing here.",
            ),
        }
        if loader is not None and loader.warehouse is not None:
            gauges["warehouse_seconds_today"] = (
                loader.warehouse.seconds_today,
                "Seconds that the warehouse ran for the loader in this UTC day, an estimate.",
            )
        lines = [
            f"# HELP ciolake_{name} {meaning}\n# TYPE ciolake_{name} gauge\nciolake_{name} "
            f"{'NaN' if math.isnan(value) else value}\n"
            for name, (value, meaning) in gauges.items()
        ]
        lines.append(
            f"# HELP {KEY_VERIFIED} When a signing key last verified a request of Customer.io, "
            f"Unix seconds; 0 if it did not since the start.\n# TYPE {KEY_VERIFIED} gauge\n"
        )
        lines += [
            f'{KEY_VERIFIED}{{key="{fingerprint}"}} {at or 0.0}\n'
            for fingerprint, at in self._receiver.verified.times().items()
        ]
        return counters + "".join(lines).encode()

    def _inbox_state(self) -> _InboxState:
        try:
            return self._inbox.get()
        except TimeoutError:
            seconds = self._inbox.seconds_under_way
            # This is trouble, not only unknown: an append would not be durable in time either.
            return _InboxState(
                f"the disk of the inbox has not answered for {seconds:.0f} s",
                None,
                "the events in the inbox cannot be counted",
            )

    def _read_inbox(self) -> _InboxState:
        trouble = self._receiver.trouble()
        try:
            return _InboxState(trouble, self._pending())
        except (OSError, InboxError) as error:
            problem = f"the events in the inbox cannot be counted ({_reason(error)})"
            return _InboxState(trouble, None, problem)


def _reason(error: Exception) -> str:
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or str(error) or type(error).__name__


def _json(content: dict[str, object]) -> bytes:
    return json.dumps(content).encode() + b"\n"
