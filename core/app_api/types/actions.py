"""Bodies and answers of `core.app_api.broadcast_actions` and `core.app_api.campaign_actions`."""

from __future__ import annotations

from typing import Literal, Required, TypedDict

from core.http.responses import Json

# A message of any channel, or a webhook; each has some of these fields. Times are Unix seconds.
# `from` is a keyword of Python, so the class syntax cannot declare it.
Action = TypedDict(
    "Action",
    {
        "id": int,
        "broadcast_id": int,
        "campaign_id": int,
        "parent_action_id": int,
        "deduplicate_id": str,
        "name": str,
        "layout": str,
        "created": int,
        "updated": int,
        "body": str,
        "body_amp": str,
        "language": str,
        "type": str,
        "sending_state": str,
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
        "image_url": str,
        "url": str,
        "method": str,
    },
    total=False,
)


class ActionAnswer(TypedDict, total=False):
    """One message or webhook."""

    action: Required[Action]


class ActionsAnswer(TypedDict, total=False):
    """The messages of a broadcast."""

    actions: Required[list[Action]]


class ActionFields(TypedDict, total=False):
    """The changes; fields that are absent stay unchanged.

    Only e-mails have `from_id` and `reply_to_id` (sender identities), `subject`, `preheader_text`
    and `body_amp`. Only text messages have `image_url`, only webhooks `url` and `method`. E-mails
    and webhooks have `headers`.
    """

    body: str
    sending_state: Literal["automatic", "draft", "off"]
    recipient: str
    subject: str
    preheader_text: str
    body_amp: str
    from_id: int
    reply_to_id: int | None
    headers: dict[str, Json]
    image_url: str
    url: str
    method: Literal["get", "post", "put", "delete", "patch"]
