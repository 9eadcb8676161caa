"""Bodies and answers of `core.app_api.transactional`."""

from __future__ import annotations

from typing import Required, TypedDict

from core.http.responses import Json


class TransactionalMessage(TypedDict, total=False):
    """A template, without its content; times are Unix seconds.

    With `hide_message_body` the vendor stores no content of its messages. With `queue_drafts`
    messages are stored as drafts, which somebody sends in the vendor's interface.
    """

    id: Required[int]
    name: Required[str]
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

    message: Required[TransactionalMessage]


class TransactionalMessagesAnswer(TypedDict, total=False):
    """All templates."""

    messages: Required[list[TransactionalMessage]]


# `from` is a keyword of Python, so the class syntax cannot declare it. Times are Unix seconds.
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
    """The contents of a template, one for each language."""

    contents: Required[list[Content]]


class ContentAnswer(TypedDict, total=False):
    """The content of a template in one language."""

    content: Required[Content]


class ContentListAnswer(TypedDict, total=False):
    """The content of a template in one language; a list in the specification."""

    content: Required[list[Content]]


class ContentFields(TypedDict, total=False):
    """The changes; fields that are absent stay unchanged.

    `from_id` and `reply_to_id` are sender identities.
    """

    body: str
    body_amp: str
    subject: str
    preheader_text: str
    from_id: int
    reply_to_id: int | None
    headers: dict[str, Json]
