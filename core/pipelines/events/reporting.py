"""Reports on deliveries of Customer.io, for events that only the receiving side knows.

Source: https://docs.customer.io/integrations/data-in/semantic-events/cio-journeys/
"""

from __future__ import annotations

from typing import Literal, Required, TypedDict, Unpack

from core.pipelines.events.event import Event, Family
from core.pipelines.events.shape import checked
from core.pipelines.items import Fields, Options
from core.values import Id


class Delivery(TypedDict, total=False):
    """An event of a delivery.

    `recipient` is the device token of a push, `reason` why the delivery failed, `href` the link.
    """

    # The vendor's schema requires neither the id nor the metric, but a report without them has no
    # effect.
    deliveryId: Required[str]
    metric: Required[Literal["delivered", "clicked", "converted", "opened"]]
    recipient: str
    reason: str
    actionValue: str
    href: str


class PageContent(TypedDict, total=False):
    """An action on the content of a page.

    The vendor's schema requires `activityType` but describes `actionType`: send both.
    """

    activityType: Required[object]
    actionType: Literal["viewed_content", "clicked_content"]
    contentId: int
    templateId: int


class Reporting(Family):
    """Reports on deliveries and content. A person is optional."""

    __slots__ = ()

    content_event = Event("Report Content Event", PageContent)

    def delivery_event(
        self,
        properties: Delivery,
        *,
        user_id: Id | None = None,
        anonymous_id: Id | None = None,
        extra: Fields | None = None,
        **options: Unpack[Options],
    ) -> str:
        """Report an event of a delivery.

        Without a person, the id of the delivery is sent as anonymous id.

        Raises:
            ValidationError: Names the field that cannot be sent.
        """
        whole = checked(properties, Delivery, extra)
        # The vendor's servers require one of the two ids. Its mobile SDKs send the delivery id too.
        if user_id is None and anonymous_id is None:
            anonymous_id = properties["deliveryId"]
        return self._calls.track(
            user_id,
            event="Report Delivery Event",
            properties=whole,
            anonymous_id=anonymous_id,
            **options,
        )
