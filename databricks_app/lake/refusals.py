"""What the error of a warehouse means, from its text: a conflict, a value, or a matter of admins.

Databricks names its errors: an error class in brackets and an SQLSTATE. What an admin is told is
made of these names and never of the whole text, which may show values. Pure.

Source: https://docs.databricks.com/aws/en/error-messages/error-classes
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

_CLASS = re.compile(r"\[([A-Z][A-Z0-9_.]{2,80})\]")
_STATE = re.compile(r"SQLSTATE[:=]?\s*([0-9A-Z]{5})\b")
_CONFLICT = re.compile(
    r"DELTA_CONCURRENT|Concurrent\w+Exception|DELTA_METADATA_CHANGED|MetadataChangedException"
    r"|DELTA_PROTOCOL_CHANGED|ProtocolChangedException|TRANSACTION_(ROLLBACK|CONFLICT)",
    re.IGNORECASE,
)
_LACKS = re.compile(
    r"does not have (?:the )?(?P<privilege>[A-Z][A-Z_ ]*[A-Z])(?: privilege)? on "
    r"(?P<kind>\w+) ['`](?P<name>[\w.`-]+)['`]",
    re.IGNORECASE,
)
_PERMISSION = re.compile(r"PERMISSION|PRIVILEGE|not authorized|\bforbidden\b", re.IGNORECASE)
_MISSING = re.compile(r"TABLE_OR_VIEW_NOT_FOUND|SCHEMA_NOT_FOUND|NO_SUCH_CATALOG|CATALOG_NOT_FOUND")
_SESSION = re.compile(r"session|invalid.?handle", re.IGNORECASE)
_ENDED = re.compile(r"closed|expired|invalid|not found|does not exist", re.IGNORECASE)
_TOKEN = re.compile(r"unauthori[sz]ed|invalid (access )?token|token.*expired", re.IGNORECASE)
_STARTING = re.compile(
    r"TEMPORARILY_UNAVAILABLE|(warehouse|endpoint|cluster).*(start|stop)", re.IGNORECASE
)
_BUSY = re.compile(r"too many (requests|queries)|queue is full", re.IGNORECASE)
# Syntax and names: such a text shows no row.
_NAMING_STATES = "42"
# A value is not as its column wants it, or breaks a constraint; and what reads as such.
_VALUE_STATES = ("22", "23")
_VALUE_CLASSES = (
    "CAST_",
    "ARITHMETIC_OVERFLOW",
    "NUMERIC_VALUE_OUT_OF_RANGE",
    "DELTA_NOT_NULL_CONSTRAINT_VIOLATED",
    "DELTA_VIOLATE_CONSTRAINT",
    "DELTA_EXCEED_CHAR_VARCHAR_LIMIT",
    "DATETIME_OVERFLOW",
    "MALFORMED_",
)


class Kind(StrEnum):
    """What to do about an error."""

    CONFLICT = "conflict"
    VALUE = "value"
    SESSION = "session"
    BUSY = "busy"
    UNREACHABLE = "unreachable"
    TOKEN = "token"  # noqa: S105  # a word
    ADMIN = "admin"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an error means.

    Attributes:
        kind: What to do: run the statement again (`conflict`, `session`, `busy`, `unreachable`),
            that with another token (`token`), find the row (`value`), tell an admin (`admin`), or
            wait and see (`unknown`).
        name: The error's class as Databricks names it, or the SQLSTATE, or the Python type.
        words: What an admin is told.
    """

    kind: Kind
    name: str
    words: str


def refusal(
    text: str, error_type: str, http_status: int | None = None, *, is_answer: bool = True
) -> Refusal:
    """Explain an error.

    Args:
        text: Everything the server said.
        error_type: Name of the Python error's type.
        http_status: Of the answer, where it was no answer to a statement.
        is_answer: Whether the server has said it; else the way to the server is at fault.
    """
    state = _first(_STATE, text)
    name = _first(_CLASS, text) or state or error_type
    if _CONFLICT.search(text):
        return Refusal(Kind.CONFLICT, name, f"another transaction was faster ({name})")
    if lacks := _LACKS.search(text):
        return Refusal(Kind.ADMIN, name, _grant(**lacks.groupdict()))
    if name.startswith(_VALUE_CLASSES) or (state or "").startswith(_VALUE_STATES):
        return Refusal(Kind.VALUE, name, f"a value is refused ({name})")
    return _of_the_workspace(text, name, http_status) or _other(text, name, is_answer=is_answer)


def _of_the_workspace(text: str, name: str, http_status: int | None) -> Refusal | None:
    if http_status == HTTPStatus.UNAUTHORIZED or _TOKEN.search(text):
        return Refusal(
            Kind.TOKEN,
            name,
            "the workspace refuses the token: check the service principal's credentials "
            "(DATABRICKS_CLIENT_ID, DATABRICKS_CLIENT_SECRET) and that it may use the workspace",
        )
    if http_status == HTTPStatus.FORBIDDEN or _PERMISSION.search(text):
        return Refusal(
            Kind.ADMIN,
            name,
            f"permission is missing ({name}): the service principal needs CAN USE on the "
            "warehouse, USE CATALOG, USE SCHEMA, SELECT and MODIFY on the tables, READ VOLUME and "
            "WRITE VOLUME",
        )
    if _MISSING.search(text):
        return Refusal(
            Kind.ADMIN,
            name,
            f"a table, the schema or the catalog is gone ({name}): check CIO_CATALOG and "
            "CIO_SCHEMA, and whether somebody dropped it; tables are made again at the next try",
        )
    if http_status == HTTPStatus.SERVICE_UNAVAILABLE or _STARTING.search(text):
        return Refusal(Kind.BUSY, name, "the warehouse is not running yet, or cannot be reached")
    if http_status == HTTPStatus.TOO_MANY_REQUESTS or _BUSY.search(text):
        return Refusal(Kind.BUSY, name, "the warehouse has more to do than it takes on")
    if _SESSION.search(text) and _ENDED.search(text):
        return Refusal(Kind.SESSION, name, "the session has ended")
    return None


def _other(text: str, name: str, *, is_answer: bool) -> Refusal:
    if (_first(_STATE, text) or "").startswith(_NAMING_STATES):
        line = _STATE.sub("", text.partition("\n")[0]).rstrip(". ")
        return Refusal(Kind.UNKNOWN, name, f"the warehouse cannot run a statement: {line[:300]}")
    if is_answer:
        return Refusal(Kind.UNKNOWN, name, f"the warehouse refuses a statement ({name})")
    return Refusal(
        Kind.UNREACHABLE,
        name,
        f"the warehouse cannot be reached ({name}): check DATABRICKS_HOST, "
        "DATABRICKS_WAREHOUSE_ID and the network",
    )


def _grant(privilege: str, kind: str, name: str) -> str:
    granted = f"{privilege.upper()} ON {kind.upper()} {name}"
    return (
        f"the service principal lacks a permission. Run: GRANT {granted} TO `<its application id>`"
    )


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[1] if found else None
