"""Push notifications; `recipients` are the devices.

The vendor's specification shows the metric `attempted` for `drafted` events. Both are accepted.
"""

from __future__ import annotations

from databricks_app.events.handlers.base import data_columns, handler

HANDLER = handler(
    "push",
    metrics=(
        "drafted",
        "attempted",
        "delivered",
        "sent",
        "opened",
        "clicked",
        "converted",
        "bounced",
        "dropped",
        "failed",
        "undeliverable",
    ),
    own=(
        *data_columns(
            "ARRAY<STRUCT<device_id: STRING, device_platform: STRING, failure_message: STRING>>",
            "recipients",
        ),
        *data_columns("STRING", "failure_message", "content", "href"),
        *data_columns("BIGINT", "link_id"),
    ),
)
