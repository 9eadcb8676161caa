"""Reports on what Customer.io delivered, which only the receiving side can know.

Source: https://docs.customer.io/integrations/data-in/semantic-events/cio-journeys/
"""

from __future__ import annotations

from typing import Literal, Required, TypedDict, Unpack

from core.pipelines.events.event import Event, Family
from core.pipelines.events.shape import checked
from core.pipelines.items import Fields, Options


class Delivery(TypedDict, total=False):
    """What became of a delivery; the schema requires neither id nor metric, the work of it does.

    `recipient` is the device token of a push, `reason` why it failed, `href` the link.
    """

    deliveryId: Required[str]
    metric: Required[Literal["delivered", "clicked", "converted", "opened"]]
    recipient: str
    reason: str
    actionValue: str
    href: str


class PageContent(TypedDict, total=False):
    """What was done with content on a page.

    The vendor's schema requires `activityType` and describes `actionType`; send both.
    """

    activityType: Required[object]
    actionType: Literal["viewed_content", "clicked_content"]
    contentId: int
    templateId: int


class Reporting(Family):
    """Reports on deliveries and content; both name no person unless you do."""

    __slots__ = ()

    content_event = Event("Report Content Event", PageContent)

    def delivery_event(
        self,
        properties: Delivery,
        *,
        user_id: str | None = None,
        anonymous_id: str | None = None,
        extra: Fields | None = None,
        **options: Unpack[Options],
    ) -> str:
        """Report on a delivery; without a person, the delivery's id stands in as anonymous id.

        The vendor's own mobile SDKs do that, as its servers want either id.

        Raises:
            ValidationError: Names what cannot be sent.
        """
        whole = checked(properties, Delivery, extra)
        if user_id is None and anonymous_id is None:
            anonymous_id = properties["deliveryId"]
        return self._calls.track(
            user_id,
            event="Report Delivery Event",
            properties=whole,
            anonymous_id=anonymous_id,
            **options,
        )
