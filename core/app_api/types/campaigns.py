"""Bodies and answers of `core.app_api.campaigns`."""

from __future__ import annotations

from typing import Required, TypedDict

from core.http.responses import Json


class Campaign(TypedDict, total=False):
    """A campaign; times are Unix seconds.

    `type` is the kind of its trigger: a segment, an event, a form, a date, a relationship, an
    object or a webhook. Each kind has some of the fields from `trigger_segment_ids` on.
    """

    id: Required[int]
    deduplicate_id: str
    name: Required[str]
    type: str
    created: int
    updated: int
    active: bool
    state: str
    actions: list[dict[str, Json]]
    msg_templates: list[dict[str, Json]]
    first_started: int
    tags: list[str]
    filter_segment_ids: list[int]
    trigger_segment_ids: list[int]
    event_name: str
    frequency: str
    date_attribute: str
    timezone: str
    use_customer_timezone: bool
    start_hour: int
    start_minutes: int
    object_type_id: int
    filter_object_attributes: str
    filter_relationship_attributes: str
    audience: dict[str, Json]
    relationship_attribute_triggers: dict[str, Json]
    object_attribute_triggers: dict[str, Json]
    webhook_id: int


class CampaignAnswer(TypedDict, total=False):
    """One campaign."""

    campaign: Required[Campaign]


class CampaignsAnswer(TypedDict, total=False):
    """All campaigns."""

    campaigns: Required[list[Campaign]]


class JourneyMetric(TypedDict, total=False):
    """The numbers of journeys by their progress; each list has one number for each time step."""

    started: list[int]
    activated: list[int]
    messaged: list[int]
    converted: list[int]
    finished: list[int]
    exited_early: list[int]
    never_activated: list[int]


class JourneyMetricAnswer(TypedDict, total=False):
    """The journeys of a campaign."""

    journey_metric: Required[JourneyMetric]
