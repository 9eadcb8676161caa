"""The calls and the families of methods that use them: `client.people`, `queue.ecommerce`."""

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
    """The six calls, and eleven families of methods for people, objects and events."""

    # A family is created at each access. Stored in the client, it would form a reference cycle: a
    # client that is no longer used would keep its connections open until garbage collection.
    @property
    def people(self) -> People:
        """People: create, update, unsubscribe, delete and suppress (GDPR)."""
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
        """Events of e-mails that another system sent."""
        return Email(self)

    @property
    def live_chat(self) -> LiveChat:
        """Live chat events."""
        return LiveChat(self)

    @property
    def mobile(self) -> Mobile:
        """Life cycle events of a mobile app."""
        return Mobile(self)

    @property
    def video(self) -> Video:
        """Video events."""
        return Video(self)

    @property
    def ab_test(self) -> AbTest:
        """A/B tests."""
        return AbTest(self)
