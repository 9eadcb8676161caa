"""A value that many ask for and that is computed at most once a second. Knows no web framework."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

FRESH_SECONDS = 1.0
# While a value is computed the one before it may be this old.
_STALE_SECONDS = 2.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Computation(Generic[T]):
    """One computation, under way or done, and when it began, monotonic seconds."""

    future: Future[T]
    began: float


class RecentValue(Generic[T]):
    """A value that is computed when it is asked for, at most once a second. Threads share one.

    It is computed in a thread of its own: where that waits for a disk that does not answer, those
    who ask are not kept waiting, and there is one such thread.
    """

    def __init__(
        self,
        compute: Callable[[], T],
        wait_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Compute nothing yet.

        Args:
            compute: Returns the value.
            wait_seconds: How long after its beginning a computation is waited for.
            monotonic: Seconds.
        """
        self._compute = compute
        self._wait_seconds = wait_seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._done: _Computation[T] | None = None
        self._running: _Computation[T] | None = None

    def get(self) -> T:
        """Return the value: of this second, or of the one before while it is computed.

        Raises:
            TimeoutError: It is still computed after `wait_seconds`.
            Exception: What the computation raised.
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
            assert done is not None  # noqa: S101  # without a value a computation has just begun
            return done.future.result()
        return running.future.result(max(0.0, running.began + self._wait_seconds - now))

    @property
    def seconds_under_way(self) -> float:
        """How long the computation under way has taken so far; 0 if there is none."""
        running = self._running
        return 0.0 if running is None else self._monotonic() - running.began

    def _run(self, computation: _Computation[T]) -> None:
        future = computation.future
        try:
            set_outcome = partial(future.set_result, self._compute())
        except Exception as error:  # noqa: BLE001  # it is raised to those who ask
            set_outcome = partial(future.set_exception, error)
        # Together: who was woken by the outcome and asks again must not meet it as under way.
        with self._lock:
            self._done, self._running = computation, None
            set_outcome()
