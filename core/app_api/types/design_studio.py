"""Types that several nouns of Design Studio use."""

from __future__ import annotations

from typing import Literal, TypedDict


class NodeQuery(TypedDict, total=False):
    """The query parameters of all lists of Design Studio; `parent_folder_id` is a UUID."""

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
