"""API keys: how they are sent, and how they stay out of every text.

Pure. Two kinds are known. A classic key has no shape of its own: the App API takes it as a Bearer
token, the Data Pipelines API as the user of HTTP Basic with an empty password. A key that begins
with `sk_us_`, `sk_eu_`, `pk_us_` or `pk_eu_` is always a Bearer token and carries its region.
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
    """A key, trimmed; its text is in no `repr`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Take the key as it was read, blanks and line ends around it included.

        Raises:
            ConfigurationError: It is blank, or holds what no header can carry.
        """
        # A newline from a mounted secret file makes HTTP libraries print the whole key.
        trimmed = text.strip()
        if not trimmed:
            raise ConfigurationError("api_key: is blank")
        if not _SENDABLE.fullmatch(trimmed):
            raise ConfigurationError("api_key: holds blanks or characters outside ASCII")
        self._text = trimmed

    def __repr__(self) -> str:
        return "ApiKey(...)"

    @property
    def region(self) -> Region | None:
        """The region that the key carries; None for a classic key."""
        found = _REGIONAL.match(self._text)
        return cast("Region", found[1]) if found else None

    def bearer(self) -> str:
        """Return the value of `Authorization` as the App API takes it."""
        return f"Bearer {self._text}"

    def basic_or_bearer(self) -> str:
        """Return the value of `Authorization` as the Data Pipelines API takes it."""
        return f"Basic {self._basic()}" if self.region is None else self.bearer()

    def scrub(self, text: str) -> str:
        """Take the key out of a text that came back from a server."""
        return text.replace(self._text, "[key]").replace(self._basic(), "[key]")

    def _basic(self) -> str:
        return base64.b64encode(f"{self._text}:".encode()).decode()
