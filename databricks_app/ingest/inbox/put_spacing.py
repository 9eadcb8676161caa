"""When the receiver may put its next group into the volume.

A request that is alone is put at once: its sender may be serial, and then its rate is 1 / our
latency. While more than one request waits, groups are spaced, because each put costs money. The
requests that arrive meanwhile share the next put.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from databricks_app.databricks.byte_locks import ByteLocks

# Two puts a second for each instance, as long as no request waits longer than `_LONGEST_SECONDS`
# for its put: the processes cannot share a put, and the answer is to come within a second.
_INSTANCE_SECONDS = 0.5
_LONGEST_SECONDS = 0.6
# If no request has come for so long, all senders wait for their answers, and no more will come.
# Without this limit a few parallel senders would be slower than one serial sender.
_QUIET_SECONDS = 0.2
# A request with a short deadline must not spend most of it here.
_SHARE_OF_DEADLINE = 0.2
_FILE = "receivers.lock"
_BUSY = 0


class PutSpacing:
    """The spacing of one process's puts; use it under a lock.

    Attributes:
        seconds: Least time between the beginnings of two spaced puts.
    """

    def __init__(
        self,
        run_dir: Path | None = None,
        processes: int = 1,
        deadline_seconds: float = 3.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create it for a process without requests.

        Args:
            run_dir: The run folder, where the processes see which of them have requests.
            processes: Number of web processes of the instance.
            deadline_seconds: Time for storing a request.
            monotonic: Clock, seconds.
        """
        wanted = min(_INSTANCE_SECONDS * processes, _LONGEST_SECONDS)
        self.seconds = min(wanted, _SHARE_OF_DEADLINE * deadline_seconds)
        self._locks = ByteLocks(None if run_dir is None else run_dir / _FILE)
        self._monotonic = monotonic
        self._next_at = 0.0
        self._is_busy = False

    def note_busy(self, *, is_busy: bool) -> None:
        """Show the other processes whether requests wait here or are being put."""
        if is_busy and not self._is_busy:
            self._is_busy = self._locks.try_lock(_BUSY, is_shared=True)
        elif not is_busy and self._is_busy:
            self._locks.unlock(_BUSY)
            self._is_busy = False

    def is_alone(self, requests: int) -> bool:
        """Return whether there is only one request here, and none in another process."""
        return requests == 1 and not self._locks.is_locked_elsewhere(_BUSY)

    def seconds_left(self, newest_at: float) -> float:
        """Return how long the next spaced put must wait, in seconds.

        Args:
            newest_at: When the newest waiting request came, seconds of the monotonic clock.
        """
        return max(0.0, min(self._next_at, newest_at + _QUIET_SECONDS) - self._monotonic())

    def begin(self) -> None:
        """Note that a spaced put begins."""
        self._next_at = self._monotonic() + self.seconds
