"""API keys: how they are sent, and how they are kept out of every text.

Pure. There are two kinds of keys:

- A classic key has no prefix. The App API takes it as a Bearer token, the Data Pipelines API as the
  user of HTTP Basic with an empty password.
- A key that begins with `sk_us_`, `sk_eu_`, `pk_us_` or `pk_eu_` is always a Bearer token, and
  names its region.

Source: https://docs.customer.io/release-notes/2026-10-30-public-private-api-keys/
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, cast

from core.errors import ConfigurationError

if TYPE_CHECKING:
    from core.http.regions import Region

_REGIONAL = re.compile(r"(?:pk|sk)_(us|eu)_")
_SENDABLE = re.compile(r"[!-~]+", re.ASCII)


class ApiKey:
    """An API key without surrounding white space. Its `repr` does not show the key."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Take the key as it was read; white space around it is removed.

        Raises:
            ConfigurationError: The key is blank, or contains characters that a header cannot have.
        """
        # A secret mounted as a file often ends in a newline. HTTP libraries refuse such a header
        # with an error that shows the whole key.
        trimmed = text.strip()
        if not trimmed:
            raise ConfigurationError("api_key: is blank")
        if not _SENDABLE.fullmatch(trimmed):
            raise ConfigurationError("api_key: contains white space or characters outside ASCII")
        self._text = trimmed

    def __repr__(self) -> str:
        return "ApiKey(...)"

    @property
    def region(self) -> Region | None:
        """The region that the key names; None for a classic key."""
        found = _REGIONAL.match(self._text)
        return cast("Region", found[1]) if found else None

    def bearer(self) -> str:
        """Return the header `Authorization` for the App API."""
        return f"Bearer {self._text}"

    def basic_or_bearer(self) -> str:
        """Return the header `Authorization` for the Data Pipelines API."""
        return f"Basic {self._basic()}" if self.region is None else self.bearer()

    def scrub(self, text: str) -> str:
        """Replace the key in a text that a server sent back."""
        # Both forms in which the key is sent.
        return text.replace(self._text, "[key]").replace(self._basic(), "[key]")

    def _basic(self) -> str:
        return base64.b64encode(f"{self._text}:".encode()).decode()
