"""Functions that the subcommands of `ciolake webhooks` share."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from core.errors import AuthenticationError, CustomerIOError, ForbiddenError
from core.webhooks import specification
from core.webhooks.apply import held
from databricks_app.errors import ReceiverError
from databricks_app.operations.workspaces.app_api import AppApiOptions, access
from databricks_app.settings import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.app_api import AppClient
    from core.webhooks.config import Live

_PERMISSION = (
    "Check {variable}: it must be an App API key of the workspace {workspace}, with permission for "
    "reporting webhooks (Account Settings, API Credentials, App API Keys). Check the region as "
    "well (--region, CIO_REGION)."
)


def workspace_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose a workspace; the command gets them as one argument, `where`."""

    @wraps(command)
    def with_where(
        *arguments: Any,
        workspace: str | None,
        region: str | None,
        base_url: str | None,
        **others: Any,
    ) -> None:
        command(*arguments, where=AppApiOptions(workspace, region, base_url), **others)

    for option in (
        click.option(
            "--base-url",
            metavar="URL",
            help="Address of the App API, for example of a simulator.",
        ),
        click.option(
            "--region",
            type=click.Choice(["us", "eu"]),
            help="Region of the workspace. A region in the App API key overrides it. [default: "
            "CIO_REGIONS, CIO_REGION]",
        ),
        click.option(
            "--workspace",
            metavar="NAME",
            help="Workspace, if CIO_WORKSPACES names several.",
        ),
    ):
        with_where = option(with_where)
    return with_where


@contextmanager
def connected(where: AppApiOptions) -> Iterator[AppClient]:
    """Yield a client of the workspace; an error inside ends the command with its text.

    Raises:
        click.ClickException: There is no key, or a call or a step failed.
    """
    from core.app_api import AppClient

    with errors_shown():
        found = access(environment(), where)
        try:
            with AppClient(found.key, region=found.region, base_url=where.base_url) as client:
                yield client
        except (AuthenticationError, ForbiddenError) as error:
            advice = _PERMISSION.format(variable=found.variable, workspace=found.workspace)
            raise click.ClickException(f"{error}\n{advice}") from error


@contextmanager
def errors_shown() -> Iterator[None]:
    """End the command with the text of an error inside, without a stack trace.

    Raises:
        click.ClickException: Instead of a `CustomerIOError` or `ReceiverError`.
    """
    try:
        yield
    except (CustomerIOError, ReceiverError) as error:
        raise click.ClickException(str(error)) from error


def webhooks_of(client: AppClient) -> tuple[Live, ...]:
    """Read all webhooks of the workspace."""
    return held(client.reporting_webhooks, specification.subscription_names())


def chosen(live: tuple[Live, ...], text: str) -> Live:
    """Return the webhook with this name or id.

    Raises:
        click.ClickException: There is none, or more than one.
    """
    found = [one for one in live if text in {one.webhook.name, str(one.id)}]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(str(one.id) for one in found)
        raise click.ClickException(f"several webhooks are called {text!r}: use an id ({ids})")
    listed = ", ".join(f"{one.id} {one.webhook.name!r}" for one in live) or "none"
    raise click.ClickException(f"no webhook is called {text!r}. The webhooks are: {listed}")


def paint(text: str, colour: str | None) -> None:
    """Print a line, in colour if standard output is a terminal and NO_COLOR is not set."""
    shown = click.style(text, fg=colour) if colour else text
    click.echo(shown, color=False if os.environ.get("NO_COLOR") else None)
