"""Life cycles of messages are plausible: their order, their endings, and what machines do."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from core.webhooks import specification
from databricks_app.simulator.events.message_lifecycle import (
    LifecycleStep,
    lifecycle,
    metrics,
    path_to,
)
from databricks_app.simulator.events.payload import SimulatedDelivery, make_delivery
from databricks_app.simulator.events.sample_workspace import (
    SOURCES,
    SimulatedMessage,
    Source,
    mailbox,
    make_person,
)

_ENDS = {"bounced", "dropped", "failed", "undeliverable"}


def life_cycles_on(
    channel: str, count: int, *, full_resolution: bool = True
) -> list[list[LifecycleStep]]:
    """Make life cycles of deliveries on a channel, from all sources of the channel."""
    random = Random(11)
    messages = [
        (source, message)
        for source in SOURCES
        for message in source.messages
        if message.channel == channel
    ]
    return [
        lifecycle(
            make_delivery(
                random, make_person(random, n), *messages[n % len(messages)], seconds=1e9
            ),
            random,
            full_resolution=full_resolution,
        )
        for n in range(count)
    ]


@pytest.mark.parametrize(
    "channel", ["email", "sms", "push", "in_app", "slack", "webhook", "whatsapp"]
)
def test_life_cycle_has_only_metrics_of_its_channel_in_order_of_time(channel: str) -> None:
    """All metrics are in the specification of the channel, earliest first, from second 0 on."""
    for cycle in life_cycles_on(channel, 300):
        times = [step.after_seconds for step in cycle]
        assert times == sorted(times)
        assert times[0] == 0
        for step in cycle:
            assert step.metric in metrics(step.object_type)
            assert step.object_type in {channel, "customer"}


def test_life_cycle_sends_at_most_once_and_opens_only_what_was_delivered() -> None:
    """An e-mail is delivered only if it was sent, and opened only if it was delivered."""
    for cycle in life_cycles_on("email", 2000):
        names = Counter(step.metric for step in cycle if step.object_type == "email")
        assert names["sent"] <= 1
        assert names["delivered"] <= names["sent"]
        if names["opened"] or names["clicked"] or names["unsubscribed"]:
            assert names["delivered"] == 1


def test_life_cycle_ends_after_a_bounce_or_without_a_send() -> None:
    """Nothing follows `bounced`, `dropped`, `failed` or `undeliverable`."""
    ends = Counter()
    for cycle in life_cycles_on("email", 3000):
        for place, step in enumerate(cycle):
            if step.metric in _ENDS:
                ends[step.metric] += 1
                assert place == len(cycle) - 1

    assert ends.keys() == _ENDS


def test_life_cycle_flags_machine_opens_and_clicks() -> None:
    """Opens by prefetch and proxy, inferred opens, and clicks by scanners have their flags."""
    steps = [step for cycle in life_cycles_on("email", 3000) for step in cycle]

    flags = Counter(
        name for step in steps for name, value in (step.overrides or {}).items() if value
    )

    assert flags["prefetched"] > 400
    assert flags["proxied"] > 400
    assert flags["synthetic"] > 50
    assert flags["machine"] > 50


def test_life_cycle_in_a_scanned_mailbox_clicks_every_link() -> None:
    """A company's scanner follows all links of a message, or it does nothing."""
    links = tuple(f"https://www.example.com/{number}" for number in range(4))
    message = SimulatedMessage("email", "Hello", links=links, opens=0.0)
    random = Random(3)
    people = (make_person(random, number) for number in range(5000))
    scanned = [person for person in people if mailbox(person) == "scanner"][:60]
    source = Source("transactional", 1, (message,), 1)

    clicked = [
        [step.overrides["link_id"] for step in cycle if step.metric == "clicked" and step.overrides]
        for person in scanned
        for cycle in [
            lifecycle(make_delivery(random, person, source, message, seconds=1e9), random)
        ]
    ]

    assert {tuple(links) for links in clicked} == {(), (1, 2, 3, 4)}


def test_life_cycle_unsubscribes_the_person_with_the_message() -> None:
    """An unsubscribe is an e-mail event and, a second later, a customer event."""
    for cycle in life_cycles_on("email", 5000):
        by_mail = [step for step in cycle if step[1:3] == ("unsubscribed", "email")]
        by_person = [step for step in cycle if step[1:3] == ("unsubscribed", "customer")]
        assert [step.after_seconds + 1 for step in by_mail] == pytest.approx(
            [step.after_seconds for step in by_person]
        )


def test_life_cycle_without_full_resolution_keeps_first_opens_and_clicks() -> None:
    """Each delivery has at most one open and one click."""
    for cycle in life_cycles_on("email", 1000, full_resolution=False):
        names = Counter(step.metric for step in cycle)
        assert names["opened"] <= 1
        assert names["clicked"] <= 1


def test_lifecycle_needs_a_message() -> None:
    """A delivery without a message has no life cycle."""
    with pytest.raises(ValueError, match="message"):
        lifecycle(SimulatedDelivery(make_person(Random(1), 1)), Random(1))


def test_path_to_ends_with_the_requested_metric() -> None:
    """For each kind of event the path ends with it and has only metrics of the object type."""
    wrong = {}
    for kind in specification.events():
        names = [step.metric for step in path_to(kind.object_type, kind.metric)]
        if names[-1] != kind.metric or not set(names) <= metrics(kind.object_type):
            wrong[kind.object_type, kind.metric] = names

    assert wrong == {}


def test_path_to_a_click_contains_delivery_and_open() -> None:
    """A message is clicked only after it was delivered and opened."""
    assert [step.metric for step in path_to("email", "clicked")] == [
        "sent",
        "delivered",
        "opened",
        "clicked",
    ]
