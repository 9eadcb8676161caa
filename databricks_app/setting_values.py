"""Convert the texts of settings to values.

Each function refuses a bad text with a ValueError that begins with `must`. The error never contains
the text, because the text can be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from core.webhooks.signature import SigningKey


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of a whole number from `low` to `high`, inclusive."""

    def read(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(f"must be from {low} to {high}")
        return value

    return read


def seconds(low: float, high: float) -> Callable[[str], float]:
    """Return a reader of seconds from `low` to `high`, inclusive."""

    def read(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError(f"must be from {low:g} to {high:g} seconds")
        return value

    return read


def choice(*choices: str) -> Callable[[str], str]:
    """Return a reader of one of these words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of: {', '.join(choices)}")
        return text

    return read


def not_blank(text: str) -> str:
    """Read text that is not blank."""
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def folder(text: str) -> Path:
    """Read a path."""
    return Path(not_blank(text))


def name(text: str) -> str:
    """Read the name of a Unity Catalog object."""
    if not re.fullmatch(r"[\w-]+", text, re.ASCII):
        raise ValueError("must consist of letters, digits, underscores and hyphens")
    return text


def optional_name(text: str) -> str:
    """Read a name, or an empty text."""
    return name(text) if text else ""


def http_url(text: str) -> str:
    """Read a URL, or an empty text."""
    if text and not text.startswith(("http://", "https://")):
        raise ValueError("must begin with https:// or http://")
    return text


def switch(text: str) -> bool:
    """Read `on` or `off`."""
    return choice("off", "on")(text) == "on"


def status(text: str) -> int:
    """Read the status of the answer to an unverified request."""
    return int(choice("401", "503")(text))


def optional_bytes(least: int) -> Callable[[str], int | None]:
    """Return a reader of a number of bytes, at least `least`; an empty text is None."""
    number = whole(least, 1 << 62)
    return lambda text: number(text) if text else None


def workspaces(text: str) -> Mapping[str, str]:
    """Read `name:fingerprint`, comma-separated; return the name by fingerprint."""
    names: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        found = re.fullmatch(r"([a-z0-9][a-z0-9_-]{0,63}):([0-9a-f]{8})", part)
        if not found:
            raise ValueError(
                "must be name:fingerprint, comma-separated: a name of lower-case letters, digits, "
                "hyphens and underscores, and the 8 hex digits that `ciolake webhooks keys` shows"
            )
        if names.setdefault(found[2], found[1]) != found[1]:
            raise ValueError("must name each fingerprint once")
    return names


def keys(text: str) -> tuple[SigningKey, ...]:
    """Read signing keys, comma-separated."""
    return tuple(SigningKey.from_text(part) for part in text.split(",") if part.strip())
