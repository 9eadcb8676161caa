"""The HTTP face: the webhook route, health and metrics. Knows Flask; knows nothing of events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import MethodNotAllowed, NotFound

from databricks_app import freshness, status
from databricks_app.access import may_see_details
from databricks_app.door import DOOR_STATUSES, RETRY_AFTER_SECONDS, Door
from databricks_app.inbox import Pending
from databricks_app.metrics import CONTENT_TYPE, Metrics
from databricks_app.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

WEBHOOK_PATH = "/api/webhooks/customerio"

_OTHER_METHODS = ("GET", "PUT", "PATCH", "DELETE", "OPTIONS")

log = structlog.get_logger(__name__)

_FORBIDDEN = "Only from this machine itself, or with CIO_ADMIN_TOKEN as a bearer token.\n"


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes answer from."""

    settings: Settings
    door: Door
    metrics: Metrics
    pending: Callable[[], Pending]
    now: Callable[[], float] = time.time


def blueprint(parts: Parts) -> Blueprint:
    """Make the routes."""
    routes = Blueprint("receiver", __name__)

    @routes.route(WEBHOOK_PATH, methods=_OTHER_METHODS, provide_automatic_options=False)
    def only_posts() -> Response:
        raise MethodNotAllowed(["POST"])

    @routes.get("/healthz", provide_automatic_options=False)
    def healthz() -> Response:
        return _text("alive\n")

    @routes.get("/readyz", provide_automatic_options=False)
    def readyz() -> Response:
        return _readyz(parts)

    @routes.get("/metrics", provide_automatic_options=False)
    def metrics() -> Response:
        if not may_see_details(request.environ, parts.settings):
            return _text(_FORBIDDEN, 403)
        return Response(exposition(parts), content_type=CONTENT_TYPE)

    @routes.app_errorhandler(NotFound)
    def no_such_path(_error: NotFound) -> Response:
        parts.metrics.rejected.labels("not_found", "").inc()
        return _empty(404)

    @routes.app_errorhandler(MethodNotAllowed)
    def no_such_method(error: MethodNotAllowed) -> Response:
        parts.metrics.rejected.labels("method_not_allowed", "").inc()
        response = _empty(405)
        methods = {"POST"} if request.path == WEBHOOK_PATH else set(error.valid_methods or ())
        response.headers["Allow"] = ", ".join(sorted(methods))
        return response

    @routes.app_errorhandler(Exception)
    def fail(error: Exception) -> Response:
        log.error("request_failed", error=type(error).__name__)
        parts.metrics.rejected.labels("exception", "").inc()
        return _empty(503)

    return routes


class WebhookFirst:
    """Answers the webhook route in front of Flask's own dispatch, and passes on the rest.

    The route needs nothing of Flask, and Flask's dispatch costs more than all the door does.

    Attributes:
        door: Answers it.
        headers: Of its answers, by status.
    """

    def __init__(self, app: WSGIApplication, door: Door) -> None:
        """Stand in front of an app."""
        self._app = app
        self.door = door
        empty = ("Content-Length", "0")
        self.headers = {code: [*_empty(code).headers, empty] for code in DOOR_STATUSES}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        if environ["REQUEST_METHOD"] != "POST" or not is_webhook_path(environ.get("PATH_INFO", "")):
            return self._app(environ, start_response)
        code = self.door.answer(environ).status
        start_response(f"{code} {HTTPStatus(code).phrase}", self.headers[code][:])
        return ()


def webhook_of(app: object) -> WebhookFirst | None:
    """Return what answers the webhook route of an app of `create_app`; None of any other."""
    first = getattr(app, "wsgi_app", None)
    return first if isinstance(first, WebhookFirst) else None


def is_webhook_path(path: str) -> bool:
    """Whether a decoded path is the webhook route's."""
    # `https://host//api/...` is a common slip, and a refusal would cost the feed an hour.
    return "/" + path.lstrip("/") == WEBHOOK_PATH


def exposition(parts: Parts) -> bytes:
    """Return the metrics of all processes and what the inbox holds now."""
    pending = parts.pending()
    writer = status.heard(status.run_dir())
    now = parts.now()
    oldest = 0.0 if pending.oldest_at is None else max(0.0, now - pending.oldest_at.timestamp())
    gauges = {
        "inbox_pending_events": (pending.events, "Events stored and not yet in the tables."),
        "inbox_pending_bytes": (pending.bytes, "Bytes of the segments that hold them."),
        "oldest_pending_seconds": (oldest, "Age of the oldest of them."),
        "writer_silent_seconds": (
            now - writer.at if writer else -1,
            "Since the writer last reported; -1 if it never did.",
        ),
    }
    lines = [
        f"# HELP ciolake_{name} {meaning}\n# TYPE ciolake_{name} gauge\nciolake_{name} {value}\n"
        for name, (value, meaning) in gauges.items()
    ]
    return parts.metrics.exposition() + "".join(lines).encode()


def _readyz(parts: Parts) -> Response:
    trouble = parts.door.trouble()
    said = status.readiness(
        trouble=trouble,
        pending=parts.pending(),
        writer=status.heard(status.run_dir()),
        processes=status.supervisor_problems(status.run_dir()),
        stale_requests=parts.metrics.stale_total(),
        takes_stale=parts.settings.stale_timestamps == "accept",
        stall_seconds=freshness.stall_seconds(parts.settings),
        now=parts.now(),
    )
    if not may_see_details(request.environ, parts.settings):
        said = {"status": said["status"]}
    response = jsonify(said)
    response.status_code = 200 if trouble is None else 503
    return _bare(response)


def _empty(status_code: int) -> Response:
    response = _bare(Response(status=status_code))
    response.headers.pop("Content-Type", None)
    if status_code == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _text(text: str, status_code: int = 200) -> Response:
    return _bare(Response(text, status=status_code, content_type="text/plain; charset=utf-8"))


def _bare(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
