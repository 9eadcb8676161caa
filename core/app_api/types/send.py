"""Bodies and answers of `core.app_api.send`."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict

from core.app_api.types.people import OneIdentifier
from core.http.responses import Json
from core.values import Data, Moment


class Sending(TypedDict, total=False):
    """The fields of every transactional message.

    Attributes:
        identifiers: The person, by exactly one id.
        message_data: The object `trigger` in the Liquid of the template.
        send_at: A time or Unix seconds, at most 90 days in the future; the past means now.
        disable_message_retention: Whether the vendor stores no content of the message.
        queue_draft: Whether to store a draft, which somebody sends in the vendor's interface.
    """

    identifiers: Required[OneIdentifier]
    message_data: Data
    send_at: Moment
    disable_message_retention: bool
    queue_draft: bool


class FromTemplate(Sending, total=False):
    """The fields of every message from a template.

    Attributes:
        transactional_message_id: The number of the template, or the name of its trigger
            (case-insensitive).
        language: The language of the content; default: the language of the person.
    """

    transactional_message_id: Required[int | str]
    language: str


class Consented(TypedDict, total=False):
    """The field for unsubscribed people.

    Attributes:
        send_to_unsubscribed: Whether unsubscribed people get the message too; default: true.
    """

    send_to_unsubscribed: bool


class Creating(TypedDict, total=False):
    """The field for people who do not exist.

    Attributes:
        auto_create: Whether to create the person if the workspace does not have them.
    """

    auto_create: bool


_MayHaveFrom = TypedDict("_MayHaveFrom", {"from": str}, total=False)
_MustHaveFrom = TypedDict("_MustHaveFrom", {"from": str})


class EmailFields(Consented, Creating, total=False):
    """The fields of every e-mail; `to`, `cc` and `bcc` are addresses separated by commas.

    Attributes:
        fake_bcc: Whether to send a separate copy with a marked subject to `bcc`.
        attachments: Base64 content by file name with extension; together at most 2 MB.
        headers: Values by name. In the vendor's newer specification: the text of a JSON object.
        disable_css_preprocessing: Whether to leave style sheets unchanged.
        tracked: Whether to count opens and clicks; default: true.
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
    """An e-mail from a template; `body`, `subject` and `from` override the template."""

    body: str
    subject: str


class WrittenEmail(Sending, EmailFields, _MustHaveFrom, total=False):
    """An e-mail without a template; the workspace must be allowed to send from `from`."""

    body: Required[str]
    subject: Required[str]


Email: TypeAlias = TemplateEmail | WrittenEmail


class DeviceAttributes(TypedDict, total=False):
    """The attributes of a device."""

    device_os: str
    device_model: str
    app_version: str
    cio_sdk_version: str
    device_locale: str
    push_enabled: Literal["true", "false"]


class Device(TypedDict, total=False):
    """A device that is added to the person when it is sent to; `last_used` is in Unix seconds."""

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
    """The payload for Apple's push service; the vendor's SDK reads `CIO`."""

    CIO: dict[str, Json]
    aps: Aps


class FcmToAppleMessage(TypedDict):
    """The message that Firebase forwards to Apple's push service."""

    apns: dict[str, Json]


class FcmToApplePayload(TypedDict):
    """The payload for Firebase if the device is Apple's."""

    message: FcmToAppleMessage


class AndroidMessage(TypedDict, total=False):
    """The message that Firebase forwards to Android."""

    notification: dict[str, Json]
    data: dict[str, Json]
    android: dict[str, Json]


class AndroidPayload(TypedDict):
    """The payload for Firebase if the device is an Android device."""

    message: AndroidMessage


class PushPayload(TypedDict, total=False):
    """A payload that replaces the payload of the template."""

    ios: ApnsPayload | FcmToApplePayload
    android: AndroidPayload


class Push(FromTemplate, Consented, Creating, total=False):
    """A push notification.

    Attributes:
        to: `all`, `last_used`, or the token of a device.
        custom_data: Data for the app.
        custom_device: A new device of the person to send to.
        custom_payload: Overrides title, message and all other content of the template.
    """

    to: Required[str]
    title: str
    message: str
    image_url: str
    link: str
    sound: Literal["default", "none"]
    custom_data: Data
    custom_device: Device
    custom_payload: PushPayload


class TextMessage(FromTemplate, Consented, Creating, _MayHaveFrom, total=False):
    """A text message; `to` and `from` are phone numbers with country code."""

    to: Required[str]


class WhatsAppMessage(FromTemplate, Consented, _MayHaveFrom, total=False):
    """A WhatsApp message; `to` and `from` are phone numbers in E.164 format."""

    to: Required[str]
    tracked: bool


class InAppMessage(FromTemplate, Creating, total=False):
    """An in-app message."""


class InboxMessage(FromTemplate, Creating, total=False):
    """An inbox message."""

    to: str


class SendAnswer(TypedDict, total=False):
    """A message that was queued; times are Unix seconds.

    Reporting webhooks have the same `delivery_id`. A scheduled message has `send_at`.
    """

    delivery_id: Required[str]
    queued_at: int
    send_at: int
