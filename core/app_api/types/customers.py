"""Bodies and answers of `core.app_api.customers`."""

from __future__ import annotations

from typing import TypedDict

from core.app_api.types.filters import Filter
from core.app_api.types.people import Identifiers, IdType
from core.http.responses import Json


class PeopleAnswer(TypedDict, total=False):
    """The people found."""

    results: list[Identifiers]


class PeopleSearch(TypedDict):
    """Whom to find."""

    filter: Filter


class PeopleIds(TypedDict):
    """The `id` of each person, 1 to 100 of them."""

    ids: list[str]


class PersonItem(TypedDict, total=False):
    """One of the people asked for."""

    customer: dict[str, Json]


class PeopleAttributesAnswer(TypedDict, total=False):
    """The people found, with their attributes and devices."""

    customers: list[PersonItem]


class Person(TypedDict, total=False):
    """A person; `timestamps` has the second at which each attribute was set."""

    id: str
    identifiers: Identifiers
    attributes: dict[str, Json]
    timestamps: dict[str, int]
    unsubscribed: bool
    devices: list[dict[str, Json]]


class PersonAnswer(TypedDict, total=False):
    """One person."""

    customer: Person


class Relationship(TypedDict, total=False):
    """An object that a person is related to; `attributes` are the relationship's."""

    object_type_id: int
    identifiers: dict[str, Json]
    attributes: dict[str, Json]
    timestamps: dict[str, int]


class PersonSegment(TypedDict, total=False):
    """A segment that a person is in."""

    id: int
    name: str
    description: str


class PersonSegmentsAnswer(TypedDict, total=False):
    """The segments that a person is in."""

    segments: list[PersonSegment]


class PersonMessagesQuery(TypedDict, total=False):
    """What `customers.messages` can be asked for."""

    id_type: IdType
    start: str
    limit: int
    start_ts: int
    end_ts: int


class PersonMessage(TypedDict, total=False):
    """A delivery; `metrics` holds the second at which each metric was reached.

    It is a `Message` of `messages`, but for the name of `msg_template_id`.
    """

    id: str
    deduplicate_id: str
    msg_template_id: str
    customer_id: str
    campaign_id: int
    action_id: int
    recipient: str
    subject: str
    metrics: dict[str, int]
    created: int
    failure_message: str
    newsletter_id: int
    content_id: int
    broadcast_id: int
    type: str
    forgotten: bool


class PersonActivitiesQuery(TypedDict, total=False):
    """What `customers.activities` can be asked for."""

    id_type: IdType
    start: str
    limit: int
    type: str
    name: str


class Preferences(TypedDict, total=False):
    """What a person is subscribed to; `header` is that of the page where they choose."""

    id: str
    identifiers: Identifiers
    topics: list[dict[str, Json]]
    unsubscribed: bool
    header: dict[str, Json]


class PreferencesAnswer(TypedDict, total=False):
    """What one person is subscribed to."""

    customer: Preferences
