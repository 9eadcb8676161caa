"""Parse the JSON of a body, with the same result on every machine and Python version. Pure."""

from __future__ import annotations

import json
from typing import NoReturn

from databricks_app.events.handlers.conversions import NumberText

# A fixed limit, not the free depth of the Python stack. Otherwise the same body could be readable
# once and unreadable the next time, and so get two different keys.
MAX_DEPTH = 200

# int() refuses more than 4,300 digits by default, so longer literals are kept as text.
_MAX_INTEGER_DIGITS = 400


def parse(text: str) -> tuple[object, list[str]]:
    """Parse JSON, and return the value and notes. Accepts duplicate keys and integers of any size.

    Raises:
        ValueError: Not JSON. NaN and Infinity are not JSON.
        RecursionError: Nested deeper than the stack allows.
    """
    # Two decoders: nearly every body passes the first, which does less work for each object.
    try:
        return _DECODER.decode(text), []
    except json.JSONDecodeError:
        raise
    except ValueError:  # from our hooks, or from int() for thousands of digits
        return _parse_unusual(text)


def _parse_unusual(text: str) -> tuple[object, list[str]]:
    """Parse JSON with duplicate keys, huge integers or NaN."""
    notes: list[str] = []

    def last_wins(pairs: list[tuple[str, object]]) -> dict[str, object]:
        result = dict(pairs)
        if len(result) != len(pairs):
            notes[:] = ["duplicate keys"]
        return result

    decoder = json.JSONDecoder(
        object_pairs_hook=last_wins,
        parse_float=NumberText,
        parse_int=lambda literal: (
            int(literal) if len(literal) <= _MAX_INTEGER_DIGITS else NumberText(literal)
        ),
        parse_constant=_refuse_constant,
    )
    return decoder.decode(text), notes


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError
    return result


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError


_DECODER = json.JSONDecoder(
    object_pairs_hook=_refuse_duplicates, parse_float=NumberText, parse_constant=_refuse_constant
)


def is_too_deep(text: str, payload: dict[str, object]) -> bool:
    """Return whether a payload, parsed from `text`, is nested deeper than `MAX_DEPTH`."""
    # Counting brackets is cheap and enough for nearly every body.
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return False
    # Level by level: a recursive function would reach the limit of the Python stack.
    level: list[dict[str, object] | list[object]] = [payload]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True
