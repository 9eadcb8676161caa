"""Bodies and answers of `core.app_api.live_notifications`."""

from __future__ import annotations

from typing import Literal, Required, TypedDict

from core.values import Data, Moment


class Receiver(TypedDict, total=False):
    """Exactly one id of the person; `internal` begins with `cio_`."""

    id: str
    email: str
    phone: str
    internal: str


class Alert(TypedDict, total=False):
    """The alert that is shown with the live notification."""

    title: Required[str]
    body: Required[str]
    sound: str


class LiveNotificationPush(TypedDict, total=False):
    """The fields of the push in addition to the state."""

    alert: Alert


class LiveNotificationStart(TypedDict, total=False):
    """A live notification to start.

    `notification_type` is in reverse DNS order. `attributes` and `content_state` are not empty.
    `expiration` is a time or Unix seconds, at most 6 hours in the future. Absent or 0 means 6
    hours.
    """

    identifiers: Required[Receiver]
    notification_type: Required[str]
    attributes: Required[Data]
    content_state: Required[Data]
    device_id: str
    platform: Literal["ios", "android"]
    app_identifier: str
    push_payload: LiveNotificationPush
    deep_link: str
    expiration: Moment


class InstanceAnswer(TypedDict, total=False):
    """The id of a live notification, a ULID."""

    instance_id: Required[str]


class LiveNotificationUpdate(TypedDict, total=False):
    """The new content."""

    instance_id: Required[str]
    content_state: Required[Data]
    attributes: Data
    push_payload: LiveNotificationPush
    deep_link: str


class LiveNotificationEnd(TypedDict, total=False):
    """The last content of a live notification that ends."""

    instance_id: Required[str]
    content_state: Data
    attributes: Data
    push_payload: LiveNotificationPush


class LastDelivery(TypedDict, total=False):
    """The result of the last push."""

    id: str
    operation: Literal["start", "update", "end"]
    source: str
    status: Literal["queued", "sent", "failed", "undeliverable"]
    created_at: int


class LiveNotification(TypedDict, total=False):
    """A live notification; it has `failure_reason` in the state `failed`."""

    instance_id: str
    notification_type: str
    platform: str
    state: Literal["active", "ended", "expired", "failed"]
    failure_reason: str
    started_at: int
    ended_at: int
    expires_at: int
    last_delivery: LastDelivery
