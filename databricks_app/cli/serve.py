"""`ciolake serve`: run the receiver."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import click
import structlog

from core.webhooks.signature import SigningKey
from databricks_app.cli.own_name import own_name
from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.errors import SettingsError
from databricks_app.ingest.inbox import Pending, local_reader
from databricks_app.ingest.inbox.filesystem import refuse_lost_folder, refuse_network_folder
from databricks_app.runtime import data_dir, file_modes, logs, run_dir, status
from databricks_app.runtime.env_file import make_admin_token, make_development_key
from databricks_app.serving import activation, supervisor
from databricks_app.setting_names import KEYS, is_meant
from databricks_app.settings import (
    ENV_FILE,
    Settings,
    data_folder,
    environment,
    from_environment,
)

log = structlog.get_logger(__name__)


@click.command()
@click.option("--demo", is_flag=True, help="Also send 5,000 signed sample events to it, once.")
def serve(*, demo: bool) -> None:
    """Receive webhooks and load them into the tables.

    Settings are environment variables; outside Databricks they can also be in a file .env in the
    current folder. The README lists them.

    SIGHUP, or `ciolake reload`: read the settings again, without refusing a connection. SIGTERM,
    Ctrl-C: finish the current requests and stop within 10 s. If systemd passes a socket
    (LISTEN_FDS), it is used instead of CIO_HOST and PORT.

    \b
    Exit codes: 0 stopped by a signal, 1 the receiver cannot start or keep running (the message
    says why), 2 wrong usage.
    """  # noqa: D301  # click needs the character \b
    variables = environment()
    settings = from_environment(variables)
    logs.configure(settings.log_level, "supervisor")
    with ExitStack() as undo:
        listener = activation.inherited_listener()
        if listener is None:
            listener = supervisor.bind(settings.host, settings.port)
        else:
            host, port = listener.getsockname()[:2]
            settings = replace(settings, host=host, port=port)
        if demo and not settings.is_loopback:
            raise SettingsError(
                "--demo fills the tables with sample events, so it needs a loopback address: set "
                "CIO_HOST=127.0.0.1"
            )
        if demo and find_spec("databricks_app.cli.demo_traffic") is None:
            raise SettingsError("--demo needs the simulator, which is not uploaded to Databricks")
        if settings.store == "databricks" and settings.inbox == "local":
            refuse_lost_folder(settings.inbox_dir)
        refuse_network_folder(settings.data_dir)
        folder = run_dir.make()
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        run_dir.note_owner(folder, settings.data_dir)
        made = data_dir.prepare(settings.data_dir, settings.inbox_dir)
        undo.callback(data_dir.remove, made)
        settings = with_admin_token(with_keys(settings, variables), variables)
        undo.pop_all()
    file_modes.correct(settings.data_dir, None if settings.is_databricks_app else ENV_FILE)
    os.environ["CIO_HOST"] = settings.host
    _announce(settings, listener.getsockname()[1])
    sys.exit(
        supervisor.serve(
            listener,
            folder,
            with_alerting=bool(settings.alert_url),
            with_demo=demo,
            pending=_pending(settings, folder),
        )
    )


def _pending(settings: Settings, run_folder: Path) -> Callable[[], Pending | None]:
    """Return a function that counts the events that are not loaded yet."""
    if settings.inbox == "local":
        return partial(local_reader.pending, settings.inbox_dir)

    # A volume is not listed here: the loader has counted it already and writes its status.
    def from_status() -> Pending | None:
        newest = status.read(run_folder)
        if newest is None or newest.pending_events is None:
            return None
        at = newest.oldest_pending_at
        return Pending(newest.pending_events, 0, None if at is None else datetime.fromisoformat(at))

    return from_status


def with_keys(settings: Settings, variables: Mapping[str, str]) -> Settings:
    """Create a development key if none is set and the address is a loopback address.

    Raises:
        SettingsError: A misspelt name stands for the keys, or the key cannot be saved.
    """
    if settings.signing_keys is not None:
        return settings
    if not settings.is_loopback or settings.is_databricks_app:
        return replace(settings, signing_keys=())
    misspelt = is_meant(KEYS, variables)
    if misspelt is not None:
        # With a development key it would start, and refuse every event of Customer.io.
        raise SettingsError(
            f"{misspelt}. {KEYS} is not set, and no development key is created beside it: correct "
            "the name, in the environment or in .env"
        )
    try:
        key = make_development_key()
    except OSError as error:
        raise SettingsError(
            "CIO_WEBHOOK_SIGNING_KEYS is not set, and a development key cannot be saved, because "
            f"{ENV_FILE} cannot be written ({error.strerror}). Set CIO_WEBHOOK_SIGNING_KEYS, or "
            "start in a folder that can be written"
        ) from error
    return replace(settings, signing_keys=(SigningKey.from_text(key),))


def with_admin_token(settings: Settings, variables: Mapping[str, str]) -> Settings:
    """Create an admin token if none is set and the address is a loopback address.

    If the file cannot be written, or a misspelt name stands for the token, the receiver starts
    without a token.
    """
    if settings.admin_token is not None or settings.is_databricks_app or not settings.is_loopback:
        return settings
    if is_meant("CIO_ADMIN_TOKEN", variables):  # the web server logs `unknown_setting`
        return settings
    try:
        return replace(settings, admin_token=make_admin_token())
    except OSError as error:
        # No error: a receiver that does not start stops the feed, and it works without the token.
        log.warning(
            "admin_token_not_made",
            error=type(error).__name__,
            advice=f"{ENV_FILE} cannot be written, so no admin token was created. Set "
            "CIO_ADMIN_TOKEN to see /metrics and the details of /readyz",
        )
        return settings


def _announce(settings: Settings, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    lines = [
        f"Receiving at  http://{host}:{port}{WEBHOOK_PATH}",
        f"Tables in     {settings.data_dir / 'tables'}",
    ]
    if settings.signing_keys:
        fingerprints = ", ".join(key.fingerprint for key in settings.signing_keys)
        lines.append(f"Signing keys  {fingerprints} (fingerprints)")
    else:
        lines.append(
            "There is no signing key, so every request is answered 503. Set "
            "CIO_WEBHOOK_SIGNING_KEYS."
        )
    if not settings.admin_token and not settings.is_databricks_app:
        lines.append("CIO_ADMIN_TOKEN is not set: nobody sees /metrics and the details of /readyz.")
    lines += _hints(settings, port)
    click.echo("\n".join(lines))
    sys.stdout.flush()


def _hints(settings: Settings, port: int) -> list[str]:
    """Commands to try in another shell, which has `.env`, but not the variables of this one."""
    there = environment({})
    url = "" if there.get("PORT", "8000") == str(port) else f" --url http://127.0.0.1:{port}"
    is_default = data_folder(there).resolve() == settings.data_dir.resolve()
    folder = "" if is_default else f" --data-dir {shlex.quote(str(settings.data_dir))}"
    name = own_name()
    rows = '"SELECT * FROM webhook_email_events"'
    return [
        f"Try           {name} send --sample email/opened{url}",
        f"Then          {name} query{folder} {rows}",
    ]
