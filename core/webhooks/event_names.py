"""Names of the events that a reporting webhook can subscribe to: how to choose, what they mean.

Pure. Which names there are is an argument: the vendor adds some without notice.

Source: https://docs.customer.io/integrations/api/webhooks
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CHANNELS = ("customer", "email", "in_app", "push", "slack", "sms", "webhook", "whatsapp")

_MEANINGS = {
    "attempted": "sending did not succeed for the moment and is tried again",
    "bounced": "the provider could not deliver it",
    "clicked": "a tracked link in it was clicked",
    "converted": "the person did what the campaign aims at",
    "deferred": "the receiving mail server asks to try later",
    "delivered": "the provider reports that it arrived",
    "drafted": "it waits as a draft to be sent by hand",
    "dropped": "it was not sent, as the address or device is suppressed",
    "failed": "it could not be made or handed to the provider",
    "opened": "it was opened, by a person or a machine",
    "replied": "the person answered it",
    "sent": "it was handed to the provider",
    "spammed": "the person marked it as spam",
    "subscribed": "the person subscribed again",
    "subscription_preferences_changed": "the person's topics or channels changed",
    "undeliverable": "it was not sent, by a rule such as a message limit",
    "unsubscribed": "the person unsubscribed",
}


def channel_of(name: str) -> str:
    """The channel of an event; empty where it is none that this code knows."""
    # No channel's name and underscore begin those of another.
    return next((channel for channel in CHANNELS if name.startswith(f"{channel}_")), "")


def meaning_of(name: str) -> str:
    """What an event says, in our words; empty where this code does not know it."""
    return _MEANINGS.get(name.removeprefix(f"{channel_of(name)}_"), "")


def events_named(word: str, known_events: Sequence[str]) -> tuple[str, ...]:
    """The events that a word stands for: `all`, a channel, or one event; none if it is unknown."""
    if word == "all":
        return tuple(known_events)
    if word in CHANNELS:
        return tuple(name for name in known_events if channel_of(name) == word)
    return (word,) if word in known_events else ()
