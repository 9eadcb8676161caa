"""Changes of a person's subscriptions.

The object type of such an event may be the channel that caused the change, so these metrics are
routed here whatever the object type says (see `databricks_app.events.routing`). The channel has two
further spellings, at the top level: `object_type_type` and `delivery_type`.
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
