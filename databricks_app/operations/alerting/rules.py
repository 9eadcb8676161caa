"""The alert rules: each alert begins once and ends once.

Pure: samples in, changes out. `operations.alerting.process` has the clock and sends them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from core.webhooks.diagnosis import SignatureFault
from databricks_app.ingest.signature_faults import problems
from databricks_app.ingest.warnings import REPORT_SECONDS, suspicion
from databricks_app.runtime.words import counted

Name = Literal[
    "feed_silent",
    "backlog",
    "unrouted_growth",
    "stale_timestamps",
    "wrong_signatures",
    "refused_requests",
    "certificate",
    "warehouse_seconds",
]

# Customer.io repeats such a request and it is refused again; a busy feed hides it.
_LASTING = ("missing_header", "malformed_header", "misdirected", "too_large", "exception")
# These end by themselves, or concern strangers: they count while nothing else is accepted.
_TEMPORARY = (
    "no_key",
    "inbox_full",
    "inbox_error",
    "inbox_timeout",
    "no_room",
    "overloaded",
    "incomplete",
    "malformed",
)

WEEK_SECONDS = 7 * 86400.0
HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The numbers at one moment; the totals only grow while the service runs.

    Attributes:
        at: Unix seconds.
        accepted: Events accepted so far.
        unrouted: Rows that are only in the raw table, so far.
        stale: Requests with a valid signature outside the time window, so far.
        wrong_signatures: Requests with a wrong signature so far.
        refusals: Refused requests so far, by reason; see `ingest.refusals`.
        pending_events: Events in the inbox.
        oldest_pending_seconds: Age of the oldest of them; 0 if there is none.
        keys: Fingerprints of the active signing keys.
        suspects: Workspaces whose signing key may be wrong, see `ingest.verified_keys`.
        signature_faults: Why signatures failed lately, see `ingest.signature_diagnosis`.
        stale_advice: How stale requests are treated now, and what to do.
        certificate: What is wrong with the certificate of the public endpoint; empty if nothing
            is, None if that is unknown.
        stall_seconds: How long the oldest event may wait now, if that is longer than the limit.
        warehouse: What is wrong with the warehouse seconds of the day; empty if nothing is, None
            if that is unknown.
    """

    at: float
    accepted: float = 0
    unrouted: float = 0
    stale: float = 0
    wrong_signatures: float = 0
    refusals: Mapping[str, float] = field(default_factory=dict)
    pending_events: int = 0
    oldest_pending_seconds: float = 0
    keys: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()
    signature_faults: tuple[SignatureFault, ...] = ()
    stale_advice: str = ": check the clock of this machine"
    certificate: str | None = None
    stall_seconds: float = 0
    warehouse: str | None = None


@dataclass(frozen=True, slots=True)
class AlertLimits:
    """The limits at which alerts begin.

    The alert `feed_silent` needs all of `silent_seconds`, `silent_factor` and `least_events`;
    `unrouted_growth` needs both of `unrouted_share` and `unrouted_events`.

    Attributes:
        silent_seconds: Time without an event.
        silent_factor: Time without an event, as a multiple of the longest pause in seven days.
        least_events: Number of events that must have arrived before.
        backlog_seconds: Age of the oldest event that is not loaded.
        unrouted_share: Share of the events in the last hour that fit no typed table.
        unrouted_events: Number of these events.
        signatures: Wrong signatures in the last `REPORT_SECONDS`, while every key is known to be
            right. After each of them Customer.io may wait an hour.
        refusals: Refused requests of one lasting reason in the last `REPORT_SECONDS`, or of a
            temporary reason without an accepted one between them.
    """

    silent_seconds: float = 900
    silent_factor: float = 2
    least_events: int = 100
    backlog_seconds: float = 600
    unrouted_share: float = 0.05
    unrouted_events: int = 10
    signatures: int = 2
    refusals: int = 2


@dataclass(frozen=True, slots=True)
class AlertChange:
    """An alert that begins or ends.

    Attributes:
        alert: Its name.
        state: `firing` or `resolved`.
        at: Unix seconds.
        text: What is (or was) wrong and what to do, in words.
    """

    alert: Name
    state: Literal["firing", "resolved"]
    at: float
    text: str


@dataclass(slots=True)
class RulesHistory:
    """What the rules remember.

    Attributes:
        samples: The samples of the last `REPORT_SECONDS`.
        pauses: When a pause between events ended and how long it was, in seconds; those that can
            become the longest one of the week.
        last_event_at: When an event was last accepted, Unix seconds.
        seen: Number of events accepted since the start.
        refused_in_row: Refusals of temporary reasons since the last accepted event.
        refused_at: When the last of them came, Unix seconds.
    """

    samples: deque[Sample] = field(default_factory=deque)
    pauses: deque[tuple[float, float]] = field(default_factory=deque)
    last_event_at: float | None = None
    seen: float = 0
    refused_in_row: Counter[str] = field(default_factory=Counter)
    refused_at: float = 0


@dataclass(slots=True)
class AlertRules:
    """The rules, with their history and the alerts that fire.

    Attributes:
        limits: At which alerts begin.
        firing: The text of each alert that fires.
        history: What was seen so far.
        advice: What to do about a refusal, by its reason; see `ingest.refusals`.
    """

    limits: AlertLimits = field(default_factory=AlertLimits)
    firing: dict[Name, str] = field(default_factory=dict)
    history: RulesHistory = field(default_factory=RulesHistory)
    advice: Mapping[str, str] = field(default_factory=dict)

    def observe(self, sample: Sample) -> list[AlertChange]:
        """Add the next sample; return the alerts that begin or end with it."""
        if not self.history.samples:
            # What was counted before this process looked for the first time is new to it.
            self.history.samples.append(Sample(sample.at, keys=sample.keys))
        self._note_refusals(sample)
        self._note_events(sample)
        self.history.samples.append(sample)
        while self.history.samples[0].at < sample.at - REPORT_SECONDS:
            self.history.samples.popleft()
        found: Mapping[Name, str | None] = {
            "feed_silent": self._silence(sample),
            "backlog": self._backlog(sample),
            "unrouted_growth": self._unrouted(),
            "stale_timestamps": self._stale(sample),
            "wrong_signatures": self._signatures(sample),
            "refused_requests": self._refusals(),
            "certificate": self._state("certificate", sample.certificate),
            "warehouse_seconds": self._state("warehouse_seconds", sample.warehouse),
        }
        changes = []
        for name, text in found.items():
            if text is not None and name not in self.firing:
                self.firing[name] = text
                changes.append(AlertChange(name, "firing", sample.at, text))
            elif text is None and name in self.firing:
                changes.append(AlertChange(name, "resolved", sample.at, self.firing.pop(name)))
        return changes

    def _note_refusals(self, sample: Sample) -> None:
        """Count refusals of temporary reasons since the last accepted event."""
        before = self.history.samples[-1]
        for reason in _TEMPORARY:
            new = _growth(before.refusals.get(reason, 0), sample.refusals.get(reason, 0))
            if new:
                self.history.refused_in_row[reason] += int(new)
                self.history.refused_at = sample.at
        is_old = sample.at - self.history.refused_at > REPORT_SECONDS
        if is_old or _growth(before.accepted, sample.accepted):
            self.history.refused_in_row.clear()

    def _note_events(self, sample: Sample) -> None:
        """Record the pause before new events; a pause counts when it has ended."""
        new = _growth(self.history.samples[-1].accepted, sample.accepted)
        if new <= 0:
            return
        if self.history.last_event_at is not None:
            # Keep only pauses that can still become the longest of the week: in falling order.
            seconds = sample.at - self.history.last_event_at
            while self.history.pauses and self.history.pauses[-1][1] <= seconds:
                self.history.pauses.pop()
            self.history.pauses.append((sample.at, seconds))
            while self.history.pauses[0][0] < sample.at - WEEK_SECONDS:
                self.history.pauses.popleft()
        self.history.last_event_at = sample.at
        self.history.seen += new

    def _silence(self, sample: Sample) -> str | None:
        if self.history.last_event_at is None or self.history.seen < self.limits.least_events:
            return None
        silent = sample.at - self.history.last_event_at
        longest = self.history.pauses[0][1] if self.history.pauses else 0.0
        if silent <= max(self.limits.silent_seconds, self.limits.silent_factor * longest):
            return None
        return (
            f"No event for more than {silent / 60:.0f} minutes; the longest pause of the last "
            f"seven days was {longest / 60:.0f}. See in Customer.io whether the reporting webhook "
            "is enabled and what its last answers were."
        )

    def _backlog(self, sample: Sample) -> str | None:
        limit = max(self.limits.backlog_seconds, sample.stall_seconds)
        if sample.oldest_pending_seconds <= limit:
            return None
        return (
            f"{counted(sample.pending_events, '[event waits|events wait]')} to be loaded, the "
            f"oldest for {sample.oldest_pending_seconds / 60:.0f} minutes. They are stored "
            "safely; /readyz says why they are not loaded."
        )

    def _unrouted(self) -> str | None:
        unrouted = self._in_last(lambda one: one.unrouted)
        accepted = self._in_last(lambda one: one.accepted)
        if unrouted < self.limits.unrouted_events:
            return None
        if unrouted <= self.limits.unrouted_share * max(accepted, unrouted):
            return None
        return (
            f"{unrouted:.0f} events of the last hour fit no typed table. They are stored in the "
            "raw table; the view `webhook_unrouted_events` lists them with the reason."
        )

    def _stale(self, sample: Sample) -> str | None:
        stale = self._in_last(lambda one: one.stale, REPORT_SECONDS)
        if not stale:
            return None
        return (
            f"{counted(stale, '[request|requests]')} with a valid signature had a timestamp "
            f"outside the time window in the last {REPORT_SECONDS / HOUR_SECONDS:g} hours"
            f"{sample.stale_advice}."
        )

    def _signatures(self, sample: Sample) -> str | None:
        texts = [suspicion(sample.suspects)] if sample.suspects else []
        known = [one for one in sample.signature_faults if one is not SignatureFault.UNKNOWN]
        texts += problems(known)
        if texts:
            return " ".join(f"{text[0].upper()}{text[1:]}." for text in texts)
        # Refusals of before the keys were changed say nothing about the present ones.
        same = [one for one in self.history.samples if one.keys == sample.keys]
        wrong = sum(_growth(a.wrong_signatures, b.wrong_signatures) for a, b in pairwise(same))
        if wrong < self.limits.signatures:
            return None
        return (
            f"{counted(wrong, '[request|requests]')} had a wrong signature in the last "
            f"{REPORT_SECONDS / HOUR_SECONDS:g} hours. If Customer.io sent them, "
            "CIO_WEBHOOK_SIGNING_KEYS lacks a key, and the feed of that webhook waits."
        )

    def _refusals(self) -> str | None:
        for reason in _LASTING:
            number = self._in_last(lambda one: one.refusals.get(reason, 0.0), REPORT_SECONDS)  # noqa: B023  # called at once
            if number >= self.limits.refusals:
                hours = REPORT_SECONDS / HOUR_SECONDS
                return self._refused(f"{number:.0f} requests of the last {hours:g} hours", reason)
        if self.history.refused_in_row.total() < self.limits.refusals:
            return None
        ((reason, _),) = self.history.refused_in_row.most_common(1)
        return self._refused(f"The last {self.history.refused_in_row.total()} requests", reason)

    def _refused(self, requests: str, reason: str) -> str:
        return (
            f"{requests} were refused ({reason}). Customer.io sends them again, and later events "
            "of that webhook wait. See /readyz and the log event `request_refused`: "
            f"{self.advice.get(reason, 'it says what to do')}."
        )

    def _state(self, name: Name, problem: str | None) -> str | None:
        # While it is unknown (no connection, no loader), the last state stays.
        return (self.firing.get(name) if problem is None else problem) or None

    def _in_last(self, total: Callable[[Sample], float], seconds: float = HOUR_SECONDS) -> float:
        """Return how much a total has grown in the last seconds, also across restarts.

        Args:
            total: Returns a total of a sample.
            seconds: At most `REPORT_SECONDS`.
        """
        recent = [
            one for one in self.history.samples if one.at >= self.history.samples[-1].at - seconds
        ]
        return sum(_growth(total(before), total(one)) for before, one in pairwise(recent))


def _growth(before: float, now: float) -> float:
    """Return how much a total has grown; a smaller one is new, because the service restarted."""
    return now - before if now >= before else now
