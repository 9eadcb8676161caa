"""`ciolake webhooks list`, `get`, `enable` and `disable`: one webhook at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from core.webhooks import specification
from core.webhooks.apply import apply
from core.webhooks.config import Wanted, all_events, plan, shown
from databricks_app.cli.rows import format_option, write
from databricks_app.cli.webhooks_access import chosen, connected, webhooks_of, workspace_options

if TYPE_CHECKING:
    from core.app_api import AppClient
    from core.webhooks.config import Live
    from databricks_app.operations.workspaces.app_api import AppApiOptions

_NAMES = ("id", "name", "enabled", "endpoint", "events", "full_resolution", "with_content")
_TYPES = ("BIGINT", "STRING", "BOOLEAN", "STRING", "INT", "BOOLEAN", "BOOLEAN")


@click.command("list")
@format_option
@workspace_options
def list_(*, form: str, where: AppApiOptions) -> None:
    """List the webhooks of the workspace; `events` is the number of events that each gets.

    Endpoints are shown without their query, which may be a secret.

    \b
    Exit codes: 0 done, 1 not done (the message says why), 2 wrong usage.
    """  # noqa: D301  # click needs the character \b
    from databricks_app.lake.local.query import Result

    with connected(where) as client:
        live = webhooks_of(client)
    write(Result(_NAMES, _TYPES, [_row(one) for one in live]), form)


@click.command("get")
@click.argument("webhook", metavar="NAME|ID")
@workspace_options
def get_(*, webhook: str, where: AppApiOptions) -> None:
    """Print a webhook as an entry for the file that `plan` reads.

    \b
    Exit codes: 0 done, 1 not done (the message says why), 2 wrong usage.
    """  # noqa: D301  # click needs the character \b
    import yaml

    with connected(where) as client:
        live = webhooks_of(client)
        found = chosen(live, webhook)
    is_all = found.webhook.events == all_events(specification.subscription_names(), live)
    entry = {
        "id": found.id,
        "name": found.webhook.name,
        "endpoint": found.webhook.endpoint,
        "events": "all" if is_all else list(found.webhook.events),
        "full_resolution": found.webhook.full_resolution,
        "with_content": found.webhook.with_content,
        "enabled": found.webhook.enabled,
    }
    text = yaml.safe_dump({"webhooks": [entry]}, sort_keys=False, allow_unicode=True)
    click.echo(text, nl=False)


@click.command("enable")
@click.argument("webhook", metavar="NAME|ID")
@workspace_options
def enable_(*, webhook: str, where: AppApiOptions) -> None:
    """Enable a webhook without a test of its endpoint; `setup` tests it first.

    \b
    Exit codes: 0 done, 1 not done (the message says why), 2 wrong usage.
    """  # noqa: D301  # click needs the character \b
    with connected(where) as client:
        found = chosen(webhooks_of(client), webhook)
        _switch(client, found, "enabled")


@click.command("disable")
@click.argument("webhook", metavar="NAME|ID")
@workspace_options
def disable_(*, webhook: str, where: AppApiOptions) -> None:
    """Disable a webhook. As far as known, Customer.io does not send the missed events later.

    \b
    Exit codes: 0 done, 1 not done (the message says why), 2 wrong usage.
    """  # noqa: D301  # click needs the character \b
    with connected(where) as client:
        found = chosen(webhooks_of(client), webhook)
        _switch(client, found, "disabled")


def _row(one: Live) -> tuple[object, ...]:
    held = one.webhook
    return (
        one.id,
        held.name,
        held.enabled,
        shown(held.endpoint),
        len(held.events),
        held.full_resolution,
        held.with_content,
    )


def _switch(client: AppClient, before: Live, word: str) -> None:
    after = replace(before.webhook, enabled=word == "enabled")
    planned = plan([Wanted(before.webhook.name, after, before.id)], [before])
    done = apply(client.reporting_webhooks, planned, specification.subscription_names())
    click.echo(
        f"{word if done else f'already {word}'}: webhook {before.id} {before.webhook.name!r}"
    )
