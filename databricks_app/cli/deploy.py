"""`ciolake deploy`: install or update the receiver in a Databricks workspace."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.errors import DeploymentError, SettingsError
from databricks_app.operations.deployment import plan
from databricks_app.settings import from_environment

if TYPE_CHECKING:
    from databricks_app.operations.deployment.choices import Choices
    from databricks_app.operations.deployment.target_workspace import TargetWorkspace

_KEYS = "CIO_WEBHOOK_SIGNING_KEYS"
_CALL_SECONDS = 60


@click.command()
@click.option("--app", default="ciolake", show_default=True, help="Name of the app.")
@click.option(
    "--catalog",
    envvar="CIO_CATALOG",
    required=True,
    help="Catalog, which must exist. Default: CIO_CATALOG.",
)
@click.option(
    "--schema",
    envvar="CIO_SCHEMA",
    default="customerio",
    show_default=True,
    help="Schema of the tables and the volume.",
)
@click.option(
    "--volume",
    envvar="CIO_VOLUME",
    default="ciolake",
    show_default=True,
    help="Volume for accepted events.",
)
@click.option(
    "--warehouse",
    envvar="DATABRICKS_WAREHOUSE_ID",
    required=True,
    help="Id of the SQL warehouse, or `new` for one that only the loader uses. Default: "
    "DATABRICKS_WAREHOUSE_ID.",
)
@click.option(
    "--freshness",
    type=click.FloatRange(1, 86400),
    metavar="SECONDS",
    help="How old an event may become until it is a row; less costs more. Default: what is set, or "
    "900. In a terminal it is asked for.",
)
@click.option(
    "--stop-warehouse/--no-stop-warehouse",
    default=None,
    help="Whether the loader stops its warehouse after each load. Only for a warehouse that this "
    "command made; the app gets CAN MANAGE on it. Default: what is set, or not.",
)
@click.option("--scope", help="Secret scope of the signing keys. Default: the name of the app.")
@click.option(
    "--source",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the source code. Default: this checkout.",
)
@click.option(
    "--relay",
    default="",
    help="Application id of the relay's service principal, which gets CAN USE on the app.",
)
@click.option("--profile", help="Log in with this profile of ~/.databrickscfg.")
@click.option("--keys-fd", type=int, help="Read the signing keys from this file descriptor.")
@click.option("--rotate-keys", is_flag=True, help="Replace the stored signing keys.")
@click.option(
    "--replace-views",
    is_flag=True,
    help="Create existing views again. Grants that you gave to others on them are lost.",
)
@click.option("--skip-permission-check", is_flag=True, help="Do not check your rights first.")
@click.option("--no-proof", is_flag=True, help="Do not send a test event at the end.")
@click.option(
    "--wait",
    is_flag=True,
    help="Wait until the test event is in the table. Default: until it is in the inbox.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, but change nothing.")
@click.option("--destroy", is_flag=True, help="Remove the app, its source and its keys.")
@click.option("--tables", is_flag=True, help="With --destroy: remove tables, views and volume too.")
@click.option("--yes", is_flag=True, help="Do not ask for freshness, or for confirmation.")
@click.option(
    "--timeout",
    default=1200.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest wait for the app.",
)
def deploy(
    *,
    app: str,
    catalog: str,
    schema: str,
    volume: str,
    warehouse: str,
    freshness: float | None,
    stop_warehouse: bool | None,
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
    """Install the receiver in a Databricks workspace, or update it.

    First it prints what the warehouse will cost, checks your rights and lists all that are missing.
    Then it creates what is missing: warehouse (with --warehouse new), schema, volume, tables,
    views, secret scope, app and grants. It uploads and deploys the source code, and sends a signed
    test event. You can run it again at any time; it leaves everything that is up to date as it is.

    It logs in as databricks-sdk does: with DATABRICKS_HOST and credentials, or with --profile.

    It needs the signing keys only if none are stored yet, or with --rotate-keys. It reads them from
    CIO_WEBHOOK_SIGNING_KEYS or --keys-fd, or asks for them.

    \b
    Exit codes: 0 done, 1 a step failed (run it again to continue), 2 wrong usage.

    \b
    Examples:
      ciolake deploy --catalog main --warehouse 1234567890abcdef --dry-run
      ciolake deploy --catalog main --warehouse new --freshness 3600
      ciolake deploy --catalog main --warehouse 1234567890abcdef
      ciolake deploy --catalog main --warehouse 1234567890abcdef --destroy
    """  # noqa: D301  # click needs the character \b
    makes_warehouse = warehouse == plan.NEW
    warehouse_id = "" if makes_warehouse else warehouse
    target = plan.Target(app, catalog, schema, volume, warehouse_id, scope or app, relay)
    _check(target)
    if tables and not destroy:
        raise click.UsageError("--tables needs --destroy")
    if wait and no_proof:
        raise click.UsageError("--wait and --no-proof exclude each other")
    if destroy and not dry_run and not yes:
        typed = click.prompt(f"Type the name of the app ({app}) to remove it", default="")
        if typed != app:
            raise click.ClickException("nothing was removed")
    try:
        workspace = _workspace(target, profile, timeout)
        if destroy:
            from databricks_app.operations.deployment import remove, runner

            gone = remove.steps(workspace, with_tables=tables, with_warehouse=makes_warehouse)
            runner.run(gone, _report, is_dry=dry_run)
            if not tables:
                click.echo(f"Kept: tables, views and volume of {target.schema_name}.")
            return
        _deploy(
            workspace,
            _key_reader(keys_fd),
            _choices(freshness, stop_warehouse, asks=not yes and sys.stdin.isatty()),
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
    """Refuse names that the receiver would refuse at its start."""
    if not plan.is_app_name(target.app):
        raise click.UsageError(
            "--app must have 1 to 30 characters: lower-case letters, digits and hyphens"
        )
    try:
        from_environment(
            {
                **target.variables,
                "CIO_STORE": "databricks",
                "DATABRICKS_WAREHOUSE_ID": target.warehouse_id or plan.NEW,
            }
        )
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


def _workspace(target: plan.Target, profile: str | None, seconds: float) -> TargetWorkspace:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.core import Config

    from databricks_app.operations.deployment import login
    from databricks_app.operations.deployment.target_workspace import TargetWorkspace

    named: dict[str, Any] = {"profile": profile} if profile else {}
    host = login.require_host(profile, os.environ)
    click.echo(f"Workspace         {host}")
    login.require_answer(host)
    try:
        config = Config(
            host=host,  # the one that was shown
            http_timeout_seconds=_CALL_SECONDS,
            retry_timeout_seconds=_CALL_SECONDS,
            **named,
        )
    except ValueError:
        # The text of the error quotes settings.
        raise DeploymentError(
            f"databricks-sdk finds no usable credentials for {host}: set DATABRICKS_CLIENT_ID and "
            "DATABRICKS_CLIENT_SECRET, or run `databricks auth login` and use --profile"
        ) from None
    on_progress = partial(click.echo, err=True)
    return TargetWorkspace(WorkspaceClient(config=config), target, seconds, on_progress=on_progress)


def _deploy(
    workspace: TargetWorkspace,
    ask: Callable[[], str],
    chosen: Choices,
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
        choices,
        permissions,
        proof,
        release,
        runner,
        source,
        steps,
        warehouse,
    )

    root = folder or source.ROOT
    source.settings(source.read(workspace.target, root))  # a bad checkout is refused first
    check = permissions.step(
        workspace, replaces_views=replaces_views, rotates=rotates, proves=with_proof
    )
    makes_warehouse = not workspace.target.warehouse_id
    first = [steps.login(workspace), choices.step(workspace, chosen, root)]
    first += [check] if checks else []
    if not is_dry:
        first.append(steps.keys_at_hand(workspace, ask, rotates=rotates))
    first += [warehouse.step(workspace)] if makes_warehouse else []
    runner.run(first, _report, is_dry=is_dry)
    files = source.read(workspace.target, root)
    settings = source.settings(files)
    runner.run(steps.storage(workspace, replaces_views=replaces_views), _report, is_dry=is_dry)
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
        f"\nApp       {url}\n"
        f"Webhooks  {url}{WEBHOOK_PATH} (needs a Databricks token)\n"
        "Next      Customer.io cannot send a Databricks token. Set up the relay\n"
        "          (docs/deployment.md), then create a reporting webhook in Customer.io with the\n"
        "          address of the relay."
    )


def _choices(freshness: float | None, stops: bool | None, *, asks: bool) -> Choices:
    """Return what was chosen, and how to ask for the rest in a terminal."""
    from databricks_app.operations.deployment.choices import Choices

    if not asks:
        return Choices(freshness, stops)

    def ask_freshness(default: float) -> float:
        return float(
            click.prompt(
                "How old may an event become until it is a row, in seconds? Less costs more",
                default=f"{default:g}",
                type=click.FloatRange(1, 86400),
            )
        )

    def ask_stop(default: bool) -> bool:
        return click.confirm(
            "Shall the loader stop its warehouse after each load? It costs less; a query of "
            "somebody else that begins in that moment is cancelled",
            default=default,
        )

    return Choices(freshness, stops, ask_freshness, ask_stop)


def _report(title: str, state: str, words: Sequence[str]) -> None:
    click.echo(f"{title:<18}{state}")
    for one in words:
        click.echo(f"{'':<18}  {one}")
    sys.stdout.flush()


def _key_reader(descriptor: int | None) -> Callable[[], str]:
    """Return a function that reads the signing keys or asks for them, once."""

    @cache
    def read() -> str:
        if descriptor is not None:
            with os.fdopen(descriptor) as file:
                text = file.read()
        elif _KEYS in os.environ:
            text = os.environ[_KEYS]
        elif sys.stdin.isatty():
            text = click.prompt("Signing keys of Customer.io, comma-separated", hide_input=True)
        else:
            raise DeploymentError(
                f"there are no signing keys: set {_KEYS}, use --keys-fd, or run this in a terminal"
            )
        keys = [part.strip() for part in text.split(",") if part.strip()]
        if not keys:
            raise DeploymentError(f"the signing keys are blank: see {_KEYS} or --keys-fd")
        try:
            from_environment({_KEYS: ",".join(keys)})
        except SettingsError as error:
            raise DeploymentError(str(error)) from error
        return ",".join(keys)

    return read
