"""Where the receiver's parts are joined. The WSGI app is `databricks_app.app:create_app()`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from flask import Flask

from databricks_app.ingest.inbox import Appender, Pending
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.local_reader import pending
from databricks_app.ingest.pages import StatusPages
from databricks_app.ingest.receiver import WebhookReceiver
from databricks_app.ingest.routes import blueprint
from databricks_app.ingest.wsgi import WebhookFirst
from databricks_app.runtime import freshness
from databricks_app.runtime.metrics import Metrics
from databricks_app.runtime.recurring import RecurringLog
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

    Call it after the process has forked: the inbox has threads, and a locked file or connections.

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
    recurring = RecurringLog()
    inbox = inbox or open_inbox(settings, recurring)
    app = Flask(__name__, static_folder=None)
    app.extensions[INBOX] = inbox
    app.url_map.merge_slashes = False  # a redirect would stall the feed
    receiver = WebhookReceiver(settings, inbox, metrics, now, body_errors, recurring)
    pages = StatusPages(settings, receiver, metrics, _counting(settings, inbox), now)
    app.register_blueprint(blueprint(settings, receiver, pages))
    app.wsgi_app = WebhookFirst(app.wsgi_app, receiver)  # type: ignore[method-assign]
    return app


def open_inbox(settings: Settings, recurring: RecurringLog | None = None) -> Appender:
    """Open this process's part of the inbox.

    Local segments are handed over after half a flush interval, so that an event waits for one and
    a half intervals at most.

    Args:
        settings: Of the receiver.
        recurring: Logs the inbox's own faults; one of its own if left out.

    Raises:
        SettingsError: The workspace's address cannot be used.
    """
    if settings.store == "databricks":
        return _open_volume(settings, recurring)
    return LocalInbox(
        settings.inbox_dir,
        max_bytes=settings.inbox_max_bytes,
        floor_bytes=settings.inbox_floor_bytes,
        close_seconds=settings.flush_interval_seconds * freshness.CLOSE_SHARE,
        recurring=recurring,
    )


def _open_volume(settings: Settings, recurring: RecurringLog | None) -> Appender:
    from databricks_app.databricks.workspace import connect
    from databricks_app.ingest.inbox.volume import VolumeInbox

    return VolumeInbox(
        connect(environment(), connections=settings.uploads + 4),
        settings.volume_path,
        deadline_seconds=settings.append_deadline_seconds,
        uploads=settings.uploads,
        recurring=recurring,
    )


def _counting(settings: Settings, inbox: Appender) -> Callable[[], Pending | None]:
    """Return what tells how much is stored and not yet loaded; see `StatusPages`."""
    if settings.store == "databricks":
        from databricks_app.ingest.inbox.volume import VolumeInbox

        if isinstance(inbox, VolumeInbox):
            return inbox.count_pending
    return partial(pending, settings.inbox_dir)
