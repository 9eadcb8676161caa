"""Errors on demand: the next calls of an operation are answered as an instruction says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from databricks_app.simulator.messages import ApiReply, Json, Refused, Shape, error_reply

_KINDS: dict[str, type | tuple[type, ...]] = {
    "operation": str,
    "status": int,
    "times": int,
    "retry_after": int,
    "detail": str,
    "delay_seconds": (int, float),
    "hang_up": bool,
    "without_body": bool,
}


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """An instruction.

    Attributes:
        operation: The vendor's name of the calls it is for; `*`: all.
        status: What they are answered; None: as usual, only later.
        times: How many of them.
        retry_after: Seconds for that header; None: none.
        detail: The words of the error.
        delay_seconds: How long the machine waits first.
        hang_up: Whether the connection is closed without an answer.
        without_body: Whether the error has no body, as some 401 and 404 of the vendor's.
    """

    operation: str = "*"
    status: int | None = None
    times: int = 1
    retry_after: int | None = None
    detail: str = "a fault was asked for"
    delay_seconds: float = 0.0
    hang_up: bool = False
    without_body: bool = False

    @classmethod
    def from_json(cls, fields: Json) -> InjectedFault:
        """Read an instruction.

        Raises:
            Refused: 400, a field is unknown or has the wrong type.
        """
        for name, value in fields.items():
            if name not in _KINDS:
                raise Refused(400, f"{name} is not one of {', '.join(_KINDS)}")
            if not _is(value, _KINDS[name]):
                raise Refused(400, f"{name} has the wrong type")
        fault = cls(**fields)
        if fault.status is not None and not 400 <= fault.status <= 599:
            raise Refused(400, "status must be from 400 to 599")
        return fault

    def reply(self, shape: Shape) -> ApiReply | None:
        """What is answered instead; None: only the delay holds."""
        if self.hang_up:
            return ApiReply(500, delay_seconds=self.delay_seconds, hangs_up=True)
        if self.status is None:
            return None
        error = Refused(self.status, self.detail, retry_after_seconds=self.retry_after)
        answer = replace(error_reply(error, shape), delay_seconds=self.delay_seconds)
        return replace(answer, body=None) if self.without_body else answer


class InjectedFaults:
    """The instructions that are in force, in the order they were given."""

    def __init__(self) -> None:
        self.all: list[InjectedFault] = []

    def add(self, fault: InjectedFault) -> None:
        """Put an instruction in force."""
        self.all.append(fault)

    def take(self, operation: str) -> InjectedFault | None:
        """The fault of a call that is made now; uses one of its times."""
        for place, fault in enumerate(self.all):
            if fault.operation in {operation, "*"}:
                if fault.times > 1:
                    self.all[place] = replace(fault, times=fault.times - 1)
                else:
                    del self.all[place]
                return fault
        return None


def _is(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
