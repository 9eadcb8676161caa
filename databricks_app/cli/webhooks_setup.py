"""`ciolake webhooks setup`: create a webhook, prove its key, then enable it."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.webhooks import specification
from core.webhooks.config import WebhookSettings, all_events, endpoint_problem
from core.webhooks.event_names import events_named
from databricks_app.cli import connections
from databricks_app.cli.webhooks_access import connected, paint, workspace_options
from databricks_app.cli.webhooks_keys import (
    ask_key,
    key_options,
    key_store,
    send_canary,
    tell_receiver,
)
from databricks_app.cli.webhooks_plan import lines
from databricks_app.cli.webhooks_send_test import vendor_look, wait_for_send_test
from databricks_app.operations.webhooks.arrival import is_row, see_in_folder, see_in_inbox
from databricks_app.operations.webhooks.canary import reach
from databricks_app.operations.webhooks.setup import SetupTools, WebhookChoice, set_up
from databricks_app.settings import data_folder, environment, from_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from core.webhooks.config import Live, Plan
    from core.webhooks.signature import SigningKey
    from databricks_app.operations.webhooks.canary import Canary
    from databricks_app.operations.workspaces.app_api import AppApiOptions
    from databricks_app.settings import Settings

_NAME = "ciolake"


@click.command("setup")
@click.argument("endpoint")
@click.option(
    "--name", help=f"Name of the webhook. [default: its present name; {_NAME} for a new one]"
)
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
@click.option("--id", "number", type=int, metavar="ID", help="Change this existing webhook.")
@click.option("-y", "--yes", is_flag=True, help="Change an existing webhook without asking.")
@click.option(
    "--no-test",
    is_flag=True,
    help="Do not wait for an event of Customer.io. Then nothing proves that the key is right.",
)
@click.option(
    "--test-wait",
    type=click.FloatRange(0, 86_400),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for an event of Customer.io.",
)
@click.option(
    "--metrics-url",
    metavar="URL",
    help="Address of the receiver's /metrics. [default: /metrics on the host of ENDPOINT]",
)
@key_options
@workspace_options
def setup_(
    *,
    endpoint: str,
    name: str | None,
    words: tuple[str, ...],
    full_resolution: bool,
    with_content: bool,
    new_key: bool,
    data_dir: Path | None,
    number: int | None,
    yes: bool,
    no_test: bool,
    test_wait: float,
    metrics_url: str | None,
    key_stdin: bool,
    secret: str | None,
    pid: int | None,
    wait: float,
    where: AppApiOptions,
) -> None:
    """Create a webhook that posts to ENDPOINT, test it, then enable it.

    \b
    1. It checks that a receiver listens at ENDPOINT.
    2. It creates the webhook, disabled. If a webhook posts to ENDPOINT already, or with --id, it
       shows what will change, and asks.
    3. It asks for the signing key. Customer.io shows it only on the page Reporting Webhooks.
    4. It stores the key for the receiver.
    5. It sends a signed test event, and waits until it has arrived.
    6. It waits until you press Send Test in Customer.io, and the key has verified that event.
    7. It enables the webhook.

    If step 5 or 6 fails, it takes the key out again. Customer.io's API cannot send a test event, so
    a person must press Send Test; --no-test skips this step. The receiver shows in /metrics that
    the event has come; CIO_ADMIN_TOKEN is read from the environment or .env.

    You can run it again after any failure: it continues where it ended. A webhook that is already
    enabled stays enabled.

    \b
    Exit codes: 0 enabled, 1 not enabled (the message says why and what to do), 2 wrong usage.

    \b
    Example:
      ciolake webhooks setup https://hooks.example.com/api/webhooks/customerio --events email
    """  # noqa: D301  # click needs the character \b
    for what, url in (("ENDPOINT", endpoint), ("--metrics-url", metrics_url)):
        problem = endpoint_problem(url) if url is not None else ""
        if problem:
            raise click.UsageError(f"{what} {problem}")
    store = key_store(secret, where.workspace)
    with connected(where) as client:
        see_arrive = _arrival(data_dir)

        def check() -> None:
            reach(endpoint, time.time())
            if not no_test:
                vendor_look(endpoint, metrics_url)

        def ask(webhook: int) -> str:
            return ask_key(
                f"Copy the signing key of webhook {webhook} from the page Reporting Webhooks in "
                "Customer.io.",
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
            if no_test:
                click.echo(
                    "Nothing proves that this is the key of the webhook (--no-test). Press Send "
                    "Test in Customer.io, and see /readyz."
                )
            else:
                look = vendor_look(endpoint, metrics_url)(key.fingerprint)
                wait_for_send_test(look, key.fingerprint, test_wait)

        tools = SetupTools(
            webhooks=client.reporting_webhooks,
            known_events=specification.subscription_names(),
            store=store,
            reach=check,
            agree=partial(_agree, is_agreed=yes, can_ask=not key_stdin),
            is_kept_key_right=is_kept_key_right,
            ask_key=ask,
            prove=prove,
            tell=partial(tell_receiver, pid),
            on_progress=click.echo,
        )
        wanted = partial(_wanted, endpoint, words, full_resolution, with_content)
        made = set_up(WebhookChoice(wanted, endpoint, name, _NAME, number), tools)
    click.echo(f"To get an entry for webhooks.yaml, run: ciolake webhooks get {made}")


def _wanted(
    endpoint: str,
    words: tuple[str, ...],
    full_resolution: bool,
    with_content: bool,
    live: Sequence[Live],
) -> WebhookSettings:
    # With the events of the workspace that this version does not know: `all` must not remove them.
    known = all_events(specification.subscription_names(), live)
    unknown = [word for word in words if not events_named(word, known)]
    if unknown:
        raise click.UsageError(
            f"no such event: {', '.join(unknown)}. `ciolake webhooks events` lists all events"
        )
    given = {event for word in words for event in events_named(word, known)}
    events = tuple(event for event in known if event in given)
    return WebhookSettings(_NAME, endpoint, events, full_resolution, with_content)


def _agree(planned: Plan, *, is_agreed: bool, can_ask: bool) -> None:
    """Show a plan, and ask if it changes an existing webhook.

    Raises:
        click.ClickException: It changes one, and nobody can be asked.
        click.Abort: The user does not agree.
    """
    for text, colour in lines(planned):
        paint(text, colour)
    if is_agreed or planned.changes[0].before is None:
        return
    if not can_ask:
        raise click.ClickException(
            "this changes an existing webhook, and standard input has the key: if the change is "
            "right, add --yes"
        )
    click.confirm("Change this webhook?", abort=True)


def _arrival(data_dir: Path | None) -> Callable[[Canary, float], str]:
    """Return a function that waits until an event has arrived, and returns where, in words.

    Raises:
        SettingsError: The settings of the store are not valid.
    """
    variables = environment()
    if data_dir is None and variables.get("CIO_STORE") == "databricks":
        if "DATABRICKS_HOST" not in variables:
            return _see_nowhere
        return partial(_see_in_inbox, from_environment(variables), variables)
    folder = data_dir or data_folder(variables)
    if data_dir is None and not (folder / "tables").is_dir():
        return _see_nowhere
    from databricks_app.lake.local.query import LocalQuery

    def in_folder(event: Canary, seconds: float) -> str:
        return see_in_folder(LocalQuery(folder), folder, event, seconds=seconds)

    return in_folder


def _see_in_inbox(
    settings: Settings, variables: Mapping[str, str], event: Canary, seconds: float
) -> str:
    workspace = connections.open_workspace(variables)
    query = connections.open_tables(workspace, settings)
    return see_in_inbox(workspace, settings, event, lambda: is_row(query, event), seconds=seconds)


def _see_nowhere(event: Canary, _seconds: float) -> str:
    return (
        "it was not checked whether the event has arrived, because this machine does not know the"
        " tables of the receiver (--data-dir, or CIO_STORE=databricks with DATABRICKS_HOST). Look"
        f" for this event_id in webhook_raw_events: {event.event_id}"
    )
