"""WhatsApp messages sent natively; those through Twilio report as sms.

With `replied`, `recipient` is the number of the person who answered, and `to` is your number.
"""

from __future__ import annotations

from databricks_app.events.handlers.base import data_columns, handler

HANDLER = handler(
    "whatsapp",
    metrics=(
        "drafted",
        "attempted",
        "sent",
        "delivered",
        "opened",
        "clicked",
        "converted",
        "bounced",
        "dropped",
        "failed",
        "undeliverable",
        "replied",
    ),
    own=(
        *data_columns("STRING", "recipient", "failure_message", "content", "href"),
        *data_columns("BIGINT", "link_id"),
        *data_columns("STRING", "inbound_event_id", "to"),
    ),
)
