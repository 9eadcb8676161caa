"""The delivery engine: sends messages to people, and schedules the events of each message.

Each message has its own random generator, seeded by its number. So its life cycle depends only on
the seed and on how many messages were sent before it, not on the speed of the clock.
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

# The links in the content of a call are the links that people click.
_HREF = re.compile(r'href="(https?://[^"]+)"')


@dataclass(frozen=True, slots=True)
class SendOptions:
    """How one message is sent.

    Attributes:
        content: The content given in the call; None: the content of the template.
        is_draft: Whether it stays a draft; no draft is ever released here.
        is_blocked: Whether this person must not get it.
        is_tracked: Whether opens and clicks are recorded.
        trigger_id: Id of the broadcast run that sends it.
        recipient: The address given in the call; None: the person's own address.
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
        number: Number of the message in this simulation, from 1.
        delivery: The delivery that its events describe.
        created_at: When it was sent, in Unix seconds.
        content: The content given in the call; None: the content of the template.
        recipient: The address given in the call; None: the person's own address.
        template_id: Id of the transactional message that it was made from.
        metrics: For each metric the time of its first event, in Unix seconds.
        failure_message: The newest failure message.
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
        event_count: How many events have happened.
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
        self.event_count = 0

    def send(
        self,
        profile: Profile,
        source: Source,
        message: SimulatedMessage,
        at: float,
        options: SendOptions | None = None,
    ) -> SentMessage:
        """Send a message at `at`, in Unix seconds, and schedule its events."""
        options = options or SendOptions()
        number = len(self.sent) + 1
        random = Random(f"{self._seed}/message/{number}")  # noqa: S311  # imitates people
        if options.content is not None:
            message = replace(message, links=tuple(_HREF.findall(options.content)) or message.links)
        delivery = make_delivery(random, profile.as_person(), source, message, seconds=at)
        if not source.id:  # an e-mail with its own content has no template, so no id
            delivery = replace(delivery, source_id=None)
        if options.trigger_id is not None:
            delivery = replace(delivery, trigger_id=options.trigger_id)
        sent = SentMessage(number, delivery, int(at), options.content, options.recipient)
        self.sent[sent.id] = sent
        for step in _steps(delivery, message, options, random):
            then = at + step.after_seconds
            event = self._event(delivery, step, then, random)
            # The recipient of a reply is the sender's number, not the address given in the call.
            is_reply = step.metric == "replied"
            if options.recipient is not None and not is_reply and "recipient" in event["data"]:
                event["data"]["recipient"] = options.recipient
            self._scheduler.add(then, partial(self._happen, sent, step, event))
        return sent

    def report_metric(
        self, sent: SentMessage, metric: str, at: float, overrides: dict[str, Any] | None = None
    ) -> bool:
        """Report a metric of a message now; returns False if its channel does not have it."""
        channel = str(sent.delivery.channel)
        if metric not in metrics(channel):
            return False
        step = LifecycleStep(0.0, metric, channel, overrides)
        self._happen(sent, step, self._event(sent.delivery, step, at, self._next_random()), at)
        return True

    def report_change(
        self, profile: Profile, metric: str, at: float, overrides: dict[str, Any] | None = None
    ) -> None:
        """Report a change of a person that no message caused."""
        step = LifecycleStep(0.0, metric, "customer", overrides)
        delivery = SimulatedDelivery(profile.as_person())
        self._publish(step, self._event(delivery, step, at, self._next_random()), True, at)

    def report_sample(self, object_type: str, metric: str, at: float) -> int:
        """Report a sample event about nothing in the workspace; returns how many webhooks got it.

        Raises:
            KeyError: The specification has no such pair of object type and metric.
        """
        kind = specification.event(object_type, metric)
        event = make_event(
            kind.object_type,
            kind.metric,
            random=self._next_random(),
            at=datetime.fromtimestamp(at, UTC),
            with_content=True,
        )
        self.event_count += 1
        return self._feeds.publish(Report(kind.subscribe, event), at)

    def _next_random(self) -> Random:
        self._changes += 1
        return Random(f"{self._seed}/change/{self._changes}")  # noqa: S311  # imitates people

    def _event(
        self, delivery: SimulatedDelivery, step: LifecycleStep, at: float, random: Random
    ) -> Event:
        when = datetime.fromtimestamp(at, UTC)
        return event_of(delivery, step, at=when, random=random, with_content=True)

    def _happen(self, sent: SentMessage, step: LifecycleStep, event: Event, at: float) -> None:
        """Apply an event to its message or person, then publish it."""
        is_first = True
        if step.object_type == "customer":
            profile = self._people.find(sent.delivery.person.cio_id, "cio_id")
            if profile is not None and step.metric == "unsubscribed":
                self._people.put(profile, {"unsubscribed": True}, at)
        else:
            is_first = step.metric not in sent.metrics
            sent.metrics.setdefault(step.metric, int(at))
            sent.failure_message = event["data"].get("failure_message", sent.failure_message)
        self._publish(step, event, is_first, at)

    def _publish(self, step: LifecycleStep, event: Event, is_first: bool, at: float) -> None:
        self.event_count += 1
        name = specification.event(step.object_type, step.metric).subscribe
        self._feeds.publish(Report(name, event, is_first), at)


def _steps(
    delivery: SimulatedDelivery, message: SimulatedMessage, options: SendOptions, random: Random
) -> list[LifecycleStep]:
    """Return the life cycle of a message that is sent with these options."""
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
        step._replace(overrides={**(step.overrides or {}), **content})
        if step.metric == "sent"
        else step
        for step in steps
    ]
