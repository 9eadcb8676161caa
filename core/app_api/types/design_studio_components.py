"""Bodies and answers of `core.app_api.design_studio_components`."""

from __future__ import annotations

from typing import Required, TypedDict

from core.http.responses import Json


class ComponentAnswer(TypedDict, total=False):
    """One component."""

    component: Required[dict[str, Json]]


class NewComponent(TypedDict, total=False):
    """A component to create; `content` is HTML, `tag` is unique in the workspace."""

    name: Required[str]
    tag: Required[str]
    parent_folder_id: str | None
    content: str


class ComponentChange(TypedDict, total=False):
    """The changes, at least one field; the parent None is the top level."""

    name: str
    tag: str
    parent_folder_id: str | None
    content: str
