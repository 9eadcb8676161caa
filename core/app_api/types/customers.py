"""Bodies and answers of `core.app_api.customers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Required, TypedDict

from core.app_api.types.filters import Filter
from core.app_api.types.people import Identifiers
from core.http.responses import Json
from core.values import Id


class PeopleAnswer(TypedDict, total=False):
    """The people found."""

    results: Required[list[Identifiers]]


class PeopleSearch(TypedDict):
    """The filter of a search."""

    filter: Filter


class PeopleIds(TypedDict):
    """The `id` of each person, 1 to 100 of them."""

    ids: Sequence[Id]


class PersonItem(TypedDict, total=False):
    """One of the requested people."""

    customer: dict[str, Json]


class PeopleAttributesAnswer(TypedDict, total=False):
    """The people found, with their attributes and devices."""

    customers: Required[list[PersonItem]]


class Person(TypedDict, total=False):
    """A person; `timestamps` are the Unix seconds at which each attribute was set."""

    id: str
    identifiers: Identifiers
    attributes: Required[dict[str, Json]]
    timestamps: dict[str, int]
    unsubscribed: bool
    devices: list[dict[str, Json]]


class PersonAnswer(TypedDict, total=False):
    """One person."""

    customer: Required[Person]


class Relationship(TypedDict, total=False):
    """An object that a person is related to; `attributes` belong to the relationship."""

    object_type_id: int
    identifiers: dict[str, Json]
    attributes: dict[str, Json]
    timestamps: dict[str, int]


class PersonSegment(TypedDict, total=False):
    """A segment that a person is in."""

    id: Required[int]
    name: str
    description: str


class PersonSegmentsAnswer(TypedDict, total=False):
    """The segments that a person is in."""

    segments: Required[list[PersonSegment]]


class PersonMessage(TypedDict, total=False):
    """A delivery; `metrics` are the Unix seconds at which each metric was reached.

    Like `Message` of `messages`, except for the name of `msg_template_id`.
    """

    id: Required[str]
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


class Preferences(TypedDict, total=False):
    """The subscriptions of a person; `header` is the header of the subscription page."""

    id: str
    identifiers: Identifiers
    topics: list[dict[str, Json]]
    unsubscribed: bool
    header: dict[str, Json]


class PreferencesAnswer(TypedDict, total=False):
    """The subscriptions of one person."""

    customer: Required[Preferences]
