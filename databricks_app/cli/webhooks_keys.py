"""Options and functions for signing keys that `setup`, `rotate` and `keys` share."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from typing import TYPE_CHECKING

import click

from core.webhooks.signature import SigningKey
from databricks_app.cli.webhooks_access import errors_shown
from databricks_app.operations.webhooks import canary
from databricks_app.operations.webhooks.keys import (
    DatabricksSecret,
    EnvFile,
    KeyStore,
    NamedKeyStore,
    WorkspaceKeys,
    checked,
)
from databricks_app.operations.workspaces.app_api import names, one_of
from databricks_app.settings import ENV_FILE, environment, value

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

    from databricks_app.operations.webhooks.canary import Canary

WAIT_SECONDS = 60.0


pid_option = click.option(
    "--pid",
    type=click.IntRange(min=2),
    help="Process id of `ciolake serve` on this machine; it gets a SIGHUP, so that it reads its "
    "keys again.",
)


def key_options(command: click.decorators.FC) -> click.decorators.FC:
    """Add the options for the key store and for the receiver that must read the keys."""
    for option in (
        click.option(
            "--wait",
            type=click.FloatRange(0, 3600),
            default=WAIT_SECONDS,
            show_default=True,
            metavar="SECONDS",
            help="How long to wait until the receiver has read the key, and until the test event "
            "has arrived.",
        ),
        pid_option,
        click.option(
            "--secret",
            metavar="SCOPE/KEY",
            help="Store keys in this Databricks secret instead of .env.",
        ),
        click.option(
            "--key-stdin",
            is_flag=True,
            help="Read the signing key from standard input instead of asking for it.",
        ),
    ):
        command = option(command)
    return command


def key_store(secret: str | None, workspace: str | None) -> KeyStore:
    """Return the store of a workspace's keys; without a name, of the only workspace.

    Raises:
        click.UsageError: `secret` is not SCOPE/KEY.
        click.ClickException: There are several workspaces, or none has this name.
    """
    store = whole_store(secret)
    with errors_shown():
        variables = environment()
        listed = value(variables, "CIO_WORKSPACES")
        if not listed and workspace is None:
            return store
        name = one_of(names(variables), workspace)
    return WorkspaceKeys(store, listed, name, click.echo)


def whole_store(secret: str | None) -> NamedKeyStore:
    """Return the store of all keys.

    Raises:
        click.UsageError: `secret` is not SCOPE/KEY.
    """
    if secret is None:
        return EnvFile(ENV_FILE, os.environ)
    scope, mark, name = secret.partition("/")
    if not (scope and mark and name):
        raise click.UsageError("--secret must have the form SCOPE/KEY")

    def connect() -> WorkspaceClient:
        from databricks.sdk import WorkspaceClient

        return WorkspaceClient()

    return DatabricksSecret(connect, scope, name)


def ask_key(prompt: str, *, from_stdin: bool) -> str:
    """Ask for a key without showing it.

    Raises:
        KeyStoreError: It cannot be a key.
    """
    if from_stdin:
        return checked(sys.stdin.readline())
    click.echo(prompt)
    return checked(str(click.prompt("Signing key (hidden)", hide_input=True)))


def tell_receiver(pid: int | None, why: str) -> None:
    """Make the receiver read its settings again, or print how the user can do that.

    Raises:
        click.ClickException: There is no such process, or it belongs to another user.
    """
    if pid is None:
        click.echo(
            f"{why}. Now run `ciolake reload` where the receiver runs, or deploy it again. "
            "Waiting ..."
        )
        return
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as error:
        raise click.ClickException(
            f"SIGHUP cannot be sent to the process {pid} ({error.strerror}): correct --pid"
        ) from error
    click.echo(f"sent SIGHUP to the process {pid}, so that it reads its settings again")


def send_canary(endpoint: str, key: SigningKey, seconds: float) -> Canary:
    """Send a signed test event to an endpoint until it is accepted.

    Raises:
        EndpointError: It was not accepted; the text says why and what to do.
    """
    event = canary.canary(secrets.token_hex(8), time.time())
    canary.post_until_accepted(endpoint, key, event, seconds=seconds)
    click.echo(
        f"the receiver acknowledged the test event {event.event_id}, signed with key "
        f"{key.fingerprint}"
    )
    return event
