"""`ciolake webhooks setup`: make a webhook work, step by step."""

from __future__ import annotations

import json
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.webhooks import specification
from core.webhooks.config import WebhookSettings, endpoint_problem
from core.webhooks.event_names import events_named
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
@click.option("--name", default="ciolake", show_default=True, help="Of the webhook.")
@click.option(
    "--events",
    "words",
    multiple=True,
    default=("all",),
    show_default=True,
    help="`all`, a channel or an event; may be repeated.",
)
@click.option("--full-resolution", is_flag=True, help="Every open and click, not only the first.")
@click.option("--with-content", is_flag=True, help="`sent` events carry the message itself.")
@click.option("--new-key", is_flag=True, help="Ask for the key even if one is kept.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the receiver's local tables, to see the event arrive. [default: CIO_DATA_DIR, "
    "if there are tables]",
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
    """Make a webhook that posts to ENDPOINT work, in the safe order.

    Creates it disabled; asks for its signing key, which Customer.io shows on its page Reporting
    Webhooks and nowhere else; keeps the key for the receiver; sends a signed event of its own and
    sees it acknowledged, and arrive in the local tables or, with CIO_STORE=databricks, in the inbox
    of the volume; then enables the webhook.

    Run it again after any failure: it goes on where it ended. An enabled webhook is not disabled.

    \b
    Exit codes: 0 enabled, 1 not: the error says why and what to do, 2 wrong usage.

    \b
    Example:
      ciolake webhooks setup https://hooks.example.com/api/webhooks/customerio --events email
    """  # noqa: D301  # click wants the character itself
    wanted = _wanted(endpoint, name, words, full_resolution, with_content)
    store = key_store(secret, where.workspace)
    with connected(where) as client:
        see_arrive = _arrival(data_dir)

        def ask(number: int) -> str:
            return ask_key(
                f"Customer.io shows the key of webhook {number} {name!r} on its page Reporting "
                "Webhooks.",
                from_stdin=key_stdin,
            )

        def is_kept_key_right(fingerprint: str) -> bool:
            if new_key or key_stdin:
                return False
            return click.confirm(f"Is the kept key {fingerprint} (fingerprint) this webhook's?")

        def prove(key: SigningKey) -> None:
            tell_receiver(pid, "the receiver must know the key")
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
        "Now press Send Test in Customer.io: its event must be taken as well, or the key is not"
        " this webhook's; then give the right one with --new-key."
    )
    click.echo(f"As an entry of webhooks.yaml: ciolake webhooks get {json.dumps(name)}")


def _wanted(
    endpoint: str, name: str, words: tuple[str, ...], full_resolution: bool, with_content: bool
) -> WebhookSettings:
    problem = endpoint_problem(endpoint)
    if problem:
        raise click.UsageError(f"ENDPOINT {problem}")
    known = specification.subscription_names()
    unknown = [word for word in words if not events_named(word, known)]
    if unknown:
        raise click.UsageError(f"no event: {', '.join(unknown)}; `ciolake webhooks events` lists")
    given = {event for word in words for event in events_named(word, known)}
    events = tuple(event for event in known if event in given)
    return WebhookSettings(name.strip(), endpoint, events, full_resolution, with_content)


def _arrival(data_dir: Path | None) -> Callable[[Canary, float], str]:
    """Return what sees an event arrive, in the store that this machine knows, and says where.

    Raises:
        SettingsError: The settings of the store cannot be used.
    """
    variables = environment()
    if data_dir is None and variables.get("CIO_STORE") == "databricks":
        if "DATABRICKS_HOST" not in variables:
            return _see_nowhere
        return partial(_see_in_volume, from_environment(variables), variables)
    folder = data_dir or data_folder(variables)
    if data_dir is None and not (folder / "tables").is_dir():
        return _see_nowhere
    return partial(_see_in_folder, folder)


def _see_in_volume(
    settings: Settings, variables: Mapping[str, str], event: Canary, seconds: float
) -> str:
    from databricks_app.databricks import workspace
    from databricks_app.lake.warehouse.connect import open_query

    with closing(workspace.connect(variables)) as joined:
        query = open_query(joined, settings)
        with closing(query.statements):
            return see_in_volume(
                joined, settings, event, lambda: is_row(query, event), seconds=seconds
            )


def _see_in_folder(folder: Path, event: Canary, seconds: float) -> str:
    from databricks_app.lake.local.query import LocalQuery

    return see_in_folder(LocalQuery(folder), folder, event, seconds=seconds)


def _see_nowhere(event: Canary, _seconds: float) -> str:
    return (
        "seen at the endpoint only, as neither local tables are here (--data-dir) nor"
        " CIO_STORE=databricks with DATABRICKS_HOST; look for this event_id in its"
        f" webhook_raw_events: {event.event_id}"
    )
