"""Bodies and answers of `core.app_api.optouts`."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict

Channel: TypeAlias = Literal["sms", "whatsapp"]

# `from` is a keyword of Python.
Optout = TypedDict("Optout", {"channel": Channel, "from": str}, total=False)


class PersonOptouts(TypedDict, total=False):
    """A person, and the senders they opted out of."""

    cio_id: str
    customer_id: str
    optouts: list[Optout]


class OptoutsAnswer(TypedDict, total=False):
    """The senders that a person opted out of."""

    optouts: Required[list[Optout]]


# The default of `channel` is `sms`.
OptoutChange = TypedDict(
    "OptoutChange",
    {"from": Required[str], "optout": Required[bool], "channel": Channel},
    total=False,
)


class OptoutChanges(TypedDict, total=False):
    """The changes."""

    optouts: Required[list[OptoutChange]]
