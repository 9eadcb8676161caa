"""Bodies and answers of `core.app_api.live_notifications`."""

from __future__ import annotations

from typing import Literal, Required, TypedDict

from core.http.responses import Json


class Receiver(TypedDict, total=False):
    """Exactly one id of the person; `internal` begins with `cio_`."""

    id: str
    email: str
    phone: str
    internal: str


class Alert(TypedDict, total=False):
    """What is shown as an alert beside the live notification."""

    title: Required[str]
    body: Required[str]
    sound: str


class LiveNotificationPush(TypedDict, total=False):
    """What the push carries beside the state."""

    alert: Alert


class LiveNotificationStart(TypedDict, total=False):
    """What to start.

    `notification_type` is in reverse DNS order. `attributes` and `content_state` are not empty.
    `expiration` is in seconds since 1970, at most 6 hours ahead; absent or 0 is 6 hours.
    """

    identifiers: Required[Receiver]
    notification_type: Required[str]
    attributes: Required[dict[str, Json]]
    content_state: Required[dict[str, Json]]
    device_id: str
    platform: Literal["ios", "android"]
    app_identifier: str
    push_payload: LiveNotificationPush
    deep_link: str
    expiration: int


class InstanceAnswer(TypedDict, total=False):
    """Which live notification it is; a ULID."""

    instance_id: str


class LiveNotificationUpdate(TypedDict, total=False):
    """What to show from now on."""

    instance_id: Required[str]
    content_state: Required[dict[str, Json]]
    attributes: dict[str, Json]
    push_payload: LiveNotificationPush
    deep_link: str


class LiveNotificationEnd(TypedDict, total=False):
    """What to end, and what to show last."""

    instance_id: Required[str]
    content_state: dict[str, Json]
    attributes: dict[str, Json]
    push_payload: LiveNotificationPush


class LastDelivery(TypedDict, total=False):
    """What became of the last push."""

    id: str
    operation: Literal["start", "update", "end"]
    source: str
    status: Literal["queued", "sent", "failed", "undeliverable"]
    created_at: int


class LiveNotification(TypedDict, total=False):
    """A live notification; `failure_reason` goes with the state `failed`."""

    instance_id: str
    notification_type: str
    platform: str
    state: Literal["active", "ended", "expired", "failed"]
    failure_reason: str
    started_at: int
    ended_at: int
    expires_at: int
    last_delivery: LastDelivery
