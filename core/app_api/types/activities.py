"""Answers of `core.app_api.activities` and of `customers.activities`."""

from __future__ import annotations

from typing import Required, TypedDict

from core.app_api.types.people import Identifiers
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
    id: Required[str]
    timestamp: int
    type: Required[str]
