"""Bodies and answers of `core.app_api.send`."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict

from core.app_api.types.people import OneIdentifier
from core.http.responses import Json


class Sending(TypedDict, total=False):
    """What every transactional message has.

    Attributes:
        identifiers: Whose message it is, by exactly one id.
        message_data: What the template's Liquid reads as `trigger`.
        send_at: The second since 1970, at most 90 days ahead; a past one means now.
        disable_message_retention: Keeps no content of it.
        queue_draft: Holds it back, for somebody to send it in the vendor's interface.
    """

    identifiers: Required[OneIdentifier]
    message_data: dict[str, Json]
    send_at: int
    disable_message_retention: bool
    queue_draft: bool


class FromTemplate(Sending, total=False):
    """What every message has that comes from a template.

    Attributes:
        transactional_message_id: The template's number, or the name of its trigger in any case.
        language: Of the template's version; the person's own if absent.
    """

    transactional_message_id: Required[int | str]
    language: str


class Consented(TypedDict, total=False):
    """Who gets it.

    Attributes:
        send_to_unsubscribed: Whether the unsubscribed get it too; true if absent.
    """

    send_to_unsubscribed: bool


class Creating(TypedDict, total=False):
    """Who is made.

    Attributes:
        auto_create: Whether a person is made that the workspace does not know.
    """

    auto_create: bool


_MayHaveFrom = TypedDict("_MayHaveFrom", {"from": str}, total=False)
_MustHaveFrom = TypedDict("_MustHaveFrom", {"from": str})


class EmailFields(Consented, Creating, total=False):
    """What every e-mail has; `to`, `cc` and `bcc` hold addresses, parted by commas.

    Attributes:
        fake_bcc: Sends a copy of its own to `bcc`, with the subject marked.
        attachments: Base64 by file name with extension; 2 MB together.
        headers: By name; the vendor's newer specification has them as the text of a JSON object.
        disable_css_preprocessing: Leaves style sheets as they are.
        tracked: Whether opens and clicks are counted; true if absent.
    """

    to: Required[str]
    cc: str
    bcc: str
    fake_bcc: bool
    reply_to: str
    preheader: str
    body_plain: str
    body_amp: str
    attachments: dict[str, str]
    headers: dict[str, str] | str
    disable_css_preprocessing: bool
    tracked: bool


class TemplateEmail(FromTemplate, EmailFields, _MayHaveFrom, total=False):
    """An e-mail from a template; `body`, `subject` and `from` go before the template's."""

    body: str
    subject: str


class WrittenEmail(Sending, EmailFields, _MustHaveFrom, total=False):
    """An e-mail without a template; `from` is an address that the workspace may send from."""

    body: Required[str]
    subject: Required[str]


Email: TypeAlias = TemplateEmail | WrittenEmail


class DeviceAttributes(TypedDict, total=False):
    """What is known of a device."""

    device_os: str
    device_model: str
    app_version: str
    cio_sdk_version: str
    device_locale: str
    push_enabled: Literal["true", "false"]


class Device(TypedDict, total=False):
    """A device that is added to the person by sending to it; `last_used` in seconds since 1970."""

    token: Required[str]
    platform: Required[Literal["ios", "android"]]
    last_used: int
    attributes: DeviceAttributes


Aps = TypedDict(
    "Aps",
    {
        "alert": str | dict[str, Json],
        "badge": int,
        "sound": str | dict[str, Json],
        "thread-id": str,
        "category": str,
        "content-available": int,
        "mutable-content": int,
        "target-content-id": str,
        "interruption-level": Literal["passive", "active", "time-sensitive", "critical"],
        "relevance-score": float,
    },
    total=False,
)


class ApnsPayload(TypedDict, total=False):
    """What Apple's service gets; `CIO` is what the vendor's SDK reads."""

    CIO: dict[str, Json]
    aps: Aps


class FcmToAppleMessage(TypedDict):
    """What Firebase hands on to Apple's service."""

    apns: dict[str, Json]


class FcmToApplePayload(TypedDict):
    """What Firebase gets for a device of Apple's."""

    message: FcmToAppleMessage


class AndroidMessage(TypedDict, total=False):
    """What Firebase hands on to Android."""

    notification: dict[str, Json]
    data: dict[str, Json]
    android: dict[str, Json]


class AndroidPayload(TypedDict):
    """What Firebase gets for an Android device."""

    message: AndroidMessage


class PushPayload(TypedDict, total=False):
    """What replaces the template's payload."""

    ios: ApnsPayload | FcmToApplePayload
    android: AndroidPayload


class Push(FromTemplate, Consented, Creating, total=False):
    """A push notification.

    Attributes:
        to: `all` devices, the one `last_used`, or the token of one.
        custom_data: Handed to the app.
        custom_device: A device to send to that the person does not have yet.
        custom_payload: Goes before title, message and all that the template says.
    """

    to: Required[str]
    title: str
    message: str
    image_url: str
    link: str
    sound: Literal["default", "none"]
    custom_data: dict[str, Json]
    custom_device: Device
    custom_payload: PushPayload


class TextMessage(FromTemplate, Consented, Creating, _MayHaveFrom, total=False):
    """A text message; `to` and `from` are phone numbers with their country's code."""

    to: Required[str]


class WhatsAppMessage(FromTemplate, Consented, _MayHaveFrom, total=False):
    """A WhatsApp message; `to` and `from` are phone numbers as E.164 has them."""

    to: Required[str]
    tracked: bool


class InAppMessage(FromTemplate, Creating, total=False):
    """An in-app message."""


class InboxMessage(FromTemplate, Creating, total=False):
    """An inbox message."""

    to: str


class SendAnswer(TypedDict, total=False):
    """A message that was queued; times in seconds since 1970.

    `delivery_id` is what reporting webhooks say of it. `send_at` is there if it was scheduled.
    """

    delivery_id: str
    queued_at: int
    send_at: int
