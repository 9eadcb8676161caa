"""What the subcommands of `ciolake webhooks` share: the workspace, its webhooks, questions."""

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
    "{variable} must hold an App API key of the workspace {workspace}, in this region (--region, "
    "CIO_REGION), that may read and write reporting webhooks: see Account Settings, API "
    "Credentials, App API Keys."
)


def workspace_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which workspace, passed as one `where`."""

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
        click.option("--base-url", metavar="URL", help="Another host, such as a simulator's."),
        click.option(
            "--region",
            type=click.Choice(["us", "eu"]),
            help="Where the workspace is; a key that carries its region goes before. [default: "
            "CIO_REGIONS, CIO_REGION]",
        ),
        click.option(
            "--workspace", metavar="NAME", help="Which one, where CIO_WORKSPACES names several."
        ),
    ):
        with_where = option(with_where)
    return with_where


@contextmanager
def connected(where: AppApiOptions) -> Iterator[AppClient]:
    """A client of the workspace; what goes wrong inside ends the command with its words.

    Raises:
        click.ClickException: There is no key, or a call or a step failed.
    """
    from core.app_api import AppClient

    with told():
        found = access(environment(), where)
        try:
            with AppClient(found.key, region=found.region, base_url=where.base_url) as client:
                yield client
        except (AuthenticationError, ForbiddenError) as error:
            advice = _PERMISSION.format(variable=found.variable, workspace=found.workspace)
            raise click.ClickException(f"{error}\n{advice}") from error


@contextmanager
def told() -> Iterator[None]:
    """End the command with the words of an error that says what to do.

    Raises:
        click.ClickException: In place of it.
    """
    try:
        yield
    except (CustomerIOError, ReceiverError) as error:
        raise click.ClickException(str(error)) from error


def webhooks_of(client: AppClient) -> tuple[Live, ...]:
    """All that the workspace holds."""
    return held(client.reporting_webhooks, specification.subscription_names())


def chosen(live: tuple[Live, ...], text: str) -> Live:
    """The webhook that a name or an id means.

    Raises:
        click.ClickException: None, or more than one.
    """
    found = [one for one in live if text in {one.webhook.name, str(one.id)}]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(str(one.id) for one in found)
        raise click.ClickException(f"{text!r} means the webhooks {ids}: give an id")
    listed = ", ".join(f"{one.id} {one.webhook.name!r}" for one in live) or "none"
    raise click.ClickException(f"no webhook is called {text!r}. There are: {listed}")


def paint(text: str, colour: str | None) -> None:
    """Print a line, in colour on a terminal unless NO_COLOR is set."""
    shown = click.style(text, fg=colour) if colour else text
    click.echo(shown, color=False if os.environ.get("NO_COLOR") else None)
