"""The calls, and what is made of them by family: `client.people`, `queue.ecommerce`."""

from __future__ import annotations

from core.pipelines.calls import Calls
from core.pipelines.devices import Devices
from core.pipelines.events.ab_test import AbTest
from core.pipelines.events.ecommerce import Ecommerce
from core.pipelines.events.email import Email
from core.pipelines.events.live_chat import LiveChat
from core.pipelines.events.mobile import Mobile
from core.pipelines.events.reporting import Reporting
from core.pipelines.events.video import Video
from core.pipelines.objects import ObjectCalls
from core.pipelines.people import People
from core.pipelines.relationships import Relationships


class Surface(Calls):
    """The six calls and the eleven families of people, objects and events."""

    # Created at each access: a kept one would hold the client in a reference cycle.
    @property
    def people(self) -> People:
        """People: create, update, unsubscribe, and the GDPR events."""
        return People(self)

    @property
    def devices(self) -> Devices:
        """Devices of people, for push messages."""
        return Devices(self)

    @property
    def objects(self) -> ObjectCalls:
        """Objects: companies, accounts, courses."""
        return ObjectCalls(self)

    @property
    def relationships(self) -> Relationships:
        """Relationships between people and objects."""
        return Relationships(self)

    @property
    def reporting(self) -> Reporting:
        """Reports on deliveries and content."""
        return Reporting(self)

    @property
    def ecommerce(self) -> Ecommerce:
        """E-commerce events."""
        return Ecommerce(self)

    @property
    def email(self) -> Email:
        """E-mail events of other systems."""
        return Email(self)

    @property
    def live_chat(self) -> LiveChat:
        """Live chat events."""
        return LiveChat(self)

    @property
    def mobile(self) -> Mobile:
        """Events of a mobile app's life."""
        return Mobile(self)

    @property
    def video(self) -> Video:
        """Video events."""
        return Video(self)

    @property
    def ab_test(self) -> AbTest:
        """A/B tests."""
        return AbTest(self)
