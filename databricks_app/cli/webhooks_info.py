"""`ciolake webhooks events` and `ips`: all events, and Customer.io's IP addresses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from core.webhooks import specification
from core.webhooks.event_names import channel_of, meaning_of
from databricks_app.cli.rows import format_option, write
from databricks_app.cli.webhooks_access import chosen, connected, webhooks_of, workspace_options
from databricks_app.operations.webhooks.addresses import networks, plain

if TYPE_CHECKING:
    from databricks_app.operations.workspaces.app_api import AppApiOptions


@click.command("events")
@click.option("--webhook", metavar="NAME|ID", help="Show whether this webhook gets the event.")
@click.option(
    "--missing", is_flag=True, help="With --webhook: only events that the webhook does not get."
)
@format_option
@workspace_options
def events_(*, webhook: str | None, missing: bool, form: str, where: AppApiOptions) -> None:
    """List all events with their meaning; this needs an App API key only with --webhook.

    \b
    Exit codes: 0 done, 1 not done (the message says why), 2 wrong usage.
    """  # noqa: D301  # click needs the character \b
    from databricks_app.lake.local.query import Result

    if missing and webhook is None:
        raise click.UsageError("--missing needs --webhook")
    columns = ["event", "channel", "meaning"]
    rows = [
        [name, channel_of(name), meaning_of(name)] for name in specification.subscription_names()
    ]
    if webhook is not None:
        with connected(where) as client:
            subscribed = chosen(webhooks_of(client), webhook).webhook.events
        columns.append("subscribed")
        rows = [[*row, "yes" if row[0] in subscribed else "no"] for row in rows]
        lacking = sum(row[-1] == "no" for row in rows)
        click.echo(f"{webhook!r} does not get {lacking} of {len(rows)} events.", err=True)
    kept = [tuple(row) for row in rows if not missing or row[-1] == "no"]
    write(Result(tuple(columns), ("STRING",) * len(columns), list(kept)), form)


@click.command("ips")
@click.option(
    "--format",
    "form",
    type=click.Choice(["plain", "json"]),
    default="plain",
    show_default=True,
    help="One address or range a line, or a JSON array of CIDR blocks.",
)
@workspace_options
def ips_(*, form: str, where: AppApiOptions) -> None:
    """Print the IP addresses from which Customer.io sends, as its API lists them now.

    They can change: check them regularly.

    \b
    Exit codes: 0 done, 1 not done (the message says why), 2 wrong usage.
    """  # noqa: D301  # click needs the character \b
    with connected(where) as client:
        given = networks(client.info.ip_addresses().get("ip_addresses") or ())
    if form == "json":
        click.echo(json.dumps([str(one) for one in given], indent=2))
    else:
        click.echo("\n".join(map(plain, given)))
