"""Runs of API-triggered broadcasts: their recipients, and when each run sends."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from databricks_app.simulator.delivery_engine import SendOptions
from databricks_app.simulator.events.sample_workspace import SOURCES, Source

if TYPE_CHECKING:
    from databricks_app.simulator.delivery_engine import DeliveryEngine
    from databricks_app.simulator.people import Profile
    from databricks_app.simulator.scheduler import Scheduler

BROADCASTS = {int(source.id): source for source in SOURCES if source.origin == "broadcast"}
MAX_QUEUED_RUNS = 5
# The vendor does not publish how long a run takes. A minute is long enough for a queue to form.
RUN_SECONDS = 60.0


@dataclass(slots=True)
class BroadcastRun:
    """One run of a broadcast.

    Attributes:
        id: Number of the run within its broadcast, from 1.
        broadcast_id: Id of the broadcast.
        created_at: When it was triggered, in Unix seconds.
        processed_at: When it sends or has sent, in Unix seconds.
        errors: Why some people do not get it, one sentence a person.
    """

    id: int
    broadcast_id: int
    created_at: float
    processed_at: float
    errors: list[str] = field(default_factory=list)


class BroadcastRuns:
    """The runs of every broadcast, oldest first."""

    def __init__(self, scheduler: Scheduler, engine: DeliveryEngine) -> None:
        self._scheduler = scheduler
        self._engine = engine
        self.triggers: dict[int, list[BroadcastRun]] = {number: [] for number in BROADCASTS}

    def queued(self, at: float) -> int:
        """Count the runs that have not been sent yet."""
        return sum(
            trigger.processed_at > at for triggers in self.triggers.values() for trigger in triggers
        )

    def find(self, broadcast_id: int, trigger_id: int) -> BroadcastRun | None:
        """Return one run, or None if it does not exist."""
        runs = self.triggers.get(broadcast_id, [])
        return runs[trigger_id - 1] if 1 <= trigger_id <= len(runs) else None

    def reject(self, broadcast_id: int, errors: list[str], at: float) -> BroadcastRun:
        """Record a run that sends nothing, so that its errors can be read."""
        return self._add(broadcast_id, at, at, errors)

    def start(
        self, broadcast_id: int, recipients: list[Profile], errors: list[str], at: float
    ) -> BroadcastRun:
        """Queue a run. Runs are processed one after the other."""
        last = max(
            (one.processed_at for runs in self.triggers.values() for one in runs), default=at
        )
        processed_at = max(last, at) + RUN_SECONDS
        trigger = self._add(broadcast_id, at, processed_at, errors)
        source = BROADCASTS[broadcast_id]
        self._scheduler.add(processed_at, partial(self._send, source, trigger, recipients))
        return trigger

    def _add(
        self, broadcast_id: int, at: float, processed_at: float, errors: list[str]
    ) -> BroadcastRun:
        runs = self.triggers[broadcast_id]
        trigger = BroadcastRun(len(runs) + 1, broadcast_id, at, processed_at, errors)
        runs.append(trigger)
        return trigger

    def _send(
        self, source: Source, trigger: BroadcastRun, recipients: list[Profile], at: float
    ) -> None:
        for profile in recipients:
            options = SendOptions(is_blocked=profile.is_unsubscribed, trigger_id=trigger.id)
            self._engine.send(profile, source, source.messages[0], at, options)
