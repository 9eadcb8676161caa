"""The base classes of semantic events.

A family is a class whose attributes are `Event`s. On an instance, each attribute is a function of
the person and the properties: `client.ecommerce.order_completed("u-1", {"order_id": "o-1"})`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Self, TypeVar, Unpack, overload

from core.pipelines.events.shape import checked

if TYPE_CHECKING:
    from core.pipelines.calls import Calls
    from core.pipelines.items import Fields, Options
    from core.values import Id

Properties = TypeVar("Properties", bound=Mapping[str, object])


class Family:
    """A family of events. `calls` is a client or a queue."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls


@dataclass(frozen=True, slots=True)
class Event(Generic[Properties]):
    """An event of the vendor's specification.

    Attributes:
        name: The exact name that the vendor expects.
        properties: The TypedDict of its properties.
    """

    name: str
    properties: type[Properties]

    @overload
    def __get__(self, family: None, owner: type[Family]) -> Self: ...
    @overload
    def __get__(self, family: Family, owner: type[Family]) -> EventSender[Properties]: ...
    def __get__(self, family: Family | None, owner: type[Family]) -> Self | EventSender[Properties]:
        """Return the event on the class, and a function that sends the event on an instance."""
        return self if family is None else EventSender(self, family._calls)


@dataclass(frozen=True, slots=True)
class EventSender(Generic[Properties]):
    """Sends one event.

    Attributes:
        event: The event.
        calls: The client or the queue that sends it.
    """

    event: Event[Properties]
    calls: Calls = field(repr=False)

    def __call__(
        self,
        user_id: Id | None = None,
        properties: Properties | None = None,
        *,
        anonymous_id: Id | None = None,
        group_id: Id | None = None,
        extra: Fields | None = None,
        **options: Unpack[Options],
    ) -> str:
        """Send the event; return its message id.

        Args:
            user_id: The person; this, `anonymous_id` or `group_id` is needed.
            properties: The properties of the vendor's specification; checked before sending.
            anonymous_id: A person without an id.
            group_id: A group, if there is no person.
            extra: Additional properties.
            options: `context`, `integrations`, `timestamp`, `message_id`, as with `track`.

        Raises:
            ValidationError: Names the field: `properties.products[2].price`.
            SizeError: The event is larger than 32,000 bytes.
        """
        whole = checked(properties, self.event.properties, extra)
        return self.calls.track(
            user_id,
            event=self.event.name,
            properties=whole or None,
            anonymous_id=anonymous_id,
            group_id=group_id,
            **options,
        )
