"""Bodies and answers of `core.app_api.broadcast_actions` and `core.app_api.campaign_actions`."""

from __future__ import annotations

from typing import Literal, TypedDict

from core.http.responses import Json

# A class cannot have a field `from`. Times in seconds since 1970. Messages of any channel, and
# webhooks; each has some of these.
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

    action: Action


class ActionsAnswer(TypedDict, total=False):
    """The messages of a broadcast."""

    actions: list[Action]


class ActionFields(TypedDict, total=False):
    """What can be changed; what is absent stays.

    `from_id` and `reply_to_id` are sender identities, of e-mails alone, as are `subject`,
    `preheader_text` and `body_amp`. `image_url` is of text messages; `url` and `method` are of
    webhooks. `headers` are of e-mails and webhooks.
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
