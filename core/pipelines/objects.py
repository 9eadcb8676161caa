"""Objects that people belong to, such as companies, accounts and courses.

The Data Pipelines API calls them groups, the rest of the vendor's documentation objects.
Source: https://docs.customer.io/integrations/data-in/semantic-events/cio-journeys/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from core.errors import ValidationError
from core.pipelines.validation import check_fields, checked_id
from core.values import kind

if TYPE_CHECKING:
    from core.pipelines.calls import Calls
    from core.pipelines.items import Fields, Options
    from core.values import Id


class ObjectCalls:
    """Objects. `calls` is a client or a queue.

    The id of an object is unique within its type. Types are created in the settings of the
    workspace.
    """

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
        self,
        object_id: Id,
        traits: Fields | None = None,
        *,
        object_type_id: int = 1,
        **options: Unpack[Options],
    ) -> str:
        """Create or update an object without relating a person to it.

        To relate a person at the same time, see `relationships.create`.
        """
        object_id = checked_id(object_id, "object_id")
        whole = traits_of(traits, object_type_id)
        # A group call requires the id of a person. The object's id is sent as an anonymous id.
        return self._calls.group(
            group_id=object_id, traits=whole, anonymous_id=object_id, **options
        )

    update = create  # one call of the vendor does both

    def delete(self, object_id: Id, *, object_type_id: int = 1, **options: Unpack[Options]) -> str:
        """Delete an object and all relationships to it.

        Event: Object Deleted
        """
        object_id = checked_id(object_id, "object_id")
        check_type_id(object_type_id)
        return self._calls.track(
            event="Object Deleted",
            anonymous_id=object_id,  # required by the vendor, its value is ignored
            properties={"objectId": object_id, "objectTypeId": object_type_id},
            **options,
        )


def traits_of(traits: Fields | None, object_type_id: int) -> dict[str, object]:
    """Return the traits of a group call, with the object type.

    Raises:
        ValidationError: Names the argument that cannot be sent.
    """
    check_type_id(object_type_id)
    given = {} if traits is None else traits
    check_fields(given, "traits")
    if "object_type_id" in given:
        raise ValidationError(
            "must be absent: use the argument object_type_id", field="traits.object_type_id"
        )
    # The vendor expects text here, but a number in the event `Object Deleted`.
    return {**given, "object_type_id": str(object_type_id)}


def check_type_id(value: object) -> None:
    """Check the id of an object type.

    Raises:
        ValidationError: It is not a whole number of at least 1.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValidationError(
            f"must be a whole number (int), is {kind(value)}", field="object_type_id"
        )
    if value < 1:
        raise ValidationError("must be at least 1", field="object_type_id")
