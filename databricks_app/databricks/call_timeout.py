"""How long a remote call may take: until its limit, or shortly after a stop was asked for.

A call runs in a thread of its own, because nothing ends one that hangs in a library. The caller
goes on without it; the thread ends with its call or with the process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from databricks_app.errors import LakeError

T = TypeVar("T")

SILENCE = "the workspace is slow or silent; check the way there and the status page of Databricks"
_LOOK_SECONDS = 0.2
_SLOW_SECONDS = 10.0


def _no_progress(_message: str) -> None:
    """Report nothing."""


def silence() -> str:
    """What is known of a call that the workspace itself does not answer."""
    return SILENCE


@dataclass(slots=True)
class CallTimeout:
    """The limits of the calls of one loader.

    Attributes:
        stopping: Set when the process is asked to end.
        call_seconds: Longest time of a call.
        grace_seconds: How much longer a call may take once `stopping` is set.
        progress: Called with a progress message, now and then, while a call takes long.
        monotonic: A clock.
    """

    stopping: threading.Event = field(default_factory=threading.Event)
    call_seconds: float = 300.0
    grace_seconds: float = 5.0
    progress: Callable[[str], None] = _no_progress
    monotonic: Callable[[], float] = time.monotonic
    _stopped_at: float | None = None

    @property
    def statement_seconds(self) -> int:
        """When the warehouse ends a statement that was abandoned here."""
        return int(self.call_seconds) + 1

    def run(
        self,
        call: Callable[[], T],
        what: str,
        give_up: Callable[[], None] | None = None,
        why: Callable[[], str | None] | None = None,
    ) -> T:
        """Return what a call returns.

        Args:
            call: May hang; raises what it raises.
            what: Names it, for people.
            give_up: Called if it is abandoned, in a thread of its own.
            why: Says what may keep it, and what to do; asked in a thread of its own whenever the
                call is found to take long.

        Raises:
            LakeError: It was abandoned; whether it took effect is unknown.
        """
        future: Future[T] = Future()
        begin(lambda: _finish(future, call))
        began = self.monotonic()
        slow = _SlowCall(what, why)
        while not _is_done(future):
            now = self.monotonic()
            if (limit := self._is_over(began, now)) is not None:
                if give_up is not None:
                    begin(give_up)
                raise LakeError(f"{what}: abandoned {limit}{slow.reason}.")
            if message := slow.message(now - began):
                self.progress(message)
        return future.result()

    def pause(self, seconds: float) -> None:
        """Wait, but not when a stop is asked for."""
        self.stopping.wait(seconds)

    def _is_over(self, began: float, now: float) -> str | None:
        if now - began >= self.call_seconds:
            return f"after {self.call_seconds:g} s"
        if self.stopping.is_set():
            self._stopped_at = self._stopped_at or now
            if now - self._stopped_at >= self.grace_seconds:
                return "because the process is stopping"
        return None


@dataclass(slots=True)
class _SlowCall:
    """The progress messages of a long call: how long it takes, and why as soon as that is known.

    Attributes:
        reason: Why, behind a colon; empty while that is not known.
    """

    what: str
    why: Callable[[], str | None] | None
    reason: str = ""
    _reported_at: float = 0.0
    _reported: str = ""

    def message(self, seconds: float) -> str | None:
        """The progress message after so many seconds; None if there is nothing new."""
        if seconds - self._reported_at >= _SLOW_SECONDS:
            self._reported_at = seconds
            begin(self._ask)
        elif self.reason == self._reported:
            return None
        self._reported = self.reason
        return f"{self.what} has taken {seconds:.0f} s so far{self._reported}"

    def _ask(self) -> None:
        reason = None
        if self.why is not None:
            with suppress(LakeError):
                reason = self.why()
        self.reason = f": {reason}" if reason else ""


def begin(call: Callable[[], None]) -> threading.Thread:
    """Call in a thread that keeps no process alive."""
    thread = threading.Thread(target=call, name="remote-call", daemon=True)
    thread.start()
    return thread


def _finish(future: Future[T], call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001  # it is the caller's, in the other thread
        future.set_exception(error)


def _is_done(future: Future[T]) -> bool:
    try:
        future.exception(timeout=_LOOK_SECONDS)
    except TimeoutError:
        return False
    return True
