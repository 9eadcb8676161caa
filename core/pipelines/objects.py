"""Objects: what people belong to, such as companies, accounts and courses.

The vendor calls them groups here and objects elsewhere, and writes the number of their type as
text in one call and as a number in the other; both are settled here.
Source: https://docs.customer.io/integrations/data-in/semantic-events/cio-journeys/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from core.errors import ValidationError
from core.pipelines.validation import check_fields, check_text, kind

if TYPE_CHECKING:
    from core.pipelines.calls import Calls
    from core.pipelines.items import Fields, Options


class ObjectCalls:
    """Objects, sent through whatever takes calls.

    An object is known by its id within its type; the types are made in the workspace's settings.
    """

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
        self,
        object_id: str,
        traits: Fields | None = None,
        *,
        object_type_id: int = 1,
        **options: Unpack[Options],
    ) -> str:
        """Create an object or update it, and relate no person to it.

        A group call needs an identity; the object's own id stands in as an anonymous one. To
        relate a person at the same time, see `relationships.create`.
        """
        check_text(object_id, "object_id")
        whole = traits_of(traits, object_type_id)
        return self._calls.group(
            group_id=object_id, traits=whole, anonymous_id=object_id, **options
        )

    update = create  # the vendor knows no difference, a reader looks for either

    def delete(self, object_id: str, *, object_type_id: int = 1, **options: Unpack[Options]) -> str:
        """Delete an object, and with it all relationships to it.

        Event: Object Deleted
        """
        check_text(object_id, "object_id")
        check_type_id(object_type_id)
        return self._calls.track(
            event="Object Deleted",
            anonymous_id=object_id,  # must be there, its value is ignored
            properties={"objectId": object_id, "objectTypeId": object_type_id},
            **options,
        )


def traits_of(traits: Fields | None, object_type_id: int) -> dict[str, object]:
    """Return the traits of a group call, the type's number among them as text.

    Raises:
        ValidationError: Names the argument that cannot be sent.
    """
    check_type_id(object_type_id)
    given = {} if traits is None else traits
    check_fields(given, "traits")
    if "object_type_id" in given:
        raise ValidationError("is an argument of its own", field="traits.object_type_id")
    return {**given, "object_type_id": str(object_type_id)}


def check_type_id(value: object) -> None:
    """Check the number of an object type.

    Raises:
        ValidationError: It is no whole number above zero.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValidationError(
            f"must be a whole number (int), is {kind(value)}", field="object_type_id"
        )
    if value < 1:
        raise ValidationError("must be at least 1", field="object_type_id")
