"""The form of a setting, and how the text of a setting becomes its value.

Each function refuses a bad text with a ValueError that begins with `must`. The error never contains
the text, because the text can be a secret.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from dotenv.parser import parse_stream

from core.webhooks.key_form import fault_of_key
from core.webhooks.signature import SigningKey
from databricks_app import warehouse_hours as hours
from databricks_app.warehouse_hours import WarehouseHours

Store = Literal["local", "databricks"]
Inbox = Literal["local", "volume"]

# The supervisor sets it for its children: the path of the run folder, see `runtime.run_dir`.
RUN_DIR = "CIO_RUN_DIR"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table.

    Attributes:
        name: Environment variable.
        field: Field of `Settings`.
        default: Text that is read where the variable is not set.
        read: Reader of the text; raises ValueError.
        meaning: What it is for, with its unit.
        also: Variables that win over `name`.
        databricks_default: The default of the store `databricks`; empty if it is no other.
        has_effect: False for a setting of an earlier version that is still accepted.
    """

    name: str
    field: str
    default: str
    read: Callable[[str], Any]
    meaning: str
    also: tuple[str, ...] = ()
    databricks_default: str = ""
    has_effect: bool = True

    def default_of(self, store: Store) -> str:
        """The default of one store."""
        is_other = store == "databricks" and self.databricks_default
        return self.databricks_default if is_other else self.default


def lines_of(env_file: Path) -> dict[str, str]:
    """Read the lines `NAME=VALUE` of a `.env` file; empty if there is no file.

    Raises:
        ValueError: It cannot be read; the text names the line, and shows nothing of it.
    """
    try:
        text = env_file.read_text("utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        # Without its cause: the text of a UnicodeDecodeError may quote a key.
        raise ValueError(f"{env_file} cannot be read ({reason})") from None
    # Without expansion of `$NAME`: a key may contain a dollar sign.
    lines = list(parse_stream(io.StringIO(text)))
    for line in lines:
        if line.error:
            raise ValueError(
                f"{env_file}, line {line.original.line}, is not of the form NAME=VALUE (or a quote "
                "is not closed): correct it, or put # before it"
            )
    return {line.key: line.value for line in lines if line.key and line.value is not None}


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


def optional_seconds(low: float, high: float) -> Callable[[str], float | None]:
    """Return a reader of seconds from `low` to `high`, inclusive; an empty text is None."""
    number = seconds(low, high)
    return lambda text: number(text) if text else None


def warehouse_hours(text: str) -> WarehouseHours | None:
    """Read hours such as `mon-fri 08:00-18:00 Europe/Berlin`; an empty text is None."""
    if not text.strip():
        return None
    try:
        return hours.parse(text, ZoneInfo)
    except ValueError as error:
        raise ValueError(
            f"must be hours like `mon-fri 08:00-18:00 Europe/Berlin`: {error}"
        ) from None


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


def unverified_status(text: str) -> int | None:
    """Read the status of the answer to an unverified request; None for `auto`."""
    word = choice("auto", "401", "503")(text)
    return None if word == "auto" else int(word)


def optional_bytes(least: int) -> Callable[[str], int | None]:
    """Return a reader of a number of bytes, at least `least`; an empty text is None."""
    number = whole(least, 1 << 62)
    return lambda text: number(text) if text else None


_WORKSPACE = r"([a-z0-9][a-z0-9_-]{0,63})"
_NAME = "a name of lower-case letters, digits, hyphens and underscores"


def workspaces(text: str) -> Mapping[str, str]:
    """Read `name:fingerprint`, comma-separated; return the name by fingerprint."""
    names: dict[str, str] = {}
    for name, fingerprint in _pairs(
        text,
        r"[0-9a-f]{8}",
        f"must be name:fingerprint, comma-separated: {_NAME}, and the 8 hex digits that "
        "`ciolake webhooks keys` shows",
    ):
        if names.setdefault(fingerprint, name) != name:
            raise ValueError("must name each fingerprint once")
    return names


def app_api_key(text: str) -> str:
    """Read an App API key, or nothing; what a header cannot carry is for its client to refuse."""
    return text.strip()


def app_api_keys(text: str) -> Mapping[str, str]:
    """Read `name:key`, comma-separated, as key by name."""
    return _by_name(text, r"[!-+\--~]+", f"must be name:key, comma-separated: {_NAME}, and a key")


def regions(text: str) -> Mapping[str, str]:
    """Read `name:region`, comma-separated, as region by name."""
    return _by_name(text, "us|eu", f"must be name:us or name:eu, comma-separated: {_NAME}")


def _by_name(text: str, value: str, must: str) -> Mapping[str, str]:
    pairs = _pairs(text, value, must)
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("must name each workspace once")
    return found


def _pairs(text: str, value: str, must: str) -> list[tuple[str, str]]:
    """The pairs `name:value` of a comma-separated list."""
    found = [
        re.fullmatch(f"{_WORKSPACE}:({value})", part, re.ASCII)
        for part in filter(None, map(str.strip, text.split(",")))
    ]
    pairs = [(one[1], one[2]) for one in found if one]
    if len(pairs) != len(found):
        raise ValueError(must)
    return pairs


def keys(text: str) -> tuple[SigningKey, ...]:
    """Read signing keys, comma-separated. The error says which one cannot be right, and why."""
    parts = [part for part in text.split(",") if part.strip()]
    for number, part in enumerate(parts, 1):
        fault = fault_of_key(part)
        if fault is not None:
            which = "the key" if len(parts) == 1 else f"key {number} of {len(parts)}"
            raise ValueError(f"must be signing keys, but {which} {fault}")
    return tuple(SigningKey.from_text(part) for part in parts)
