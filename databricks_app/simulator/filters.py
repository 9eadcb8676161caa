"""The vendor's filters over people: `and`, `or`, `not`, `segment`, `attribute`. Pure.

Source: https://docs.customer.io/integrations/api/app/tag/customers/getpeoplefilter/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from databricks_app.simulator.messages import Json, Refused
from databricks_app.simulator.people import Profile

Test: TypeAlias = Callable[[Profile], bool]
# Whether a person is in a segment of this number.
Membership: TypeAlias = Callable[[int, Profile], bool]
_MOST_DEEP = 20


def compile_filter(condition: object, is_in: Membership, depth: int = 0) -> Test:
    """Read a filter.

    Args:
        condition: As a client sent it.
        is_in: Answers for segments.
        depth: How many filters it stands in.

    Raises:
        Refused: 400, it cannot be read.
    """
    if not isinstance(condition, dict) or len(condition) != 1 or depth > _MOST_DEEP:
        raise Refused(400, "a filter is an object with one of and, or, not, segment, attribute")
    ((name, value),) = condition.items()
    if name in {"and", "or"}:
        if not isinstance(value, list) or not value:
            raise Refused(400, f"filter: {name} takes a list")
        tests = [compile_filter(one, is_in, depth + 1) for one in value]
        every = all if name == "and" else any
        return lambda person: every(test(person) for test in tests)
    if name == "not":
        test = compile_filter(value, is_in, depth + 1)
        return lambda person: not test(person)
    if name == "segment":
        return _segment(value, is_in)
    if name == "attribute":
        return _attribute(value)
    raise Refused(400, f"filter: {name} is not known")


def _segment(value: object, is_in: Membership) -> Test:
    number = value.get("id") if isinstance(value, dict) else None
    if not isinstance(number, int):
        raise Refused(400, "filter: segment takes an id")
    return lambda person: is_in(number, person)


def _attribute(value: object) -> Test:
    fields: Json = value if isinstance(value, dict) else {}
    name, operator = fields.get("field"), fields.get("operator")
    if not isinstance(name, str) or operator not in ("eq", "exists"):
        raise Refused(400, "filter: attribute takes a field and the operator eq or exists")
    if operator == "exists":
        return lambda person: person.value(name) is not None
    wanted = text_of(fields.get("value"))
    return lambda person: person.value(name) is not None and text_of(person.value(name)) == wanted


def text_of(value: object) -> str:
    """Write an attribute's value as the App API shows it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
