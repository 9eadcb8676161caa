"""Bodies and answers of `core.app_api.assets`."""

from __future__ import annotations

from typing import Required, TypedDict


class Asset(TypedDict, total=False):
    """A file; `parent_folder_id` is None at the top level."""

    id: Required[int]
    name: Required[str]
    path: str
    size: int
    parent_folder_id: int | None
    created: int
    updated: int


class AssetAnswer(TypedDict, total=False):
    """One file."""

    asset: Required[Asset]


class AssetChange(TypedDict, total=False):
    """A new name, a new folder, or both; the folder None is the top level."""

    name: str
    parent_folder_id: int | None
