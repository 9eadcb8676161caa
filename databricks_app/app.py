"""Where the receiver's parts are joined. The WSGI app is `databricks_app.app:create_app()`."""

from __future__ import annotations

import time
from collections.abc import Callable

from flask import Flask

from databricks_app.door import Door
from databricks_app.inbox import Appender
from databricks_app.inbox.local import LocalInbox
from databricks_app.inbox.segments import pending
from databricks_app.metrics import Metrics
from databricks_app.routes import Parts, WebhookFirst, blueprint
from databricks_app.settings import Settings, environment, from_environment

INBOX = "ciolake.inbox"


def create_app(
    settings: Settings | None = None,
    *,
    inbox: Appender | None = None,
    metrics: Metrics | None = None,
    now: Callable[[], float] = time.time,
    body_errors: tuple[type[Exception], ...] = (OSError,),
) -> Flask:
    """Make the WSGI app; parts left out are made from the settings.

    Call it after the process has forked: the inbox has a thread and a locked file.

    Args:
        settings: From the environment if left out.
        inbox: Of the settings' store if left out.
        metrics: Instruments of their own if left out.
        now: Unix seconds.
        body_errors: What the server raises while a body is read that does not arrive whole.

    Raises:
        SettingsError: A setting cannot be used.
    """
    settings = settings or from_environment(environment())
    metrics = metrics or Metrics()
    inbox = inbox or open_inbox(settings)
    app = Flask(__name__, static_folder=None)
    app.extensions[INBOX] = inbox
    app.url_map.merge_slashes = False  # a redirect would stall the feed
    parts = Parts(
        settings=settings,
        door=Door(settings, inbox, metrics, now, body_errors),
        metrics=metrics,
        pending=lambda: pending(settings.inbox_dir),
        now=now,
    )
    app.register_blueprint(blueprint(parts))
    app.wsgi_app = WebhookFirst(app.wsgi_app, parts.door)  # type: ignore[method-assign]
    return app


def open_inbox(settings: Settings) -> LocalInbox:
    """Open this process's part of the local inbox.

    Segments are handed over after half a flush interval, so that an event waits for one and a
    half intervals at most.
    """
    return LocalInbox(
        settings.inbox_dir,
        max_bytes=settings.inbox_max_bytes,
        seal_seconds=settings.flush_interval_seconds / 2,
    )
