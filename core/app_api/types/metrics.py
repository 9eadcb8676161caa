"""Metrics of campaigns, broadcasts, newsletters and transactional messages, as several nouns say.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict

from core.http.responses import Json

Period: TypeAlias = Literal["hours", "days", "weeks", "months"]
Channel: TypeAlias = Literal["email", "webhook", "twilio", "slack", "push", "in_app"]
Resolution: TypeAlias = Literal[
    "hours", "hourly", "days", "daily", "weeks", "weekly", "months", "monthly"
]


class VersionedQuery(TypedDict, total=False):
    """What the metrics that have two versions can be asked for.

    Version 2 takes `start` and `end` (seconds since 1970), `res` and `tz` (an IANA name); version
    1, which the vendor calls deprecated, takes `period` and `steps`. Both take `type`.
    """

    version: Required[Literal["1", "2"]]
    type: Channel
    res: Resolution
    tz: str
    start: int
    end: int
    period: Period
    steps: int


class Metric(TypedDict, total=False):
    """Numbers by the metric's name, one a step of the period."""

    series: dict[str, list[int]]


class MetricAnswer(TypedDict, total=False):
    """The metrics of one thing."""

    metric: Metric


class LinkMetric(TypedDict, total=False):
    """The clicks of one link."""

    link: dict[str, Json]
    metric: Metric


class LinksAnswer(TypedDict, total=False):
    """The clicks of each link."""

    links: list[LinkMetric]
