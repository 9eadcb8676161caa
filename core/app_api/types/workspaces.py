"""Bodies and answers of `core.app_api.workspaces`."""

from __future__ import annotations

from typing import Required, TypedDict


class Workspace(TypedDict, total=False):
    """A workspace with its numbers of people, objects and messages."""

    id: Required[int]
    name: Required[str]
    messages_sent: int
    billable_messages_sent: int
    people: int
    object_types: int
    objects: int


class WorkspacesAnswer(TypedDict, total=False):
    """All workspaces."""

    workspaces: Required[list[Workspace]]
