"""Explains the errors of a SQL warehouse: what kind it is, and what an admin can do.

Databricks names its errors with an error class in brackets and an SQLSTATE. The text for an admin
contains these names, never the whole text of the error, which may show values. Pure.

Source: https://docs.databricks.com/aws/en/error-messages/error-classes
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from databricks_app.databricks.token import is_about_token

# For example `[CAST_OVERFLOW] The value ... SQLSTATE: 22003`.
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
# A text that names the status in words; the connector does not always keep the number.
_UNAUTHORIZED = re.compile(r"unauthori[sz]ed", re.IGNORECASE)
_STARTING = re.compile(
    r"TEMPORARILY_UNAVAILABLE|(warehouse|endpoint|cluster).*(start|stop)", re.IGNORECASE
)
# "exceed Retry policy" is the connector's text when `Retry-After` is longer than its limit.
_BUSY = re.compile(r"too many (requests|queries)|queue is full|exceed Retry policy", re.IGNORECASE)
# urllib3's text after its last retry. The status is only in this text.
_REPEATED = re.compile(r"too many (\d{3}) error responses")
_SILENT = re.compile(r"timed? ?out", re.IGNORECASE)
_BROKEN = re.compile(r"reset by peer|aborted|closed connection|broken", re.IGNORECASE)
# SQLSTATE class 42: syntax and names. The text of such an error shows no row.
_NAMING_STATES = "42"
# SQLSTATE classes 22 (data exception) and 23 (constraint violation); error classes of this kind.
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


_REFUSED_LOGIN = (
    "the workspace refuses the token: check the service principal's credentials "
    "(DATABRICKS_CLIENT_ID, DATABRICKS_CLIENT_SECRET) and that it may use the workspace"
)
_NOT_RUNNING = "the warehouse is not running yet, or cannot be reached"
_SERVER_ERROR = (
    "the workspace or the warehouse has a fault: if this continues, see the status page of "
    "Databricks"
)
_TOO_BUSY = (
    "the warehouse is overloaded: if this continues, see who else uses it, or use a larger one"
)


class ErrorKind(StrEnum):
    """What to do about an error."""

    CONFLICT = "conflict"
    VALUE = "value"
    SESSION = "session"
    BUSY = "busy"
    UNREACHABLE = "unreachable"
    TOKEN = "token"  # noqa: S105  # a word
    FORBIDDEN = "forbidden"
    ADMIN = "admin"
    UNKNOWN = "unknown"


_OF_STATUS = {
    HTTPStatus.UNAUTHORIZED: (ErrorKind.TOKEN, _REFUSED_LOGIN),
    HTTPStatus.FORBIDDEN: (
        ErrorKind.FORBIDDEN,
        "the service principal may not use the warehouse: give it the permission CAN USE on the "
        "warehouse",
    ),
    # An ended session is answered 404 too, so another session is tried.
    HTTPStatus.NOT_FOUND: (
        ErrorKind.SESSION,
        "there is no such warehouse: set DATABRICKS_WAREHOUSE_ID to an existing one, and give the "
        "service principal CAN USE on it",
    ),
    HTTPStatus.TOO_MANY_REQUESTS: (ErrorKind.BUSY, _TOO_BUSY),
    HTTPStatus.SERVICE_UNAVAILABLE: (ErrorKind.BUSY, _NOT_RUNNING),
}
_ADVICE = {
    "STARTING": "; wait, this may take minutes",
    "STOPPING": "; start it, if it does not start by itself",
    "STOPPED": "; start it, if it does not start by itself",
    "DELETED": "; set DATABRICKS_WAREHOUSE_ID to another one",
}
_SLOW_ADVICE = "; look at its query history, and check whether it is too small"


@dataclass(frozen=True, slots=True)
class ErrorMeaning:
    """The meaning of an error.

    Attributes:
        kind: What to do. `conflict`, `session`, `busy` and `unreachable`: run the statement again.
            `token`: run it again with another token. `forbidden`: the same if there is one, else an
            admin has to act. `value`: find the row. `admin`: an admin has to act. `unknown`: no
            rule applies.
        name: The error class of Databricks, or the SQLSTATE, or the Python type.
        words: The text for an admin.
    """

    kind: ErrorKind
    name: str
    words: str


def meaning(
    text: str, error_type: str, http_status: int | None = None, *, is_answer: bool = True
) -> ErrorMeaning:
    """Explain an error.

    Args:
        text: The whole text of the error.
        error_type: Name of the Python error's type.
        http_status: HTTP status, if the workspace did not pass the request to the warehouse.
        is_answer: Whether the error comes from the server; else from the network.
    """
    if repeated := _first(_REPEATED, text):
        http_status = int(repeated)
    state = _first(_STATE, text)
    name = _first(_CLASS, text) or state or error_type
    # The order matters: the text of a conflict may contain the words of the later rules.
    if _CONFLICT.search(text):
        return ErrorMeaning(ErrorKind.CONFLICT, name, f"another transaction was faster ({name})")
    if lacks := _LACKS.search(text):
        return ErrorMeaning(ErrorKind.ADMIN, name, _grant(**lacks.groupdict()))
    if name.startswith(_VALUE_CLASSES) or (state or "").startswith(_VALUE_STATES):
        return ErrorMeaning(ErrorKind.VALUE, name, f"a value is refused ({name})")
    if http_status is not None and is_about_token(http_status, text):
        http_status = HTTPStatus.UNAUTHORIZED  # a refused token is sometimes answered 403
    found = _by_status(http_status, name) or _by_text(text, name)
    return found or _other(text, name, is_answer=is_answer)


def state_words(state: str | None, *, is_slow: bool = False) -> str:
    """Return a warehouse's state as text, with advice; empty if the state is unknown.

    Args:
        state: The state as the workspace names it.
        is_slow: Whether a statement takes long: then there is advice for `RUNNING` too.
    """
    if state is None:
        return ""
    advice = _SLOW_ADVICE if is_slow and state == "RUNNING" else _ADVICE.get(state, "")
    return f"its state is {state}{advice}"


def _by_status(status: int | None, name: str) -> ErrorMeaning | None:
    """Return the meaning of a status that the workspace answered without the warehouse."""
    if status is None:
        return None
    if status in _OF_STATUS:
        kind, words = _OF_STATUS[HTTPStatus(status)]
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind, words = ErrorKind.UNREACHABLE, _SERVER_ERROR
    else:
        return None
    return ErrorMeaning(kind, name, f"{words} (HTTP {status})")


def _by_text(text: str, name: str) -> ErrorMeaning | None:
    if _UNAUTHORIZED.search(text) or is_about_token(HTTPStatus.FORBIDDEN, text):
        return ErrorMeaning(ErrorKind.TOKEN, name, _REFUSED_LOGIN)
    if _PERMISSION.search(text):
        return ErrorMeaning(
            ErrorKind.ADMIN,
            name,
            f"permission is missing ({name}): the service principal needs CAN USE on the "
            "warehouse, USE CATALOG, USE SCHEMA, SELECT and MODIFY on the tables, READ VOLUME and "
            "WRITE VOLUME",
        )
    if _MISSING.search(text):
        return ErrorMeaning(
            ErrorKind.ADMIN,
            name,
            f"a table, the schema or the catalog is gone ({name}): check CIO_CATALOG and "
            "CIO_SCHEMA, and whether somebody dropped it; tables are made again at the next try",
        )
    if _STARTING.search(text):
        return ErrorMeaning(ErrorKind.BUSY, name, _NOT_RUNNING)
    if _BUSY.search(text):
        return ErrorMeaning(ErrorKind.BUSY, name, _TOO_BUSY)
    if _SESSION.search(text) and _ENDED.search(text):
        return ErrorMeaning(ErrorKind.SESSION, name, "the session has ended")
    return None


def _other(text: str, name: str, *, is_answer: bool) -> ErrorMeaning:
    if (_first(_STATE, text) or "").startswith(_NAMING_STATES):
        line = _STATE.sub("", text.partition("\n")[0]).rstrip(". ")
        return ErrorMeaning(
            ErrorKind.UNKNOWN, name, f"the warehouse cannot run a statement: {line[:300]}"
        )
    if is_answer:
        return ErrorMeaning(ErrorKind.UNKNOWN, name, f"the warehouse refuses a statement ({name})")
    if _SILENT.search(text):
        how = "does not answer in time"
    elif _BROKEN.search(text):
        how = "cannot be reached, connections are interrupted"
    else:
        how = "cannot be reached"
    return ErrorMeaning(
        ErrorKind.UNREACHABLE,
        name,
        f"the warehouse {how} ({name}): check DATABRICKS_HOST, DATABRICKS_WAREHOUSE_ID and the "
        "network",
    )


def _grant(privilege: str, kind: str, name: str) -> str:
    granted = f"{privilege.upper()} ON {kind.upper()} {name}"
    return (
        f"the service principal lacks a permission. Run: GRANT {granted} TO `<its application id>`"
    )


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[1] if found else None
