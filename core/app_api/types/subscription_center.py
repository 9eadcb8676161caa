"""Bodies and answers of `core.app_api.subscription_center`."""

from __future__ import annotations

from typing import Required, TypedDict


class Topic(TypedDict, total=False):
    """A topic."""

    name: str
    description: str
    subscribed_by_default: bool
    id: int
    identifier: str


class TopicsAnswer(TypedDict, total=False):
    """All topics."""

    topics: Required[list[Topic]]


class Channel(TypedDict, total=False):
    """A channel."""

    id: int
    name: str
    description: str
    type: str
    subscribed_by_default: bool


class ChannelsAnswer(TypedDict, total=False):
    """All channels."""

    channels: Required[list[Channel]]


class TokenAnswer(TypedDict, total=False):
    """Token and URL of the page of a person. Keep both secret."""

    token: str
    url: str
