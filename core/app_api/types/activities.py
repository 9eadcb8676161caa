"""Answers of `core.app_api.activities`, which `customers.activities` gives as well."""

from __future__ import annotations

from typing import TypedDict

from core.app_api.types.people import Identifiers, IdType
from core.http.responses import Json


class Activity(TypedDict, total=False):
    """An entry of the activity log; `timestamp` is in seconds since 1970.

    `data` depends on `type`, which is a word such as `sent_email`, and of objects one with the
    type of the object, as `_o:1:create`. `delivery_id` and `delivery_type` are of deliveries only.
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
    """What `activities.list` can be asked for.

    Attributes:
        start: Where to begin.
        limit: How many a page holds.
        type: As in `Activity`; the words are no closed list.
        name: Of the event or attribute, with such a `type`.
        deleted: Whether those of deleted people come along.
        customer_id: Only those of one person.
        id_type: What `customer_id` is; `phone` if phone numbers identify people here.
    """

    start: str
    limit: int
    type: str
    name: str
    deleted: bool
    customer_id: str
    id_type: IdType
