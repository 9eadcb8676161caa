"""Metrics of campaigns, newsletters, broadcasts and transactional messages without their traps.

    client.campaigns.metrics(7, **measuring.between(start, end, "days", tz="Europe/Berlin"))
    client.newsletters.metrics(3, **measuring.recent("days", 30))
    for step in measuring.steps(answer): ...

Two forms: version 2 takes a window and a resolution and exists for campaigns and their actions;
version 1, of all others, takes how many periods back. A wrong period of version 1 gives zeros
instead of an error, and too many steps are cut without a word: both are refused here. Pure.
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
# The vendor's words on metrics, where its webhooks have another one.
_OTHER_WORDS = {"suppressed": "dropped"}

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
    """So many periods back, the present one included.

    Raises:
        ValidationError: The vendor has no such period, or would answer other steps than asked.
    """
    most = MOST_STEPS.get(period)
    if most is None:
        raise ValidationError("must be hours, days, weeks or months", field="period")
    if not 2 <= steps <= most:
        raise ValidationError(f"must lie between 2 and {most} of {period}", field="steps")
    return {"period": period, "steps": steps}


def between(start: datetime, end: datetime, res: Resolution, *, tz: str = "UTC") -> Window:
    """A window of version 2, both ends included.

    Args:
        start: With a time zone.
        end: Likewise; at most 12 months later.
        res: Length of a step.
        tz: IANA name of the zone whose days and weeks are meant.

    Raises:
        ValidationError: The window is empty, too long, or its zone unknown.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise ValidationError("must have a time zone", field="start")
    begin, until = int(start.timestamp()), int(end.timestamp())
    if not begin < until <= begin + _YEAR_SECONDS:
        raise ValidationError("must lie after start, at most 12 months", field="end")
    if tz not in available_timezones():
        raise ValidationError("must be an IANA name, such as Europe/Berlin", field="tz")
    return {"version": "2", "res": res, "tz": ZoneInfo(tz).key, "start": begin, "end": until}


def steps(answer: MetricAnswer) -> list[dict[str, int]]:
    """Turn the series of an answer into one dictionary a step, oldest first.

    `suppressed` is called `dropped`, as in reporting webhooks.

    Raises:
        ResponseError: The series have different lengths, so that their steps do not correspond.
    """
    series = answer.get("metric", {}).get("series", {})
    if len({len(values) for values in series.values()}) > 1:
        raise ResponseError("metrics: the series have different lengths; ask again")
    names = [_OTHER_WORDS.get(name, name) for name in series]
    return [dict(zip(names, row, strict=True)) for row in zip(*series.values(), strict=True)]
