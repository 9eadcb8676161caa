"""What the properties of an event must look like, read from its TypedDict.

Names, types and which of them are required are written once, in the TypedDict, and checked twice:
by the type checker, and here, before anything is sent. Unknown properties are kept. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import (
    Annotated,
    Literal,
    Required,
    TypeAlias,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from core.errors import ValidationError
from core.pipelines.items import Fields, Time
from core.pipelines.validation import kind, text_fault, time_fault

Fault: TypeAlias = tuple[str, str]  # where in the value (`[2].price`), and what is wrong
Check: TypeAlias = Callable[[object], Fault | None]


@dataclass(frozen=True, slots=True)
class Most:
    """The largest value a number may have, beside its type in `Annotated`."""

    value: int


@dataclass(frozen=True, slots=True)
class Shape:
    """A TypedDict, read.

    Attributes:
        required: Names that must be there; text among them must not be blank.
        checks: One for each declared name.
    """

    required: tuple[str, ...]
    checks: Mapping[str, Check]


def checked(
    properties: Mapping[str, object] | None,
    declared: type[Mapping[str, object]],
    extra: Fields | None = None,
) -> dict[str, object]:
    """Check the properties of an event and join them with those of the caller's own.

    Args:
        properties: As `declared` has them; unknown ones are kept.
        declared: A TypedDict.
        extra: Properties beside the vendor's.

    Returns:
        A new dictionary.

    Raises:
        ValidationError: Names the first property that cannot be sent: `properties.price`.
    """
    given = {} if properties is None else properties
    if fault := _object(shape_of(declared))(given):
        raise ValidationError(fault[1], field=f"properties{fault[0]}")
    joined = dict(given)
    if extra is not None:
        _check_extra(extra, shape_of(declared), joined)
        joined.update(extra)
    return joined


@cache
def shape_of(declared: type[Mapping[str, object]]) -> Shape:
    """Read a TypedDict; once each."""
    hints = get_type_hints(declared, include_extras=True)
    # Not `__required_keys__`: Python 3.11 does not see `Required` in postponed annotations.
    required = tuple(name for name, hint in hints.items() if get_origin(hint) is Required)
    checks = {name: _check(hint) for name, hint in hints.items()}
    return Shape(required, checks)


def _check_extra(extra: Fields, shape: Shape, given: Mapping[str, object]) -> None:
    if not isinstance(extra, Mapping):
        raise ValidationError(f"must be a dictionary, is {kind(extra)}", field="extra")
    for name in extra:
        if name in shape.checks or name in given:
            raise ValidationError("belongs into properties", field=f"extra.{name}")


def _check(hint: object) -> Check:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Required:
        return _check(arguments[0])
    if origin is Annotated:
        return _at_most(arguments[0], arguments[1])
    if origin is Literal:
        return _one_of(arguments)
    if origin is list:
        return _list(_check(arguments[0]))
    if is_typeddict(hint):
        return _object(shape_of(hint))
    return _PLAIN[hint]


def _object(shape: Shape) -> Check:
    def check(value: object) -> Fault | None:
        if not isinstance(value, Mapping):
            return "", f"must be a dictionary, is {kind(value)}"
        for name in shape.required:
            if name not in value:
                return f".{name}", "is required"
            if isinstance(value[name], str) and (words := text_fault(value[name])):
                return f".{name}", words
        for name, inner in value.items():
            find = shape.checks.get(name)
            if find is not None and (fault := find(inner)):
                return f".{name}{fault[0]}", fault[1]
        return None

    return check


def _list(find: Check) -> Check:
    def check(value: object) -> Fault | None:
        if not isinstance(value, list | tuple):
            return "", f"must be a list, is {kind(value)}"
        for index, inner in enumerate(value):
            if fault := find(inner):
                return f"[{index}]{fault[0]}", fault[1]
        return None

    return check


def _one_of(words: tuple[object, ...]) -> Check:
    def check(value: object) -> Fault | None:
        return None if value in words else ("", f"must be one of {', '.join(map(str, words))}")

    return check


def _at_most(hint: object, limit: Most) -> Check:
    find = _check(hint)

    def check(value: object) -> Fault | None:
        if (fault := find(value)) or not isinstance(value, int):
            return fault
        return None if value <= limit.value else ("", f"must be at most {limit.value}")

    return check


def _plain(words: str, *types: type) -> Check:
    def check(value: object) -> Fault | None:
        # True is an int to Python, but no number to the vendor.
        is_good = isinstance(value, types) and (bool in types or not isinstance(value, bool))
        return None if is_good else ("", f"must be {words}, is {kind(value)}")

    return check


def _anything(_: object) -> Fault | None:
    return None


def _time(value: object) -> Fault | None:
    words = time_fault(value)
    return None if words is None else ("", words)


_PLAIN: Mapping[object, Check] = {
    str: _plain("text (str)", str),
    int: _plain("a whole number (int)", int),
    float: _plain("a number (int or float)", int, float),
    bool: _plain("True or False", bool),
    Fields: _plain("a dictionary", Mapping),
    Time: _time,
    object: _anything,
}
