"""The pages `/readyz` and `/metrics`, each made at most once a second. Knows no web framework.

A page never fails because of what it reports. What cannot be read is said in the page.
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
from databricks_app.runtime import freshness, status
from databricks_app.runtime.metrics import Metrics
from databricks_app.settings import Settings

# Longer than the inbox is waited for: then the page says that it does not answer.
_PAGE_SECONDS = HANGING_SECONDS + 1.0


@dataclass(frozen=True, slots=True)
class ReadyPage:
    """What `/readyz` answers.

    Attributes:
        status_code: 503 if the receiver would refuse now, else 200.
        detail: JSON for those who may see details.
        status: JSON for all others.
    """

    status_code: int
    detail: bytes
    status: bytes


@dataclass(frozen=True, slots=True)
class _InboxState:
    """What is known of the inbox.

    Attributes:
        trouble: Why an append would fail now; None if it would not.
        pending: What waits in it; None if that is not known.
        unknown: Why it cannot be known.
    """

    trouble: str | None
    pending: Pending | None
    unknown: str | None = None


class StatusPages:
    """Makes the pages of one web process. Threads share one."""

    def __init__(
        self,
        settings: Settings,
        receiver: WebhookReceiver,
        metrics: Metrics,
        pending: Callable[[], Pending | None],
        now: Callable[[], float] = time.time,
    ) -> None:
        """Make nothing yet.

        Args:
            settings: Of the receiver.
            receiver: Says whether it would refuse.
            metrics: What is counted.
            pending: Counts what waits in the inbox; None before the first count. Raises OSError
                or InboxError if it cannot be counted.
            now: Unix seconds.
        """
        self._settings = settings
        self._receiver = receiver
        self._metrics = metrics
        self._pending = pending
        self._now = now
        self._inbox = RecentValue(self._look_at_inbox, HANGING_SECONDS)
        self._readyz = RecentValue(self._make_readyz, _PAGE_SECONDS)
        self._exposition = RecentValue(self._make_exposition, _PAGE_SECONDS)

    def readyz(self) -> ReadyPage:
        """Return the readiness of at most two seconds ago."""
        return self._readyz.get()

    def exposition(self) -> bytes:
        """Return the metrics of all processes, and the state of the inbox, in the same way."""
        return self._exposition.get()

    def _make_readyz(self) -> ReadyPage:
        inbox = self._inbox_state()
        folder = status.run_dir()
        unknown = [inbox.unknown, status.unreadable(folder)]
        try:
            stale = self._metrics.stale_total()
        except OSError as error:
            stale = 0.0
            unknown.append(f"the counters of all processes cannot be read ({_reason(error)})")
        said = readiness(
            trouble=inbox.trouble,
            pending=inbox.pending,
            loader=status.read(folder),
            processes=status.read_problems(folder),
            unknown=tuple(words for words in unknown if words is not None),
            stale_requests=stale,
            takes_stale=self._settings.stale_timestamps == "accept",
            stall_seconds=freshness.stall_seconds(self._settings),
            now=self._now(),
        )
        return ReadyPage(
            200 if inbox.trouble is None else 503, _json(said), _json({"status": said["status"]})
        )

    def _make_exposition(self) -> bytes:
        pending = self._inbox_state().pending
        loader = status.read(status.run_dir())
        now = self._now()
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
                "Events stored and not yet in the tables; NaN if not known now.",
            ),
            "inbox_pending_bytes": (
                math.nan if pending is None else pending.bytes,
                "Bytes of the segments that hold them; NaN if not known now.",
            ),
            "oldest_pending_seconds": (oldest, "Age of the oldest of them; NaN if not known now."),
            "writer_silent_seconds": (
                now - loader.at if loader else -1,
                "Since the loader last reported; -1 if it never did.",
            ),
            "counters_readable": (
                is_readable,
                "1 if the counters of all processes can be read; 0: they are left out here.",
            ),
        }
        lines = [
            f"# HELP ciolake_{name} {meaning}\n# TYPE ciolake_{name} gauge\nciolake_{name} "
            f"{'NaN' if math.isnan(value) else value}\n"
            for name, (value, meaning) in gauges.items()
        ]
        return counters + "".join(lines).encode()

    def _inbox_state(self) -> _InboxState:
        try:
            return self._inbox.get()
        except TimeoutError:
            seconds = self._inbox.seconds_under_way
            # An append would not be durable in time either.
            return _InboxState(
                f"the disk of the inbox has not answered for {seconds:.0f} s",
                None,
                "what waits in the inbox is not known",
            )

    def _look_at_inbox(self) -> _InboxState:
        trouble = self._receiver.trouble()
        try:
            return _InboxState(trouble, self._pending())
        except (OSError, InboxError) as error:
            words = f"what waits in the inbox is not known ({_reason(error)})"
            return _InboxState(trouble, None, words)


def _reason(error: Exception) -> str:
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or str(error) or type(error).__name__


def _json(said: dict[str, object]) -> bytes:
    return json.dumps(said).encode() + b"\n"
