"""The HTTP face: the webhook route, health and metrics. Knows Flask; knows nothing of events."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.ingest.access import may_see_details
from databricks_app.ingest.inbox import Pending
from databricks_app.ingest.readiness import readiness
from databricks_app.ingest.receiver import WebhookReceiver
from databricks_app.ingest.wsgi import bare, empty_response
from databricks_app.runtime import freshness, status
from databricks_app.runtime.metrics import CONTENT_TYPE, Metrics
from databricks_app.settings import Settings

_ONE_SLASH = re.compile("/(?!/)")
_OTHER_METHODS = ("GET", "PUT", "PATCH", "DELETE", "OPTIONS")

_FORBIDDEN = (
    "This page needs the header `Authorization: Bearer <CIO_ADMIN_TOKEN>`; on a Databricks App, a "
    "user who is signed in.\n"
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes answer from."""

    settings: Settings
    receiver: WebhookReceiver
    metrics: Metrics
    pending: Callable[[], Pending]
    now: Callable[[], float] = time.time


def blueprint(parts: Parts) -> Blueprint:
    """Make the routes."""
    routes = Blueprint("receiver", __name__)

    @routes.before_app_request
    def take_paths_as_received() -> None:
        # The URL map adds a slash that is missing and drops those that are doubled, so that a rule
        # of a proxy for `/metrics` would not meet `//metrics`.
        if not _ONE_SLASH.match(request.environ.get("PATH_INFO", "")):
            raise NotFound

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
        parts.receiver.refuse("not_found", 404)
        return empty_response(404)

    @routes.app_errorhandler(MethodNotAllowed)
    def no_such_method(error: MethodNotAllowed) -> Response:
        parts.receiver.refuse("method_not_allowed", 405)
        response = empty_response(405)
        methods = {"POST"} if request.path == WEBHOOK_PATH else set(error.valid_methods or ())
        response.headers["Allow"] = ", ".join(sorted(methods))
        return response

    @routes.app_errorhandler(HTTPException)
    def refuse(error: HTTPException) -> Response:
        # Flask's redirects are such errors too, and a redirect would stall the feed.
        code = error.code if error.code is not None and error.code >= 400 else 404
        code = 503 if code == 500 else code
        parts.receiver.refuse("http_error", code)
        return empty_response(code)

    @routes.app_errorhandler(Exception)
    def fail(error: Exception) -> Response:
        parts.receiver.fail(error)
        return empty_response(503)

    return routes


def exposition(parts: Parts) -> bytes:
    """Return the metrics of all processes and what the inbox holds now."""
    pending = parts.pending()
    loader = status.read(status.run_dir())
    now = parts.now()
    oldest = 0.0 if pending.oldest_at is None else max(0.0, now - pending.oldest_at.timestamp())
    gauges = {
        "inbox_pending_events": (pending.events, "Events stored and not yet in the tables."),
        "inbox_pending_bytes": (pending.bytes, "Bytes of the segments that hold them."),
        "oldest_pending_seconds": (oldest, "Age of the oldest of them."),
        "writer_silent_seconds": (
            now - loader.at if loader else -1,
            "Since the loader last reported; -1 if it never did.",
        ),
    }
    lines = [
        f"# HELP ciolake_{name} {meaning}\n# TYPE ciolake_{name} gauge\nciolake_{name} {value}\n"
        for name, (value, meaning) in gauges.items()
    ]
    return parts.metrics.exposition() + "".join(lines).encode()


def _readyz(parts: Parts) -> Response:
    trouble = parts.receiver.trouble()
    said = readiness(
        trouble=trouble,
        pending=parts.pending(),
        loader=status.read(status.run_dir()),
        processes=status.read_problems(status.run_dir()),
        stale_requests=parts.metrics.stale_total(),
        takes_stale=parts.settings.stale_timestamps == "accept",
        stall_seconds=freshness.stall_seconds(parts.settings),
        now=parts.now(),
    )
    if not may_see_details(request.environ, parts.settings):
        said = {"status": said["status"]}
    response = jsonify(said)
    response.status_code = 200 if trouble is None else 503
    return bare(response)


def _text(text: str, status_code: int = 200) -> Response:
    return bare(Response(text, status=status_code, content_type="text/plain; charset=utf-8"))
