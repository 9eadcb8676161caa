"""The JSON of a body, read the same way on every machine and in every year. Pure."""

from __future__ import annotations

import json
from typing import NoReturn

from databricks_app.events.handlers.conversions import NumberText

# Deeper bodies are unreadable by rule, not by the depth of the stack at hand: otherwise the same
# body could be read once and not the next time, under two different keys.
MAX_DEPTH = 200

# int() refuses more than 4,300 digits by default; such literals are kept as text.
_MAX_INTEGER_DIGITS = 400


def parse(text: str) -> tuple[object, list[str]]:
    """Parse JSON; also with duplicate keys, and with integers of any length.

    Raises:
        ValueError: Not JSON; NaN and Infinity are not.
        RecursionError: Nested deeper than the stack allows.
    """
    try:
        return _DECODER.decode(text), []
    except json.JSONDecodeError:
        raise
    except ValueError:  # from our own hooks, or from int() for thousands of digits
        return _parse_oddity(text)


def _parse_oddity(text: str) -> tuple[object, list[str]]:
    notes: list[str] = []

    def last_wins(pairs: list[tuple[str, object]]) -> dict[str, object]:
        result = dict(pairs)
        if len(result) != len(pairs):
            notes[:] = ["duplicate keys"]
        return result

    decoder = json.JSONDecoder(
        object_pairs_hook=last_wins,
        parse_float=NumberText,
        parse_int=_integer,
        parse_constant=_refuse_constant,
    )
    return decoder.decode(text), notes


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError
    return result


def _integer(literal: str) -> int | NumberText:
    return int(literal) if len(literal) <= _MAX_INTEGER_DIGITS else NumberText(literal)


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError


_DECODER = json.JSONDecoder(
    object_pairs_hook=_distinct, parse_float=NumberText, parse_constant=_refuse_constant
)


def is_too_deep(text: str, payload: dict[str, object]) -> bool:
    """Whether a payload is nested deeper than `MAX_DEPTH`; `text` is where it was read from."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return False
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
