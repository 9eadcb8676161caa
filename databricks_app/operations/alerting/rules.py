"""When to alert: rules over a few numbers, each firing once and clearing once.

Pure: samples in, changes out. `operations.alerting.process` has the clock and sends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from databricks_app.ingest.warnings import REPORT_SECONDS, suspicion

Name = Literal["feed_silent", "backlog", "unrouted_growth", "stale_timestamps", "wrong_signatures"]

WEEK_SECONDS = 7 * 86400.0
HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What is known at one moment; the totals only grow while the service runs.

    Attributes:
        at: Unix seconds.
        accepted: Events accepted so far.
        unrouted: Raw-only rows so far.
        stale: Rightly signed requests outside the time window so far.
        wrong_signatures: Requests with a wrong signature so far.
        pending_events: Events in the inbox.
        oldest_pending_seconds: Age of the oldest of them; 0 if there is none.
        suspects: Workspaces whose signing key may be wrong, see `ingest.verified_keys`.
        stale_advice: How stale requests are treated now, and what to do.
    """

    at: float
    accepted: float = 0
    unrouted: float = 0
    stale: float = 0
    wrong_signatures: float = 0
    pending_events: int = 0
    oldest_pending_seconds: float = 0
    suspects: tuple[str, ...] = ()
    stale_advice: str = ": check the clock of this machine"


@dataclass(frozen=True, slots=True)
class AlertLimits:
    """When a rule fires.

    Attributes:
        silent_seconds: A feed is never called silent before that long without an event.
        silent_factor: Nor before so many times the longest pause of the last seven days.
        least_events: Nor before it has delivered so many.
        backlog_seconds: Age of the oldest unloaded event.
        unrouted_share: Share of the last hour's events that no table takes.
        unrouted_events: And at least so many of them.
        signatures: Wrong signatures in the last `REPORT_SECONDS`, while every key is known to be
            right. After each Customer.io may wait an hour.
    """

    silent_seconds: float = 900
    silent_factor: float = 2
    least_events: int = 100
    backlog_seconds: float = 600
    unrouted_share: float = 0.05
    unrouted_events: int = 10
    signatures: int = 2


@dataclass(frozen=True, slots=True)
class AlertChange:
    """An alert that begins or ends.

    Attributes:
        alert: Which.
        state: `firing` or `resolved`.
        at: Unix seconds.
        text: What is wrong, or was, and what to do, in words.
    """

    alert: Name
    state: Literal["firing", "resolved"]
    at: float
    text: str


@dataclass(slots=True)
class AlertRules:
    """Remembers a week of pauses and some hours of totals, and which alerts are firing."""

    limits: AlertLimits = field(default_factory=AlertLimits)
    firing: dict[Name, str] = field(default_factory=dict)
    _samples: deque[Sample] = field(default_factory=deque)
    _pauses: deque[tuple[float, float]] = field(default_factory=deque)
    _last_event_at: float | None = None
    _seen: float = 0

    def observe(self, sample: Sample) -> list[AlertChange]:
        """Take the next sample; return the alerts that begin or end with it."""
        self._note_events(sample)
        self._samples.append(sample)
        while self._samples[0].at < sample.at - REPORT_SECONDS:
            self._samples.popleft()
        found: Mapping[Name, str | None] = {
            "feed_silent": self._silence(sample),
            "backlog": self._backlog(sample),
            "unrouted_growth": self._unrouted(),
            "stale_timestamps": self._stale(sample),
            "wrong_signatures": self._signatures(sample),
        }
        return [
            change
            for name, text in found.items()
            for change in self._changed(name, text, sample.at)
        ]

    def _changed(self, name: Name, text: str | None, at: float) -> Iterable[AlertChange]:
        if text is not None and name not in self.firing:
            self.firing[name] = text
            yield AlertChange(name, "firing", at, text)
        elif text is None and name in self.firing:
            yield AlertChange(name, "resolved", at, self.firing.pop(name))

    def _note_events(self, sample: Sample) -> None:
        """Learn how long the feed pauses; a pause counts once it has ended."""
        previous = self._samples[-1].accepted if self._samples else 0.0
        # Totals begin again with the service: what is there then is new.
        new = sample.accepted - previous if sample.accepted >= previous else sample.accepted
        if new <= 0:
            return
        if self._last_event_at is not None:
            self._add_pause(sample.at, sample.at - self._last_event_at)
        self._last_event_at = sample.at
        self._seen += new

    def _add_pause(self, at: float, seconds: float) -> None:
        # Only what may still become the longest is kept: pauses in falling order.
        while self._pauses and self._pauses[-1][1] <= seconds:
            self._pauses.pop()
        self._pauses.append((at, seconds))
        while self._pauses[0][0] < at - WEEK_SECONDS:
            self._pauses.popleft()

    def _silence(self, sample: Sample) -> str | None:
        if self._last_event_at is None or self._seen < self.limits.least_events:
            return None
        silent = sample.at - self._last_event_at
        longest = self._pauses[0][1] if self._pauses else 0.0
        if silent <= max(self.limits.silent_seconds, self.limits.silent_factor * longest):
            return None
        return (
            f"No event for more than {silent / 60:.0f} minutes; the longest pause of the last "
            f"seven days was {longest / 60:.0f}. See in Customer.io whether the reporting webhook "
            "is enabled and what its last answers were."
        )

    def _backlog(self, sample: Sample) -> str | None:
        if sample.oldest_pending_seconds <= self.limits.backlog_seconds:
            return None
        return (
            f"{sample.pending_events} events wait to be loaded, the oldest for "
            f"{sample.oldest_pending_seconds / 60:.0f} minutes. They are safe; /readyz says why "
            "they are not loaded."
        )

    def _unrouted(self) -> str | None:
        unrouted = self._in_last("unrouted")
        accepted = self._in_last("accepted")
        if unrouted < self.limits.unrouted_events:
            return None
        if unrouted <= self.limits.unrouted_share * max(accepted, unrouted):
            return None
        return (
            f"{unrouted:.0f} events of the last hour fit no table. They are kept: "
            "`webhook_unrouted_events` lists them with the reason."
        )

    def _stale(self, sample: Sample) -> str | None:
        stale = self._in_last("stale", REPORT_SECONDS)
        if not stale:
            return None
        return (
            f"{stale:.0f} requests with a valid signature had a timestamp outside the time window "
            f"in the last {REPORT_SECONDS / HOUR_SECONDS:g} hours{sample.stale_advice}."
        )

    def _signatures(self, sample: Sample) -> str | None:
        if sample.suspects:
            text = suspicion(sample.suspects)
            return f"{text[0].upper()}{text[1:]}."
        wrong = self._in_last("wrong_signatures", REPORT_SECONDS)
        if wrong < self.limits.signatures:
            return None
        return (
            f"{wrong:.0f} requests had a wrong signature in the last "
            f"{REPORT_SECONDS / HOUR_SECONDS:g} hours. If Customer.io sent them, "
            "CIO_WEBHOOK_SIGNING_KEYS lacks a key, and the feed of that webhook waits."
        )

    def _in_last(self, total: str, seconds: float = HOUR_SECONDS) -> float:
        """Return how much a total has grown in the last seconds, restarts of the service included.

        Args:
            total: A field of `Sample`.
            seconds: At most `REPORT_SECONDS`.
        """
        recent = [one for one in self._samples if one.at >= self._samples[-1].at - seconds]
        grown = 0.0
        before = float(getattr(recent[0], total)) if len(self._samples) > 1 else 0.0
        for one in recent:
            value = float(getattr(one, total))
            grown += value - before if value >= before else value
            before = value
        return grown
