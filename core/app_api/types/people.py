"""Types of people that several nouns use."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict

from core.values import Id

IdType: TypeAlias = Literal["id", "email", "phone", "cio_id"]


class Identifiers(TypedDict, total=False):
    """All ids of a person; an id that the person does not have is absent or None."""

    id: str | None
    email: str | None
    cio_id: Required[str]


class ById(TypedDict):
    """A person by the `id` in the workspace."""

    id: Id


class ByEmail(TypedDict):
    """A person by e-mail address."""

    email: str


class ByCioId(TypedDict):
    """A person by the id that Customer.io created."""

    cio_id: str


OneIdentifier: TypeAlias = ById | ByEmail | ByCioId
