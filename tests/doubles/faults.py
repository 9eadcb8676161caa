"""Fault switches (what fails, where and how often), and counters of requests.

A fault matches requests by operation, path and SQL statement. It skips the first `skip` matches,
then acts `times` times. All matching latencies act; of the other faults only the first one does.

Assumptions about the platform, where no document says it: a full volume is HTTP 507 with
`QUOTA_EXCEEDED`; a missing permission 403 with `PERMISSION_DENIED`; an expired token 401.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from tests.doubles.messages import Dropped, Refused, Request

Action = Literal[
    "latency",  # waits `seconds`, then continues
    "latency_after",  # waits after the effect, before the answer
    "hang",  # never answers, or resets after `seconds`; nothing takes effect
    "hang_after",  # the same, after the effect has taken place
    "reset_before",  # resets the connection; nothing takes effect
    "reset_after",  # the effect takes place, then the connection is reset
    "throttled",  # 429 with Retry-After
    "unavailable",  # 503 with Retry-After
    "error",  # 500
    "expired",  # 401: the token is no longer valid
    "invalid_token",  # 403: the same, in another form of the platform; `text` as for denied
    "denied",  # 403: a permission is missing; `text` replaces the message
    "missing",  # 404: the thing does not exist any more
    "full",  # 507: the volume is full
    "statement_slow",  # the engine waits `seconds` before it runs a statement
    "statement_fails",  # the engine fails a statement with `text`
    "statement_fails_after",  # its effect takes place, then it fails with `text`
    "overlap",  # a write waits between its snapshot and its commit for `parties` such writes
]
_HTTP = frozenset(get_args(Action)) - {
    "statement_slow",
    "statement_fails",
    "statement_fails_after",
    "overlap",
}
_AFTER = frozenset({"latency_after", "hang_after", "reset_after"})


@dataclass(slots=True)
class Fault:
    """One fault.

    Attributes:
        action: What goes wrong.
        operation: Pattern of operations, with `*`: `files.put`, `sql.*`, `apps.deploy`.
        path: Regular expression to search in the path.
        statement: Regular expression to search in the SQL text; case is ignored.
        times: How often it acts; None: always.
        skip: How many matches to ignore first.
        seconds: Duration of a latency, a hang or a slow statement.
        retry_after: Value of `Retry-After` in seconds; None: no such header.
        text: Message of the error.
        parties: Number of writes in an overlap.
        acted: How often it has acted.
    """

    action: Action
    operation: str = "*"
    path: str = ""
    statement: str = ""
    times: int | None = 1
    skip: int = 0
    seconds: float | None = None
    retry_after: int | None = 1
    text: str = ""
    parties: int = 2
    acted: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Check the action: a fault with an unknown one would never act.

        Raises:
            ValueError: The action is unknown.
        """
        if self.action not in get_args(Action):
            raise ValueError(f"Unknown action {self.action!r}; one of {get_args(Action)}.")

    def matches(self, operation: str, path: str, statement: str) -> bool:
        """Return whether the fault applies to a request or statement."""
        return (
            fnmatchcase(operation, self.operation)
            and re.search(self.path, path) is not None
            and re.search(self.statement, statement, re.IGNORECASE) is not None
        )


@dataclass(slots=True)
class FaultSwitches:
    """All faults that are set, and the counters.

    Attributes:
        counts: Requests by operation; statements by their first word, as `statement.MERGE`.
        failed: Those of them that were answered with a status of 400 or more, or not at all.
        closing: Set when the double ends; ends all waits.
    """

    counts: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    closing: threading.Event = field(default_factory=threading.Event)
    _faults: list[Fault] = field(default_factory=list)
    _overlaps: dict[int, threading.Barrier] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, *faults: Fault) -> None:
        """Add faults after those that are set."""
        with self._lock:
            self._faults.extend(faults)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()
            for barrier in self._overlaps.values():
                barrier.abort()
            self._overlaps.clear()

    def reset_counts(self) -> None:
        """Set all counters to zero."""
        with self._lock:
            self.counts.clear()
            self.failed.clear()

    def state(self) -> dict[str, Any]:
        """Return counters and faults, for the control route."""
        with self._lock:
            return {
                "counts": dict(self.counts),
                "failed": dict(self.failed),
                "faults": [asdict(fault) for fault in self._faults],
            }

    def count(self, operation: str, *, is_failed: bool = False) -> None:
        """Count one request, or its failure."""
        with self._lock:
            (self.failed if is_failed else self.counts)[operation] += 1

    def before(self, request: Request) -> None:
        """Apply the faults that act before a request's effect.

        Raises:
            Refused: A fault answers instead of the service.
            Dropped: The connection ends.
        """
        for fault in self._due(_HTTP - _AFTER, request.operation, request.path, request.statement):
            self._act(fault)

    def after(self, request: Request) -> None:
        """Apply the faults that act between a request's effect and its answer.

        Raises:
            Dropped: The connection ends.
        """
        for fault in self._due(_AFTER, request.operation, request.path, request.statement):
            self._act(fault)

    def statement(self, text: str, actions: tuple[Action, ...]) -> list[Fault]:
        """Return the engine's faults that apply to a statement; each counts as acted."""
        return self._due(frozenset(actions), "statement", "", text)

    def overlap(self, fault: Fault, seconds: float = 10.0) -> None:
        """Wait until `fault.parties` writes are waiting, at most `seconds`."""
        with self._lock:
            barrier = self._overlaps.setdefault(id(fault), threading.Barrier(fault.parties))
        try:
            barrier.wait(seconds)
        except threading.BrokenBarrierError:
            return

    def _due(
        self, actions: frozenset[str], operation: str, path: str, statement: str
    ) -> list[Fault]:
        due: list[Fault] = []
        with self._lock:
            is_answered = False
            for fault in self._faults:
                is_passing = fault.action.startswith("latency")
                if (
                    fault.action not in actions
                    or (is_answered and not is_passing)
                    or (fault.times is not None and fault.acted >= fault.times)
                    or not fault.matches(operation, path, statement)
                ):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.acted += 1
                is_answered |= not is_passing
                due.append(fault)
        # Latencies come first: an error or reset would end the request before them.
        return sorted(due, key=lambda fault: not fault.action.startswith("latency"))

    def _act(self, fault: Fault) -> None:
        if fault.action.startswith("latency"):
            self.wait(fault.seconds or 0.0)
        elif fault.action.startswith("hang"):
            self.wait(fault.seconds)
            raise Dropped
        elif fault.action.startswith("reset"):
            raise Dropped
        else:
            raise _refusal(fault)

    def wait(self, seconds: float | None) -> None:
        """Wait, at most until the double ends; None: until it ends."""
        if seconds is not None and seconds < 0.05:  # waiting for an event is less exact than this
            time.sleep(seconds)
        else:
            self.closing.wait(seconds)


def _refusal(fault: Fault) -> Refused:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    match fault.action:
        case "throttled":
            text = fault.text or "Current request exceeds the rate limit of the workspace."
            return Refused(429, "REQUEST_LIMIT_EXCEEDED", text, headers=headers)
        case "unavailable":
            text = fault.text or "The service is temporarily unavailable."
            return Refused(503, "TEMPORARILY_UNAVAILABLE", text, headers=headers)
        case "expired":
            return Refused(401, "UNAUTHENTICATED", fault.text or "Access token expired.")
        case "invalid_token":
            return Refused(403, "PERMISSION_DENIED", fault.text or "Invalid access token.")
        case "denied":
            text = fault.text or (
                "PERMISSION_DENIED: User does not have WRITE VOLUME on Volume 'main.cio.events'."
            )
            return Refused(403, "PERMISSION_DENIED", text)
        case "missing":
            return Refused(404, "RESOURCE_DOES_NOT_EXIST", fault.text or "It does not exist.")
        case "full":
            text = fault.text or "The storage of the volume is full: quota exceeded."
            return Refused(507, "QUOTA_EXCEEDED", text)
    return Refused(500, "INTERNAL_ERROR", fault.text or "An internal error occurred.")
