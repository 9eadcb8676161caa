"""Wait for work that goes on at Customer.io: look, pause longer, look again, not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from core.errors import WaitTimeoutError

Seen = TypeVar("Seen")
Progress = Callable[[Seen], object]


@dataclass(frozen=True, slots=True)
class Polling:
    """How long and how often to look; seconds.

    Attributes:
        timeout_seconds: Until it is given up, counted from the first look.
        first_seconds: The first pause.
        longest_seconds: Each pause is half as long again as the one before, up to this.
        sleep: Lets that many seconds pass.
        monotonic: Clock of the timeout.
    """

    timeout_seconds: float = 3600.0
    first_seconds: float = 1.0
    longest_seconds: float = 30.0
    sleep: Callable[[float], object] = time.sleep
    monotonic: Callable[[], float] = time.monotonic


def wait(
    look: Callable[[], Seen],
    is_over: Callable[[Seen], bool],
    polling: Polling,
    on_progress: Progress[Seen] | None = None,
) -> Seen:
    """Look until it is over; the last look is returned.

    Args:
        look: Asks Customer.io; its errors end the waiting.
        is_over: Whether what was seen is the end.
        polling: How long and how often.
        on_progress: Is told of each look.

    Raises:
        WaitTimeoutError: It took too long. The work goes on at Customer.io: wait again.
    """
    until = polling.monotonic() + polling.timeout_seconds
    pause = polling.first_seconds
    while True:
        seen = look()
        if on_progress is not None:
            on_progress(seen)
        if is_over(seen):
            return seen
        left = until - polling.monotonic()
        if left <= 0:
            raise WaitTimeoutError(
                f"not finished within {polling.timeout_seconds:g} s; it goes on at Customer.io:"
                " wait again with the same id"
            )
        polling.sleep(min(pause, left))
        pause = min(pause * 1.5, polling.longest_seconds)
