"""Life cycles of deliveries are plausible: their order, their ends, and what machines do."""

# seeded chance makes tests repeatable; it protects nothing

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
    """Life cycles of deliveries on a channel, spread over its sources."""
    random = Random(11)
    fitting = [
        (source, message)
        for source in SOURCES
        for message in source.messages
        if message.channel == channel
    ]
    return [
        lifecycle(
            make_delivery(random, make_person(random, n), *fitting[n % len(fitting)], seconds=1e9),
            random,
            full_resolution=full_resolution,
        )
        for n in range(count)
    ]


@pytest.mark.parametrize(
    "channel", ["email", "sms", "push", "in_app", "slack", "webhook", "whatsapp"]
)
def test_live_has_only_metrics_of_its_channel_in_order_of_time(channel: str) -> None:
    """A channel reports what the facts say it can, earliest first, from second 0 on."""
    for cycle in life_cycles_on(channel, 300):
        times = [step.after_seconds for step in cycle]
        assert times == sorted(times)
        assert times[0] == 0
        for step in cycle:
            assert step.metric in metrics(step.object_type)
            assert step.object_type in {channel, "customer"}


def test_live_sends_at_most_once_and_reads_only_what_was_delivered() -> None:
    """No e-mail is opened that did not arrive, and none arrives that was not sent."""
    for cycle in life_cycles_on("email", 2000):
        names = Counter(step.metric for step in cycle if step.object_type == "email")
        assert names["sent"] <= 1
        assert names["delivered"] <= names["sent"]
        if names["opened"] or names["clicked"] or names["unsubscribed"]:
            assert names["delivered"] == 1


def test_live_ends_where_a_message_bounced_or_was_never_sent() -> None:
    """What bounced, was dropped, failed or was undeliverable has nothing after that."""
    ends = Counter()
    for cycle in life_cycles_on("email", 3000):
        for place, step in enumerate(cycle):
            if step.metric in _ENDS:
                ends[step.metric] += 1
                assert place == len(cycle) - 1

    assert ends.keys() == _ENDS


def test_live_shows_machine_opens_apart_from_those_of_people() -> None:
    """Prefetchers, proxies, scanners and inferred opens are all flagged as such."""
    steps = [step for cycle in life_cycles_on("email", 3000) for step in cycle if step.own]

    flags = Counter(name for step in steps for name, value in (step.own or {}).items() if value)

    assert flags["prefetched"] > 400
    assert flags["proxied"] > 400
    assert flags["synthetic"] > 50
    assert flags["machine"] > 50


def test_live_of_a_scanned_mailbox_clicks_every_link() -> None:
    """A company's scanner follows all links of a message, at most seconds apart."""
    links = tuple(f"https://www.example.com/{number}" for number in range(4))
    message = SimulatedMessage("email", "Hello", links=links, opens=0.0)
    random = Random(3)
    people = (make_person(random, number) for number in range(5000))
    scanned = [person for person in people if mailbox(person) == "scanner"][:60]
    source = Source("transactional", 1, (message,), 1)

    clicked = [
        [step.own["link_id"] for step in cycle if step.metric == "clicked" and step.own]
        for person in scanned
        for cycle in [
            lifecycle(make_delivery(random, person, source, message, seconds=1e9), random)
        ]
    ]

    assert {tuple(links) for links in clicked} == {(), (1, 2, 3, 4)}


def test_live_unsubscribes_the_person_with_the_message() -> None:
    """An unsubscribe by e-mail shows under the message and, a second later, under the person."""
    for cycle in life_cycles_on("email", 5000):
        by_mail = [step for step in cycle if step[1:3] == ("unsubscribed", "email")]
        by_person = [step for step in cycle if step[1:3] == ("unsubscribed", "customer")]
        assert [step.after_seconds + 1 for step in by_mail] == pytest.approx(
            [step.after_seconds for step in by_person]
        )


def test_live_without_full_resolution_keeps_first_opens_and_clicks() -> None:
    """Each delivery reports one open and one click at most."""
    for cycle in life_cycles_on("email", 1000, full_resolution=False):
        names = Counter(step.metric for step in cycle)
        assert names["opened"] <= 1
        assert names["clicked"] <= 1


def test_live_needs_a_message() -> None:
    """A change of a person is no step of a message."""
    with pytest.raises(ValueError, match="message"):
        lifecycle(SimulatedDelivery(make_person(Random(1), 1)), Random(1))


@pytest.mark.parametrize(
    "kind", specification.events(), ids=lambda kind: f"{kind.object_type}-{kind.metric}"
)
def test_path_to_ends_with_the_metric_that_was_asked_for(kind: specification.EventKind) -> None:
    """Every known kind of event can be reached, by way of known kinds."""
    path = path_to(kind.object_type, kind.metric)

    assert path[-1].metric == kind.metric
    assert {step.metric for step in path} <= metrics(kind.object_type)


def test_path_to_a_click_passes_delivery_and_open() -> None:
    """Nothing is clicked that was not delivered and opened."""
    assert [step.metric for step in path_to("email", "clicked")] == [
        "sent",
        "delivered",
        "opened",
        "clicked",
    ]
