"""Remove e-mail addresses from a text before it goes into an error or a log line. Pure."""

from __future__ import annotations

import re

_AT = r"(?:@|%40)"  # in a URL the sign is percent-encoded

_ADDRESS = re.compile(
    rf"""(?:"[^"\n]{{1,64}}"|[^\s"'<>(),;:\[\]{{}}=]+){_AT}[^\s"'<>(),;\[\]{{}}]+""", re.IGNORECASE
)


def redacted(text: str) -> str:
    """Return the text on one line without e-mail addresses, at most 500 characters."""
    # Cut before the search: on a text without spaces its time grows with the square of the length.
    return " ".join(_ADDRESS.sub("[address]", text[:2000]).split())[:500]
