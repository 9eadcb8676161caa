"""The call budget: how many calls of the Files API the processes of an instance make at a time.

The vendor's own client holds itself to 5 concurrent calls, and names a limit of 10 concurrent and
100 a second (https://github.com/databricks/cli, `libs/filer/files_client.go`). A call above it is
refused with 429. So every call takes a slot, and waits until its turn in the pace.

The receiver's puts have up to two slots of their own, and all other calls have the rest. So neither
a load nor the inbox waits for the other. The slots are byte locks of a file in the run folder, so
that a process that dies frees its slots. A process without a run folder has a budget of its own.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from databricks_app import settings
from databricks_app.databricks.byte_locks import ByteLocks
from databricks_app.setting_values import RUN_DIR

# Puts of the receiver at the same time, over all processes.
MOST_PUTS = 2
# In any second at most `_BURST + _PER_SECOND` calls begin: 80, of the 100 that the platform takes.
_PER_SECOND = 70
_BURST = 10
_INTERVAL_SECONDS = 1 / _PER_SECOND
_FILE = "files-calls.lock"
# Numbers of the byte locks.
_PACE, _PUTS_TURN, _OTHERS_TURN = range(3)
_FIRST_SLOT = 16
_TIME = struct.Struct("<d")
# A lock cannot be waited for with a deadline, so it is tried repeatedly. Only the first process of
# a queue tries for a slot, and only one thread of each process waits to be first.
_FIRST_PAUSE_SECONDS = 0.0005
_LONGEST_PAUSE_SECONDS = 0.01
# A later time in the file is of no clock that runs now.
_LATEST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Slots:
    """A part of the slots.

    Attributes:
        turn: The byte lock of the first one in the queue for a slot.
        slots: The byte locks of its slots.
        waiting: Held by the thread of this process that waits for a slot.
    """

    turn: int
    slots: range
    waiting: threading.Lock = field(default_factory=threading.Lock)


class CallBudget:
    """The slots of one instance. Threads may share it; make it after the process has forked."""

    def __init__(
        self,
        run_dir: Path | None,
        calls: int,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Create the budget of this process.

        Args:
            run_dir: The run folder, with the slots of all processes. None: slots of its own.
            calls: Number of slots, at least 2.
            monotonic: Clock in seconds, the same one in all processes of the machine.
            sleep: Waits for seconds.
        """
        self._locks = ByteLocks(None if run_dir is None else run_dir / _FILE)
        puts = min(MOST_PUTS, calls // 2)
        self._puts = _Slots(_PUTS_TURN, range(_FIRST_SLOT, _FIRST_SLOT + puts))
        self._others = _Slots(_OTHERS_TURN, range(_FIRST_SLOT + puts, _FIRST_SLOT + calls))
        self._monotonic = monotonic
        self._sleep = sleep

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> CallBudget:
        """Create the budget that the environment describes.

        Raises:
            SettingsError: CIO_FILES_CALLS cannot be used.
        """
        folder = variables.get(RUN_DIR)
        calls: int = settings.value(variables, "CIO_FILES_CALLS")
        return cls(Path(folder) if folder else None, calls)

    @contextmanager
    def call(self, until: float, *, is_receivers_put: bool = False) -> Iterator[None]:
        """Hold a slot in the block, which makes one call.

        Args:
            until: How long to wait for it, seconds of the monotonic clock.
            is_receivers_put: Whether the call stores events that a sender waits for.

        Raises:
            TimeoutError: There was no free slot in time.
        """
        slot = self._slot(self._puts if is_receivers_put else self._others, until)
        try:
            self._pace(until)
            yield
        finally:
            self._locks.unlock(slot)

    def _slot(self, group: _Slots, until: float) -> int:
        """Take a free slot and return its lock; first come, first served between processes."""
        if not group.waiting.acquire(timeout=max(0.0, until - self._monotonic())):
            raise TimeoutError
        try:
            self._lock((group.turn,), until)
            try:
                return self._lock(group.slots, until)
            finally:
                self._locks.unlock(group.turn)
        finally:
            group.waiting.release()

    def _lock(self, among: tuple[int, ...] | range, until: float) -> int:
        """Wait for one of these locks and return it."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            for byte in among:
                if self._locks.try_lock(byte):
                    return byte
            left = until - self._monotonic()
            if left <= 0:
                raise TimeoutError
            self._sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _pace(self, until: float) -> None:
        """Wait until a call may begin (generic cell rate algorithm)."""
        self._lock((_PACE,), until)
        try:
            now = self._monotonic()
            stored = os.pread(self._locks.descriptor, _TIME.size, 0)
            due = _TIME.unpack(stored)[0] if len(stored) == _TIME.size else 0.0
            if not due <= now + _LATEST_SECONDS:
                due = now
            begin = max(due, now - (_BURST - 1) * _INTERVAL_SECONDS)
            if begin >= until:
                raise TimeoutError
            os.pwrite(self._locks.descriptor, _TIME.pack(begin + _INTERVAL_SECONDS), 0)
        finally:
            self._locks.unlock(_PACE)
        if begin > now:
            self._sleep(begin - now)


class Unlimited:
    """A budget without a limit, to measure those of the platform."""

    @contextmanager
    def call(self, until: float, *, is_receivers_put: bool = False) -> Iterator[None]:  # noqa: ARG002
        """Make a call at once."""
        yield
