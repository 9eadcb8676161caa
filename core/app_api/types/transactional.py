"""Bodies and answers of `core.app_api.transactional`."""

from __future__ import annotations

from typing import TypedDict

from core.app_api.types.messages import Reached, State
from core.http.responses import Json


class TransactionalMessage(TypedDict, total=False):
    """A template, without its content; times in seconds since 1970.

    `hide_message_body` keeps no content of what it sends; `queue_drafts` holds messages back for
    somebody to send them.
    """

    id: int
    name: str
    description: str
    send_to_unsubscribed: bool
    link_tracking: bool
    open_tracking: bool
    hide_message_body: bool
    queue_drafts: bool
    created_at: int
    updated_at: int


class TransactionalMessageAnswer(TypedDict, total=False):
    """One template."""

    message: TransactionalMessage


class TransactionalMessagesAnswer(TypedDict, total=False):
    """All templates."""

    messages: list[TransactionalMessage]


# A class cannot have a field `from`. Times in seconds since 1970.
Content = TypedDict(
    "Content",
    {
        "id": int,
        "name": str,
        "created": int,
        "updated": int,
        "body": str,
        "body_amp": str,
        "language": str,
        "type": str,
        "from": str,
        "from_id": int,
        "reply_to": str,
        "reply_to_id": int | None,
        "preprocessor": str,
        "recipient": str,
        "subject": str,
        "bcc": str,
        "fake_bcc": bool,
        "preheader_text": str,
        "headers": dict[str, Json],
    },
    total=False,
)


class ContentsAnswer(TypedDict, total=False):
    """What a template says in each language."""

    contents: list[Content]


class ContentAnswer(TypedDict, total=False):
    """What a template says in one language."""

    content: Content


class ContentListAnswer(TypedDict, total=False):
    """What a template says in one language; the specification has a list here."""

    content: list[Content]


class ContentFields(TypedDict, total=False):
    """What can be changed; what is absent stays.

    `from_id` and `reply_to_id` are sender identities.
    """

    body: str
    body_amp: str
    subject: str
    preheader_text: str
    from_id: int
    reply_to_id: int | None
    headers: dict[str, Json]


class TransactionalDeliveryQuery(TypedDict, total=False):
    """What `transactional.messages` can be asked for."""

    start: str
    limit: int
    metric: Reached
    state: State
    start_ts: int
    end_ts: int
    get_tracked_responses: bool
