"""What the nouns of Design Studio share."""

from __future__ import annotations

from typing import Literal, TypedDict


class NodeQuery(TypedDict, total=False):
    """What every list of Design Studio can be asked for; `parent_folder_id` is a UUID."""

    parent_folder_id: str
    direct_descendants_only: bool
    sort_by: Literal["created", "updated", "name"]
    sort_order: Literal["asc", "desc"]
    created_before: int
    created_after: int
    updated_before: int
    updated_after: int
    page: int
    limit: int
