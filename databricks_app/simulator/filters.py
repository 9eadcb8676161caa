"""The vendor's filters over people: `and`, `or`, `not`, `segment`, `attribute`. Pure.

Source: https://docs.customer.io/integrations/api/app/tag/customers/getpeoplefilter/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from databricks_app.simulator.messages import Json, Refused
from databricks_app.simulator.people import Profile

Predicate: TypeAlias = Callable[[Profile], bool]
# Returns whether a person is in the segment with this number.
Membership: TypeAlias = Callable[[int, Profile], bool]
_MAX_DEPTH = 20


def compile_filter(condition: object, is_in: Membership, depth: int = 0) -> Predicate:
    """Turn a filter into a function that decides for one person.

    Args:
        condition: The filter, as a client sent it.
        is_in: Returns whether a person is in a segment.
        depth: How many filters contain this one.

    Raises:
        Refused: 400, the filter cannot be read, or is nested too deep.
    """
    if not isinstance(condition, dict) or len(condition) != 1 or depth > _MAX_DEPTH:
        raise Refused(400, "a filter is an object with one of and, or, not, segment, attribute")
    ((name, value),) = condition.items()
    if name in {"and", "or"}:
        if not isinstance(value, list) or not value:
            raise Refused(400, f"filter: {name} needs a list of filters")
        tests = [compile_filter(one, is_in, depth + 1) for one in value]
        every = all if name == "and" else any
        return lambda person: every(test(person) for test in tests)
    if name == "not":
        test = compile_filter(value, is_in, depth + 1)
        return lambda person: not test(person)
    if name == "segment":
        number = value.get("id") if isinstance(value, dict) else None
        if not isinstance(number, int):
            raise Refused(400, "filter: segment needs a numeric id")
        return lambda person: is_in(number, person)
    if name == "attribute":
        return _attribute(value)
    raise Refused(400, f"filter: {name} is not one of and, or, not, segment, attribute")


def _attribute(value: object) -> Predicate:
    fields: Json = value if isinstance(value, dict) else {}
    name, operator = fields.get("field"), fields.get("operator")
    if not isinstance(name, str) or operator not in ("eq", "exists"):
        raise Refused(400, "filter: attribute needs a field and the operator eq or exists")
    if operator == "exists":
        return lambda person: person.value(name) is not None
    wanted = text_of(fields.get("value"))
    return lambda person: person.value(name) is not None and text_of(person.value(name)) == wanted


def text_of(value: object) -> str:
    """Return an attribute's value as the text that the App API shows."""
    return str(value).lower() if isinstance(value, bool) else str(value)
