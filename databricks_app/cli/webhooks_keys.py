"""What `ciolake webhooks setup` and `rotate` share: where keys are kept, how a receiver is told."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from typing import TYPE_CHECKING

import click

from core.webhooks.signature import SigningKey
from databricks_app.cli.rows import format_option, write
from databricks_app.cli.webhooks_access import told
from databricks_app.events.workspaces import DEFAULT
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


def key_options(command: click.decorators.FC) -> click.decorators.FC:
    """Add the options that say where keys are kept and how the receiver learns of them."""
    for option in (
        click.option(
            "--wait",
            type=click.FloatRange(0, 3600),
            default=WAIT_SECONDS,
            show_default=True,
            metavar="SECONDS",
            help="How long the receiver may take to know a key, and an event to reach a table.",
        ),
        click.option(
            "--pid",
            type=click.IntRange(min=2),
            help="Process id of `ciolake serve` on this machine: told by SIGHUP to read its keys.",
        ),
        click.option(
            "--secret",
            metavar="SCOPE/KEY",
            help="Keep keys in this Databricks secret instead of .env.",
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
    """Where the keys of a workspace are kept; of the only one if none is named.

    Raises:
        click.UsageError: `secret` does not name a scope and a key.
        click.ClickException: It is not clear which workspace is meant.
    """
    store = whole_store(secret)
    with told():
        variables = environment()
        listed = value(variables, "CIO_WORKSPACES")
        if not listed and workspace is None:
            return store
        name = one_of(names(variables), workspace)
    return WorkspaceKeys(store, listed, name, click.echo)


def whole_store(secret: str | None) -> NamedKeyStore:
    """Where all keys are kept.

    Raises:
        click.UsageError: It does not name a scope and a key.
    """
    if secret is None:
        return EnvFile(ENV_FILE, os.environ)
    scope, mark, name = secret.partition("/")
    if not (scope and mark and name):
        raise click.UsageError("--secret is written SCOPE/KEY")
    return DatabricksSecret(_workspace, scope, name)


@click.command("keys")
@click.option("--secret", metavar="SCOPE/KEY", help="Of this Databricks secret instead of .env.")
@format_option
def keys_(*, secret: str | None, form: str) -> None:
    """List the signing keys that are kept, by fingerprint, with their workspace.

    Those that CIO_WORKSPACES lists and that are not kept any more are retired: their entries stay,
    for events that still wait or are replayed.
    """
    from databricks_app.lake.local.query import Result

    with told():
        listed = value(environment(), "CIO_WORKSPACES")
        kept = [SigningKey.from_text(one).fingerprint for one in whole_store(secret).read()]
    rows: list[tuple[object, ...]] = [
        (one, "active" if one in kept else "retired", listed.get(one, DEFAULT), one in listed)
        for one in dict.fromkeys([*kept, *listed])
    ]
    columns = ("fingerprint", "key", "workspace", "listed")
    write(Result(columns, ("STRING", "STRING", "STRING", "BOOLEAN"), rows), form)


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
    """Let the receiver read its settings again, or say that and why somebody must.

    Raises:
        click.ClickException: There is no such process of ours.
    """
    if pid is None:
        click.echo(
            f"{why}: now kill -HUP <pid of `ciolake serve`>, or deploy the receiver again ..."
        )
        return
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as error:
        raise click.ClickException(f"process {pid} cannot be told ({error.strerror})") from error
    click.echo(f"process {pid} was told to read its settings again")


def send_canary(endpoint: str, key: SigningKey, seconds: float) -> Canary:
    """Send a signed event to an endpoint until it is taken.

    Raises:
        EndpointError: It was not taken; says why and what to do.
    """
    event = canary.canary(secrets.token_hex(8), time.time())
    canary.post_until_accepted(endpoint, key, event, seconds=seconds)
    click.echo(f"signed event {event.event_id} is acknowledged under key {key.fingerprint}")
    return event


def _workspace() -> WorkspaceClient:
    from databricks.sdk import WorkspaceClient

    return WorkspaceClient()
