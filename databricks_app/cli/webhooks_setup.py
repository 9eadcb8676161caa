"""`ciolake webhooks setup`: create a webhook, test it, then enable it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.webhooks import specification
from core.webhooks.config import WebhookSettings, endpoint_problem
from core.webhooks.event_names import events_named
from databricks_app.cli import connections
from databricks_app.cli.webhooks_access import connected, workspace_options
from databricks_app.cli.webhooks_keys import (
    ask_key,
    key_options,
    key_store,
    send_canary,
    tell_receiver,
)
from databricks_app.operations.webhooks.arrival import is_row, see_in_folder, see_in_volume
from databricks_app.operations.webhooks.setup import SetupTools, set_up
from databricks_app.settings import data_folder, environment, from_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from core.webhooks.signature import SigningKey
    from databricks_app.operations.webhooks.canary import Canary
    from databricks_app.operations.workspaces.app_api import AppApiOptions
    from databricks_app.settings import Settings


@click.command("setup")
@click.argument("endpoint")
@click.option("--name", default="ciolake", show_default=True, help="Name of the webhook.")
@click.option(
    "--events",
    "words",
    multiple=True,
    default=("all",),
    show_default=True,
    help="`all`, a channel or an event; can be repeated.",
)
@click.option(
    "--full-resolution", is_flag=True, help="Send every open and click, not only the first."
)
@click.option("--with-content", is_flag=True, help="Send the content of messages in `sent` events.")
@click.option("--new-key", is_flag=True, help="Ask for the signing key even if one is stored.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Data folder of the receiver, in which the test event must arrive. [default: "
    "CIO_DATA_DIR, if it has tables]",
)
@key_options
@workspace_options
def setup_(
    *,
    endpoint: str,
    name: str,
    words: tuple[str, ...],
    full_resolution: bool,
    with_content: bool,
    new_key: bool,
    data_dir: Path | None,
    key_stdin: bool,
    secret: str | None,
    pid: int | None,
    wait: float,
    where: AppApiOptions,
) -> None:
    """Create a webhook that posts to ENDPOINT, test it, then enable it.

    \b
    1. It creates the webhook, disabled.
    2. It asks for the signing key. Customer.io shows it only on the page Reporting Webhooks.
    3. It stores the key for the receiver.
    4. It sends a signed test event, and waits until it has arrived.
    5. It enables the webhook.

    You can run it again after any failure: it continues where it ended. A webhook that is already
    enabled stays enabled.

    \b
    Exit codes: 0 enabled, 1 not enabled (the message says why and what to do), 2 wrong usage.

    \b
    Example:
      ciolake webhooks setup https://hooks.example.com/api/webhooks/customerio --events email
    """  # noqa: D301  # click needs the character \b
    wanted = _wanted(endpoint, name, words, full_resolution, with_content)
    store = key_store(secret, where.workspace)
    with connected(where) as client:
        see_arrive = _arrival(data_dir)

        def ask(number: int) -> str:
            return ask_key(
                f"Copy the signing key of webhook {number} {name!r} from the page Reporting "
                "Webhooks in Customer.io.",
                from_stdin=key_stdin,
            )

        def is_kept_key_right(fingerprint: str) -> bool:
            if new_key or key_stdin:
                return False
            return click.confirm(
                f"Is the stored key with the fingerprint {fingerprint} the key of this webhook?"
            )

        def prove(key: SigningKey) -> None:
            tell_receiver(pid, "The receiver must read the key")
            click.echo(see_arrive(send_canary(endpoint, key, wait), wait))

        tools = SetupTools(
            client.reporting_webhooks,
            specification.subscription_names(),
            store,
            is_kept_key_right,
            ask,
            prove,
            click.echo,
        )
        set_up(wanted, tools)
    click.echo(
        "Now press Send Test in Customer.io. If the receiver refuses that event, the key is not the"
        " one of this webhook: run this again with --new-key."
    )
    click.echo(f"To get an entry for webhooks.yaml, run: ciolake webhooks get {json.dumps(name)}")


def _wanted(
    endpoint: str, name: str, words: tuple[str, ...], full_resolution: bool, with_content: bool
) -> WebhookSettings:
    problem = endpoint_problem(endpoint)
    if problem:
        raise click.UsageError(f"ENDPOINT {problem}")
    known = specification.subscription_names()
    unknown = [word for word in words if not events_named(word, known)]
    if unknown:
        raise click.UsageError(
            f"no such event: {', '.join(unknown)}. `ciolake webhooks events` lists all events"
        )
    given = {event for word in words for event in events_named(word, known)}
    events = tuple(event for event in known if event in given)
    return WebhookSettings(name.strip(), endpoint, events, full_resolution, with_content)


def _arrival(data_dir: Path | None) -> Callable[[Canary, float], str]:
    """Return a function that waits until an event has arrived, and returns where, in words.

    Raises:
        SettingsError: The settings of the store are not valid.
    """
    variables = environment()
    if data_dir is None and variables.get("CIO_STORE") == "databricks":
        if "DATABRICKS_HOST" not in variables:
            return _see_nowhere
        return partial(_see_in_volume, from_environment(variables), variables)
    folder = data_dir or data_folder(variables)
    if data_dir is None and not (folder / "tables").is_dir():
        return _see_nowhere
    from databricks_app.lake.local.query import LocalQuery

    def in_folder(event: Canary, seconds: float) -> str:
        return see_in_folder(LocalQuery(folder), folder, event, seconds=seconds)

    return in_folder


def _see_in_volume(
    settings: Settings, variables: Mapping[str, str], event: Canary, seconds: float
) -> str:
    workspace = connections.open_workspace(variables)
    query = connections.open_tables(workspace, settings)
    return see_in_volume(workspace, settings, event, lambda: is_row(query, event), seconds=seconds)


def _see_nowhere(event: Canary, _seconds: float) -> str:
    return (
        "it was not checked whether the event has arrived, because this machine does not know the"
        " tables of the receiver (--data-dir, or CIO_STORE=databricks with DATABRICKS_HOST). Look"
        f" for this event_id in webhook_raw_events: {event.event_id}"
    )
