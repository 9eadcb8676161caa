"""Bodies and answers of `core.app_api.reporting_webhooks`."""

from __future__ import annotations

from typing import Required, TypedDict


class ReportingWebhook(TypedDict, total=False):
    """A reporting webhook."""

    name: str
    id: int
    endpoint: str
    disabled: bool
    full_resolution: bool
    with_content: bool
    events: list[str]


class ReportingWebhooksAnswer(TypedDict, total=False):
    """All reporting webhooks."""

    reporting_webhooks: list[ReportingWebhook]


class ReportingWebhookFields(TypedDict, total=False):
    """A reporting webhook to register, or to replace one by.

    `events` are at least one of the subscriptions, such as `email_sent`; the vendor adds some
    without notice. `full_resolution` reports every open and click, not the first of each alone;
    `with_content` sends the content of messages along.
    """

    name: Required[str]
    endpoint: Required[str]
    events: Required[list[str]]
    disabled: bool
    full_resolution: bool
    with_content: bool
