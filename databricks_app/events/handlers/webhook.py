"""Webhook actions of campaigns, not reporting webhooks; `recipient` is the URL called."""

from __future__ import annotations

from databricks_app.events.handlers.base import data_columns, handler

HANDLER = handler(
    "webhook",
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
