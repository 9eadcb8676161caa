"""Changes of a person's subscriptions.

The object type of these events can be the channel that caused the change, so they are routed here
by their metric (see `databricks_app.events.routing`). Two more top-level fields can hold the
channel: `object_type_type` and `delivery_type`.
"""

from __future__ import annotations

from databricks_app.events.handlers.base import Column, data_columns, handler

HANDLER = handler(
    "customer",
    metrics=(
        "subscribed",
        "unsubscribed",
        "cio_subscription_preferences_changed",
    ),
    own=(
        *data_columns("STRING", "email_address"),
        Column("object_type_type", "STRING", "object_type_type"),
        Column("delivery_type", "STRING", "delivery_type"),
        *data_columns("STRING", "content"),
    ),
)
