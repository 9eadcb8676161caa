"""Relationships between people and objects.

Source: https://docs.customer.io/integrations/data-in/semantic-events/cio-journeys/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from core.pipelines.objects import check_type_id, traits_of
from core.pipelines.validation import check_text

if TYPE_CHECKING:
    from core.pipelines.calls import Calls
    from core.pipelines.items import Fields, Options


class Relationships:
    """Relationships. `calls` is a client or a queue."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
        self,
        user_id: str,
        object_id: str,
        traits: Fields | None = None,
        *,
        object_type_id: int = 1,
        **options: Unpack[Options],
    ) -> str:
        """Relate a person to an object, which is created if absent.

        `traits` are the traits of the object.
        """
        check_text(user_id, "user_id")
        check_text(object_id, "object_id")
        whole = traits_of(traits, object_type_id)
        return self._calls.group(user_id, group_id=object_id, traits=whole, **options)

    def delete(
        self,
        user_id: str,
        object_id: str,
        *,
        object_type_id: int = 1,
        **options: Unpack[Options],
    ) -> str:
        """Delete a relationship; the person and the object stay.

        Event: Relationship Deleted
        """
        check_text(user_id, "user_id")
        check_text(object_id, "object_id")
        check_type_id(object_type_id)
        return self._calls.track(
            user_id,
            event="Relationship Deleted",
            properties={"objectId": object_id, "objectTypeId": object_type_id},
            **options,
        )
