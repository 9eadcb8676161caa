"""Counts in the texts that people read."""

from __future__ import annotations

import re

_CHOICE = re.compile(r"\[([^|\]]*)\|([^|\]]*)\]")


def counted(number: float, text: str) -> str:
    """Return a number and a text in which each `[one|many]` is the word that fits the number.

    `counted(1, "[event was|events were] loaded")` is `1 event was loaded`. Text from outside must
    not be in `text`.
    """
    chosen = _CHOICE.sub(r"\1" if number == 1 else r"\2", text)
    return f"{number:,.0f} {chosen}"
