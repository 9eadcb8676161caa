"""Bodies and answers of `core.app_api.collections`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Required, TypeAlias, TypedDict

from core.values import Data


class Collection(TypedDict, total=False):
    """A collection without its rows; `schema` names the columns, times are Unix seconds."""

    bytes: int
    created_at: int
    updated_at: int
    id: Required[int]
    name: Required[str]
    rows: int
    schema: list[str]


class CollectionsAnswer(TypedDict, total=False):
    """All collections."""

    collections: Required[list[Collection]]


class CollectionAnswer(TypedDict, total=False):
    """One collection."""

    collection: Required[Collection]


class NewCollectionOfRows(TypedDict, total=False):
    """A collection with rows."""

    name: Required[str]
    data: Required[Sequence[Data]]


class NewCollectionFromUrl(TypedDict, total=False):
    """A collection with rows that the vendor fetches from `url`."""

    name: Required[str]
    url: Required[str]


NewCollection: TypeAlias = NewCollectionOfRows | NewCollectionFromUrl


class CollectionRows(TypedDict, total=False):
    """A new name, new rows, or both."""

    name: str
    data: Sequence[Data]


class CollectionFromUrl(TypedDict, total=False):
    """A new name, rows from a new `url`, or both."""

    name: str
    url: str


CollectionChange: TypeAlias = CollectionRows | CollectionFromUrl
