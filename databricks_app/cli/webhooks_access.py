"""What the subcommands of `ciolake webhooks` share: the workspace, its webhooks, questions."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from core.errors import AuthenticationError, CustomerIOError, ForbiddenError
from core.webhooks import specification
from core.webhooks.apply import held
from databricks_app.errors import ReceiverError
from databricks_app.settings import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.app_api import AppClient
    from core.webhooks.config import Live

KEY_VARIABLE = "CIO_APP_API_KEY"
_NO_KEY = (
    f"{KEY_VARIABLE} is neither in the environment nor in .env. Make an App API key in Customer.io"
    " under Account Settings, API Credentials, and put it there."
)
_PERMISSION = (
    f"{KEY_VARIABLE} must be an App API key of this workspace and region (--region) that may read"
    " and write reporting webhooks: see Account Settings, API Credentials, App API Keys."
)


def workspace_options(command: click.decorators.FC) -> click.decorators.FC:
    """Add the options that say which workspace."""
    for option in (
        click.option("--base-url", metavar="URL", help="Another host, such as a simulator's."),
        click.option(
            "--region",
            type=click.Choice(["us", "eu"]),
            default="us",
            show_default=True,
            help="Where the workspace is; a key that carries its region goes before.",
        ),
    ):
        command = option(command)
    return command


@contextmanager
def connected(region: str, base_url: str | None) -> Iterator[AppClient]:
    """A client of the workspace; what goes wrong inside ends the command with its words.

    Raises:
        click.ClickException: There is no key, or a call or a step failed.
    """
    from core.app_api import AppClient

    with told():
        key = environment().get(KEY_VARIABLE, "").strip()
        if not key:
            raise click.ClickException(_NO_KEY)
        with AppClient(key, region=region, base_url=base_url) as client:
            yield client


@contextmanager
def told() -> Iterator[None]:
    """End the command with the words of an error that says what to do.

    Raises:
        click.ClickException: In place of it.
    """
    try:
        yield
    except (AuthenticationError, ForbiddenError) as error:
        raise click.ClickException(f"{error}\n{_PERMISSION}") from error
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
