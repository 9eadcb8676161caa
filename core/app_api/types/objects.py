"""Bodies and answers of `core.app_api.objects`."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict

from core.http.responses import Json

ObjectIdType: TypeAlias = Literal["object_id", "cio_object_id"]


class ObjectType(TypedDict, total=False):
    """A type of objects, such as companies; `slug` is its name in addresses and Liquid."""

    id: str
    name: str
    singular_name: str
    slug: str
    singular_slug: str
    enabled: bool
    icon: str


class ObjectTypesAnswer(TypedDict, total=False):
    """All types of objects."""

    types: list[ObjectType]


class ObjectIdentifiers(TypedDict, total=False):
    """An object by the id of the workspace, and by the one that Customer.io gave."""

    object_id: str
    cio_object_id: str


class ObjectAttributeCondition(TypedDict, total=False):
    """Which objects have an attribute; `value` goes with `eq` only."""

    type_id: Required[str]
    field: Required[str]
    operator: Required[Literal["eq", "exists"]]
    value: str


class ByObjectAttribute(TypedDict):
    """Which objects have an attribute."""

    object_attribute: ObjectAttributeCondition


# A class cannot have fields of these names.
AllOfObjects = TypedDict("AllOfObjects", {"and": list[ByObjectAttribute]})
AnyOfObjects = TypedDict("AnyOfObjects", {"or": list[ByObjectAttribute]})
NoneOfObjects = TypedDict("NoneOfObjects", {"not": ByObjectAttribute})


class ObjectSearch(TypedDict):
    """The objects of one type that fit; the conditions go one level deep, unlike people's."""

    object_type_id: str
    filter: ByObjectAttribute | AllOfObjects | AnyOfObjects | NoneOfObjects


class ObjectAttributes(TypedDict, total=False):
    """An object; `timestamps` are the seconds since 1970 at which each attribute was set."""

    attributes: dict[str, Json]
    timestamps: dict[str, int]
    identifiers: ObjectIdentifiers
    object_type_id: str


class ObjectAnswer(TypedDict, total=False):
    """One object."""

    object: ObjectAttributes


class ObjectRelationship(TypedDict, total=False):
    """Who or what belongs to an object, by its ids."""

    identifiers: dict[str, Json]
    object_type_id: str
    object_type_disabled: bool
