"""`ciolake webhooks keys`: list the signing keys with their use, and drop one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.webhooks.signature import SigningKey
from databricks_app.cli.query import open_tables
from databricks_app.cli.rows import format_option, write
from databricks_app.cli.webhooks_access import errors_shown
from databricks_app.cli.webhooks_keys import pid_option, tell_receiver, whole_store
from databricks_app.errors import ReceiverError
from databricks_app.events.workspaces import DEFAULT
from databricks_app.operations.webhooks.destination import KEY_VARIABLE
from databricks_app.operations.webhooks.key_uses import KeyUse, key_uses
from databricks_app.runtime.env_file import DEVELOPMENT
from databricks_app.settings import environment, value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from databricks_app.operations.webhooks.keys import KeyStore

_COLUMNS = {
    "fingerprint": "STRING",
    "key": "STRING",
    "workspace": "STRING",
    "listed": "BOOLEAN",
    "first_use": "TIMESTAMP",
    "last_use": "TIMESTAMP",
    "events": "BIGINT",
}


@click.command("keys")
@click.option("--secret", metavar="SCOPE/KEY", help="Use this Databricks secret instead of .env.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Data folder with the tables. [default: those of the configured store]",
)
@click.option(
    "--no-use", is_flag=True, help="Leave the use out, so that no SQL warehouse has to start."
)
@click.option("--drop", metavar="FINGERPRINT", help="Remove this key from the store.")
@click.option("-y", "--yes", is_flag=True, help="With --drop: do not ask for confirmation.")
@click.option(
    "--last", is_flag=True, help="With --drop: also the last active key of its workspace."
)
@pid_option
@format_option
def keys_(
    *,
    secret: str | None,
    data_dir: Path | None,
    no_use: bool,
    drop: str | None,
    yes: bool,
    last: bool,
    pid: int | None,
    form: str,
) -> None:
    """List the signing keys by fingerprint, with their workspace and use, or drop one.

    A `development` key was made by `ciolake serve`; Customer.io does not know it. A key is
    `retired` if it is not stored any more, but CIO_WORKSPACES lists it or events in the raw table
    have it. Keep its entry in CIO_WORKSPACES: it is needed for events that are not loaded yet, and
    for a replay.

    \b
    first_use, last_use  when the first and the last event with this key was received, UTC;
                         empty if none is in webhook_raw_events. Events that `setup` and
                         `doctor` send do not count.

    \b
    Exit codes: 0 done, 1 not done (the message says why), 2 wrong usage.

    \b
    Example:
      ciolake webhooks keys --drop 651bf3b7
    """  # noqa: D301  # click needs the character \b
    with errors_shown():
        listed = value(environment(), "CIO_WORKSPACES")
        store = whole_store(secret)
        if drop is not None:
            _drop(store, drop.strip().lower(), listed, is_agreed=yes, may_be_last=last)
            tell_receiver(pid, "The receiver accepts the key until it reads its settings again")
            return
        states = {SigningKey.from_text(one).fingerprint: "active" for one in store.read()}
        if secret is None:
            states |= {
                key.fingerprint: "development"
                for key in value(environment(), KEY_VARIABLE) or ()
                if key.secret.startswith(DEVELOPMENT.encode())
            }
    _list(states, listed, {} if no_use else _uses(data_dir), form)


def _list(
    states: Mapping[str, str], listed: Mapping[str, str], uses: Mapping[str, KeyUse], form: str
) -> None:
    from databricks_app.lake.local.query import Result

    rows: list[tuple[object, ...]] = []
    for one in dict.fromkeys([*states, *listed, *sorted(uses)]):
        state = states.get(one, "retired")
        use = uses.get(one)
        times = (use.first, use.last, use.events) if use is not None else (None, None, None)
        rows.append((one, state, listed.get(one, DEFAULT), one in listed, *times))
    write(Result(tuple(_COLUMNS), tuple(_COLUMNS.values()), rows), form)


def _uses(data_dir: Path | None) -> dict[str, KeyUse]:
    try:
        return key_uses(open_tables(data_dir))
    except (ReceiverError, click.ClickException) as error:
        # The keys are worth a list without their use.
        click.echo(f"The use of the keys is unknown: {error}", err=True)
        return {}


def _drop(
    store: KeyStore,
    fingerprint: str,
    names: Mapping[str, str],
    *,
    is_agreed: bool,
    may_be_last: bool,
) -> None:
    """Remove a key from the store.

    Raises:
        click.ClickException: There is no such key, or it is the last one of its workspace.
        click.Abort: The user does not agree.
        KeyStoreError: The store cannot be read or written.
    """
    kept = {SigningKey.from_text(one).fingerprint: one for one in store.read()}
    if fingerprint not in kept:
        stored = ", ".join(kept) or "none"
        raise click.ClickException(
            f"no stored key has the fingerprint {fingerprint}. The stored ones are: {stored}"
        )
    workspace = names.get(fingerprint, DEFAULT)
    others = [one for one in kept if one != fingerprint]
    if not may_be_last and not any(names.get(one, DEFAULT) == workspace for one in others):
        raise click.ClickException(
            f"{fingerprint} is the last active key of the workspace {workspace}: without it every "
            "event of the workspace is refused. First add another key (`ciolake webhooks setup`), "
            "or use --last"
        )
    if not is_agreed:
        click.confirm(f"Remove the key {fingerprint} of the workspace {workspace}?", abort=True)
    store.put([kept[one] for one in others])
    click.echo(f"removed the key {fingerprint}")
