"""Bodies and answers of `core.app_api.asset_folders`."""

from __future__ import annotations

from typing import Required, TypedDict

from core.http.responses import Json


class AssetFolderAnswer(TypedDict, total=False):
    """One folder."""

    folder: Required[dict[str, Json]]


class NewAssetFolder(TypedDict, total=False):
    """A folder to create."""

    name: Required[str]
    parent_folder_id: int
