"""Who is meant: conditions on segments and attributes, joined by `and`, `or` and `not`."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict


class SegmentCondition(TypedDict, total=False):
    """Who is in a segment."""

    id: Required[int]


class AttributeCondition(TypedDict, total=False):
    """Who has an attribute; `value` goes with `eq` only."""

    field: Required[str]
    operator: Required[Literal["eq", "exists"]]
    value: str
    inverse: bool


class BySegment(TypedDict):
    """Who is in a segment."""

    segment: SegmentCondition


class ByAttribute(TypedDict):
    """Who has an attribute."""

    attribute: AttributeCondition


# A class cannot have fields of these names.
AllOf = TypedDict("AllOf", {"and": "list[Filter]"})
AnyOf = TypedDict("AnyOf", {"or": "list[Filter]"})
NoneOf = TypedDict("NoneOf", {"not": "Filter"})

Filter: TypeAlias = BySegment | ByAttribute | AllOf | AnyOf | NoneOf
