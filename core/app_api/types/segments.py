"""Bodies and answers of `core.app_api.segments`."""

from __future__ import annotations

from typing import Required, TypedDict


class Segment(TypedDict, total=False):
    """A segment.

    `type` is `dynamic` (kept by rules) or `manual`. `progress` is of a segment that is being
    built, as its `state` says.
    """

    id: int
    deduplicate_id: str
    name: str
    description: str
    state: str
    progress: int
    type: str
    tags: list[str]


class SegmentAnswer(TypedDict, total=False):
    """One segment."""

    segment: Segment


class SegmentsAnswer(TypedDict, total=False):
    """All segments."""

    segments: list[Segment]


class SegmentFields(TypedDict, total=False):
    """What a new segment is called."""

    name: Required[str]
    description: str


class NewSegment(TypedDict):
    """The body of `segments.create`."""

    segment: SegmentFields


class UsedBy(TypedDict, total=False):
    """Ids of what uses a segment."""

    campaigns: list[int]
    sent_newsletters: list[int]
    draft_newsletters: list[int]


class UsedByAnswer(TypedDict, total=False):
    """What uses a segment."""

    used_by: UsedBy


class CountAnswer(TypedDict, total=False):
    """How many people are in a segment."""

    count: int
