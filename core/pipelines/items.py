"""The items of the six calls, as the vendor specifies them.

Unknown keys are kept. Pure.
Source: https://docs.customer.io/integrations/api/cdp/
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Required, TypeAlias, TypedDict

from core.values import Id

Fields: TypeAlias = Mapping[str, object]
Time: TypeAlias = datetime | str


class CampaignContext(TypedDict, total=False):
    """The marketing campaign that the person came from."""

    name: str
    source: str
    medium: str
    term: str
    content: str


class PageContext(TypedDict, total=False):
    """The page that the person viewed."""

    name: str
    path: str
    referrer: str
    search: str
    title: str
    url: str
    keywords: list[str]


class AppContext(TypedDict, total=False):
    """The app that the person used."""

    name: str
    version: str
    build: str
    namespace: str


class DeviceContext(TypedDict, total=False):
    """The person's device; `token` is for the device events."""

    id: str
    token: str
    advertisingId: str
    manufacturer: str
    model: str
    name: str
    type: Literal["android", "ios"]
    version: str


class NetworkContext(TypedDict, total=False):
    """The network connection of the device."""

    bluetooth: bool
    carrier: str
    cellular: bool
    wifi: bool


class SystemContext(TypedDict, total=False):
    """The device's operating system."""

    name: str
    version: str


class LibraryContext(TypedDict, total=False):
    """The client that sent the call; added if absent."""

    name: str
    version: str


class Context(TypedDict, total=False):
    """The context of a call."""

    library: LibraryContext
    active: bool
    ip: str
    locale: str
    userAgent: str
    channel: Literal["browser", "server", "mobile"]
    campaign: CampaignContext
    page: PageContext
    app: AppContext
    device: DeviceContext
    network: NetworkContext
    os: SystemContext
    traits: Fields


class Common(TypedDict, total=False):
    """The fields of every item; `messageId` and `timestamp` are added if absent."""

    messageId: str
    timestamp: Time
    originalTimestamp: Time
    sentAt: Time
    context: Context | Fields
    integrations: Fields


class Options(TypedDict, total=False):
    """The optional arguments of every method.

    `timestamp` is the time of the event; it must have a time zone. If absent, it is the current
    time. `message_id` is a random UUID if absent.
    """

    context: Context | Fields | None
    integrations: Fields | None
    timestamp: datetime | None
    message_id: str | None


class IdentifyItem(Common, total=False):
    """Create or update a person; needs `userId` or `anonymousId`."""

    type: Required[Literal["identify"]]
    userId: Id
    anonymousId: Id
    traits: Fields


class TrackItem(Common, total=False):
    """An event; needs `userId`, `anonymousId` or `groupId`."""

    type: Required[Literal["track"]]
    event: Required[str]
    userId: Id
    anonymousId: Id
    groupId: Id
    properties: Fields


class PageItem(Common, total=False):
    """A page view; needs `userId` or `anonymousId`."""

    type: Required[Literal["page"]]
    userId: Id
    anonymousId: Id
    name: str
    properties: Fields


class ScreenItem(Common, total=False):
    """A screen of an app; needs `userId` or `anonymousId`."""

    type: Required[Literal["screen"]]
    userId: Id
    anonymousId: Id
    name: str
    properties: Fields


class GroupItem(Common, total=False):
    """An object, and a relationship of a person to it; needs `userId` or `anonymousId`."""

    type: Required[Literal["group"]]
    groupId: Required[Id]
    userId: Id
    anonymousId: Id
    traits: Fields


class AliasItem(Common, total=False):
    """Merge the person with an earlier id into the person with the current id."""

    type: Required[Literal["alias"]]
    previousId: Required[Id]
    userId: Required[Id]


Item: TypeAlias = IdentifyItem | TrackItem | PageItem | ScreenItem | GroupItem | AliasItem
