"""When to wake the warehouse for a load. Pure: no clock, no call.

A warehouse is billed from its start until it stops, idle time included. So the loader waits until
the oldest event is as old as the freshness allows, and then loads everything in one wake-up.

Loading at once would be free while somebody else keeps the warehouse running. That it runs says
nothing by itself: after each load of ours it runs on for its auto-stop, and a loader that loads at
once in that time keeps it awake for ever. Somebody else's use is proven only when it still runs
later than our last statement plus the auto-stop. Our loads then hide theirs, so a proof counts for
half an hour; after that the loader waits until the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from databricks_app.runtime.freshness import CEILING_WAIT_SECONDS
from databricks_app.warehouse_hours import WarehouseHours

_RUNNING = "RUNNING"
# A load of this size takes about as long as the start and the idle time of its wake-up, so that
# waiting longer saves little. It is also about what one MERGE takes (700 MB of staged files), and
# less than an hour of memory and disk of a small inbox.
WORTH_EVENTS = 200_000
WORTH_BYTES = 256 << 20
# A proof of somebody else's use counts for so long. It is also the longest time in which the
# warehouse runs for us alone after they have left. Without it each load would need a proof of its
# own, and an event would wait for the auto-stop.
PROOF_SECONDS = 1800.0
# The platform's clock for the auto-stop is not ours, and it stops a little later than it says.
IDLE_MARGIN_SECONDS = 15.0
# Longest pause between two counts of what waits; a count is a listing of the inbox.
LOOK_SECONDS = 30.0
# The same inside the declared hours, where an event may be loaded at once.
HOURS_LOOK_SECONDS = 10.0
_LEAST_LOOK_SECONDS = 0.2
# Share of the inbox's room at which there is a load in any case.
FULL_INBOX_SHARE = 0.5
# Start and load take at most this share of the freshness. A slower warehouse cannot keep the
# freshness, and loading without a pause would keep it awake for ever.
_LEAD_SHARE = 0.5
# Weight of the newest load in what is learned, and the least that is learned.
_NEWEST = 0.3
_LEAST_LOAD_SECONDS = 0.5
_LEAST_EVENT_SECONDS = 1e-6


class Reason(StrEnum):
    """Why a load begins, or does not."""

    EMPTY = "nothing waits"
    DUE = "the oldest event would become older than the freshness"
    SIZE = "what waits is worth a wake-up"
    OTHERS = "somebody else keeps the warehouse running"
    FULL = "the inbox is half full"
    WAITING = "the freshness allows to wait"
    CEILING = "the warehouse seconds of the day are used up"


@dataclass(frozen=True, slots=True)
class WakeUpPolicy:
    """What is allowed, and what start and load are expected to take.

    Attributes:
        freshness_seconds: Age that the oldest event may reach until it is a row.
        start_seconds: Expected start of a stopped warehouse.
        load_seconds: Expected duration of a load, without its events.
        event_seconds: Expected duration of a load for each event.
        hours: When an event may be loaded at once; None for never.
        daily_seconds: Ceiling of warehouse seconds a UTC day; None for none.
        worth_events: So many events are worth a wake-up.
        worth_bytes: So many bytes of bodies are worth a wake-up.
    """

    freshness_seconds: float = 900.0
    start_seconds: float = 8.0
    load_seconds: float = 5.0
    event_seconds: float = 1 / 2000
    hours: WarehouseHours | None = None
    daily_seconds: float | None = None
    worth_events: int = WORTH_EVENTS
    worth_bytes: int = WORTH_BYTES

    def lead_seconds(self, events: int, freshness_seconds: float) -> float:
        """Return how long before its due time a load of so many events has to begin."""
        lead = self.start_seconds + self.load_seconds + self.event_seconds * events
        return min(lead, freshness_seconds * _LEAD_SHARE)

    def after_load(
        self, events: int, load_seconds: float, start_seconds: float | None
    ) -> WakeUpPolicy:
        """Return a policy that has learned from a load.

        Args:
            events: Events of the load.
            load_seconds: Duration from the first answer of the warehouse to the end of the load.
            start_seconds: Duration until the first answer; None if the warehouse was running.
        """
        expected = self.load_seconds + self.event_seconds * events
        # One factor for both: the loads of one installation seldom differ enough to tell the base
        # and the share of an event apart.
        factor = 1 + _NEWEST * (load_seconds / expected - 1)
        start = self.start_seconds
        if start_seconds is not None:
            start += _NEWEST * (start_seconds - start)
        return replace(
            self,
            start_seconds=start,
            load_seconds=max(self.load_seconds * factor, _LEAST_LOAD_SECONDS),
            event_seconds=max(self.event_seconds * factor, _LEAST_EVENT_SECONDS),
        )


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known when the loader decides. Times are Unix seconds.

    Attributes:
        now: The time.
        oldest_at: When the oldest event that waits was received; None if none waits.
        events: Number of events that wait.
        bytes: Their size.
        state: State of the warehouse at `now` (RUNNING, STOPPED, ...); None if it was not asked.
        last_statement_at: End of our last statement; None if it is unknown, which is never taken
            as a proof of somebody else's use.
        auto_stop_seconds: Idle time after which the warehouse stops; 0 if it never stops; None if
            it is unknown.
        proven_at: When somebody else's use was last proven; None if it was not, or is over.
        used_seconds: Estimated warehouse seconds of this UTC day.
        inbox_share: Share of the inbox's room in use, 0 to 1; 0 if it has no limit.
    """

    now: float
    oldest_at: float | None
    events: int
    bytes: int = 0
    state: str | None = None
    last_statement_at: float | None = None
    auto_stop_seconds: float | None = None
    proven_at: float | None = None
    used_seconds: float = 0.0
    inbox_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to load everything now.

    Attributes:
        load: Load now.
        reason: Why, or why not.
        look_again_seconds: After this time count what waits, and decide again.
        is_state_wanted: The state of the warehouse could change the decision: ask it (a GET that
            does not wake it), and decide again with it.
    """

    load: bool
    reason: Reason
    look_again_seconds: float
    is_state_wanted: bool = False
    is_proven: bool | None = None


def decide(policy: WakeUpPolicy, situation: Situation) -> Decision:
    """Return whether to wake the warehouse now, and when to look again."""
    is_inside = policy.hours is not None and policy.hours.contain(situation.now)
    look = _look_seconds(policy, is_inside=is_inside)
    if situation.oldest_at is None or not situation.events:
        return Decision(False, Reason.EMPTY, look)
    if situation.inbox_share >= FULL_INBOX_SHARE:
        return Decision(True, Reason.FULL, look)
    is_over = is_over_ceiling(policy, situation.used_seconds)
    freshness = policy.freshness_seconds
    if is_over:
        freshness = max(freshness, CEILING_WAIT_SECONDS)
    lead = policy.lead_seconds(situation.events, freshness)
    wait = situation.oldest_at + freshness - lead - situation.now
    if wait <= 0:
        return Decision(True, Reason.DUE, look)
    if is_over:
        return Decision(False, Reason.CEILING, min(wait, look))
    if situation.events >= policy.worth_events or situation.bytes >= policy.worth_bytes:
        return Decision(True, Reason.SIZE, look)
    if not is_inside:
        return Decision(False, Reason.WAITING, min(wait, look))
    return _ride(situation, min(wait, look))


def is_over_ceiling(policy: WakeUpPolicy, used_seconds: float) -> bool:
    """Tell whether the warehouse seconds of the day are used up."""
    return policy.daily_seconds is not None and used_seconds >= policy.daily_seconds


def _ride(situation: Situation, look: float) -> Decision:
    """Decide inside the declared hours: load at once only while somebody else is proven."""
    waiting = Decision(False, Reason.WAITING, look)
    if situation.auto_stop_seconds is None or situation.last_statement_at is None:
        return waiting
    proven_at = situation.proven_at
    is_proven = proven_at is not None and 0 <= situation.now - proven_at < PROOF_SECONDS
    # A warehouse that never stops costs the same with and without a load.
    if situation.auto_stop_seconds and not is_proven:
        own_tail = situation.auto_stop_seconds + IDLE_MARGIN_SECONDS
        proof_in = situation.last_statement_at + own_tail - situation.now
        if proof_in >= 0:
            # Just after that moment, so that a look is not wasted at the moment itself.
            return replace(waiting, look_again_seconds=min(proof_in + 0.1, look))
    if situation.state is None:
        return replace(waiting, is_state_wanted=True)
    if situation.state == _RUNNING:
        return Decision(True, Reason.OTHERS, look, is_proven=None if is_proven else True)
    return replace(waiting, is_proven=False)


def _look_seconds(policy: WakeUpPolicy, *, is_inside: bool) -> float:
    longest = HOURS_LOOK_SECONDS if is_inside else LOOK_SECONDS
    return min(longest, max(policy.freshness_seconds / 20, _LEAST_LOOK_SECONDS))
