"""Bodies and answers of `core.app_api.data_index`."""

from __future__ import annotations

from typing import Required, TypedDict


class AttributeDescription(TypedDict, total=False):
    """The description of an attribute of people, objects, relationships or events."""

    name: Required[str]
    description: str
    object_type_id: int
    is_relationship: bool
    event_name: str
    privacy_level: int


class AttributeDescriptions(TypedDict, total=False):
    """At most 100 attributes."""

    attributes: Required[list[AttributeDescription]]


class EventDescription(TypedDict, total=False):
    """The description of an event."""

    name: Required[str]
    description: str


class EventDescriptions(TypedDict, total=False):
    """At most 100 events."""

    events: Required[list[EventDescription]]
