"""Bodies and answers of `core.app_api.segments`."""

from __future__ import annotations

from typing import Required, TypedDict


class Segment(TypedDict, total=False):
    """A segment.

    `type` is `dynamic` (defined by rules) or `manual`. A segment has `progress` while its `state`
    says that it is being built.
    """

    id: Required[int]
    deduplicate_id: str
    name: Required[str]
    description: str
    state: str
    progress: int
    type: str
    tags: list[str]


class SegmentAnswer(TypedDict, total=False):
    """One segment."""

    segment: Required[Segment]


class SegmentsAnswer(TypedDict, total=False):
    """All segments."""

    segments: Required[list[Segment]]


class SegmentFields(TypedDict, total=False):
    """The name and description of a new segment."""

    name: Required[str]
    description: str


class NewSegment(TypedDict):
    """The body of `segments.create`."""

    segment: SegmentFields


class UsedBy(TypedDict, total=False):
    """The ids of campaigns and newsletters that use a segment."""

    campaigns: list[int]
    sent_newsletters: list[int]
    draft_newsletters: list[int]


class UsedByAnswer(TypedDict, total=False):
    """The campaigns and newsletters that use a segment."""

    used_by: Required[UsedBy]


class CountAnswer(TypedDict, total=False):
    """The number of people in a segment."""

    count: Required[int]
