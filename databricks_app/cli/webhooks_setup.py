"""`ciolake webhooks setup`: make a webhook work, step by step."""

from __future__ import annotations

import json
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.webhooks import specification
from core.webhooks.config import ReportingWebhook, endpoint_problem
from core.webhooks.event_names import events_named
from databricks_app.cli.webhooks_access import connected, workspace_options
from databricks_app.cli.webhooks_keys import (
    ask_key,
    key_options,
    key_store,
    send_canary,
    tell_receiver,
)
from databricks_app.operations.webhooks.canary import EndpointError, wait_for_row
from databricks_app.operations.webhooks.setup import Bench, set_up
from databricks_app.runtime import freshness
from databricks_app.settings import environment, from_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from core.webhooks.signature import SigningKey
    from databricks_app.operations.webhooks.canary import Canary
    from databricks_app.settings import Settings

if TYPE_CHECKING:
    from core.webhooks.signature import SigningKey
    from databricks_app.operations.webhooks.canary import Canary


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
    region: str,
    base_url: str | None,
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
    store = key_store(secret)
    with connected(region, base_url) as client:
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
            see_arrive(send_canary(endpoint, key, wait), wait)

        bench = Bench(
            client.reporting_webhooks,
            specification.subscription_names(),
            store,
            is_kept_key_right,
            ask,
            prove,
            click.echo,
        )
        set_up(wanted, bench)
    click.echo(
        "Now press Send Test in Customer.io: its event must be taken as well, or the key is not"
        " this webhook's; then give the right one with --new-key."
    )
    click.echo(f"As an entry of webhooks.yaml: ciolake webhooks get {json.dumps(name)}")


def _wanted(
    endpoint: str, name: str, words: tuple[str, ...], full_resolution: bool, with_content: bool
) -> ReportingWebhook:
    problem = endpoint_problem(endpoint)
    if problem:
        raise click.UsageError(f"ENDPOINT {problem}")
    known = specification.subscription_names()
    unknown = [word for word in words if not events_named(word, known)]
    if unknown:
        raise click.UsageError(f"no event: {', '.join(unknown)}; `ciolake webhooks events` lists")
    given = {event for word in words for event in events_named(word, known)}
    events = tuple(event for event in known if event in given)
    return ReportingWebhook(name.strip(), endpoint, events, full_resolution, with_content)


def _tables_folder(data_dir: Path | None) -> Path | None:
    if data_dir is not None:
        return data_dir
    variables = environment()
    folder = Path(variables.get("CIO_DATA_DIR") or "data")
    is_local = variables.get("CIO_STORE", "local") == "local"
    return folder if is_local and (folder / "tables").is_dir() else None


def _arrival(data_dir: Path | None) -> Callable[[Canary, float], None]:
    """Return what sees an event arrive, in the store that this machine knows.

    Raises:
        SettingsError: The settings of the store cannot be used.
    """
    variables = environment()
    is_remote = variables.get("CIO_STORE") == "databricks" and "DATABRICKS_HOST" in variables
    if data_dir is None and is_remote:
        return partial(_see_in_volume, from_environment(variables), variables)
    return partial(_see_in_folder, _tables_folder(data_dir))


def _see_in_volume(
    settings: Settings, variables: Mapping[str, str], event: Canary, seconds: float
) -> None:
    """See it in the inbox, or, if the wait is longer than the flush interval, in the table."""
    from databricks_app.databricks import workspace
    from databricks_app.ingest.inbox.tracking import track
    from databricks_app.lake.warehouse.connect import open_query

    with closing(workspace.connect(variables)) as joined:
        query = open_query(joined, settings)
        waits = seconds if seconds >= freshness.longest_wait_seconds(settings) else 0.0
        with closing(query.statements):
            place = track(
                joined,
                settings.volume_path,
                event.body,
                lambda: wait_for_row(query, event, seconds=0),
                seconds=waits,
            )
    if place == "row":
        click.echo("it stands in webhook_raw_events")
    elif place == "inbox" and not waits:
        by = freshness.expected_by(settings, time.time())
        click.echo(f"it is in the inbox of {settings.volume_path}; its row is expected by {by}")
    elif place == "inbox":
        raise EndpointError(
            f"acknowledged, but still in the inbox of {settings.volume_path} after {waits:g} s: "
            "does the receiver's loader run (/readyz)?"
        )
    else:
        raise EndpointError(
            f"acknowledged, but neither in the inbox of {settings.volume_path} nor in "
            "webhook_raw_events. Are CIO_CATALOG, CIO_SCHEMA and CIO_VOLUME the receiver's?"
        )


def _see_in_folder(folder: Path | None, event: Canary, seconds: float) -> None:
    if folder is None:
        click.echo(
            "seen at the endpoint only, as neither local tables are here (--data-dir) nor"
            " CIO_STORE=databricks with DATABRICKS_HOST; look for this event_id in its"
            f" webhook_raw_events: {event.event_id}"
        )
        return
    from databricks_app.lake.local.query import LocalQuery

    if not wait_for_row(LocalQuery(folder), event, seconds=seconds):
        raise EndpointError(
            f"acknowledged, but not in the table of {folder} after {seconds:g} s. Is that "
            "the receiver's folder (--data-dir), and does its writer run (/readyz)?"
        )
    click.echo(f"it stands in webhook_raw_events of {folder}")
