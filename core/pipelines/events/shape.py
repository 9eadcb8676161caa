"""Check the properties of an event against its TypedDict, before anything is sent.

The TypedDict is the only place that declares names, types and required properties. Unknown
properties are kept. Pure.
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
from core.pipelines.validation import text_fault, time_fault
from core.values import NotPlainError, kind, plain

Fault: TypeAlias = tuple[str, str]  # path inside the value (`[2].price`), description
Check: TypeAlias = Callable[[object], Fault | None]


@dataclass(frozen=True, slots=True)
class Most:
    """The maximum of a number, for use in `Annotated`."""

    value: int


@dataclass(frozen=True, slots=True)
class Shape:
    """The rules of a TypedDict.

    Attributes:
        required: The names of required properties. Required text must not be blank.
        checks: One check for each declared property.
    """

    required: tuple[str, ...]
    checks: Mapping[str, Check]


def checked(
    properties: Mapping[str, object] | None,
    declared: type[Mapping[str, object]],
    extra: Fields | None = None,
) -> dict[str, object]:
    """Check the properties of an event and merge them with additional properties.

    Args:
        properties: Properties as in `declared`; unknown ones are kept.
        declared: The TypedDict of the event.
        extra: Additional properties.

    Returns:
        A new dictionary.

    Raises:
        ValidationError: Names the first property that cannot be sent: `properties.price`.
    """
    shape = shape_of(declared)
    given = {} if properties is None else properties
    if fault := _object(shape)(given):
        raise ValidationError(fault[1], field=f"properties{fault[0]}")
    if extra is None:
        return dict(given)
    if not isinstance(extra, Mapping):
        raise ValidationError(f"must be a dictionary, is {kind(extra)}", field="extra")
    for name in extra:
        # In `extra`, the type of a declared property would not be checked.
        if name in shape.checks or name in given:
            raise ValidationError("must be passed in `properties`", field=f"extra.{name}")
    return {**given, **extra}


@cache
def shape_of(declared: type[Mapping[str, object]]) -> Shape:
    """Return the rules of a TypedDict; cached."""
    hints = get_type_hints(declared, include_extras=True)
    # Not `__required_keys__`: Python 3.11 ignores `Required` in postponed annotations.
    required = tuple(name for name, hint in hints.items() if get_origin(hint) is Required)
    checks = {name: _check(hint) for name, hint in hints.items()}
    return Shape(required, checks)


def _check(hint: object) -> Check:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Required:
        return _check(arguments[0])
    if origin is Annotated:
        return _with_maximum(arguments[0], arguments[1])
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
            if isinstance(value[name], str) and (problem := text_fault(value[name])):
                return f".{name}", problem
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


def _one_of(allowed: tuple[object, ...]) -> Check:
    def check(value: object) -> Fault | None:
        return None if value in allowed else ("", f"must be one of {', '.join(map(str, allowed))}")

    return check


def _with_maximum(hint: object, limit: Most) -> Check:
    find = _check(hint)

    def check(value: object) -> Fault | None:
        if fault := find(value):
            return fault
        number = value if isinstance(value, int) else plain(value)
        if not isinstance(number, int):
            return None
        return None if number <= limit.value else ("", f"must be at most {limit.value}")

    return check


def _plain(description: str, *types: type) -> Check:
    def check(value: object) -> Fault | None:
        # In Python True is an int, for the vendor it is not a number.
        if isinstance(value, types) and (bool in types or not isinstance(value, bool)):
            return None
        if not isinstance(value, _JSON):
            # A Decimal or a numpy scalar: the encoder converts it.
            try:
                return check(plain(value))
            except NotPlainError as error:
                return "", f"must be {description}: {error}"
        return "", f"must be {description}, is {kind(value)}"

    return check


def _time(value: object) -> Fault | None:
    problem = time_fault(value)
    return None if problem is None else ("", problem)


_JSON = (str, int, float, list, tuple, Mapping, type(None))
_PLAIN: Mapping[object, Check] = {
    str: _plain("text (str)", str),
    int: _plain("a whole number (int)", int),
    float: _plain("a number (int or float)", int, float),
    bool: _plain("True or False", bool),
    Fields: _plain("a dictionary", Mapping),
    Time: _time,
    object: lambda _: None,
}
