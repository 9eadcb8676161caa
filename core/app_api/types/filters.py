"""Filters of people: conditions on segments and attributes, combined by `and`, `or`, `not`."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict


class SegmentCondition(TypedDict, total=False):
    """People in a segment."""

    id: Required[int]


class AttributeCondition(TypedDict, total=False):
    """An attribute; only `eq` has a `value`."""

    field: Required[str]
    operator: Required[Literal["eq", "exists"]]
    value: str
    inverse: bool


class BySegment(TypedDict):
    """People in a segment."""

    segment: SegmentCondition


class ByAttribute(TypedDict):
    """People with an attribute."""

    attribute: AttributeCondition


# These names are keywords of Python, so the class syntax cannot declare them.
AllOf = TypedDict("AllOf", {"and": "list[Filter]"})
AnyOf = TypedDict("AnyOf", {"or": "list[Filter]"})
NoneOf = TypedDict("NoneOf", {"not": "Filter"})

Filter: TypeAlias = BySegment | ByAttribute | AllOf | AnyOf | NoneOf
