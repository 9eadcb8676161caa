"""Metrics of campaigns, broadcasts, newsletters and transactional messages.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict

from core.http.responses import Json

Period: TypeAlias = Literal["hours", "days", "weeks", "months"]
Channel: TypeAlias = Literal["email", "webhook", "twilio", "slack", "push", "in_app", "whatsapp"]
Resolution: TypeAlias = Literal[
    "hours", "hourly", "days", "daily", "weeks", "weekly", "months", "monthly"
]


class Metric(TypedDict, total=False):
    """Lists of numbers by the name of the metric, one number for each step."""

    series: Required[dict[str, list[int]]]


class MetricAnswer(TypedDict, total=False):
    """The metrics of a campaign, broadcast, newsletter, template or action."""

    metric: Required[Metric]


class LinkMetric(TypedDict, total=False):
    """The clicks of one link."""

    link: Required[dict[str, Json]]
    metric: Required[Metric]


class LinksAnswer(TypedDict, total=False):
    """The clicks of each link."""

    links: Required[list[LinkMetric]]
