"""Set up one reporting webhook so that no event is lost and the feed does not stop.

The webhook is created disabled; the receiver gets its key; a test event of ours and then one of
Customer.io must arrive; then the webhook is enabled. A key that was not proven is taken out of the
store again. Every step first checks whether it is already done, so that you can repeat all of it
after any failure. A webhook that is already enabled is never disabled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.errors import ConfigurationError
from core.webhooks.apply import apply, held
from core.webhooks.config import (
    Live,
    Plan,
    Wanted,
    WebhookChange,
    WebhookSettings,
    differences,
    plan,
    shown,
)
from core.webhooks.sender import destination
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
class WebhookChoice:
    """Which webhook to set up.

    Attributes:
        wanted: From the webhooks of the workspace to the settings; so that `all` events include
            those that the vendor added later.
        endpoint: Its endpoint.
        name: Its name; None keeps the name of an existing webhook.
        default_name: The name of a new webhook without a name.
        id: The id of an existing webhook; None: the one with this endpoint, or a new one.
    """

    wanted: Callable[[Sequence[Live]], WebhookSettings]
    endpoint: str
    name: str | None
    default_name: str
    id: int | None = None


@dataclass(frozen=True, slots=True)
class SetupTools:
    """The services and questions that setup needs.

    Attributes:
        webhooks: The reporting webhooks of the workspace.
        known_events: All event names that a webhook can subscribe to.
        store: Stores the receiver's keys.
        reach: Checks that a receiver listens; raises if it does not.
        agree: Shows a plan; raises if it changes an existing webhook and nobody agrees.
        is_kept_key_right: Asks whether the first stored key, by its fingerprint, is the webhook's.
        ask_key: Asks for the signing key of the webhook with this id.
        prove: Sees events arrive that are signed with the key; raises if they do not.
        tell: Makes the receiver read its keys again; gets the reason.
        on_progress: Gets a progress message for each step.
    """

    webhooks: ReportingWebhooks
    known_events: Sequence[str]
    store: KeyStore
    reach: Callable[[], None]
    agree: Callable[[Plan], None]
    is_kept_key_right: Callable[[str], bool]
    ask_key: Callable[[int], str]
    prove: Callable[[SigningKey], None]
    tell: Callable[[str], None]
    on_progress: Callable[[str], object]


def set_up(choice: WebhookChoice, tools: SetupTools) -> int:
    """Set up a webhook, or continue where an earlier attempt ended.

    Args:
        choice: The webhook.
        tools: The services and questions that setup needs.

    Returns:
        The webhook's id.

    Raises:
        ReceiverError: A step failed; the webhook is not enabled.
        CustomerIOError: A call of the App API failed, or somebody changed the webhook meanwhile.
    """
    live = held(tools.webhooks, tools.known_events)
    wanted = choice.wanted(live)
    before = chosen(choice, live)
    name = choice.name or (before.webhook.name if before else choice.default_name)
    wanted = replace(wanted, name=name, enabled=True)
    tools.reach()
    if before is None:
        _refuse_taken_name(name, live)
        before = _create(wanted, tools)
    else:
        state = "enabled" if before.webhook.enabled else "disabled"
        tools.on_progress(f"found webhook {before.id} {before.webhook.name!r}, {state}")
    planned = _planned(before, wanted)
    if any(field != "enabled" for field, _, _ in differences(planned.changes[0])):
        tools.agree(planned)
    _prove_key(before.id, tools)
    # The plan that was shown. If somebody changes the webhook meanwhile, nothing is written.
    if apply(tools.webhooks, planned, tools.known_events):
        tools.on_progress(f"enabled webhook {before.id}")
    else:
        tools.on_progress(f"webhook {before.id} is already enabled and has these settings")
    return before.id


def chosen(choice: WebhookChoice, live: Sequence[Live]) -> Live | None:
    """Return the existing webhook with this id or endpoint; None if a new one is needed.

    A name says nothing: another installation may have used it.

    Raises:
        SetupError: There is no webhook with this id, or several have this endpoint.
    """
    if choice.id is not None:
        found = [one for one in live if one.id == choice.id]
        if not found:
            raise SetupError(f"the workspace has no webhook {choice.id}: correct --id")
        return found[0]
    address = _address(choice.endpoint)
    found = [one for one in live if _address(one.webhook.endpoint) == address]
    if len(found) > 1:
        found = [one for one in found if one.webhook.name == choice.name] or found
    if len(found) > 1:
        ids = ", ".join(str(one.id) for one in found)
        raise SetupError(f"the webhooks {ids} post to this endpoint: choose one with --id")
    return found[0] if found else None


def _address(endpoint: str) -> str:
    try:
        return destination(endpoint).url
    except ConfigurationError:
        return endpoint


def _refuse_taken_name(name: str, live: Sequence[Live]) -> None:
    for one in live:
        if one.webhook.name == name:
            raise SetupError(
                f"webhook {one.id} {name!r} posts to {shown(one.webhook.endpoint)}, perhaps for "
                "another installation: give the new webhook another name with --name, or use "
                f"--id {one.id} to change that one"
            )


def _create(wanted: WebhookSettings, tools: SetupTools) -> Live:
    new = replace(wanted, enabled=False)
    change = WebhookChange("create", None, new)
    tools.agree(Plan((change,)))
    done = apply(tools.webhooks, Plan((change,)), tools.known_events)
    live = held(tools.webhooks, tools.known_events)
    made = next((one for one in live if one.id == done[0].id), None)
    if made is None:
        raise SetupError(
            "Customer.io does not list the webhook that it has just created: run this again"
        )
    tools.on_progress(f"created webhook {made.id} {new.name!r}, disabled")
    return made


def _planned(before: Live, wanted: WebhookSettings) -> Plan:
    return plan([Wanted(wanted.name, wanted, before.id)], [before])


def _prove_key(number: int, tools: SetupTools) -> None:
    """See events arrive under the webhook's key; a new key that fails is taken out again."""
    kept = tools.store.read()
    if kept:
        key = SigningKey.from_text(kept[0])
        if tools.is_kept_key_right(key.fingerprint):
            try:
                tools.prove(key)
            except ReceiverError:
                tools.on_progress(
                    f"the stored key {key.fingerprint} stays, as it may be another webhook's; "
                    f"`ciolake webhooks keys --drop {key.fingerprint}` removes it"
                )
                raise
            return
    text = checked(tools.ask_key(number))
    key = SigningKey.from_text(text)
    # Other keys stay in the store: other webhooks may post to the same receiver.
    keys = (text, *(other for other in kept if other != text))
    if keys != kept:
        # The receiver can verify an event only with an active key, so it is stored before its
        # proof.
        tools.store.put(keys)
        tools.on_progress(f"stored the signing key {key.fingerprint}, until it is proven")
    try:
        tools.prove(key)
    except BaseException:
        if keys != kept and tools.store.read() == keys:
            tools.store.put(kept)
            tools.on_progress(f"took the key {key.fingerprint} out again: it is not proven")
            tools.tell("The receiver accepts the key until it reads its settings again")
        raise
    tools.on_progress(f"the signing key {key.fingerprint} stays")
    if len(keys) > 1:
        others = ", ".join(SigningKey.from_text(one).fingerprint for one in keys[1:])
        tools.on_progress(
            f"these keys are active too: {others}. `ciolake webhooks keys --drop FINGERPRINT` "
            "removes one that no webhook uses"
        )
