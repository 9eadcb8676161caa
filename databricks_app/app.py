"""Builds the receiver from its parts. The WSGI app is `databricks_app.app:create_app()`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from flask import Flask

from databricks_app.ingest.inbox import Appender, Pending, filesystem
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.local_reader import pending
from databricks_app.ingest.pages import StatusPages
from databricks_app.ingest.receiver import WebhookReceiver
from databricks_app.ingest.routes import blueprint
from databricks_app.ingest.wsgi import WebhookFirst
from databricks_app.runtime import freshness, status
from databricks_app.runtime.metrics import Metrics
from databricks_app.runtime.recurring import RecurringLog
from databricks_app.runtime.shared_calls import SharedCalls
from databricks_app.runtime.shared_marks import SharedMarks
from databricks_app.runtime.unknown_settings import log_unknown_settings, log_unused_settings
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
    """Make the WSGI app.

    Call it after the process has forked: the inbox has threads, and a locked file or connections,
    which a fork does not copy.

    Args:
        settings: Default: read from the environment.
        inbox: Default: the inbox that the settings describe.
        metrics: Default: new instruments.
        now: Unix seconds.
        body_errors: Exceptions that the server raises if a body does not arrive completely.

    Raises:
        SettingsError: A setting cannot be used.
    """
    if settings is None:
        variables = environment()
        settings = from_environment(variables)
        log_unknown_settings(variables)
        log_unused_settings(settings, variables)
    metrics = metrics or Metrics()
    recurring = RecurringLog()
    inbox = inbox or open_inbox(settings, recurring)
    app = Flask(__name__, static_folder=None)
    app.extensions[INBOX] = inbox
    # Werkzeug would redirect `//path` to `/path`, and Customer.io waits an hour after a redirect.
    app.url_map.merge_slashes = False
    marks = SharedMarks(status.run_dir())
    receiver = WebhookReceiver(settings, inbox, metrics, now, body_errors, recurring, marks)
    calls = SharedCalls(status.run_dir())
    pages = StatusPages(settings, receiver, metrics, calls, _pending_counter(settings, inbox), now)
    app.register_blueprint(blueprint(settings, receiver, pages))
    app.wsgi_app = WebhookFirst(  # type: ignore[method-assign]
        app.wsgi_app, receiver, calls, metrics.sender_pause.observe
    )
    return app


def open_inbox(settings: Settings, recurring: RecurringLog | None = None) -> Appender:
    """Open the inbox of this process.

    Args:
        settings: Settings of the receiver.
        recurring: Logs the faults of the inbox. Default: a new one.

    Raises:
        SettingsError: The workspace's address cannot be used, or the disk of the inbox is lost at a
            restart.
    """
    if settings.inbox == "volume":
        # Imported here: a receiver with a local inbox needs no HTTP client.
        from databricks_app.databricks.workspace import connect
        from databricks_app.ingest.inbox.put_spacing import PutSpacing
        from databricks_app.ingest.inbox.volume import VolumeInbox

        return VolumeInbox(
            connect(environment(), is_receiver=True),
            settings.volume_path,
            spacing=PutSpacing(
                status.run_dir(), settings.web_workers, settings.append_deadline_seconds
            ),
            deadline_seconds=settings.append_deadline_seconds,
            recurring=recurring,
        )
    if settings.store == "databricks":
        # `ciolake serve` has checked it; another WSGI server has not.
        filesystem.refuse_lost_folder(settings.inbox_dir)
    return LocalInbox(
        settings.inbox_dir,
        max_bytes=settings.inbox_max_bytes,
        floor_bytes=settings.inbox_floor_bytes,
        # A segment is closed at this age, and loaded within the next interval.
        close_seconds=freshness.close_seconds(settings),
        recurring=recurring,
    )


def _pending_counter(settings: Settings, inbox: Appender) -> Callable[[], Pending | None]:
    """Return the function that counts stored events that are not yet loaded."""
    if settings.inbox == "volume":
        from databricks_app.ingest.inbox.volume import VolumeInbox

        if isinstance(inbox, VolumeInbox):  # the tests pass other inboxes too
            return inbox.count_pending
    return partial(pending, settings.inbox_dir)
