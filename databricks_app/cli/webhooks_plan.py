"""`ciolake webhooks plan`, `apply` and `drift`: compare the workspace with a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.webhooks import specification
from core.webhooks.apply import apply
from core.webhooks.config import Plan, WebhookChange, all_events, differences, plan, shown
from core.webhooks.yaml_file import read
from databricks_app.cli.webhooks_access import connected, paint, webhooks_of, workspace_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.app_api import AppClient
    from databricks_app.operations.workspaces.app_api import AppApiOptions

_MARKS = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "delete": ("-", "red"),
    "keep": ("=", None),
}


def file_option(command: click.decorators.FC) -> click.decorators.FC:
    """Add the option `--file`."""
    return click.option(
        "-f",
        "--file",
        type=click.Path(path_type=Path, dir_okay=False),
        default="webhooks.yaml",
        show_default=True,
        help="File that describes the webhooks; see docs/webhooks.example.yaml.",
    )(unknown_option(command))


def unknown_option(command: click.decorators.FC) -> click.decorators.FC:
    """Add the option `--allow-unknown`."""
    return click.option(
        "--allow-unknown",
        is_flag=True,
        help="Allow events that this version does not know, with a warning.",
    )(command)


@click.command("plan")
@file_option
@workspace_options
def plan_(*, file: Path, allow_unknown: bool, where: AppApiOptions) -> None:
    """Show what `apply` would change; nothing is written.

    Webhooks that are not in the file are not changed. An entry of the file belongs to the webhook
    with its id or, without an id, with its name. `absent: true` deletes the webhook.

    \b
    Exit codes: 0 done, 1 the file or the workspace cannot be read, 2 wrong usage.
    """  # noqa: D301  # click needs the character \b
    with connected(where) as client:
        _show(_planned(client, file, allow_unknown=allow_unknown))


@click.command("apply")
@file_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@workspace_options
def apply_(*, file: Path, allow_unknown: bool, yes: bool, where: AppApiOptions) -> None:
    """Show the plan, ask, and change the workspace to match the file.

    If somebody changes one of these webhooks after the plan was made, nothing is written. If a
    write fails, the message says which changes were made and which were not.

    \b
    Exit codes: 0 the workspace matches the file, 1 it does not (the message says why), 2 wrong
    usage.
    """  # noqa: D301  # click needs the character \b
    with connected(where) as client:
        planned = _planned(client, file, allow_unknown=allow_unknown)
        _show(planned)
        if not planned.due:
            return
        if not yes:
            click.confirm("Do this?", abort=True)
        for done in apply(client.reporting_webhooks, planned, specification.subscription_names()):
            click.echo(f"done: {done.change.action} {done.change.name!r} (id {done.id})")
        left = _planned(client, file, allow_unknown=allow_unknown).due
    if left:
        names = ", ".join(repr(change.name) for change in left)
        raise click.ClickException(
            "Customer.io accepted the changes, but these webhooks are still different from the "
            f"file: {names}"
        )


class _WrongUsage(click.UsageError):
    exit_code = 1


class _Drift(click.Command):
    """A command with the exit code 1 for wrong usage, because 2 means drift."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise _WrongUsage(error.message, error.ctx) from error


@click.command("drift", cls=_Drift)
@file_option
@workspace_options
def drift_(*, file: Path, allow_unknown: bool, where: AppApiOptions) -> None:
    """Check whether the workspace differs from the file; for schedulers. Nothing is written.

    \b
    Exit codes: 0 no difference, 2 there are differences, 1 unknown: the file or the workspace
    cannot be read, or wrong usage.
    """  # noqa: D301  # click needs the character \b
    with connected(where) as client:
        planned = _planned(client, file, allow_unknown=allow_unknown)
    if planned.due:
        _show(planned)
        sys.exit(2)
    click.echo(f"No drift: {len(planned.changes)} webhooks match {file}.")


def lines(planned: Plan) -> Iterator[tuple[str, str | None]]:
    """Yield the lines that show a plan, each with its colour."""
    for change in planned.changes:
        mark, colour = _MARKS[change.action]
        number = f" (id {change.before.id})" if change.before is not None else ""
        yield f"{mark} {change.action} {change.name!r}{number}", colour
        yield from ((f"    {line}", colour) for line in _details(change))
    for other in planned.others:
        yield f"  not in the file: {other.webhook.name!r} (id {other.id})", None
    for warning in planned.warnings:
        yield f"! {warning}", "yellow"
    yield (f"{len(planned.due)} to change." if planned.due else "Nothing to change."), None


def _details(change: WebhookChange) -> Iterator[str]:
    if change.before is None and change.after is not None:
        webhook = change.after
        yield f"endpoint: {shown(webhook.endpoint)}"
        yield f"events: {len(webhook.events)} of {len(specification.subscription_names())}"
        for name in ("full_resolution", "with_content", "enabled"):
            yield f"{name}: {_word(getattr(webhook, name))}"
    for name, before, after in differences(change):
        if name == "events" and isinstance(before, tuple) and isinstance(after, tuple):
            yield from (f"events: + {event}" for event in after if event not in before)
            yield from (f"events: - {event}" for event in before if event not in after)
        elif name == "endpoint" and isinstance(before, str) and isinstance(after, str):
            # A query may be a secret (`?token=`), so only the fact that it changes is shown.
            is_same = shown(before) == shown(after)
            hint = " (the query changes)" if is_same else ""
            yield f"endpoint: {shown(before)} -> {shown(after)}{hint}"
        else:
            yield f"{name}: {_word(before)} -> {_word(after)}"


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _planned(client: AppClient, file: Path, *, allow_unknown: bool) -> Plan:
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise click.ClickException(f"{file} cannot be read ({reason})") from error
    known = specification.subscription_names()
    # Before the call, so that mistakes in the file are shown without a workspace. Its events can
    # only be checked with those of the workspace.
    read(text, known, allow_unknown=True)
    live = webhooks_of(client)
    wanted = read(text, all_events(known, live), allow_unknown=allow_unknown)
    return plan(wanted, live, known)


def _show(planned: Plan) -> None:
    for text, colour in lines(planned):
        paint(text, colour)
