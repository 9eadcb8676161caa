"""Convert a JSON value to the value of a column, if the conversion loses nothing.

For any other value a conversion raises `Unfit`; its text names the kind of value, never the value.
Pure; imports only the standard library.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SqlType: TypeAlias = Literal[
    "STRING",
    "BIGINT",
    "BOOLEAN",
    "TIMESTAMP",
    "DATE",
    "MAP<STRING, ARRAY<STRING>>",
    "ARRAY<STRUCT<device_id: STRING, device_platform: STRING, failure_message: STRING>>",
]
Convert: TypeAlias = "Callable[[object], object]"

DEVICE_FIELDS = ("device_id", "device_platform", "failure_message")

# Canonical text only: "012" or "+12" as a number would lose how the value was sent.
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)
# JSON can escape half of a surrogate pair. Python reads it, but UTF-8, Parquet and Delta cannot
# store it.
_SURROGATE = re.compile("[\ud800-\udfff]")
_MIN_BIGINT = -(2**63)
_MAX_BIGINT = 2**63 - 1

# Characters. No real 64-bit number is longer, and exact arithmetic on long literals is slow.
_MAX_NUMBER_LITERAL = 64


class NumberText(str):
    """A JSON number that is not a plain integer, as the text that was sent."""

    __slots__ = ()


class Unfit(ValueError):  # noqa: N818  # a verdict on a value; nothing failed
    """A value that its column cannot hold; the text names the kind of value."""


class Findings:
    """Problems and unknown fields that were found while a payload was read.

    Attributes:
        notes: `column: problem`, without values.
        unknown: Dot paths of fields without a column, as sent.
    """

    __slots__ = ("notes", "unknown")

    def __init__(self, notes: Iterable[str] = ()) -> None:
        self.notes = list(notes)
        self.unknown: list[str] = []


def string(value: object) -> str:
    """Return text as it is, and a number as the text that was sent.

    Raises:
        Unfit: Another type, or text that cannot be stored as UTF-8.
    """
    if type(value) is str:
        if value.isascii() or _SURROGATE.search(value) is None:
            return value
        raise Unfit("got text with a lone surrogate")
    if type(value) is int or type(value) is NumberText:
        return str(value)
    raise Unfit(f"expected text, got {_kind(value)}")


def bigint(value: object) -> int:
    """Return a 64-bit whole number, sent as a number (12, 12.0, 1.2e1) or as text ("12").

    Raises:
        Unfit: Another value, or text in another form ("012", "+12", "12.0").
    """
    if type(value) is int:
        number = value
    elif type(value) is str and _WHOLE.fullmatch(value):
        number = int(value)
    elif type(value) is NumberText:
        number = _whole(value)
    else:
        raise Unfit(f"expected a whole number, got {_kind(value)}")
    if _MIN_BIGINT <= number <= _MAX_BIGINT:
        return number
    raise Unfit("got a number beyond 64 bits")


def boolean(value: object) -> bool:
    """Return true or false, sent as a JSON boolean or as the text "true" or "false".

    Raises:
        Unfit: Another value.
    """
    if type(value) is bool:
        return value
    if value == "true":
        return True
    if value == "false":
        return False
    raise Unfit(f"expected true or false, got {_kind(value)}")


def header_map(
    column: str, value: object, findings: Findings
) -> dict[str, list[str | None] | None] | None:
    """Return lists of values by header name; a value or list of the wrong type becomes None."""
    if type(value) is not dict:
        findings.notes.append(f"{column}: expected lists of text by name, got {_kind(value)}")
        return None
    if any(_SURROGATE.search(name) for name in value):
        findings.notes.append(f"{column}: got a name with a lone surrogate")
        return None
    headers: dict[str, list[str | None] | None] = {}
    for name, members in value.items():
        if members is None or type(members) is list:
            headers[name] = members and [_member(column, one, findings) for one in members]
        else:
            headers[name] = None
            findings.notes.append(f"{column}: expected a list, got {_kind(members)}")
    return headers


def devices(
    column: str, value: object, findings: Findings
) -> list[dict[str, str | None] | None] | None:
    """Return devices with exactly the keys of `DEVICE_FIELDS`; one of the wrong type is None."""
    if type(value) is not list:
        findings.notes.append(f"{column}: expected a list, got {_kind(value)}")
        return None
    return [_device(column, item, findings) for item in value]


def _device(column: str, item: object, findings: Findings) -> dict[str, str | None] | None:
    if item is None:
        return None
    if type(item) is not dict:
        findings.notes.append(f"{column}[]: expected an object, got {_kind(item)}")
        return None
    findings.unknown += [f"data.{column}[].{key}" for key in item if key not in DEVICE_FIELDS]
    return {key: _member(f"{column}[].{key}", item.get(key), findings) for key in DEVICE_FIELDS}


def _member(name: str, value: object, findings: Findings) -> str | None:
    if value is None:
        return None
    try:
        return string(value)
    except Unfit as unfit:
        findings.notes.append(f"{name}: {unfit}")
        return None


def _whole(literal: NumberText) -> int:
    if len(literal) > _MAX_NUMBER_LITERAL:
        raise Unfit("got a number too long to be exact")
    try:
        number = Decimal(literal)
    except InvalidOperation:  # the exponent is beyond the range of decimal
        raise Unfit("got a number beyond 64 bits") from None
    # Check the size before the conversion: int(Decimal("1e999999999")) exhausts the memory.
    if not _MIN_BIGINT <= number <= _MAX_BIGINT:
        raise Unfit("got a number beyond 64 bits")
    whole = int(number)
    if whole != number:
        raise Unfit("expected a whole number, got a fraction")
    return whole


def _kind(value: object) -> str:
    if isinstance(value, str) and not isinstance(value, NumberText):
        return "text"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | NumberText):
        return "a number"
    return "an object" if isinstance(value, dict) else "a list"
