"""Requests, answers and refusals, as the doubles' server and its services exchange them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

Json = Any  # as in the vendor's own payloads


class Refused(Exception):  # noqa: N818  # an answer, not an error of the double
    """The service refuses a request; the answer has the platform's form of errors.

    Attributes:
        status: HTTP status.
        code: The platform's `error_code`.
        reason: Reason of the `ErrorInfo` in the details; None: no details.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        reason: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.reason = reason
        self.headers = headers or {}

    def answer(self) -> Answer:
        """Return the answer for this refusal."""
        body: dict[str, Json] = {"error_code": self.code, "message": str(self)}
        if self.reason:
            kind = "type.googleapis.com/google.rpc.ErrorInfo"
            domain = "filesystem.databricks.com"
            body["details"] = [{"@type": kind, "reason": self.reason, "domain": domain}]
        # The SQL connector reads the error text from this header.
        headers = {"X-Databricks-Reason-Phrase": str(self).encode("ascii", "replace").decode()}
        headers = {name: " ".join(value.split()) for name, value in headers.items()}
        return Answer(self.status, json.dumps(body).encode(), headers=headers | self.headers)


class Dropped(Exception):  # noqa: N818  # an outcome, not an error
    """The connection is reset without an answer, as by a broken proxy."""


@dataclass(slots=True)
class Request:
    """One request.

    Attributes:
        method: HTTP method.
        path: Decoded path without the query.
        query: Last value of each query argument.
        headers: Headers, by lower-case name.
        body: The raw body.
        operation: Name of the operation, e.g. `files.put` or `sql.ExecuteStatement`.
        arguments: Parts of the path that the route names.
        statement: SQL text of the request; empty if it has none.
        principal: The caller; empty for a route that needs no token.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    operation: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    statement: str = ""
    principal: str = ""

    def json(self) -> dict[str, Json]:
        """Return the body as a JSON object; an empty body is an empty object.

        Raises:
            Refused: The body is not a JSON object.
        """
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise Refused(400, "MALFORMED_REQUEST", "The request body is not a JSON object.")
        return value

    def field(self, name: str) -> Json:
        """Return a field that the body must have.

        Raises:
            Refused: It is missing.
        """
        value = self.json().get(name)
        if value is None:
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"Missing required field: {name}")
        return value


@dataclass(slots=True)
class Answer:
    """One answer; its content type is JSON unless `headers` says otherwise."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def answered(value: Json) -> Answer:
    """Make an answer from the result of a service: an `Answer`, JSON, or None for `{}`."""
    if isinstance(value, Answer):
        return value
    if value is None:
        return Answer(200, b"{}")
    return Answer(200, json.dumps(value).encode())
