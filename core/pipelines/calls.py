"""The six calls as methods. The client sends their items, the queue stores them.

Operation names: https://docs.customer.io/integrations/api/cdp/
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from core.pipelines.items import Context, Fields
    from core.values import Id


class Calls(ABC):
    """The six calls.

    Every call takes `context` and `integrations` as the vendor describes them. `timestamp` is the
    time of the event; it must have a time zone, and is the current time if absent. `message_id` is
    a random UUID if absent; a repeated call has the same one. Each method returns the message id.
    It raises `ValidationError`, which names the argument, or `SizeError` before anything is sent.
    """

    @abstractmethod
    def _take(self, item: Mapping[str, object]) -> str:
        """Take an unchecked item as the vendor specifies it; return its message id."""

    def identify(
        self,
        user_id: Id | None = None,
        traits: Fields | None = None,
        *,
        anonymous_id: Id | None = None,
        context: Context | Fields | None = None,
        integrations: Fields | None = None,
        timestamp: datetime | None = None,
        message_id: str | None = None,
    ) -> str:
        """Create or update the person with one of the two ids.

        Operation: identify
        """
        return self._take(
            _item(
                "identify",
                userId=user_id,
                traits=traits,
                anonymousId=anonymous_id,
                context=context,
                integrations=integrations,
                timestamp=timestamp,
                messageId=message_id,
            )
        )

    def track(
        self,
        user_id: Id | None = None,
        *,
        event: str,
        properties: Fields | None = None,
        anonymous_id: Id | None = None,
        group_id: Id | None = None,
        context: Context | Fields | None = None,
        integrations: Fields | None = None,
        timestamp: datetime | None = None,
        message_id: str | None = None,
    ) -> str:
        """Record an event of a person, or of a group if no person is named.

        Operation: track
        """
        return self._take(
            _item(
                "track",
                event=event,
                userId=user_id,
                properties=properties,
                anonymousId=anonymous_id,
                groupId=group_id,
                context=context,
                integrations=integrations,
                timestamp=timestamp,
                messageId=message_id,
            )
        )

    def page(
        self,
        user_id: Id | None = None,
        *,
        name: str | None = None,
        properties: Fields | None = None,
        anonymous_id: Id | None = None,
        context: Context | Fields | None = None,
        integrations: Fields | None = None,
        timestamp: datetime | None = None,
        message_id: str | None = None,
    ) -> str:
        """Record a page view; `url`, `title` and `referrer` are properties.

        Operation: page
        """
        return self._take(
            _item(
                "page",
                name=name,
                userId=user_id,
                properties=properties,
                anonymousId=anonymous_id,
                context=context,
                integrations=integrations,
                timestamp=timestamp,
                messageId=message_id,
            )
        )

    def screen(
        self,
        user_id: Id | None = None,
        *,
        name: str | None = None,
        properties: Fields | None = None,
        anonymous_id: Id | None = None,
        context: Context | Fields | None = None,
        integrations: Fields | None = None,
        timestamp: datetime | None = None,
        message_id: str | None = None,
    ) -> str:
        """Record a screen view of an app.

        Operation: screen
        """
        return self._take(
            _item(
                "screen",
                name=name,
                userId=user_id,
                properties=properties,
                anonymousId=anonymous_id,
                context=context,
                integrations=integrations,
                timestamp=timestamp,
                messageId=message_id,
            )
        )

    def group(
        self,
        user_id: Id | None = None,
        *,
        group_id: Id,
        traits: Fields | None = None,
        anonymous_id: Id | None = None,
        context: Context | Fields | None = None,
        integrations: Fields | None = None,
        timestamp: datetime | None = None,
        message_id: str | None = None,
    ) -> str:
        """Create or update an object, and relate a person to it.

        A person is required: without one the vendor creates no relationship and reports no error.
        `traits["object_type_id"]` is the type of the object.

        Operation: group
        """
        return self._take(
            _item(
                "group",
                groupId=group_id,
                userId=user_id,
                traits=traits,
                anonymousId=anonymous_id,
                context=context,
                integrations=integrations,
                timestamp=timestamp,
                messageId=message_id,
            )
        )

    def alias(
        self,
        user_id: Id,
        *,
        previous_id: Id,
        context: Context | Fields | None = None,
        integrations: Fields | None = None,
        timestamp: datetime | None = None,
        message_id: str | None = None,
    ) -> str:
        """Merge the person with the id `previous_id`, often an anonymous id, into `user_id`.

        Operation: alias
        """
        return self._take(
            _item(
                "alias",
                previousId=previous_id,
                userId=user_id,
                context=context,
                integrations=integrations,
                timestamp=timestamp,
                messageId=message_id,
            )
        )


def _item(type_: str, **fields: object) -> dict[str, object]:
    """Build an item from the vendor's keys, without those that are None."""
    item: dict[str, object] = {"type": type_}
    for name, value in fields.items():
        if value is not None:
            item[name] = value
    return item
