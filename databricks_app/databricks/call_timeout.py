"""Limits the time of remote calls, and ends them soon after the process is asked to stop.

Each call runs in its own thread, because a call that hangs in a library cannot be ended. At the
limit the caller continues without the result; the thread ends with its call or with the process.
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

SILENCE = (
    "the workspace is slow or does not answer; check the network and the status page of Databricks"
)
_POLL_SECONDS = 0.2
_SLOW_SECONDS = 10.0


def silence() -> str:
    """Return the reason for a slow call if the workspace gives none."""
    return SILENCE


@dataclass(slots=True)
class CallTimeout:
    """The limits of the calls of one loader.

    Attributes:
        stopping: Set when the process is asked to stop.
        call_seconds: Longest time of a call.
        grace_seconds: How much longer a call may take once `stopping` is set.
        progress: Called with progress messages while a call takes long.
        monotonic: Clock in seconds.
    """

    stopping: threading.Event = field(default_factory=threading.Event)
    call_seconds: float = 300.0
    grace_seconds: float = 5.0
    progress: Callable[[str], None] = lambda _message: None
    monotonic: Callable[[], float] = time.monotonic
    _stopped_at: float | None = None

    @property
    def statement_seconds(self) -> int:
        """Time limit of the warehouse for a statement, a little longer than ours."""
        return int(self.call_seconds) + 1

    def run(
        self,
        call: Callable[[], T],
        what: str,
        give_up: Callable[[], None] | None = None,
        why: Callable[[], str | None] | None = None,
    ) -> T:
        """Make a call and return its result; exceptions of the call are raised.

        Args:
            call: The call, which may hang.
            what: Name of the call for messages.
            give_up: Called in its own thread if the call is abandoned.
            why: Returns why the call may be slow and what to do. Called in its own thread, again
                and again while the call takes long.

        Raises:
            LakeError: The call was abandoned; it is unknown whether it took effect.
        """
        future: Future[T] = Future()

        def finish() -> None:
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001  # raised in the caller's thread
                future.set_exception(error)

        begin(finish)
        began = self.monotonic()
        slow = _SlowCall(what, why)
        while not _is_done(future):
            now = self.monotonic()
            if (limit := self._reached_limit(began, now)) is not None:
                if give_up is not None:
                    begin(give_up)
                raise LakeError(f"{what}: abandoned {limit}{slow.reason}.")
            if message := slow.message(now - began):
                self.progress(message)
        return future.result()

    def pause(self, seconds: float) -> None:
        """Wait; return at once when the process is asked to stop."""
        self.stopping.wait(seconds)

    def _reached_limit(self, began: float, now: float) -> str | None:
        """Return which limit is reached, for the error; None if none is."""
        if now - began >= self.call_seconds:
            return f"after {self.call_seconds:g} s"
        if self.stopping.is_set():
            self._stopped_at = self._stopped_at or now
            if now - self._stopped_at >= self.grace_seconds:
                return "because the process is stopping"
        return None


@dataclass(slots=True)
class _SlowCall:
    """Makes the progress messages of a long call.

    Attributes:
        what: Name of the call.
        why: Returns why the call may be slow; None if nobody can say.
        reason: The reason, with a colon before it; empty while it is unknown.
    """

    what: str
    why: Callable[[], str | None] | None
    reason: str = ""
    _reported_at: float = 0.0
    _reported: str = ""

    def message(self, seconds: float) -> str | None:
        """Return the progress message after `seconds`; None if there is nothing new."""
        if seconds - self._reported_at >= _SLOW_SECONDS:
            self._reported_at = seconds
            begin(self._ask_why)  # in its own thread: asking is a remote call too
        elif self.reason == self._reported:
            return None
        self._reported = self.reason
        return f"{self.what} has taken {seconds:.0f} s so far{self._reported}"

    def _ask_why(self) -> None:
        reason = None
        if self.why is not None:
            with suppress(LakeError):
                reason = self.why()
        self.reason = f": {reason}" if reason else ""


def begin(call: Callable[[], None]) -> threading.Thread:
    """Make a call in a daemon thread, which does not keep the process alive."""
    thread = threading.Thread(target=call, name="remote-call", daemon=True)
    thread.start()
    return thread


def _is_done(future: Future[T]) -> bool:
    """Wait a moment for a call; return whether it has ended."""
    try:
        # Not `result`: a TimeoutError of the call itself would look like ours.
        future.exception(timeout=_POLL_SECONDS)
    except TimeoutError:
        return False
    return True
