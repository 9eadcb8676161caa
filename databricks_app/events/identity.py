"""Compare two bodies with the same key: one event sent twice, or two events? Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from databricks_app.events.handlers.conversions import NumberText
from databricks_app.events.parsing import parse

_COMPARED = ("object_type", "metric", "data")


def is_same_event(one: bytes, other: bytes) -> bool:
    """Return whether object type, metric and data are equal after decoding.

    Field order, white space, escapes and the spelling of numbers (1.0 and 1) make no difference.
    A body that cannot be read is equal only to the same bytes.
    """
    return one == other or _comparable(one) == _comparable(other)


def _comparable(body: bytes) -> object:
    try:
        payload, _ = parse(body.decode().removeprefix("\ufeff"))
        if isinstance(payload, dict):
            return [_canonical(payload.get(name)) for name in _COMPARED]
    except (ValueError, RecursionError):
        pass  # unreadable: compare the bytes
    return body


def _canonical(value: object) -> object:
    """Return a form of a JSON value that is equal for equal JSON only."""
    match value:
        case dict():
            return {name: _canonical(part) for name, part in value.items()}
        case list():
            return [_canonical(part) for part in value]
        case bool():  # in Python True == 1
            return ("boolean", value)
        case int() | NumberText():
            try:
                return ("number", Decimal(value))
            except InvalidOperation:  # an exponent of more than 18 digits
                return ("number", str(value))
    return value
