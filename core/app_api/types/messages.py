"""Bodies and answers of `core.app_api.messages`."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict

from core.app_api.types.people import Identifiers
from core.http.responses import Json

Reached: TypeAlias = Literal[
    "attempted",
    "sent",
    "delivered",
    "opened",
    "clicked",
    "converted",
    "bounced",
    "spammed",
    "unsubscribed",
    "dropped",
    "failed",
    "undeliverable",
]
State: TypeAlias = Literal["failed", "sent", "drafted", "attempted"]


class Message(TypedDict, total=False):
    """A delivery; `metrics` are the Unix seconds at which each metric was reached."""

    id: Required[str]
    deduplicate_id: str
    message_template_id: int
    customer_id: str
    customer_identifiers: Identifiers
    recipient: str
    subject: str
    metrics: dict[str, int]
    created: int
    failure_message: str
    campaign_id: int
    action_id: int
    parent_action_id: int
    newsletter_id: int
    content_id: int
    broadcast_id: int
    trigger_event_id: str
    type: str
    forgotten: bool


class MessageAnswer(TypedDict, total=False):
    """One delivery."""

    message: Required[Message]


ArchivedMessage = TypedDict(
    "ArchivedMessage",
    {
        "id": str,
        "body": str,
        "from": str,
        "reply_to": str,
        "recipient": str,
        "subject": str,
        "bcc": str,
        "fake_bcc": bool,
        "preheader_text": str,
        "url": str,
        "request_method": str,
        "headers": dict[str, Json],
        "forgotten": bool,
    },
    total=False,
)


class ArchivedMessageAnswer(TypedDict, total=False):
    """The content that was sent."""

    archived_message: Required[ArchivedMessage]
