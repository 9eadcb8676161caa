"""Set up one reporting webhook so that no event is lost and the feed does not stop.

The webhook is created disabled; the receiver gets its key; a signed test event must arrive; then
the webhook is enabled. Every step first checks whether it is already done, so that you can repeat
all of it after any failure. A webhook that is already enabled is never disabled.
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
    """A webhook cannot be set up; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class SetupTools:
    """The services and questions that setup needs.

    Attributes:
        webhooks: The reporting webhooks of the workspace.
        known_events: All event names that a webhook can subscribe to.
        store: Stores the receiver's keys.
        is_kept_key_right: Asks whether the first stored key, by its fingerprint, is the webhook's.
        ask_key: Asks for the signing key of the webhook with this id.
        prove: Sends a signed event and checks that it arrives; raises if it does not.
        on_progress: Gets a progress message for each step.
    """

    webhooks: ReportingWebhooks
    known_events: Sequence[str]
    store: KeyStore
    is_kept_key_right: Callable[[str], bool]
    ask_key: Callable[[int], str]
    prove: Callable[[SigningKey], None]
    on_progress: Callable[[str], object]


def set_up(wanted: WebhookSettings, tools: SetupTools) -> int:
    """Set up a webhook, or continue where an earlier attempt ended.

    Args:
        wanted: The webhook; an existing one is found by its name.
        tools: The services and questions that setup needs.

    Returns:
        The webhook's id.

    Raises:
        ReceiverError: A step failed; the webhook is not enabled.
        CustomerIOError: A call of the App API failed.
    """
    before = _found(wanted, tools)
    if before is None:
        _write(replace(wanted, enabled=False), tools)
        before = _found(wanted, tools)
        if before is None:
            raise SetupError(
                "Customer.io does not list the webhook that it has just created: run this again"
            )
        tools.on_progress(f"created webhook {before.id} {wanted.name!r}, disabled")
    else:
        state = "enabled" if before.webhook.enabled else "disabled"
        tools.on_progress(f"found webhook {before.id} {wanted.name!r}, {state}")
    key = _key(before.id, tools)
    tools.prove(key)
    if _write(replace(wanted, enabled=True), tools):
        tools.on_progress(f"enabled webhook {before.id}")
    else:
        tools.on_progress(f"webhook {before.id} is already enabled and has these settings")
    return before.id


def _key(number: int, tools: SetupTools) -> SigningKey:
    kept = tools.store.read()
    if kept:
        key = SigningKey.from_text(kept[0])
        if tools.is_kept_key_right(key.fingerprint):
            return key
    text = checked(tools.ask_key(number))
    key = SigningKey.from_text(text)
    # Other keys stay in the store: other webhooks may post to the same receiver.
    keys = (text, *(other for other in kept if other != text))
    if keys != kept:
        tools.store.put(keys)
    tools.on_progress(f"saved the signing key with the fingerprint {key.fingerprint}")
    return key


def _found(wanted: WebhookSettings, tools: SetupTools) -> Live | None:
    now = held(tools.webhooks, tools.known_events)
    return plan([Wanted(wanted.name, wanted)], now).changes[0].before


def _write(webhook: WebhookSettings, tools: SetupTools) -> bool:
    now = held(tools.webhooks, tools.known_events)
    planned = plan([Wanted(webhook.name, webhook)], now)
    return bool(apply(tools.webhooks, planned, tools.known_events))
