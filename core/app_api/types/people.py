"""What several nouns say of a person."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

IdType: TypeAlias = Literal["id", "email", "phone", "cio_id"]


class Identifiers(TypedDict, total=False):
    """A person by every id that the workspace knows; absent or None if there is none."""

    id: str | None
    email: str | None
    cio_id: str


class ById(TypedDict):
    """A person by the `id` of the workspace."""

    id: str


class ByEmail(TypedDict):
    """A person by e-mail address."""

    email: str


class ByCioId(TypedDict):
    """A person by the id that Customer.io gave."""

    cio_id: str


OneIdentifier: TypeAlias = ById | ByEmail | ByCioId
