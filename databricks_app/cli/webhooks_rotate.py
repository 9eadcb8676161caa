"""`ciolake webhooks rotate`: replace the signing key while events arrive."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from core.webhooks.config import endpoint_problem
from core.webhooks.signature import SigningKey
from databricks_app.cli.webhooks_access import errors_shown
from databricks_app.cli.webhooks_keys import (
    ask_key,
    key_options,
    key_store,
    send_canary,
    tell_receiver,
)
from databricks_app.operations.webhooks.keys import WorkspaceKeys
from databricks_app.operations.webhooks.rotation import (
    RotationError,
    read_metrics,
    wait_until_silent,
)
from databricks_app.settings import environment

if TYPE_CHECKING:
    from databricks_app.operations.webhooks.keys import KeyStore


@click.command("rotate")
@click.argument("endpoint")
@click.option(
    "--silent-minutes",
    type=click.FloatRange(0, 10_080),
    default=30.0,
    show_default=True,
    metavar="MINUTES",
    help="How long the old key must be unused, while the new one is used, before it is removed.",
)
@click.option(
    "--look-seconds",
    type=click.FloatRange(0.1, 3600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Pause between two readings of the receiver's counts.",
)
@click.option(
    "--metrics-url",
    metavar="URL",
    help="Address of the receiver's /metrics. [default: /metrics on the host of ENDPOINT]",
)
@click.option("--workspace", metavar="NAME", help="Workspace, if CIO_WORKSPACES names several.")
@key_options
def rotate_(
    *,
    endpoint: str,
    silent_minutes: float,
    look_seconds: float,
    metrics_url: str | None,
    workspace: str | None,
    key_stdin: bool,
    secret: str | None,
    pid: int | None,
    wait: float,
) -> None:
    """Replace the signing key of the receiver at ENDPOINT without refusing an event.

    \b
    1. It asks for the new key, and stores both keys.
    2. It sends a test event that is signed with the new key.
    3. It waits until Customer.io uses the new key and no longer the old one.
    4. It removes the old key.

    For step 3 it reads /metrics of the receiver, with CIO_ADMIN_TOKEN from the environment or .env.
    It prints only fingerprints of keys.

    If CIO_WORKSPACES is set, the command first adds the new key to it in .env; with --secret it
    says what you must set in app.yaml. The entry of the old key stays.

    You can run it again after any failure or Ctrl-C: while two keys are stored, it continues to
    wait.

    \b
    Exit codes: 0 the old key is removed, 1 it is not (both keys stay active), 2 wrong usage.
    """  # noqa: D301  # click needs the character \b
    for what, url in (("ENDPOINT", endpoint), ("--metrics-url", metrics_url)):
        problem = endpoint_problem(url) if url is not None else ""
        if problem:
            raise click.UsageError(f"{what} {problem}")
    store = key_store(secret, workspace)
    with errors_shown():
        new, old = _both(store, from_stdin=key_stdin)
        tell_receiver(pid, "The receiver must read both keys")
        send_canary(endpoint, new, wait)
        click.echo("Both keys are active. Now switch Customer.io to the new one. Waiting ...")
        wait_until_silent(
            partial(_counts, endpoint, metrics_url),
            old.fingerprint,
            new.fingerprint,
            silent_seconds=silent_minutes * 60,
            look_seconds=look_seconds,
            on_progress=click.echo,
        )
        # Somebody may have changed the keys during the wait, which takes half an hour or more.
        if store.read() != (new.secret.decode(), old.secret.decode()):
            raise RotationError("the stored keys were changed meanwhile: no key was removed")
        store.put((new.secret.decode(),))
        click.echo(f"removed the key {old.fingerprint}")
        tell_receiver(pid, "The receiver accepts the old key until it reads its settings again")
        send_canary(endpoint, new, wait)
    of = f" of {store.workspace}" if isinstance(store, WorkspaceKeys) else ""
    click.echo(f"Done: {new.fingerprint} is now the only stored key{of}.")
    if of:
        click.echo(
            f"Keep the entry of {old.fingerprint} in CIO_WORKSPACES: events with this key still "
            "need their workspace."
        )


def _both(store: KeyStore, *, from_stdin: bool) -> tuple[SigningKey, SigningKey]:
    """Return the new key and the old one; both are then in the store."""
    kept = store.read()
    if not kept:
        raise RotationError(
            "there is no signing key to replace: use `ciolake webhooks setup` for the first key"
        )
    if len(kept) > 2:
        raise RotationError(
            f"there are {len(kept)} signing keys, but this command replaces one key by another: "
            "remove unused keys from CIO_WEBHOOK_SIGNING_KEYS"
        )
    if len(kept) == 2:
        return _going_on(kept, from_stdin=from_stdin)
    text = ask_key(
        "Create a new key in Customer.io, on the page Reporting Webhooks.", from_stdin=from_stdin
    )
    if text == kept[0]:
        raise RotationError("this is the current key: create a new one in Customer.io")
    store.put((text, kept[0]))
    new, old = SigningKey.from_text(text), SigningKey.from_text(kept[0])
    click.echo(f"stored {new.fingerprint} (new) and {old.fingerprint} (old)")
    return new, old


def _going_on(kept: tuple[str, ...], *, from_stdin: bool) -> tuple[SigningKey, SigningKey]:
    """Return the two stored keys, if the user confirms that the first replaces the second."""
    new, old = (SigningKey.from_text(text) for text in kept)
    # Ask: the two keys may also belong to two webhooks that post to the same receiver.
    if from_stdin:
        if ask_key("", from_stdin=True) != kept[0]:
            raise RotationError(
                "there are two stored keys, and the first is not the key on standard input"
            )
    else:
        click.confirm(
            f"Two keys are stored. Shall {new.fingerprint} replace {old.fingerprint}?", abort=True
        )
    click.echo(f"continuing: {new.fingerprint} replaces {old.fingerprint}")
    return new, old


def _counts(endpoint: str, metrics_url: str | None) -> dict[str, float]:
    parts = urlsplit(endpoint)
    url = metrics_url or f"{parts.scheme}://{parts.netloc}/metrics"
    return read_metrics(url, environment().get("CIO_ADMIN_TOKEN", "").strip())
