"""Answers the webhook route in front of the Flask app."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Response

from databricks_app.endpoint import RETRY_AFTER_SECONDS, WEBHOOK_PATH, is_webhook_path
from databricks_app.ingest.receiver import RECEIVER_STATUSES, WebhookReceiver

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class WebhookFirst:
    """Answers the webhook route in front of Flask's own dispatch, and passes on the rest.

    The route needs nothing of Flask, and Flask's dispatch costs more than all the receiver does.

    Attributes:
        receiver: Answers it.
        headers: Of its answers, by status.
    """

    def __init__(self, app: WSGIApplication, receiver: WebhookReceiver) -> None:
        """Stand in front of an app."""
        self._app = app
        self.receiver = receiver
        empty = ("Content-Length", "0")
        self.headers = {
            code: [*empty_response(code).headers, empty] for code in (*RECEIVER_STATUSES, 404)
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        # A server without a clock of its own notices here that a kind of refusal has ended.
        self.receiver.recurring.sweep()
        if not is_webhook_path(environ.get("PATH_INFO", "")):
            return self._app(environ, start_response)
        if environ["REQUEST_METHOD"] != "POST":
            # Flask's own route knows one spelling.
            return self._app({**environ, "PATH_INFO": WEBHOOK_PATH}, start_response)
        code = self.receiver.answer(environ).status
        start_response(f"{code} {HTTPStatus(code).phrase}", self.headers[code][:])
        return ()


def webhook_of(app: object) -> WebhookFirst | None:
    """Return what answers the webhook route of an app of `create_app`; None of any other."""
    first = getattr(app, "wsgi_app", None)
    return first if isinstance(first, WebhookFirst) else None


def empty_response(status_code: int) -> Response:
    """Return an answer without a body."""
    response = bare(Response(status=status_code))
    response.headers.pop("Content-Type", None)
    if status_code == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def bare(response: Response) -> Response:
    """Put on an answer what every answer has."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
