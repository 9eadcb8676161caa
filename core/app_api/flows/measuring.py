"""Valid arguments for metrics of campaigns, newsletters, broadcasts and transactional messages.

    client.campaigns.metrics(7, **measuring.between(start, end, "days", tz="Europe/Berlin"))
    client.newsletters.metrics(3, **measuring.recent("days", 30))
    for step in measuring.steps(answer): ...

Metrics have two versions. Version 2 takes a time range and a resolution; only campaigns and their
actions have it. Version 1 takes a number of past periods. Pure.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict
from zoneinfo import ZoneInfo, available_timezones

from core.errors import ResponseError, ValidationError

if TYPE_CHECKING:
    from datetime import datetime

    from core.app_api.types.metrics import MetricAnswer, Period

MOST_STEPS = {"hours": 24, "days": 45, "weeks": 12, "months": 120}
_YEAR_SECONDS = 366 * 86_400
# Names of metrics that differ from the names in reporting webhooks.
_WEBHOOK_NAMES = {"suppressed": "dropped"}

Resolution = Literal["hours", "days", "weeks", "months"]


class Recent(TypedDict):
    """The arguments of version 1."""

    period: Period
    steps: int


class Window(TypedDict):
    """The arguments of version 2."""

    version: Literal["2"]
    res: Resolution
    tz: str
    start: int
    end: int


def recent(period: Period, steps: int) -> Recent:
    """Return the arguments for the last `steps` periods, the current one included.

    Raises:
        ValidationError: The vendor does not support the period or the number of steps.
    """
    # For a wrong period the vendor returns zeros, and it cuts too many steps. Neither is an error.
    most = MOST_STEPS.get(period)
    if most is None:
        raise ValidationError("must be hours, days, weeks or months", field="period")
    if not 2 <= steps <= most:
        raise ValidationError(f"must be from 2 to {most} if period is {period}", field="steps")
    return {"period": period, "steps": steps}


def between(start: datetime, end: datetime, res: Resolution, *, tz: str = "UTC") -> Window:
    """Return the arguments for a time range of version 2, both ends included.

    Args:
        start: With a time zone.
        end: With a time zone, at most 12 months after `start`.
        res: The length of a step.
        tz: The IANA name of the time zone in which days and weeks begin.

    Raises:
        ValidationError: The range is empty or too long, or the time zone is unknown.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise ValidationError("must have a time zone", field="start")
    begin, until = int(start.timestamp()), int(end.timestamp())
    if not begin < until <= begin + _YEAR_SECONDS:
        raise ValidationError("must be after start, by at most 12 months", field="end")
    if tz not in available_timezones():
        raise ValidationError("must be an IANA name, such as Europe/Berlin", field="tz")
    return {"version": "2", "res": res, "tz": ZoneInfo(tz).key, "start": begin, "end": until}


def steps(answer: MetricAnswer) -> list[dict[str, int]]:
    """Return the series of an answer as one dictionary for each step, oldest first.

    The metric `suppressed` is renamed to `dropped`, its name in reporting webhooks.

    Raises:
        ResponseError: The series have different lengths, so their steps do not correspond.
    """
    series = answer.get("metric", {}).get("series", {})
    if len({len(values) for values in series.values()}) > 1:
        raise ResponseError("metrics: the series have different lengths. Repeat the call.")
    names = [_WEBHOOK_NAMES.get(name, name) for name in series]
    return [dict(zip(names, row, strict=True)) for row in zip(*series.values(), strict=True)]
