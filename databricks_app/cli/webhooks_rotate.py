"""`ciolake webhooks rotate`: replace the signing key while events arrive."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from core.webhooks.config import endpoint_problem
from core.webhooks.signature import SigningKey
from databricks_app.cli.webhooks_access import told
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
    help="How long the old key must be silent while the new one is used.",
)
@click.option(
    "--look-seconds",
    type=click.FloatRange(0.1, 3600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How often the counts are read.",
)
@click.option("--metrics-url", metavar="URL", help="[default: /metrics at ENDPOINT's host]")
@click.option("--workspace", metavar="NAME", help="Whose key, where CIO_WORKSPACES names several.")
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

    Asks for the new key and makes both active; proves the new one by a signed event; waits until
    the receiver's own counts show Customer.io using the new key and the old one silent; then lets
    the old one go. Keys are named by their fingerprints and never printed.

    With CIO_WORKSPACES the new key is listed for its workspace before it is kept, in .env; with
    --secret the command says what to set in app.yaml first. The entry of the old key stays.

    Run it again after any failure or Ctrl-C: while two keys are kept, it goes on waiting.
    CIO_ADMIN_TOKEN, of the environment or .env, is sent to read /metrics.

    \b
    Exit codes: 0 the old key is gone, 1 not: both stay active, 2 wrong usage.
    """  # noqa: D301  # click wants the character itself
    for what, url in (("ENDPOINT", endpoint), ("--metrics-url", metrics_url)):
        problem = endpoint_problem(url) if url is not None else ""
        if problem:
            raise click.UsageError(f"{what} {problem}")
    store = key_store(secret, workspace)
    with told():
        new, old = _both(store, from_stdin=key_stdin)
        tell_receiver(pid, "the receiver must know both keys")
        send_canary(endpoint, new, wait)
        click.echo("Both keys are active: let Customer.io use the new one now. Waiting ...")
        wait_until_silent(
            partial(_counts, endpoint, metrics_url),
            old.fingerprint,
            new.fingerprint,
            silent_seconds=silent_minutes * 60,
            look_seconds=look_seconds,
            on_progress=click.echo,
        )
        _retire(store, new, old)
        click.echo(f"key {old.fingerprint} is no longer kept")
        tell_receiver(pid, "the receiver takes the old key until it reads its settings")
        send_canary(endpoint, new, wait)
    of = f" of {store.workspace}" if isinstance(store, WorkspaceKeys) else ""
    click.echo(f"Done: {new.fingerprint} is the only key{of} that is kept.")
    if of:
        click.echo(
            f"CIO_WORKSPACES must go on to list {old.fingerprint}: its events keep their name."
        )


def _both(store: KeyStore, *, from_stdin: bool) -> tuple[SigningKey, SigningKey]:
    """The new key and the old one, both kept."""
    kept = store.read()
    if not kept:
        raise RotationError("no signing key is kept yet: `ciolake webhooks setup` begins")
    if len(kept) > 2:
        raise RotationError(
            f"{len(kept)} keys are kept, and one at most can be replaced: remove "
            "those that are not used from CIO_WEBHOOK_SIGNING_KEYS"
        )
    if len(kept) == 2:
        return _going_on(kept, from_stdin=from_stdin)
    text = ask_key(
        "Make a new key on Customer.io's page Reporting Webhooks.", from_stdin=from_stdin
    )
    if text == kept[0]:
        raise RotationError("this is the key that is kept already")
    store.put((text, kept[0]))
    new, old = SigningKey.from_text(text), SigningKey.from_text(kept[0])
    click.echo(f"kept: {new.fingerprint} (new) beside {old.fingerprint} (old)")
    return new, old


def _going_on(kept: tuple[str, ...], *, from_stdin: bool) -> tuple[SigningKey, SigningKey]:
    """The two kept keys, if the first is to replace the second.

    They may as well belong to two webhooks that post to the same receiver.
    """
    new, old = (SigningKey.from_text(text) for text in kept)
    if from_stdin:
        if ask_key("", from_stdin=True) != kept[0]:
            raise RotationError("two keys are kept, and the first is not the one that is given")
    else:
        click.confirm(
            f"Two keys are kept. Shall {new.fingerprint} replace {old.fingerprint}?", abort=True
        )
    click.echo(f"going on: {new.fingerprint} replaces {old.fingerprint}")
    return new, old


def _retire(store: KeyStore, new: SigningKey, old: SigningKey) -> None:
    """Keep the new key alone, unless somebody changed the keys while it was waited."""
    if store.read() != (new.secret.decode(), old.secret.decode()):
        raise RotationError("the kept keys were changed meanwhile: nothing was removed")
    store.put((new.secret.decode(),))


def _counts(endpoint: str, metrics_url: str | None) -> dict[str, float]:
    parts = urlsplit(endpoint)
    url = metrics_url or f"{parts.scheme}://{parts.netloc}/metrics"
    return read_metrics(url, environment().get("CIO_ADMIN_TOKEN", "").strip())
