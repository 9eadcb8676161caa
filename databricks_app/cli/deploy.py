"""`ciolake deploy`: bring the receiver into a Databricks workspace."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.errors import DeploymentError, SettingsError
from databricks_app.operations.deployment import plan
from databricks_app.settings import from_environment

if TYPE_CHECKING:
    from databricks_app.operations.deployment.target_workspace import TargetWorkspace

_KEYS = "CIO_WEBHOOK_SIGNING_KEYS"
_CALL_SECONDS = 60


@click.command()
@click.option("--app", default="ciolake", show_default=True, help="Name of the app.")
@click.option("--catalog", envvar="CIO_CATALOG", required=True, help="Catalog; must exist.")
@click.option("--schema", envvar="CIO_SCHEMA", default="customerio", show_default=True)
@click.option("--volume", envvar="CIO_VOLUME", default="ciolake", show_default=True)
@click.option(
    "--warehouse", envvar="DATABRICKS_WAREHOUSE_ID", required=True, help="Id of a SQL warehouse."
)
@click.option("--scope", help="Secret scope of the signing keys; the app's name by default.")
@click.option(
    "--source",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the sources; this checkout by default.",
)
@click.option("--relay", default="", help="Application id of the relay's service principal.")
@click.option("--profile", help="Profile of ~/.databrickscfg to log in with.")
@click.option("--keys-fd", type=int, help="Read the signing keys from this file descriptor.")
@click.option("--rotate-keys", is_flag=True, help="Replace signing keys that are stored.")
@click.option("--replace-views", is_flag=True, help="Make views anew; others' grants on them go.")
@click.option("--skip-permission-check", is_flag=True, help="Do not look for missing rights first.")
@click.option("--no-proof", is_flag=True, help="Send no event through in the end.")
@click.option(
    "--wait", is_flag=True, help="Wait until the event is a row; else the inbox is proof enough."
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, change nothing.")
@click.option("--destroy", is_flag=True, help="Remove app, source and keys; tables stay.")
@click.option("--tables", is_flag=True, help="With --destroy: remove tables, views and volume too.")
@click.option("--yes", is_flag=True, help="With --destroy: do not ask.")
@click.option(
    "--timeout", default=1200.0, show_default=True, help="Longest wait for the app, seconds."
)
def deploy(
    *,
    app: str,
    catalog: str,
    schema: str,
    volume: str,
    warehouse: str,
    scope: str | None,
    folder: Path | None,
    relay: str,
    profile: str | None,
    keys_fd: int | None,
    rotate_keys: bool,
    replace_views: bool,
    skip_permission_check: bool,
    no_proof: bool,
    wait: bool,
    dry_run: bool,
    destroy: bool,
    tables: bool,
    yes: bool,
    timeout: float,
) -> None:
    """Bring the receiver into a Databricks workspace, or up to date there.

    Makes the schema, volume, tables, views, secret scope, app and grants that are missing, uploads
    the source, deploys it, and sends one signed event through: found in the inbox, or with --wait
    as a row. May be run again at any time: what is there is left as it is. Logs in as
    databricks-sdk does: DATABRICKS_HOST and credentials, or a profile. Names every right that you
    lack before anything is changed.

    Signing keys are read from CIO_WEBHOOK_SIGNING_KEYS or --keys-fd, or asked for; only if none are
    stored yet, or with --rotate-keys.

    \b
    Exit codes: 0 done, 1 a step failed (run it again to go on), 2 wrong usage.

    \b
    Examples:
      ./deploy.sh --catalog main --warehouse 1234567890abcdef --dry-run
      ./deploy.sh --catalog main --warehouse 1234567890abcdef
      ./deploy.sh --catalog main --warehouse 1234567890abcdef --destroy
    """  # noqa: D301  # click wants the character itself
    target = plan.Target(app, catalog, schema, volume, warehouse, scope or app, relay)
    _check(target)
    if tables and not destroy:
        raise click.UsageError("--tables goes with --destroy")
    if wait and no_proof:
        raise click.UsageError("--wait waits for the event that --no-proof leaves out")
    if destroy and not dry_run and not yes:
        typed = click.prompt(f"Type the app's name to remove it ({app})", default="")
        if typed != app:
            raise click.ClickException("nothing was removed")
    try:
        workspace = _workspace(target, profile, timeout)
        if destroy:
            _destroy(workspace, with_tables=tables, is_dry=dry_run)
            return
        _deploy(
            workspace,
            _asking(keys_fd),
            folder=folder,
            rotates=rotate_keys,
            replaces_views=replace_views,
            checks=not skip_permission_check,
            with_proof=not no_proof,
            waits=wait,
            is_dry=dry_run,
        )
    except DeploymentError as error:
        raise click.ClickException(str(error)) from error


def _check(target: plan.Target) -> None:
    """Refuse names that the receiver itself would refuse."""
    if not plan.is_app_name(target.app):
        raise click.UsageError("--app must be 1 to 30 lower-case letters, digits and hyphens")
    try:
        from_environment(
            {
                **target.variables,
                "CIO_STORE": "databricks",
                "DATABRICKS_WAREHOUSE_ID": target.warehouse_id,
            }
        )
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


def _workspace(target: plan.Target, profile: str | None, seconds: float) -> TargetWorkspace:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.core import Config

    from databricks_app.operations.deployment.target_workspace import TargetWorkspace

    named: dict[str, Any] = {"profile": profile} if profile else {}
    try:
        config = Config(
            http_timeout_seconds=_CALL_SECONDS, retry_timeout_seconds=_CALL_SECONDS, **named
        )
    except ValueError as error:
        raise DeploymentError(
            f"databricks-sdk finds no way to log in ({type(error).__name__}): set DATABRICKS_HOST "
            "and credentials, or say --profile"
        ) from None  # its text quotes settings
    on_progress = partial(click.echo, err=True)
    return TargetWorkspace(WorkspaceClient(config=config), target, seconds, on_progress=on_progress)


def _deploy(
    workspace: TargetWorkspace,
    ask: Callable[[], str],
    *,
    folder: Path | None,
    rotates: bool,
    replaces_views: bool,
    checks: bool,
    with_proof: bool,
    waits: bool,
    is_dry: bool,
) -> None:
    from databricks_app.operations.deployment import (
        permissions,
        proof,
        release,
        runner,
        source,
        steps,
    )

    files = source.read(workspace.target, folder or source.ROOT)
    settings = source.settings(files)
    check = permissions.step(
        workspace, replaces_views=replaces_views, rotates=rotates, proves=with_proof
    )
    first = [steps.login(workspace), *([check] if checks else [])]
    first += steps.storage(workspace, replaces_views=replaces_views)
    runner.run(first, _report, is_dry=is_dry)
    app, relay, upload, deployment = release.steps(workspace, files)
    rest = [
        steps.keys(workspace, ask, rotates=rotates),
        app,
        steps.rights(workspace),
        relay,
        upload,
    ]
    rest += [deployment, *([proof.step(workspace, settings, waits=waits)] if with_proof else [])]
    runner.run(rest, _report, is_dry=is_dry)
    if is_dry:
        click.echo("Nothing was changed.")
        return
    made = workspace.app()
    url = made.url if made else ""
    click.echo(
        f"\nThe app   {url}\n"
        f"Webhooks  {url}{WEBHOOK_PATH} (for callers with a Databricks token)\n"
        "Next      Customer.io sends no token: put the relay in front (docs/deployment.md), then\n"
        "          enter the relay's address as reporting webhook in Customer.io."
    )


def _destroy(workspace: TargetWorkspace, *, with_tables: bool, is_dry: bool) -> None:
    from databricks_app.operations.deployment import remove, runner

    runner.run(remove.steps(workspace, with_tables=with_tables), _report, is_dry=is_dry)
    if not with_tables:
        click.echo(f"Kept: tables, views and volume of {workspace.target.schema_name}.")


def _report(title: str, state: str, words: Sequence[str]) -> None:
    click.echo(f"{title:<18}{state}")
    for one in words:
        click.echo(f"{'':<18}  {one}")
    sys.stdout.flush()


def _asking(descriptor: int | None) -> Callable[[], str]:
    """Return what gets the signing keys, when they are needed."""

    def ask() -> str:
        if descriptor is not None:
            with os.fdopen(descriptor) as file:
                text = file.read()
        elif _KEYS in os.environ:
            text = os.environ[_KEYS]
        elif sys.stdin.isatty():
            text = click.prompt("Signing keys of Customer.io, comma-separated", hide_input=True)
        else:
            raise DeploymentError(
                f"no signing keys: set {_KEYS}, or say --keys-fd, or run it in a terminal"
            )
        keys = [part.strip() for part in text.split(",") if part.strip()]
        if not keys:
            raise DeploymentError("the signing keys are blank")
        return ",".join(keys)

    return ask
