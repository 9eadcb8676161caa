"""Answers of `core.app_api.activities`, which `customers.activities` gives as well."""

from __future__ import annotations

from typing import TypedDict

from core.app_api.types.people import Identifiers
from core.responses import Json


class Activity(TypedDict, total=False):
    """An entry of the activity log; `timestamp` is in seconds since 1970.

    `data` depends on `type`; `delivery_id` and `delivery_type` are of deliveries only.
    """

    customer_id: str
    customer_identifiers: Identifiers
    data: dict[str, Json]
    delivery_id: str
    delivery_type: str
    id: str
    timestamp: int
    type: str
