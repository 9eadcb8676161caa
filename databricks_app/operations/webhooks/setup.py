"""Set up one reporting webhook in the order that loses nothing and blocks nothing.

Created disabled; its key given to the receiver; a signed event sent the same way and seen to
arrive; only then enabled. Every step first looks whether it is already done, so that the whole can
be repeated after any failure. A webhook that is already enabled is never disabled on the way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.webhooks.apply import apply, held
from core.webhooks.config import Live, Wanted, WebhookSettings, plan
from core.webhooks.signature import SigningKey
from databricks_app.errors import ReceiverError
from databricks_app.operations.webhooks.keys import checked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.app_api.reporting_webhooks import ReportingWebhooks
    from databricks_app.operations.webhooks.keys import KeyStore


class SetupError(ReceiverError):
    """A webhook cannot be set up as it stands; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What setting up needs beside the webhook itself.

    Attributes:
        webhooks: Of the workspace.
        known_events: Every name that a webhook can subscribe to.
        store: Where the receiver's keys are kept.
        is_kept_key_right: Whether the first kept key, given its fingerprint, is the webhook's.
        ask_key: Asks for the webhook's signing key, given the webhook's id.
        prove: Sends a signed event to the endpoint and sees it arrive; raises if it does not.
        on_progress: Gets what was done, a line at a time.
    """

    webhooks: ReportingWebhooks
    known_events: Sequence[str]
    store: KeyStore
    is_kept_key_right: Callable[[str], bool]
    ask_key: Callable[[int], str]
    prove: Callable[[SigningKey], None]
    on_progress: Callable[[str], object]


def set_up(wanted: WebhookSettings, bench: Bench) -> int:
    """Make a webhook work, from wherever an earlier try ended.

    Args:
        wanted: The webhook, found again by its name.
        bench: What is needed beside it.

    Returns:
        The webhook's id.

    Raises:
        ReceiverError: A step cannot be done; the webhook stays as it was.
        CustomerIOError: The App API did not do it.
    """
    before = _found(wanted, bench)
    if before is None:
        _write(replace(wanted, enabled=False), bench)
        before = _found(wanted, bench)
        if before is None:
            raise SetupError("Customer.io does not list the webhook it created: try again")
        bench.on_progress(f"created, disabled: webhook {before.id} {wanted.name!r}")
    else:
        state = "enabled" if before.webhook.enabled else "disabled"
        bench.on_progress(f"found, {state}: webhook {before.id} {wanted.name!r}")
    key = _key(before.id, bench)
    bench.prove(key)
    if _write(replace(wanted, enabled=True), bench):
        bench.on_progress(f"enabled: webhook {before.id}")
    else:
        bench.on_progress(f"nothing to change: webhook {before.id} is as described")
    return before.id


def _key(number: int, bench: Bench) -> SigningKey:
    kept = bench.store.read()
    if kept:
        key = SigningKey.from_text(kept[0])
        if bench.is_kept_key_right(key.fingerprint):
            return key
    text = checked(bench.ask_key(number))
    key = SigningKey.from_text(text)
    # The others stay: they may belong to other webhooks that post to the same receiver.
    keys = (text, *(other for other in kept if other != text))
    if keys != kept:
        bench.store.put(keys)
    bench.on_progress(f"signing key {key.fingerprint} (fingerprint) kept")
    return key


def _found(wanted: WebhookSettings, bench: Bench) -> Live | None:
    now = held(bench.webhooks, bench.known_events)
    return plan([Wanted(wanted.name, wanted)], now).changes[0].before


def _write(webhook: WebhookSettings, bench: Bench) -> bool:
    now = held(bench.webhooks, bench.known_events)
    planned = plan([Wanted(webhook.name, webhook)], now)
    return bool(apply(bench.webhooks, planned, bench.known_events))
