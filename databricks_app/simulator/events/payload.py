"""Make single events with every field that the specification lists for their kind.

Pure: no clock, no I/O; the same seed makes the same events. `core.webhooks.specification` decides
which fields an event has; this module makes the values.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import attrgetter
from random import Random
from typing import Any

from core.webhooks import specification
from core.webhooks.specification import Origin
from databricks_app.simulator.events import wording
from databricks_app.simulator.events.sample_workspace import (
    SimulatedMessage,
    SimulatedPerson,
    Source,
    make_person,
)

Event = dict[str, Any]

_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # the ULID alphabet: without I, L, O, U
# A ULID is made of 13 pairs: each is looked up for 10 bits at once.
_PAIRS = tuple(first + second for first in _BASE32 for second in _BASE32)
_SENDER_NUMBER = "+12025550100"
_WEEK_SECONDS = 7 * 86400
_CONTENT = frozenset({"content", "headers"})
_RECIPIENTS = {"slack": "#general", "webhook": "https://crm.example.com/hooks/contacts"}


@dataclass(frozen=True, slots=True)
class SimulatedDelivery:
    """One message to one person, or a change of a person that no message caused.

    Attributes:
        person: The person that it is about.
        origin: What caused the message; None if there is no message: then all below is None too.
        message: The message that was sent.
        source_id: Id of the campaign, broadcast, newsletter or transactional message.
        delivery_id: An opaque id in base64.
        action_id: Id of the workflow step, or of the variant of an A/B test, that sent it.
        content_id: Id of the variant of a newsletter.
        journey_id: Id of the person's path through a campaign; all its deliveries share it.
        trigger_id: Id of the broadcast run.
        trigger_event_id: Id of the event that started the campaign.
    """

    person: SimulatedPerson
    origin: Origin | None = None
    message: SimulatedMessage | None = None
    source_id: int | str | None = None
    delivery_id: str | None = None
    action_id: int | None = None
    content_id: int | None = None
    journey_id: str | None = None
    trigger_id: int | None = None
    trigger_event_id: str | None = None

    @property
    def channel(self) -> str | None:
        """The object type of the message's events."""
        return self.message.channel if self.message else None


def make_ulid(random: Random, seconds: float) -> str:
    """Make an id of 26 characters that sorts by time, for a time in Unix seconds."""
    number = int(seconds * 1000) << 80 | random.getrandbits(80)
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])


def make_delivery(
    random: Random,
    person: SimulatedPerson,
    source: Source,
    message: SimulatedMessage,
    *,
    seconds: float,
    journey_id: str | None = None,
) -> SimulatedDelivery:
    """Make the delivery of a source's message to a person, at a time in Unix seconds."""
    # Newsletters and broadcasts are sent once a week, so their ids contain the number of the week.
    edition = int(seconds) // _WEEK_SECONDS
    is_workflow = source.origin in {"campaign", "broadcast"}
    source_id = int(source.id) * 10_000 + edition if source.origin == "newsletter" else source.id
    variant = random.randrange(message.variants)
    return SimulatedDelivery(
        person=person,
        origin=source.origin,
        message=message,
        source_id=source_id,
        delivery_id=base64.urlsafe_b64encode(random.randbytes(21)).decode(),
        action_id=random.choice(message.actions) if is_workflow else None,
        content_id=int(source_id) * 10 + variant if source.origin == "newsletter" else None,
        journey_id=(journey_id or make_ulid(random, seconds)) if is_workflow else None,
        trigger_id=edition if source.origin == "broadcast" else None,
        trigger_event_id=make_ulid(random, seconds) if source.origin == "campaign" else None,
    )


def make_sample_delivery(
    random: Random, channel: str, origin: Origin | None, *, seconds: float
) -> SimulatedDelivery:
    """Make a delivery with every id that its origin has; an origin of None means a campaign."""
    message = SimulatedMessage(
        channel,
        "A message from Example",
        actions=(901, 902),
        parent_action=900,
        to=_RECIPIENTS.get(channel),
    )
    source = Source(origin or "campaign", 90, (message,), 1)
    person = make_person(random, random.randrange(1000))
    return make_delivery(random, person, source, message, seconds=seconds)


def make_event(
    object_type: str,
    metric: str,
    *,
    random: Random,
    at: datetime,
    origin: Origin | None = None,
    delivery: SimulatedDelivery | None = None,
    overrides: Mapping[str, object] | None = None,
    reported_as: str | None = None,
    with_content: bool = False,
) -> Event:
    """Make one event, as the JSON object that Customer.io would post.

    Args:
        object_type: With `metric`, one of the kinds in `specification.events()`.
        metric: See `object_type`.
        random: The random generator, for ids too.
        at: When the event happened, timezone-aware.
        origin: What caused the message, if no delivery is given.
        delivery: The delivery that the event is about; None: a sample delivery.
        overrides: Fields of `data` with the values to set.
        reported_as: The `object_type` of the event, if it differs: a customer event may carry that
            of the channel that caused it.
        with_content: Whether `sent` events and changed preferences contain their content.

    Raises:
        KeyError: The specification has no such pair of object type and metric.
    """
    seconds = at.timestamp()
    if delivery is None:
        channel = "email" if object_type == "customer" else object_type
        delivery = make_sample_delivery(random, channel, origin, seconds=seconds)
    event: Event = {
        "event_id": make_ulid(random, seconds),
        "object_type": reported_as or object_type,
        "metric": metric,
        "timestamp": int(seconds),
    }
    data: Event = {}
    for field in _fields(object_type, metric, delivery.origin, with_content):
        value = field.value(delivery, random)
        if value is not None or field.is_nullable:
            (data if field.is_data else event)[field.key] = value
    if overrides:
        data.update(overrides)
    event["data"] = data
    return event


def recipient(delivery: SimulatedDelivery) -> str:
    """Return the recipient of a message, as its events name it."""
    message, person = delivery.message, delivery.person
    if message is not None and message.to is not None:
        return message.to
    if delivery.channel in {"sms", "whatsapp"}:
        return person.phone
    return person.id or person.email if delivery.channel == "in_app" else person.email


def without_content(event: Event) -> Event:
    """Return the event without content, as a webhook with `with_content` false gets it."""
    data = event["data"]
    if _CONTENT.isdisjoint(data):
        return event
    return {**event, "data": {name: data[name] for name in data if name not in _CONTENT}}


_Value = Callable[[SimulatedDelivery, Random], object]


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a kind of event: where it is, and the function that makes its value."""

    key: str
    is_data: bool
    is_nullable: bool
    value: _Value


@cache
def _fields(
    object_type: str, metric: str, origin: Origin | None, with_content: bool
) -> tuple[_Field, ...]:
    kind = specification.event(object_type, metric)
    paths = {field.path: field for field in kind.fields_of(origin)}
    fields = []
    for path, field in paths.items():
        key = path.removeprefix("data.")
        is_top = "." not in key and "[]" not in key
        if is_top and (with_content or key not in _CONTENT):
            fields.append(_Field(key, key != path, field.nullable, _value(kind, key, paths)))
    # The specification lists this field for e-mail and push only, but every channel has
    # transactional messages.
    if origin == "transactional" and "data.transactional_message_id" not in paths:
        fields.append(_Field("transactional_message_id", True, False, _source_id))
    return tuple(fields)


def _value(kind: specification.EventKind, key: str, paths: Iterable[str]) -> _Value:
    """Return the function that makes the value of a field."""
    object_type, metric = kind.object_type, kind.metric
    if key == "identifiers":
        getters = {name: attrgetter(name) for name in _below("data.identifiers.", paths)}
        return lambda delivery, _: {name: get(delivery.person) for name, get in getters.items()}
    if key == "recipients":
        return _devices(_below("data.recipients[].", paths), metric)
    if key == "recipient" and metric == "replied":
        return lambda delivery, _: delivery.person.phone
    if key == "failure_message":
        return lambda _, random: wording.failure(object_type, metric, random)
    if key == "content" and object_type == "customer":
        return lambda _, random: wording.preferences(random)
    return _VALUES[key]


def _below(parent: str, paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(path.removeprefix(parent) for path in paths if path.startswith(parent))


def _devices(names: tuple[str, ...], metric: str) -> _Value:
    def devices(delivery: SimulatedDelivery, random: Random) -> object:
        return [
            {
                name: value
                for name, value in (
                    ("device_id", token),
                    ("device_platform", platform),
                    ("failure_message", wording.failure("push", metric, random)),
                )
                if name in names
            }
            for token, platform in delivery.person.devices
        ]

    return devices


def _source_id(delivery: SimulatedDelivery, _: Random) -> int | str | None:
    return delivery.source_id


def _channel(delivery: SimulatedDelivery, _: Random) -> str | None:
    return delivery.channel


def _never(_delivery: SimulatedDelivery, _random: Random) -> bool:
    return False


_VALUES: dict[str, _Value] = {
    "object_type_type": _channel,
    "delivery_type": _channel,
    "customer_id": lambda delivery, _: delivery.person.id or "",
    "email_address": lambda delivery, _: delivery.person.email,
    "delivery_id": lambda delivery, _: delivery.delivery_id,
    "campaign_id": _source_id,
    "broadcast_id": _source_id,
    "newsletter_id": _source_id,
    "transactional_message_id": _source_id,
    "action_id": lambda delivery, _: delivery.action_id,
    "parent_action_id": lambda delivery, _: delivery.message and delivery.message.parent_action,
    "content_id": lambda delivery, _: delivery.content_id,
    "journey_id": lambda delivery, _: delivery.journey_id,
    "trigger_id": lambda delivery, _: delivery.trigger_id,
    "trigger_event_id": lambda delivery, _: delivery.trigger_event_id,
    "subject": lambda delivery, _: delivery.message and delivery.message.subject,
    "recipient": lambda delivery, _: recipient(delivery),
    "content": lambda delivery, random: wording.content(
        delivery.channel or "", delivery.message.subject if delivery.message else "", random
    ),
    "headers": lambda _, random: {"X-Example-Batch": [f"{random.getrandbits(32):08x}"]},
    "href": lambda delivery, _: (
        delivery.message.links[0] if delivery.message else "https://www.example.com/"
    ),
    "link_id": lambda *_: 1,
    "machine": _never,
    "prefetched": _never,
    "proxied": _never,
    "synthetic": _never,
    "tracked_response": lambda *_: "primary_button",
    "inbound_event_id": lambda _, random: f"{random.getrandbits(96):024x}",
    "to": lambda *_: _SENDER_NUMBER,
}
