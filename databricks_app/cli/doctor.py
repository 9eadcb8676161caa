"""`ciolake doctor`: check every step from the signature to the table."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from databricks_app.cli.webhooks_access import workspace_options
from databricks_app.errors import SettingsError
from databricks_app.runtime import logs
from databricks_app.settings import environment

if TYPE_CHECKING:
    from databricks_app.operations.doctor.context import WaitLimits
    from databricks_app.operations.doctor.result import CheckResult
    from databricks_app.operations.workspaces.app_api import AppApiOptions

_COLOURS = {"ok": "green", "warning": "yellow", "failure": "red", "skipped": "cyan"}
_WIDTH = 11


@click.command()
@click.option(
    "--url",
    metavar="URL",
    help="The address that Customer.io posts to, for example the relay. [default: CIO_RELAY_URL; "
    "without it the receiver on this machine, if the tables are local]",
)
@click.option(
    "--canary/--no-canary",
    "with_canary",
    default=True,
    help="Post a test event and wait for its row. The row stays in webhook_raw_events. "
    "[default: canary]",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, 7200, min_open=True),
    default=60.0,
    show_default=True,
    help="How long to wait for the row of the test event. With CIO_STORE=databricks and a longer "
    "CIO_FRESHNESS_SECONDS it only has to reach the inbox, so that no warehouse must start "
    "for it.",
)
@click.option(
    "--first-contact",
    "is_first_contact",
    is_flag=True,
    help="Also check what only a real Databricks workspace can answer. Creates a scratch table and "
    "probe files, and removes them again.",
)
@click.option("--json", "is_json", is_flag=True, help="Print one JSON array instead of lines.")
@workspace_options
def doctor(
    url: str | None,
    with_canary: bool,
    seconds: float,
    is_first_contact: bool,
    is_json: bool,
    where: AppApiOptions,
) -> None:
    """Check every step of an event, from its signature to its row, and say what to fix.

    Run it with the same settings as the receiver, for example in its folder. It changes nothing,
    except that it writes a probe file, which it removes, and posts a test event, which stays: a row
    of webhook_raw_events whose event_id begins with ciolake-canary-.

    With CIO_STORE=databricks its checks run statements: they start a stopped SQL warehouse, which
    then runs, and is billed, until its auto-stop.

    Use --first-contact once for a new Databricks workspace; see docs/first-contact.md.

    \b
    Each line begins with the state of the check:
      ok       no problem
      warning  it works, but needs attention
      failure  events are late or not in the tables until it is fixed
      skipped  not checked, with the reason; the exit code ignores it

    \b
    Exit codes: 0 no problem, 1 at least one failure, 2 wrong usage, or warnings only.
    """  # noqa: D301  # click needs the character \b
    from databricks_app.operations.doctor.context import WaitLimits
    from databricks_app.operations.doctor.result import exit_code

    logs.configure("error", "doctor")
    results = []
    options = {"with_canary": with_canary, "is_first_contact": is_first_contact}
    for result in _results(url, options, WaitLimits(canary=seconds), where):
        results.append(result)
        if not is_json:
            state = click.style(f"{result.state:<8}", fg=_COLOURS[result.state])
            click.echo(f"{state} {result.name:<{_WIDTH}} {result.says}")
            for line in result.fix.splitlines():
                click.echo(f"{'':8} {'':<{_WIDTH}} fix: {line}")
    if is_json:
        click.echo(json.dumps([asdict(result) for result in results], indent=2))
    sys.exit(exit_code(results))


def _results(
    url: str | None, options: dict[str, bool], limits: WaitLimits, app_api: AppApiOptions
) -> Iterator[CheckResult]:
    from databricks_app.operations.doctor.context import open_context
    from databricks_app.operations.doctor.result import CheckResult
    from databricks_app.operations.doctor.run import run_checks

    try:
        context = open_context(environment(), url, limits=limits, app_api=app_api)
    except SettingsError as error:
        fix = "correct it in the environment or in .env. All other checks need valid settings"
        yield CheckResult("settings", "failure", str(error), fix)
        return
    if options["is_first_contact"] and context.workspace is None:
        raise click.UsageError("--first-contact needs CIO_STORE=databricks")
    with closing(context):
        yield from run_checks(context, **options)
