"""The command `ciolake doctor`: where between signature and table is something wrong?"""

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
    help="Where Customer.io posts to, e.g. the relay. [default: CIO_RELAY_URL; with local tables "
    "otherwise the receiver on this machine]",
)
@click.option(
    "--canary/--no-canary",
    "with_canary",
    default=True,
    help="Post one event and look for its row, which stays. [default: canary]",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, 7200, min_open=True),
    default=60.0,
    show_default=True,
    help="How long the canary may take to become a row. With CIO_STORE=databricks and a longer "
    "CIO_FLUSH_INTERVAL_SECONDS it is looked for in the inbox alone, which wakes no warehouse.",
)
@click.option(
    "--first-contact",
    "is_first_contact",
    is_flag=True,
    help="Ask a workspace what only a real one can answer: makes a scratch table and probe files, "
    "and removes them.",
)
@click.option("--json", "is_json", is_flag=True, help="One JSON array instead of lines.")
@workspace_options
def doctor(
    url: str | None,
    with_canary: bool,
    seconds: float,
    is_first_contact: bool,
    is_json: bool,
    where: AppApiOptions,
) -> None:
    """Check every hop of an event, from its signature to its row, and say what to fix.

    Reads the settings that the receiver reads. Changes nothing but for a probe file, which it
    removes, and the canary: one row of webhook_raw_events whose id begins with ciolake-canary-.

    --first-contact asks nine questions more, of a workspace, once, and names those that it cannot
    answer: docs/first-contact.md.

    Exit codes: 0 all is well, 1 something fails, 2 there are only warnings. Skipped checks do not
    count.
    """
    from databricks_app.operations.doctor.context import WaitLimits
    from databricks_app.operations.doctor.result import exit_code

    logs.configure("error", "doctor")
    results = []
    options = {"with_canary": with_canary, "is_first_contact": is_first_contact}
    for result in _results(url, options, WaitLimits(canary=seconds), where):
        results.append(result)
        if not is_json:
            _print(result)
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
        fix = "correct it in the environment or in .env; all other checks need the settings"
        yield CheckResult("settings", "failure", str(error), fix)
        return
    if options["is_first_contact"] and context.workspace is None:
        raise click.UsageError("--first-contact is for a workspace: set CIO_STORE=databricks")
    with closing(context):
        yield from run_checks(context, **options)


def _print(result: CheckResult) -> None:
    state = click.style(f"{result.state:<8}", fg=_COLOURS[result.state])
    click.echo(f"{state} {result.name:<{_WIDTH}} {result.says}")
    for line in result.fix.splitlines():
        click.echo(f"{'':8} {'':<{_WIDTH}} fix: {line}")
