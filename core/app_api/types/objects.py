"""Bodies and answers of `core.app_api.objects`."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict

from core.http.responses import Json

ObjectIdType: TypeAlias = Literal["object_id", "cio_object_id"]


class ObjectType(TypedDict, total=False):
    """A type of objects, such as companies; `slug` is its name in URLs and Liquid."""

    id: Required[str]
    name: Required[str]
    singular_name: str
    slug: str
    singular_slug: str
    enabled: bool
    icon: str


class ObjectTypesAnswer(TypedDict, total=False):
    """All types of objects."""

    types: Required[list[ObjectType]]


class ObjectIdentifiers(TypedDict, total=False):
    """An object with the id in the workspace and the id that Customer.io created."""

    object_id: str
    cio_object_id: str


class ObjectAttributeCondition(TypedDict, total=False):
    """An attribute of objects; only `eq` has a `value`."""

    type_id: Required[int | str]
    field: Required[str]
    operator: Required[Literal["eq", "exists"]]
    value: str


class ByObjectAttribute(TypedDict):
    """Objects with an attribute."""

    object_attribute: ObjectAttributeCondition


# These names are keywords of Python, so the class syntax cannot declare them.
AllOfObjects = TypedDict("AllOfObjects", {"and": "list[ObjectFilter]"})
AnyOfObjects = TypedDict("AnyOfObjects", {"or": "list[ObjectFilter]"})
NoneOfObjects = TypedDict("NoneOfObjects", {"not": "ObjectFilter"})

ObjectFilter: TypeAlias = ByObjectAttribute | AllOfObjects | AnyOfObjects | NoneOfObjects


class ObjectSearch(TypedDict):
    """A search for objects of one type. Conditions can be nested, as for people."""

    object_type_id: int | str
    filter: ObjectFilter


class ObjectAttributes(TypedDict, total=False):
    """An object; `timestamps` are the Unix seconds at which each attribute was set."""

    attributes: dict[str, Json]
    timestamps: dict[str, int]
    identifiers: ObjectIdentifiers
    object_type_id: str


class ObjectAnswer(TypedDict, total=False):
    """One object."""

    object: Required[ObjectAttributes]


class ObjectRelationship(TypedDict, total=False):
    """A person or object that is related to an object, by its ids."""

    identifiers: dict[str, Json]
    object_type_id: str
    object_type_disabled: bool
