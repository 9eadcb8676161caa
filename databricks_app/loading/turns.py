"""Turns of loaders that share a lease: each takes it for one drain and gives it back.

With local inboxes every machine has to load its own events, so no loader may keep the lease. A
machine that finds the lease taken waits a short random time, so that two machines do not try in
step. A machine with a large backlog ends its turn early, so that the others are not kept waiting.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from databricks_app.lake import KeptLease, Standby

TURN_SECONDS = 120.0
STANDBY_SECONDS = 4.0
# A lease that somebody keeps for so long is no drain. It is more than the 346 s after which the
# lease of a dead owner is taken over.
KEPT_SECONDS = 600.0
_KEPT = (
    "another instance keeps the lease for itself, so the events in the local inbox of this one "
    "cannot be loaded: set CIO_INBOX=local on every instance that loads these tables, or remove it "
    "from all of them"
)


@dataclass(slots=True)
class Turns:
    """When this loader takes the lease, and for how long.

    Attributes:
        interval_seconds: How long events may wait for a load; a pause is never longer than half of
            that.
        turn_seconds: After so long a turn ends with the current load.
        standby_seconds: Mean pause until the next try while another instance loads.
        monotonic: Clock, seconds.
        chance: Returns a random number from 0 to 1.
    """

    interval_seconds: float
    turn_seconds: float = TURN_SECONDS
    standby_seconds: float = STANDBY_SECONDS
    monotonic: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    _began: float = 0.0
    _kept_since: float | None = None

    def begin(self) -> None:
        """Note that the lease is ours."""
        self._began = self.monotonic()
        self._kept_since = None

    def is_over(self) -> bool:
        """Return whether it is another instance's turn."""
        return self.monotonic() - self._began >= self.turn_seconds

    def standby_pause(self, standby: Standby) -> float:
        """Return the seconds until the next try, while another instance loads."""
        if not isinstance(standby, KeptLease):
            self._kept_since = None
        elif self._kept_since is None:
            self._kept_since = self.monotonic()
        return self._longest_pause() * (1 + 2 * self.chance()) / 3

    def pause_after_turn(self) -> float:
        """Return the seconds until the next turn, if events are left; others try meanwhile."""
        return self._longest_pause() * 1.5

    def problems(self) -> tuple[str, ...]:
        """Return what an admin has to know."""
        since = self._kept_since
        is_kept = since is not None and self.monotonic() - since >= KEPT_SECONDS
        return (_KEPT,) if is_kept else ()

    def _longest_pause(self) -> float:
        return min(self.standby_seconds * 1.5, self.interval_seconds / 2)
