"""Wait for a job at Customer.io: poll with growing pauses until a timeout."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from core.errors import WaitTimeoutError

State = TypeVar("State")
Progress = Callable[[State], object]


@dataclass(frozen=True, slots=True)
class Polling:
    """How long and how often to poll.

    Attributes:
        timeout_seconds: The timeout, counted from the first poll.
        first_seconds: The first pause.
        longest_seconds: The longest pause. Each pause is 1.5 times the one before it.
        sleep: Waits for a number of seconds.
        monotonic: The clock of the timeout.
    """

    timeout_seconds: float = 3600.0
    first_seconds: float = 1.0
    longest_seconds: float = 30.0
    sleep: Callable[[float], object] = time.sleep
    monotonic: Callable[[], float] = time.monotonic


def wait(
    look: Callable[[], State],
    is_over: Callable[[State], bool],
    polling: Polling,
    on_progress: Progress[State] | None = None,
) -> State:
    """Poll until the job is finished; return its last state.

    Args:
        look: Reads the state of the job. An exception in it ends the wait.
        is_over: Whether a state is final.
        polling: How long and how often to poll.
        on_progress: Called with each state.

    Raises:
        WaitTimeoutError: The timeout is over. Customer.io continues the job: wait again.
    """
    until = polling.monotonic() + polling.timeout_seconds
    pause = polling.first_seconds
    while True:
        state = look()
        if on_progress is not None:
            on_progress(state)
        if is_over(state):
            return state
        left = until - polling.monotonic()
        if left <= 0:
            raise WaitTimeoutError(
                f"not finished within {polling.timeout_seconds:g} s. Customer.io continues the"
                " job: wait again with the same id"
            )
        polling.sleep(min(pause, left))
        pause = min(pause * 1.5, polling.longest_seconds)
