"""Slack messages; `undeliverable` is sent although no webhook can subscribe to it by name."""

from __future__ import annotations

from databricks_app.events.handlers.base import data_columns, handler

HANDLER = handler(
    "slack",
    metrics=(
        "drafted",
        "attempted",
        "sent",
        "clicked",
        "converted",
        "failed",
        "undeliverable",
    ),
    own=(
        *data_columns("STRING", "recipient", "failure_message", "content", "href"),
        *data_columns("BIGINT", "link_id"),
    ),
)
