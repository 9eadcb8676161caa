"""Answers of `core.app_api.activities` and of `customers.activities`."""

from __future__ import annotations

from typing import TypedDict

from core.app_api.types.people import Identifiers, IdType
from core.http.responses import Json


class Activity(TypedDict, total=False):
    """An entry of the activity log; `timestamp` is in Unix seconds.

    `data` depends on `type`, such as `sent_email`. For activities of objects, `type` contains the
    object type: `_o:1:create`. Only deliveries have `delivery_id` and `delivery_type`.
    """

    customer_id: str
    customer_identifiers: Identifiers
    data: dict[str, Json]
    delivery_id: str
    delivery_type: str
    id: str
    timestamp: int
    type: str


class ActivityQuery(TypedDict, total=False):
    """The query parameters of `activities.list`.

    Attributes:
        start: The token of the first page.
        limit: The number of activities in a page.
        type: As in `Activity`; an open list.
        name: The name of the event or attribute, for a `type` that has one.
        deleted: Whether to include activities of deleted people.
        customer_id: Only activities of this person.
        id_type: The kind of `customer_id`; `phone` works if phone numbers identify people.
    """

    start: str
    limit: int
    type: str
    name: str
    deleted: bool
    customer_id: str
    id_type: IdType
