"""Injected faults: tests can make the next calls of an operation fail, hang up or be slow."""

from __future__ import annotations

from dataclasses import dataclass, replace

from databricks_app.simulator.messages import ApiReply, ErrorShape, Json, Refused, error_reply

_TYPES: dict[str, type | tuple[type, ...]] = {
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
    """A fault for the next calls of an operation.

    Attributes:
        operation: The vendor's name of the operation; `*`: every operation.
        status: The status of the answer; None: the usual answer, after the delay.
        times: How many calls get the fault.
        retry_after: Value of the header `Retry-After`, in seconds; None: no such header.
        detail: Text of the error.
        delay_seconds: How long to wait before the answer, in seconds of the machine.
        hang_up: Whether to close the connection without an answer.
        without_body: Whether the error has no body, as some 401 and 404 of the vendor do.
    """

    operation: str = "*"
    status: int | None = None
    times: int = 1
    retry_after: int | None = None
    detail: str = "a fault that was added through /simulator/faults"
    delay_seconds: float = 0.0
    hang_up: bool = False
    without_body: bool = False

    @classmethod
    def from_json(cls, fields: Json) -> InjectedFault:
        """Read a fault.

        Raises:
            Refused: 400, a field is unknown, has the wrong type, or is out of range.
        """
        for name, value in fields.items():
            if name not in _TYPES:
                raise Refused(400, f"{name} is not a field of a fault: {', '.join(_TYPES)}")
            expected = _TYPES[name]
            # In Python True is an int as well.
            if not isinstance(value, expected) or (
                isinstance(value, bool) and expected is not bool
            ):
                raise Refused(400, f"{name} has the wrong type")
        fault = cls(**fields)
        if fault.status is not None and not 400 <= fault.status <= 599:
            raise Refused(400, "status must be from 400 to 599")
        return fault

    def reply(self, shape: ErrorShape) -> ApiReply | None:
        """Return the answer of the fault; None: the usual answer, after the delay."""
        if self.hang_up:
            return ApiReply(500, delay_seconds=self.delay_seconds, hangs_up=True)
        if self.status is None:
            return None
        error = Refused(self.status, self.detail, retry_after_seconds=self.retry_after)
        answer = replace(error_reply(error, shape), delay_seconds=self.delay_seconds)
        return replace(answer, body=None) if self.without_body else answer


class InjectedFaults:
    """The active faults, oldest first."""

    def __init__(self) -> None:
        self.all: list[InjectedFault] = []

    def add(self, fault: InjectedFault) -> None:
        """Add a fault."""
        self.all.append(fault)

    def take(self, operation: str) -> InjectedFault | None:
        """Return the oldest fault of this operation, and use one of its times."""
        for index, fault in enumerate(self.all):
            if fault.operation in {operation, "*"}:
                if fault.times > 1:
                    self.all[index] = replace(fault, times=fault.times - 1)
                else:
                    del self.all[index]
                return fault
        return None
