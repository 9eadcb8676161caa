"""Cache a value that many threads need, and compute it at most once a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

FRESH_SECONDS = 1.0
# How old the previous value may be while the next one is computed.
_STALE_SECONDS = 2.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Computation(Generic[T]):
    """A computation, running or done, and when it began (monotonic seconds)."""

    future: Future[T]
    began: float


class RecentValue(Generic[T]):
    """A value that is computed on request, at most once a second. Safe for several threads.

    A thread of its own computes the value. If that thread waits for a disk that does not answer,
    callers do not wait longer than `wait_seconds`, and no second thread is started.
    """

    def __init__(
        self,
        compute: Callable[[], T],
        wait_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create it; the first `get` starts the first computation.

        Args:
            compute: Returns the value.
            wait_seconds: How long callers wait for a computation, from its beginning.
            monotonic: Clock, seconds.
        """
        self._compute = compute
        self._wait_seconds = wait_seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._done: _Computation[T] | None = None
        self._running: _Computation[T] | None = None

    def get(self) -> T:
        """Return the value, at most one second old; two while the next one is computed.

        Raises:
            TimeoutError: The computation takes longer than `wait_seconds`.
            Exception: The error of the computation.
        """
        now = self._monotonic()
        with self._lock:
            done = self._done
            age = None if done is None else now - done.began
            if self._running is None and (age is None or age >= FRESH_SECONDS):
                self._running = _Computation(Future(), now)
                work = (self._running,)
                threading.Thread(target=self._run, args=work, name="recent", daemon=True).start()
            running = self._running
        if running is None or (age is not None and age < _STALE_SECONDS):
            assert done is not None  # noqa: S101  # without a value, a computation is running
            return done.future.result()
        return running.future.result(max(0.0, running.began + self._wait_seconds - now))

    @property
    def seconds_under_way(self) -> float:
        """How long the current computation has been running; 0 if there is none."""
        running = self._running
        return 0.0 if running is None else self._monotonic() - running.began

    def _run(self, computation: _Computation[T]) -> None:
        future = computation.future
        try:
            set_outcome = partial(future.set_result, self._compute())
        except Exception as error:  # noqa: BLE001  # `get` raises it
            set_outcome = partial(future.set_exception, error)
        # In one step: a caller that the outcome wakes, and that calls `get` again at once, must not
        # find this computation still running.
        with self._lock:
            self._done, self._running = computation, None
            set_outcome()
