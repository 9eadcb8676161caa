"""Sends messages to people, and lets them cause what messages cause.

Each message has its own chance, seeded by its number: what becomes of it depends on nothing but
the seed and how many messages went before, not on the speed of the clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from core.webhooks import specification
from databricks_app.simulator.events.message_lifecycle import (
    LifecycleStep,
    event_of,
    lifecycle,
    metrics,
)
from databricks_app.simulator.events.payload import SimulatedDelivery, make_delivery, make_event
from databricks_app.simulator.feeds import Feeds, Report

if TYPE_CHECKING:
    from databricks_app.simulator.events.payload import Event
    from databricks_app.simulator.events.sample_workspace import SimulatedMessage, Source
    from databricks_app.simulator.people import Profile, SimulatedPeople
    from databricks_app.simulator.scheduler import Scheduler

_HREF = re.compile(r'href="(https?://[^"]+)"')


@dataclass(frozen=True, slots=True)
class SendOptions:
    """How one message is sent.

    Attributes:
        content: Its content, where a call brought its own.
        is_draft: Whether it waits for a person to release it, which nobody does here.
        is_blocked: Whether it may not be sent to this person.
        is_tracked: Whether opens and clicks are noticed.
        trigger_id: Which run of a broadcast sends it.
        recipient: Where a call sends it; None: to the person's own address.
    """

    content: str | None = None
    is_draft: bool = False
    is_blocked: bool = False
    is_tracked: bool = True
    trigger_id: int | None = None
    recipient: str | None = None


@dataclass(slots=True)
class SentMessage:
    """A message to a person.

    Attributes:
        number: Counts the messages, from 1.
        delivery: What its events are about.
        created_at: Unix seconds.
        content: Its content, where a call brought its own.
        recipient: Where a call sent it; None: to the person's own address.
        template_id: Of a transactional message.
        metrics: When each metric came first, in Unix seconds.
        failure_message: The newest.
    """

    number: int
    delivery: SimulatedDelivery
    created_at: int
    content: str | None = None
    recipient: str | None = None
    template_id: int | None = None
    metrics: dict[str, int] = field(default_factory=dict)
    failure_message: str | None = None

    @property
    def id(self) -> str:
        """The delivery id."""
        return str(self.delivery.delivery_id)


class DeliveryEngine:
    """Sends messages and schedules their events.

    Attributes:
        sent: Every message by its delivery id, oldest first.
        reports: How many events have happened.
    """

    def __init__(
        self, seed: int, scheduler: Scheduler, feeds: Feeds, people: SimulatedPeople
    ) -> None:
        self._seed = seed
        self._scheduler = scheduler
        self._feeds = feeds
        self._people = people
        self._changes = 0
        self.sent: dict[str, SentMessage] = {}
        self.reports = 0

    def send(
        self,
        profile: Profile,
        source: Source,
        message: SimulatedMessage,
        at: float,
        options: SendOptions | None = None,
    ) -> SentMessage:
        """Send a message and plan what it causes; nothing has happened before `at`."""
        options = options or SendOptions()
        number = len(self.sent) + 1
        random = Random(f"{self._seed}/message/{number}")  # noqa: S311  # imitates people
        if options.content is not None:
            message = replace(message, links=tuple(_HREF.findall(options.content)) or message.links)
        delivery = make_delivery(random, profile.as_person(), source, message, seconds=at)
        if not source.id:  # an e-mail with its own content has no template to name
            delivery = replace(delivery, source_id=None)
        if options.trigger_id is not None:
            delivery = replace(delivery, trigger_id=options.trigger_id)
        sent = SentMessage(number, delivery, int(at), options.content, options.recipient)
        self.sent[sent.id] = sent
        for step in _steps(delivery, message, options, random):
            then = at + step.after_seconds
            event = self._event(delivery, step, then, random)
            if options.recipient is not None and step.metric != "replied":
                _address(event, options.recipient)
            self._scheduler.add(then, partial(self._happen, sent, step, event))
        return sent

    def report(
        self, sent: SentMessage, metric: str, at: float, own: dict[str, Any] | None = None
    ) -> bool:
        """Let something happen to a message now; False if its channel knows no such thing."""
        channel = str(sent.delivery.channel)
        if metric not in metrics(channel):
            return False
        step = LifecycleStep(0.0, metric, channel, own)
        self._happen(sent, step, self._event(sent.delivery, step, at, self._next_chance()), at)
        return True

    def announce(
        self, profile: Profile, metric: str, at: float, own: dict[str, Any] | None = None
    ) -> None:
        """Report a change of a person that no message caused."""
        step = LifecycleStep(0.0, metric, "customer", own)
        delivery = SimulatedDelivery(profile.as_person())
        self._publish(step, self._event(delivery, step, at, self._next_chance()), True, at)

    def announce_kind(self, object_type: str, metric: str, at: float) -> int:
        """Report a made-up event of this kind; returns to how many webhooks.

        Raises:
            KeyError: The facts do not know the pair.
        """
        kind = specification.event(object_type, metric)
        random = self._next_chance()
        event = sample(kind, at, random)
        self.reports += 1
        return self._feeds.publish(Report(kind.subscribe, event), at)

    def _next_chance(self) -> Random:
        self._changes += 1
        return Random(f"{self._seed}/change/{self._changes}")  # noqa: S311  # imitates people

    def _event(
        self, delivery: SimulatedDelivery, step: LifecycleStep, at: float, random: Random
    ) -> Event:
        when = datetime.fromtimestamp(at, UTC)
        return event_of(delivery, step, at=when, random=random, with_content=True)

    def _happen(self, sent: SentMessage, step: LifecycleStep, event: Event, at: float) -> None:
        is_first = True
        if step.object_type == "customer":
            self._change(sent, step.metric, at)
        else:
            is_first = step.metric not in sent.metrics
            sent.metrics.setdefault(step.metric, int(at))
            sent.failure_message = event["data"].get("failure_message", sent.failure_message)
        self._publish(step, event, is_first, at)

    def _change(self, sent: SentMessage, metric: str, at: float) -> None:
        profile = self._people.find(sent.delivery.person.cio_id, "cio_id")
        if profile is not None and metric == "unsubscribed":
            self._people.put(profile, {"unsubscribed": True}, at)

    def _publish(self, step: LifecycleStep, event: Event, is_first: bool, at: float) -> None:
        self.reports += 1
        name = specification.event(step.object_type, step.metric).subscribe
        self._feeds.publish(Report(name, event, is_first), at)


def sample(kind: specification.EventKind, at: float, random: Random) -> Event:
    """Make an event of a kind that is about nothing in the workspace."""
    when = datetime.fromtimestamp(at, UTC)
    return make_event(kind.object_type, kind.metric, random=random, at=when, with_content=True)


def _address(event: Event, recipient: str) -> None:
    if "recipient" in event["data"]:
        event["data"]["recipient"] = recipient


def _steps(
    delivery: SimulatedDelivery, message: SimulatedMessage, options: SendOptions, random: Random
) -> list[LifecycleStep]:
    """The life cycle of a message under these options."""
    if options.is_draft:
        return [LifecycleStep(0.0, "drafted", message.channel)]
    if options.is_blocked:
        return [LifecycleStep(0.0, "undeliverable", message.channel)]
    steps = lifecycle(delivery, random)
    if not options.is_tracked:
        steps = [step for step in steps if step.metric not in {"opened", "clicked"}]
    if options.content is None:
        return steps
    content = {"content": options.content}
    return [
        step._replace(own={**(step.own or {}), **content}) if step.metric == "sent" else step
        for step in steps
    ]
