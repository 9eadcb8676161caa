"""Names of the events that a reporting webhook can subscribe to, with their meanings.

Pure. The list of known names is an argument, because the vendor adds names without notice.

Source: https://docs.customer.io/integrations/api/webhooks
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CHANNELS = ("customer", "email", "in_app", "push", "slack", "sms", "webhook", "whatsapp")

_MEANINGS = {
    "attempted": "sending failed for the moment and is tried again",
    "bounced": "the provider could not deliver it",
    "clicked": "a tracked link in it was clicked",
    "converted": "the person reached the goal of the campaign",
    "deferred": "the receiving mail server asked to try again later",
    "delivered": "the provider reports that it arrived",
    "drafted": "it is a draft that must be sent manually",
    "dropped": "it was not sent, because the address or device is suppressed",
    "failed": "it could not be created or handed to the provider",
    "opened": "it was opened, by a person or a machine",
    "replied": "the person answered it",
    "sent": "it was handed to the provider",
    "spammed": "the person marked it as spam",
    "subscribed": "the person subscribed again",
    "subscription_preferences_changed": "the person's topics or channels changed",
    "undeliverable": "it was not sent, because of a rule such as a message limit",
    "unsubscribed": "the person unsubscribed",
}


def channel_of(name: str) -> str:
    """Return the channel of an event; empty if it is unknown."""
    # At most one channel matches: no "name_" of a channel is the start of another one.
    return next((channel for channel in CHANNELS if name.startswith(f"{channel}_")), "")


def meaning_of(name: str) -> str:
    """Return what an event means, in one sentence; empty if it is unknown."""
    return _MEANINGS.get(name.removeprefix(f"{channel_of(name)}_"), "")


def events_named(word: str, known_events: Sequence[str]) -> tuple[str, ...]:
    """Return the events for a word: `all`, a channel, or one event; none if it is unknown."""
    if word == "all":
        return tuple(known_events)
    if word in CHANNELS:
        return tuple(name for name in known_events if channel_of(name) == word)
    return (word,) if word in known_events else ()
