"""The HTTP routes: webhook, health, metrics. Imports Flask; reads no content of events."""

from __future__ import annotations

import re

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from databricks_app.endpoint import WEBHOOK_PATH, signature_headers
from databricks_app.ingest.access import may_see_details
from databricks_app.ingest.pages import StatusPages
from databricks_app.ingest.receiver import WebhookReceiver
from databricks_app.ingest.wsgi import bare, empty_response
from databricks_app.runtime.metrics import CONTENT_TYPE
from databricks_app.settings import Settings

_ONE_SLASH = re.compile("/(?!/)")
_OTHER_METHODS = ("GET", "PUT", "PATCH", "DELETE", "OPTIONS")

_FORBIDDEN = (
    "This page needs the header `Authorization: Bearer <CIO_ADMIN_TOKEN>`. On a Databricks App it "
    "needs a signed-in user.\n"
)


def blueprint(settings: Settings, receiver: WebhookReceiver, pages: StatusPages) -> Blueprint:
    """Create the routes.

    Args:
        settings: Settings of the receiver.
        receiver: Counts and logs refusals.
        pages: The content of `/readyz` and `/metrics`.
    """
    routes = Blueprint("receiver", __name__)

    @routes.before_app_request
    def require_one_leading_slash() -> None:
        # Werkzeug's URL map adds a missing leading slash and merges doubled ones. A proxy that
        # protects `/metrics` would then let `//metrics` through.
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
        page = pages.readyz()
        shown = page.detail if may_see_details(request.environ, settings) else page.status
        return bare(Response(shown, page.status_code, content_type="application/json"))

    @routes.get("/metrics", provide_automatic_options=False)
    def exposition() -> Response:
        if not may_see_details(request.environ, settings):
            return _text(_FORBIDDEN, 403)
        return bare(Response(pages.exposition(), content_type=CONTENT_TYPE))

    @routes.app_errorhandler(NotFound)
    def no_such_path(_error: NotFound) -> Response:
        if _is_signed():
            receiver.refuse("misdirected", 404)
        else:
            receiver.refuse("not_found", 404)
        return empty_response(404)

    @routes.app_errorhandler(MethodNotAllowed)
    def no_such_method(error: MethodNotAllowed) -> Response:
        if _is_signed():
            receiver.refuse("misdirected", 405)
        else:
            receiver.refuse("method_not_allowed", 405)
        response = empty_response(405)
        methods = {"POST"} if request.path == WEBHOOK_PATH else set(error.valid_methods or ())
        response.headers["Allow"] = ", ".join(sorted(methods))
        return response

    @routes.app_errorhandler(HTTPException)
    def refuse(error: HTTPException) -> Response:
        # Flask raises redirects as HTTPException too, and a redirect would stall the feed.
        code = error.code if error.code is not None and error.code >= 400 else 404
        # Customer.io waits an hour after a 500, but not after a 503.
        code = 503 if code == 500 else code
        receiver.refuse("http_error", code)
        return empty_response(code)

    @routes.app_errorhandler(Exception)
    def fail(error: Exception) -> Response:
        receiver.fail(error)
        return empty_response(503)

    return routes


def _is_signed() -> bool:
    """Return whether the request has the signature header, which scanners do not send."""
    return signature_headers(request.environ)[0] is not None


def _text(text: str, status_code: int = 200) -> Response:
    return bare(Response(text, status=status_code, content_type="text/plain; charset=utf-8"))
