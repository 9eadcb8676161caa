"""Bodies and answers of `core.app_api.reporting_webhooks`."""

from __future__ import annotations

from typing import Required, TypedDict


class ReportingWebhook(TypedDict, total=False):
    """A reporting webhook."""

    name: Required[str]
    id: Required[int]
    endpoint: Required[str]
    disabled: bool
    full_resolution: bool
    with_content: bool
    events: Required[list[str]]


class ReportingWebhooksAnswer(TypedDict, total=False):
    """All reporting webhooks."""

    reporting_webhooks: Required[list[ReportingWebhook]]


class ReportingWebhookFields(TypedDict, total=False):
    """A reporting webhook to create, or to replace an existing one.

    `events` has at least one event, such as `email_sent`; the vendor adds events without notice.
    `full_resolution` sends every open and click, not only the first of a delivery. `with_content`
    includes the content of messages.
    """

    name: Required[str]
    endpoint: Required[str]
    events: Required[list[str]]
    disabled: bool
    full_resolution: bool
    with_content: bool
