"""Whether two bodies with one key are one event, sent twice, or two events. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from databricks_app.events.handlers.conversions import NumberText
from databricks_app.events.parsing import parse

_COMPARED = ("object_type", "metric", "data")


def is_same_event(one: bytes, other: bytes) -> bool:
    """Whether object type, metric and data are equal after decoding.

    Order of fields, white space, escapes and the spelling of numbers do not count. A body that
    cannot be read is equal to its own bytes alone.
    """
    return one == other or _compared(one) == _compared(other)


def _compared(body: bytes) -> object:
    try:
        payload, _ = parse(body.decode().removeprefix("\ufeff"))
        if isinstance(payload, dict):
            return [_canonical(payload.get(name)) for name in _COMPARED]
    except (ValueError, RecursionError):
        pass  # unreadable: its bytes are all there is
    return body


def _canonical(value: object) -> object:
    """A value that is equal to another one exactly if their JSON means the same."""
    match value:
        case dict():
            return {name: _canonical(part) for name, part in value.items()}
        case list():
            return [_canonical(part) for part in value]
        case bool():  # Python calls True equal to 1
            return ("boolean", value)
        case int() | NumberText():
            try:
                return ("number", Decimal(value))
            except InvalidOperation:  # an exponent of more than 18 digits
                return ("number", str(value))
    return value
