"""Relationships between people and objects.

Source: https://docs.customer.io/integrations/data-in/semantic-events/cio-journeys/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from core.pipelines.objects import check_type_id, traits_of
from core.pipelines.validation import checked_id

if TYPE_CHECKING:
    from core.pipelines.calls import Calls
    from core.pipelines.items import Fields, Options
    from core.values import Id


class Relationships:
    """Relationships. `calls` is a client or a queue."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
        self,
        user_id: Id,
        object_id: Id,
        traits: Fields | None = None,
        *,
        object_type_id: int = 1,
        **options: Unpack[Options],
    ) -> str:
        """Relate a person to an object, which is created if absent.

        `traits` are the traits of the object.
        """
        user_id = checked_id(user_id, "user_id")
        object_id = checked_id(object_id, "object_id")
        whole = traits_of(traits, object_type_id)
        return self._calls.group(user_id, group_id=object_id, traits=whole, **options)

    def delete(
        self,
        user_id: Id,
        object_id: Id,
        *,
        object_type_id: int = 1,
        **options: Unpack[Options],
    ) -> str:
        """Delete a relationship; the person and the object stay.

        Event: Relationship Deleted
        """
        user_id = checked_id(user_id, "user_id")
        object_id = checked_id(object_id, "object_id")
        check_type_id(object_type_id)
        return self._calls.track(
            user_id,
            event="Relationship Deleted",
            properties={"objectId": object_id, "objectTypeId": object_type_id},
            **options,
        )
