"""The life cycle of a message: which events its delivery has, and when.

Pure: all randomness comes from the `Random` that is passed in. The rates are estimates for a sender
with good lists and one bad campaign. Metrics that `core.webhooks.specification` does not list for
a channel are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from math import log
from random import Random
from typing import NamedTuple

from core.webhooks import specification
from databricks_app.simulator.events import sample_workspace
from databricks_app.simulator.events.payload import Event, SimulatedDelivery, make_event
from databricks_app.simulator.events.sample_workspace import SimulatedMessage

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0

# Life cycles that end before the message is sent: (their last metric, share of deliveries).
_NEVER_SENT = (("dropped", 0.012), ("undeliverable", 0.005), ("failed", 0.003), ("drafted", 0.002))
_REPLY_SHARE = 0.06
# The vendor's examples name the channel of changed preferences by one of these three fields.
_CHANNEL_NAMES = ("object_type", "object_type_type", "delivery_type")
# For each metric: the metrics that come before it.
_PATHS: dict[str, tuple[str, ...]] = {
    "delivered": ("sent",),
    "opened": ("sent", "delivered"),
    "clicked": ("sent", "delivered", "opened"),
    "converted": ("sent", "delivered", "opened", "clicked"),
    "unsubscribed": ("sent", "delivered", "opened"),
    "spammed": ("sent", "delivered", "opened"),
    "replied": ("sent", "delivered"),
    "bounced": ("sent",),
    "deferred": ("sent",),
    "failed": ("attempted",),
}


class LifecycleStep(NamedTuple):
    """One event of a life cycle.

    Attributes:
        after_seconds: Seconds since the delivery was made; 0 or more.
        metric: What happened.
        object_type: The object type; `customer` for a change of the person.
        overrides: Fields of the event's `data` with the values to set.
    """

    after_seconds: float
    metric: str
    object_type: str
    overrides: Mapping[str, object] | None = None


@cache
def metrics(object_type: str) -> frozenset[str]:
    """Return the metrics of an object type."""
    return frozenset(
        event.metric for event in specification.events() if event.object_type == object_type
    )


def lifecycle(
    delivery: SimulatedDelivery, random: Random, *, full_resolution: bool = True
) -> list[LifecycleStep]:
    """Make the life cycle of a delivery: its steps, earliest first, the first at 0 seconds.

    Args:
        delivery: A delivery that has a message.
        random: The random generator.
        full_resolution: Whether every open and click is reported, or only the first of each.

    Raises:
        ValueError: The delivery has no message.
    """
    if delivery.message is None:
        raise ValueError("the delivery has no message, so it has no life cycle")
    builder = _LifecycleBuilder(delivery, delivery.message, random)
    builder.run()
    steps = sorted(builder.steps, key=lambda step: step.after_seconds)
    # The first step moves to 0 seconds, so that a delivery made now has an event that happened.
    start = steps[0].after_seconds
    steps = [step._replace(after_seconds=step.after_seconds - start) for step in steps]
    return steps if full_resolution else _first_opens_and_clicks(steps)


def path_to(object_type: str, metric: str) -> list[LifecycleStep]:
    """Return the shortest life cycle that ends with this event, two seconds between steps."""
    before = _PATHS.get(metric, ()) if object_type != "customer" else ()
    path = [step for step in before if step in metrics(object_type)]
    return [
        LifecycleStep(2.0 * index, name, object_type) for index, name in enumerate((*path, metric))
    ]


def event_of(
    delivery: SimulatedDelivery,
    step: LifecycleStep,
    *,
    at: datetime,
    random: Random,
    with_content: bool,
) -> Event:
    """Make the event of a step of a life cycle."""
    # A customer event that a message caused carries the object type of the message's channel.
    event = make_event(
        step.object_type,
        step.metric,
        random=random,
        at=at,
        delivery=delivery,
        overrides=step.overrides,
        reported_as=delivery.channel if step.object_type == "customer" else None,
        with_content=with_content,
    )
    if "delivery_type" in event:
        kept = random.choice(_CHANNEL_NAMES)
        for name in _CHANNEL_NAMES:
            if name != kept:
                del event[name]
    return event


def _first_opens_and_clicks(steps: list[LifecycleStep]) -> list[LifecycleStep]:
    """Leave out every open and click after the first one."""
    seen: set[str] = set()
    kept = []
    for step in steps:
        if step.metric in {"opened", "clicked"}:
            if step.metric in seen:
                continue
            seen.add(step.metric)
        kept.append(step)
    return kept


class _LifecycleBuilder:
    """Makes the life cycle of one delivery, step by step."""

    __slots__ = ("_delivery", "_known", "_message", "_random", "steps")

    def __init__(
        self, delivery: SimulatedDelivery, message: SimulatedMessage, random: Random
    ) -> None:
        self._delivery = delivery
        self._message = message
        self._random = random
        self._known = metrics(message.channel)
        self.steps: list[LifecycleStep] = []

    def run(self) -> None:
        """Make all steps. They are not sorted by time."""
        ending = self._unsent_ending()
        if ending is not None:
            self._end_unsent(ending)
            return
        sent_at = self._send()
        delivered_at = self._deliver(sent_at)
        if delivered_at is None:
            return
        if self._message.channel == "email":
            self._open_by_machine(delivered_at)
        if self._chance(self._message.opens):
            self._read(delivered_at + self._delay(40 * _MINUTE))
        if "replied" in self._known and self._chance(_REPLY_SHARE):
            self._add(delivered_at + self._delay(20 * _MINUTE), "replied")

    def _unsent_ending(self) -> str | None:
        """Return the last metric of a message that is never sent; None: it is sent."""
        roll = self._random.random()
        for metric, share in _NEVER_SENT:
            roll -= share
            if roll < 0:
                return metric if metric in self._known else "failed"
        return None

    def _end_unsent(self, ending: str) -> None:
        """Add the steps of a message that is never sent."""
        at = 0.0
        if ending == "failed":
            for _ in range(3):
                self._add(at, "attempted")
                at += self._delay(2 * _MINUTE)
        self._add(at, ending)

    def _send(self) -> float:
        """Add `sent`, in a few cases after a draft or a failed attempt; returns its time."""
        at = 0.0
        if self._chance(0.01):
            self._add(at, "drafted")
            at += self._delay(2 * _HOUR)
        if self._chance(0.006 * self._message.harm):
            self._add(at, "attempted")
            at += self._delay(_MINUTE)
        self._add(at, "sent")
        return at

    def _deliver(self, at: float) -> float | None:
        """Add `delivered` or `bounced`; returns None if the message does not arrive."""
        if self._chance(0.012 * self._message.harm):
            self._add(at + self._delay(8), "bounced")
            return None
        # A channel without the metric `delivered` reports nothing between sent and opened.
        if "delivered" not in self._known:
            return at
        if self._chance(0.015) and "deferred" in self._known:
            at += self._delay(5)
            self._add(at, "deferred")
            at += self._delay(15 * _MINUTE)
        if self._chance(0.02):
            return None
        at += self._delay(4)
        self._add(at, "delivered")
        return at

    def _open_by_machine(self, at: float) -> None:
        """Add the opens and clicks of mail software and security scanners."""
        mailbox = sample_workspace.mailbox(self._delivery.person)
        if mailbox == "prefetch" and self._chance(0.85):
            self._open(at + self._delay(5 * _MINUTE), prefetched=True, proxied=True)
        if mailbox == "scanner" and self._chance(0.3):
            at += self._delay(20)
            self._open(at, synthetic=True)
            for link in range(len(self._message.links)):
                self._click(at + link, link, machine=True)

    def _read(self, at: float) -> None:
        """Add what a person does: opens, clicks, conversion, unsubscribe."""
        mailbox = sample_workspace.mailbox(self._delivery.person)
        has_click = self._chance(self._message.clicks)
        clicked_at = at + self._delay(25)
        # Where images are blocked there is no open by a pixel: it is inferred from the click.
        if has_click and self._chance(0.08):
            self._open(clicked_at, synthetic=True)
        else:
            self._open(at, proxied=mailbox == "proxy")
        # A quarter of the readers open it again, each time hours later.
        later = at
        while self._chance(0.25):
            later += self._delay(5 * _HOUR)
            self._open(later, proxied=mailbox == "proxy")
        if has_click:
            links = len(self._message.links)
            self._click(clicked_at, self._random.randrange(links))
            if self._chance(0.15):
                self._click(clicked_at + self._delay(_MINUTE), self._random.randrange(links))
            if self._chance(self._message.converts):
                self._add(clicked_at + self._delay(20 * _MINUTE), "converted")
        if self._message.to is None:
            self._opt_out(at + self._delay(40))

    def _opt_out(self, at: float) -> None:
        """In a few cases, add a complaint, an unsubscribe or changed preferences."""
        # The last two are changes of the person, so they are customer events too.
        harm = self._message.harm
        if self._chance(0.0012 * harm):
            self._add(at, "spammed")
        if self._chance(0.006 * harm):
            self._add(at, "unsubscribed")
            self.steps.append(LifecycleStep(at + 1, "unsubscribed", "customer"))
        elif self._chance(0.004 * harm):
            changed = "cio_subscription_preferences_changed"
            self.steps.append(LifecycleStep(at + 1, changed, "customer"))

    def _open(self, at: float, **flags: bool) -> None:
        self._add(at, "opened", flags if self._message.channel == "email" else None)

    def _click(self, at: float, link: int, *, machine: bool = False) -> None:
        overrides: dict[str, object] = {"href": self._message.links[link], "link_id": link + 1}
        if machine:
            overrides["machine"] = True
        self._add(at, "clicked", overrides)

    def _add(self, at: float, metric: str, overrides: Mapping[str, object] | None = None) -> None:
        """Add a step, if the channel has this metric."""
        if metric in self._known:
            self.steps.append(LifecycleStep(at, metric, self._message.channel, overrides))

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _delay(self, median_seconds: float) -> float:
        """Return a random delay with this median; few are much longer, none over two days."""
        return min(self._random.lognormvariate(log(median_seconds), 1.0), 2 * _DAY)
