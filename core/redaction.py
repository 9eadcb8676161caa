"""Take e-mail addresses out of a text before it goes into an error or a log line. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

_AT = r"(?:@|%40)"

_ADDRESS = re.compile(
    rf"""(?:"[^"\n]{{1,64}}"|[^\s"'<>(),;:\[\]{{}}=]+){_AT}[^\s"'<>(),;\[\]{{}}]+""", re.IGNORECASE
)


def redacted(text: str) -> str:
    """Return the text without e-mail addresses, on one line, cut at 500 characters."""
    # Cut first as well: on a long text without blanks the search takes the square of its length.
    return " ".join(_ADDRESS.sub("[address]", text[:2000]).split())[:500]
