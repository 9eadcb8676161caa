"""In-app messages; `opened` means that the message was shown."""

from __future__ import annotations

from databricks_app.events.handlers.base import data_columns, handler

HANDLER = handler(
    "in_app",
    metrics=(
        "drafted",
        "attempted",
        "sent",
        "opened",
        "clicked",
        "converted",
        "failed",
        "undeliverable",
    ),
    own=(
        *data_columns("STRING", "recipient", "failure_message", "content"),
        *data_columns("STRING", "tracked_response", "href"),
        *data_columns("BIGINT", "link_id"),
    ),
)
