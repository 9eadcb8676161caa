"""Bodies and answers of `core.app_api.design_studio_folders`."""

from __future__ import annotations

from typing import Required, TypedDict

from core.http.responses import Json


class DesignStudioFolderAnswer(TypedDict, total=False):
    """One folder."""

    folder: Required[dict[str, Json]]


class NewDesignStudioFolder(TypedDict, total=False):
    """A folder to create."""

    name: Required[str]
    parent_folder_id: str | None


class DesignStudioFolderChange(TypedDict, total=False):
    """The changes, at least one field; the parent None is the top level."""

    name: str
    parent_folder_id: str | None
