"""Requests and replies of the simulator, and the vendor's error bodies. Imports no HTTP server."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit

from databricks_app.errors import ReceiverError

Json: TypeAlias = dict[str, Any]

# The form of an error's body: the App API's list, the one sentence of its sends, or the Pipelines
# API's list.
ErrorShape: TypeAlias = Literal["errors", "send", "pipelines"]


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request that was read completely.

    Attributes:
        method: In upper case.
        path: The path as it was sent, without the query.
        query: The query; of a repeated name, the last value.
        headers: The headers; names in lower case.
        body: The raw bytes.
        values: The path's value for each name in the template of the route.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_target(
        cls, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> ApiRequest:
        """Make a request from method, target (path with query), headers and body."""
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query, True).items()}
        return cls(method, parts.path, query, headers, body)

    def json(self) -> Json:
        """Read the body as a JSON object; without a body the object is empty.

        Raises:
            Refused: 400, the body is not a JSON object.
        """

        def refuse_constant(name: str) -> None:
            # Python reads NaN and Infinity, which are not JSON.
            raise ValueError(name)

        try:
            value = json.loads(self.body or b"{}", parse_constant=refuse_constant)
        except ValueError as error:
            raise Refused(400, "the body is not JSON") from error
        if not isinstance(value, dict):
            raise Refused(400, "the body is not a JSON object")
        return value

    def number(self, name: str, default: int, maximum: int) -> int:
        """Read a whole number from the query; a larger one becomes the maximum, as at the vendor.

        Raises:
            Refused: 400, it is not a whole number.
        """
        text = self.query.get(name, "")
        if not text:
            return default
        if not re.fullmatch(r"\d{1,15}", text):
            raise Refused(400, f"{name} must be a whole number")
        return min(int(text), maximum)

    def id(self, name: str) -> int:
        """Read a numeric id from the path.

        Raises:
            Refused: 404, it is not a number, so nothing has this id.
        """
        text = self.values[name]
        if not re.fullmatch(r"\d{1,15}", text):
            raise Refused(404, "not found")
        return int(text)


@dataclass(frozen=True, slots=True)
class ApiReply:
    """An answer; a body of None is empty.

    Attributes:
        delay_seconds: How long to wait before the answer, in seconds of the machine.
        hangs_up: Whether the connection is closed without an answer.
        content: A file to send in place of the body.
    """

    status: int = 200
    body: Json | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    hangs_up: bool = False
    content: bytes | None = field(default=None, repr=False)


class Refused(ReceiverError):  # noqa: N818  # an answer of the API, not an error of the simulator
    """The request is answered with an error.

    Attributes:
        status: Status of the answer, 400 or more.
        retry_after_seconds: Value of the header `Retry-After`; None: no such header.
    """

    def __init__(self, status: int, detail: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


def error_reply(error: Refused, shape: ErrorShape) -> ApiReply:
    """Return the answer for an error, in the vendor's form."""
    detail = str(error)
    bodies: dict[ErrorShape, Json] = {
        "errors": {"errors": [{"status": str(error.status), "detail": detail}]},
        "send": {"meta": {"error": detail}},
        "pipelines": {"meta": {"errors": [detail]}},
    }
    seconds = error.retry_after_seconds
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    return ApiReply(error.status, bodies[shape], headers)


def page(
    items: list[Any], request: ApiRequest, default: int, maximum: int
) -> tuple[list[Any], str]:
    """Return the requested page, and the cursor of the next page (empty at the end).

    Args:
        items: All items.
        request: Its query may hold `limit` and `start`.
        default: Items per page without `limit`.
        maximum: Highest `limit`.

    Raises:
        Refused: 400, `start` is not a cursor.
    """
    # The cursor is an index with a letter before it, so that no client takes it for a number.
    limit = max(request.number("limit", default, maximum), 1)
    start = request.query.get("start", "")
    match = re.fullmatch(r"c(\d{1,12})", start)
    if start and match is None:
        raise Refused(400, "start is not a cursor of an earlier answer")
    first = int(match[1]) if match else 0
    rest = first + limit
    return items[first:rest], f"c{rest}" if rest < len(items) else ""
