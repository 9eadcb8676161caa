"""Metrics of campaigns, broadcasts, newsletters and transactional messages, as several nouns say.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from core.responses import Json

Period: TypeAlias = Literal["hours", "days", "weeks", "months"]


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
