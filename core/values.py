"""Convert values of databases and data frames to values of JSON, or say why one cannot be sent.

A value is converted only if nothing is lost. numpy and pandas are not imported: their values are
recognized by what they can do. Pure.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Set
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TypeAlias

Moment: TypeAlias = int | datetime
"""A point in time: Unix seconds, or a datetime with a time zone. Fractions of a second are cut."""


Data: TypeAlias = Mapping[str, object]
"""The caller's data in a body. `plain` says which values beside those of JSON are converted."""
Id: TypeAlias = str | int | uuid.UUID
"""An id of a person, object or group. The vendor's ids are text; numbers and UUIDs become text."""


class NotPlainError(TypeError):
    """A value cannot be sent. The text says why, and does not show the value."""


def iso(time: datetime) -> str:
    """Format an aware time as RFC 3339 in UTC with its microseconds: `2026-01-31T08:30:00Z`."""
    if time.tzinfo is not UTC:
        time = time.astimezone(UTC)
    return time.isoformat()[: -len("+00:00")] + "Z"


def plain(value: object) -> object:
    """Convert a value that the JSON encoder does not know.

    Aware datetimes, dates and UUIDs become text, Decimals and numpy scalars become numbers.

    Raises:
        NotPlainError: The value cannot be converted without loss.
    """
    if isinstance(value, datetime):
        return iso(checked_time(value))
    if isinstance(value, date | uuid.UUID):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, Set):
        raise NotPlainError(f"has no order, is {kind(value)}: pass a list")
    return _scalar(value)


def checked_time(value: datetime) -> datetime:
    """Return a time that can be sent.

    Raises:
        NotPlainError: It is `NaT`, has no time zone, or is out of range in UTC.
    """
    # `pandas.NaT` is a datetime. Most of its methods raise a bare ValueError.
    if value != value:
        raise NotPlainError("is not a time (NaT)")
    if value.utcoffset() is None:
        raise NotPlainError("has no time zone")
    # pandas has nanoseconds, which would be cut silently.
    if getattr(value, "nanosecond", 0):
        raise NotPlainError("has nanoseconds, microseconds are the most: round it")
    try:
        value.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise NotPlainError("is out of range in UTC") from error
    return value


def seconds(value: datetime) -> int:
    """Convert a time to Unix seconds. Fractions of a second are cut.

    Raises:
        NotPlainError: As `checked_time`.
    """
    return math.floor(checked_time(value).timestamp())


def id_text(value: object) -> object:
    """Convert an id that is a whole number or a UUID to text; return any other value unchanged."""
    number = value if isinstance(value, int) else _whole(value)  # numpy, and NUMERIC of SQL
    if isinstance(value, uuid.UUID) or (number is not None and not isinstance(number, bool)):
        return str(value if number is None else number)
    return value


def kind(value: object) -> str:
    """Return the name of the type of a value.

    For errors, which must not show the value: it may be personal data.
    """
    return type(value).__name__


def _number(value: Decimal) -> int | float:
    if not value.is_finite():
        raise NotPlainError("is not a finite number")
    if abs(value.adjusted()) > 300:
        raise NotPlainError("is too large or too small a number: pass text")
    if value == value.to_integral_value():
        return int(value)
    # A float is written with the fewest digits that identify it, so this is what the vendor reads.
    number = float(value)
    if Decimal(repr(number)) != value:
        raise NotPlainError("has more digits than a JSON number keeps: pass text or round it")
    return number


def _scalar(value: object) -> object:
    """Convert a numpy scalar. They have `dtype`, and `item` returns the value of Python."""
    # Kinds b, i, u, f: Boolean, integers, floats. Not M (datetime64), which has no time zone.
    if getattr(getattr(value, "dtype", None), "kind", "") in tuple("biuf"):
        item = getattr(value, "item", None)
        if getattr(value, "shape", None) == () and callable(item):
            found: object = item()
            if isinstance(found, int):
                return found
            if isinstance(found, float):
                if math.isfinite(found):
                    return found
                raise NotPlainError("is not a finite number")
    raise NotPlainError(f"cannot be encoded as JSON, is {kind(value)}")


def _whole(value: object) -> int | None:
    try:
        found = _number(value) if isinstance(value, Decimal) else _scalar(value)
    except NotPlainError:
        return None
    return found if isinstance(found, int) else None
