"""Answer the webhook route before the request reaches the Flask app."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Response

from databricks_app.endpoint import RETRY_AFTER_SECONDS, WEBHOOK_PATH, is_webhook_path
from databricks_app.ingest.receiver import RECEIVER_STATUSES, WebhookReceiver
from databricks_app.runtime.shared_calls import SharedCalls

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class WebhookFirst:
    """WSGI middleware that answers the webhook route and passes other requests to the app.

    Attributes:
        receiver: Answers the webhook route.
        calls: The calls of the sender; a server with an event loop counts them.
        note_pause: Counts a pause of the sender, in seconds.
        headers: Headers of its answers, by status.
    """

    # The webhook route needs nothing of Flask, and Flask's dispatch takes more time than the whole
    # receiver.

    def __init__(
        self,
        app: WSGIApplication,
        receiver: WebhookReceiver,
        calls: SharedCalls,
        note_pause: Callable[[float], None],
    ) -> None:
        """Wrap an app."""
        self._app = app
        self.receiver = receiver
        self.calls = calls
        self.note_pause = note_pause
        empty = ("Content-Length", "0")
        self.headers = {
            code: [*empty_response(code).headers, empty] for code in (*RECEIVER_STATUSES, 404)
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        # A server without a timer (plain gunicorn) logs here that a kind of refusal has ended.
        self.receiver.recurring.sweep()
        if not is_webhook_path(environ.get("PATH_INFO", "")):
            return self._app(environ, start_response)
        if environ["REQUEST_METHOD"] != "POST":
            # Flask's route matches only this spelling of the path.
            return self._app({**environ, "PATH_INFO": WEBHOOK_PATH}, start_response)
        code = self.receiver.answer(environ).status
        # A copy: a server or another middleware may change the list.
        start_response(f"{code} {HTTPStatus(code).phrase}", self.headers[code][:])
        return ()


def webhook_of(app: object) -> WebhookFirst | None:
    """Return the middleware of an app from `create_app`; None for another app."""
    first = getattr(app, "wsgi_app", None)
    return first if isinstance(first, WebhookFirst) else None


def empty_response(status_code: int) -> Response:
    """Return a response without a body."""
    response = bare(Response(status=status_code))
    response.headers.pop("Content-Type", None)
    if status_code == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def bare(response: Response) -> Response:
    """Add the headers that every response has."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
