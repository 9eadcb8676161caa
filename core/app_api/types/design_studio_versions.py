"""Bodies and answers of `core.app_api.design_studio_versions`."""

from __future__ import annotations

from typing import Required, TypedDict

from core.http.responses import Json


class VersionsAnswer(TypedDict, total=False):
    """All saved versions."""

    versions: Required[list[dict[str, Json]]]


class VersionAnswer(TypedDict, total=False):
    """One saved version with its content and its dependencies."""

    version: dict[str, Json]
    node: dict[str, Json]
    dependencies: list[Json]


class NewVersion(TypedDict, total=False):
    """The name of a version, 1 to 100 characters."""

    name: Required[str]
    description: str


class SavedVersionAnswer(TypedDict, total=False):
    """A version, and whether it was created."""

    created: bool
    version: dict[str, Json]


class RestoreAnswer(TypedDict, total=False):
    """The version that was restored."""

    node_id: str
    version_id: str
    restored_node_ids: list[str]
