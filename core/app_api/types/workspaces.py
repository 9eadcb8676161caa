"""Bodies and answers of `core.app_api.workspaces`."""

from __future__ import annotations

from typing import TypedDict


class Workspace(TypedDict, total=False):
    """A workspace with its numbers of people, objects and messages."""

    id: int
    name: str
    messages_sent: int
    billable_messages_sent: int
    people: int
    object_types: int
    objects: int


class WorkspacesAnswer(TypedDict, total=False):
    """All workspaces."""

    workspaces: list[Workspace]
