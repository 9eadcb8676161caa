"""Runs of API-triggered broadcasts: who gets one, and when its turn comes."""

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
MOST_QUEUED = 5
# How long a run takes is not published; long enough here that a queue can build up.
RUN_SECONDS = 60.0


@dataclass(slots=True)
class BroadcastRun:
    """One run of a broadcast.

    Attributes:
        id: Counts the runs of the broadcast, from 1.
        broadcast_id: Of which broadcast.
        created_at: Unix seconds.
        processed_at: When it sends, or has sent.
        errors: What kept people from getting it, one sentence each.
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
        """How many runs wait for their turn."""
        return sum(
            trigger.processed_at > at for triggers in self.triggers.values() for trigger in triggers
        )

    def find(self, broadcast_id: int, trigger_id: int) -> BroadcastRun | None:
        """One run."""
        runs = self.triggers.get(broadcast_id, [])
        return runs[trigger_id - 1] if 1 <= trigger_id <= len(runs) else None

    def reject(self, broadcast_id: int, errors: list[str], at: float) -> BroadcastRun:
        """Note a run that sends nothing, so that its errors can be read."""
        return self._add(broadcast_id, at, at, errors)

    def start(
        self, broadcast_id: int, recipients: list[Profile], errors: list[str], at: float
    ) -> BroadcastRun:
        """Queue a run; runs take their turns one after the other."""
        last = max(
            (one.processed_at for runs in self.triggers.values() for one in runs), default=at
        )
        turn = max(last, at) + RUN_SECONDS
        trigger = self._add(broadcast_id, at, turn, errors)
        source = BROADCASTS[broadcast_id]
        self._scheduler.add(turn, partial(self._run, source, trigger, recipients))
        return trigger

    def _add(self, broadcast_id: int, at: float, turn: float, errors: list[str]) -> BroadcastRun:
        runs = self.triggers[broadcast_id]
        trigger = BroadcastRun(len(runs) + 1, broadcast_id, at, turn, errors)
        runs.append(trigger)
        return trigger

    def _run(
        self, source: Source, trigger: BroadcastRun, recipients: list[Profile], at: float
    ) -> None:
        for profile in recipients:
            options = SendOptions(is_blocked=profile.is_unsubscribed, trigger_id=trigger.id)
            self._engine.send(profile, source, source.messages[0], at, options)
