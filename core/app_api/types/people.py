"""What several nouns say of a person."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

IdType: TypeAlias = Literal["id", "email", "phone", "cio_id"]


class Identifiers(TypedDict, total=False):
    """A person by every id that the workspace knows; absent or None if there is none."""

    id: str | None
    email: str | None
    cio_id: str
