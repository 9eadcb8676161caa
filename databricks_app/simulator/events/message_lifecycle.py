"""The life cycle of a message: which events its delivery has, and when.

Pure: all chance comes from the `Random` that is passed in. The rates are those of a healthy
sender with one neglected campaign; delays are medians seen in the trade, stretched by chance.
Metrics that a channel does not report are left out by asking `core.webhooks.specification`.
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

# Before a message leaves: (the metric that ends its life cycle, share of deliveries).
_NEVER_SENT = (("dropped", 0.012), ("undeliverable", 0.005), ("failed", 0.003), ("drafted", 0.002))
_REPLY_SHARE = 0.06
_CHANNEL_NAMES = ("object_type", "object_type_type", "delivery_type")
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
        after_seconds: Since the delivery was made; 0 or more.
        metric: What happened.
        own: Fields of the event's `data` that shall have these values.
        object_type: The kind of event; `customer` for what a message made a person change.
    """

    after_seconds: float
    metric: str
    object_type: str
    own: Mapping[str, object] | None = None


@cache
def metrics(object_type: str) -> frozenset[str]:
    """The metrics that an object type reports."""
    return frozenset(
        event.metric for event in specification.events() if event.object_type == object_type
    )


def lifecycle(
    delivery: SimulatedDelivery, random: Random, *, full_resolution: bool = True
) -> list[LifecycleStep]:
    """Make up the life cycle of a delivery: its steps, earliest first, the first at 0 seconds.

    Args:
        delivery: One that has a message.
        random: All chance.
        full_resolution: Whether every open and click is reported, or the first of each only.
    """
    if delivery.message is None:
        raise ValueError("only a message has a life cycle")
    made = _Lifecycle(delivery, delivery.message, random)
    made.run()
    steps = sorted(made.steps, key=lambda step: step.after_seconds)
    return _in_order(steps if full_resolution else _first_of_each(steps))


def path_to(object_type: str, metric: str) -> list[LifecycleStep]:
    """The shortest life cycle that has an event of this kind, two seconds between steps."""
    before = _PATHS.get(metric, ()) if object_type != "customer" else ()
    path = [step for step in before if step in metrics(object_type)]
    return [
        LifecycleStep(2.0 * place, name, object_type) for place, name in enumerate((*path, metric))
    ]


def event_of(
    delivery: SimulatedDelivery,
    step: LifecycleStep,
    *,
    at: datetime,
    random: Random,
    with_content: bool,
) -> Event:
    """Make the event of a step of a life cycle.

    A customer event is reported under the channel that caused it; changed preferences state the
    channel once, under one of the three names that were seen for it.
    """
    event = make_event(
        step.object_type,
        step.metric,
        random=random,
        at=at,
        delivery=delivery,
        own=step.own,
        reported_as=delivery.channel if step.object_type == "customer" else None,
        with_content=with_content,
    )
    if "delivery_type" in event:
        kept = random.choice(_CHANNEL_NAMES)
        for name in _CHANNEL_NAMES:
            if name != kept:
                del event[name]
    return event


def _in_order(steps: list[LifecycleStep]) -> list[LifecycleStep]:
    """Begin at 0 seconds, so that a delivery made now has happened already."""
    start = steps[0].after_seconds
    return [step._replace(after_seconds=step.after_seconds - start) for step in steps]


def _first_of_each(steps: list[LifecycleStep]) -> list[LifecycleStep]:
    seen: set[str] = set()
    kept = []
    for step in steps:
        if step.metric in {"opened", "clicked"}:
            if step.metric in seen:
                continue
            seen.add(step.metric)
        kept.append(step)
    return kept


class _Lifecycle:
    """The life cycle of one delivery while it is being made up."""

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
        ending = self._ending()
        if ending is not None:
            self._end_unsent(ending)
            return
        sent_at = self._send()
        delivered_at = self._deliver(sent_at)
        if delivered_at is None:
            return
        if self._message.channel == "email":
            self._machines(delivered_at)
        if self._chance(self._message.opens):
            self._read(delivered_at + self._delay(40 * _MINUTE))
        if "replied" in self._known and self._chance(_REPLY_SHARE):
            self._add(delivered_at + self._delay(20 * _MINUTE), "replied")

    def _ending(self) -> str | None:
        roll = self._random.random()
        for metric, share in _NEVER_SENT:
            roll -= share
            if roll < 0:
                return metric if metric in self._known else "failed"
        return None

    def _end_unsent(self, ending: str) -> None:
        """End a life cycle before anything was sent; a draft may wait for its sender for ever."""
        at = 0.0
        if ending == "failed":
            for _ in range(3):
                self._add(at, "attempted")
                at += self._delay(2 * _MINUTE)
        self._add(at, ending)

    def _send(self) -> float:
        """Send, perhaps as a draft that somebody released, perhaps after a vain try."""
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
        """Deliver; None where the message bounced or never arrived."""
        if self._chance(0.012 * self._message.harm):
            self._add(at + self._delay(8), "bounced")
            return None
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

    def _machines(self, at: float) -> None:
        """Open and click as mailboxes do by themselves."""
        mailbox = sample_workspace.mailbox(self._delivery.person)
        if mailbox == "prefetch" and self._chance(0.85):
            self._open(at + self._delay(5 * _MINUTE), prefetched=True, proxied=True)
        if mailbox == "scanner" and self._chance(0.3):
            at += self._delay(20)
            self._open(at, synthetic=True)
            for link in range(len(self._message.links)):
                self._click(at + link, link, machine=True)

    def _read(self, at: float) -> None:
        """Let a person open the message, once or more, and do what it asks, or leave."""
        mailbox = sample_workspace.mailbox(self._delivery.person)
        has_click = self._chance(self._message.clicks)
        clicked_at = at + self._delay(25)
        if has_click and self._chance(0.08):  # images are blocked: the open shows by the click
            self._open(clicked_at, synthetic=True)
        else:
            self._open(at, proxied=mailbox == "proxy")
        later = at
        while self._chance(0.25):
            later += self._delay(5 * _HOUR)
            self._open(later, proxied=mailbox == "proxy")
        if has_click:
            self._act(clicked_at)
        if self._message.to is None:
            self._leave(at + self._delay(40))

    def _act(self, at: float) -> None:
        self._click(at, self._random.randrange(len(self._message.links)))
        if self._chance(0.15):
            self._click(at + self._delay(_MINUTE), self._random.randrange(len(self._message.links)))
        if self._chance(self._message.converts):
            self._add(at + self._delay(20 * _MINUTE), "converted")

    def _leave(self, at: float) -> None:
        """Complain, unsubscribe or choose other topics; the last two show on the person too."""
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
        own: dict[str, object] = {"href": self._message.links[link], "link_id": link + 1}
        if machine:
            own["machine"] = True
        self._add(at, "clicked", own)

    def _add(self, at: float, metric: str, own: Mapping[str, object] | None = None) -> None:
        if metric in self._known:
            self.steps.append(LifecycleStep(at, metric, self._message.channel, own))

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _delay(self, median_seconds: float) -> float:
        """A waiting time: half are shorter than the median, few very long, none over two days."""
        return min(self._random.lognormvariate(log(median_seconds), 1.0), 2 * _DAY)
