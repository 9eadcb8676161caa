"""Email messages."""

from __future__ import annotations

from databricks_app.events.handlers.base import data_columns, handler

HANDLER = handler(
    "email",
    metrics=(
        "drafted",
        "attempted",
        "sent",
        "delivered",
        "opened",
        "clicked",
        "converted",
        "unsubscribed",
        "bounced",
        "dropped",
        "deferred",
        "spammed",
        "failed",
        "undeliverable",
    ),
    own=(
        *data_columns("STRING", "subject", "recipient", "failure_message", "content"),
        *data_columns("MAP<STRING, ARRAY<STRING>>", "headers"),
        *data_columns("BOOLEAN", "proxied", "prefetched", "synthetic"),
        *data_columns("STRING", "href"),
        *data_columns("BIGINT", "link_id"),
        *data_columns("BOOLEAN", "machine"),
    ),
)
