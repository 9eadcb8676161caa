"""Bodies and answers of `core.app_api.design_studio_versions`."""

from __future__ import annotations

from typing import Required, TypedDict

from core.http.responses import Json


class VersionsAnswer(TypedDict, total=False):
    """All saved versions."""

    versions: list[dict[str, Json]]


class VersionAnswer(TypedDict, total=False):
    """One saved version, with what it holds and needs."""

    version: dict[str, Json]
    node: dict[str, Json]
    dependencies: list[Json]


class NewVersion(TypedDict, total=False):
    """What to call a version; `name` has 1 to 100 characters."""

    name: Required[str]
    description: str


class SavedVersionAnswer(TypedDict, total=False):
    """A version, and whether it is new."""

    created: bool
    version: dict[str, Json]


class RestoreAnswer(TypedDict, total=False):
    """What was put back."""

    node_id: str
    version_id: str
    restored_node_ids: list[str]
