"""A workspace's traffic is what was asked for, in the order of sending."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.webhooks import specification
from databricks_app.events.decoding import read
from databricks_app.events.record import Record
from databricks_app.simulator.events.payload import Event
from databricks_app.simulator.events.traffic import Traffic, traffic

NOW = datetime(2026, 11, 22, 14, 20, tzinfo=UTC)
SMALL = Traffic(count=2000, now=NOW, people=300)


def share(events: list[Event], metric: str, of: str, campaign: int) -> float:
    """Deliveries of a campaign's e-mails with one metric, of those with another."""
    ids: dict[str, set[str]] = defaultdict(set)
    for event in events:
        if event.get("object_type") == "email" and event["data"].get("campaign_id") == campaign:
            ids[event["metric"]].add(event["data"]["delivery_id"])
    return len(ids[metric] & ids[of]) / len(ids[of])


@given(
    count=st.integers(1, 400),
    days=st.floats(0.001, 400),
    seed=st.integers(0, 2**64),
    now=st.datetimes(datetime(2013, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001  # UTC follows
)
@settings(max_examples=40, deadline=None)
def test_traffic_has_the_wanted_count_within_its_days(
    count: int, days: float, seed: int, now: datetime
) -> None:
    """Whatever the span: that many different events, in order of time, none outside of it."""
    end = now.replace(tzinfo=UTC)

    events = list(traffic(Traffic(count=count, now=end, days=days, seed=seed, people=20)))

    times = [event["timestamp"] for event in events]
    assert len({event["event_id"] for event in events}) == count
    assert times == sorted(times)
    assert int(end.timestamp() - days * 86400) <= times[0]
    assert times[-1] <= end.timestamp()


def test_traffic_is_the_same_for_the_same_seed_in_another_process() -> None:
    """Neither hash seeds nor the clock change what is made."""
    code = (
        "import hashlib, json; from datetime import UTC, datetime;"
        "from databricks_app.simulator.events.traffic import Traffic, traffic;"
        "now = datetime(2026, 11, 22, 14, 20, tzinfo=UTC);"
        "made = list(traffic(Traffic(count=300, now=now, every_kind=True, late=.1, repeat=.1)));"
        "print(hashlib.sha256(json.dumps(made).encode()).hexdigest())"
    )

    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": hash_seed},
        ).stdout
        for hash_seed in ("1", "2")
    }

    assert len(digests) == 1


def test_traffic_differs_by_seed() -> None:
    """Another seed shares no id."""
    first, second = (
        {event["event_id"] for event in traffic(replace(SMALL, seed=seed))} for seed in (1, 2)
    )

    assert first & second == set()


def test_traffic_with_every_kind_has_all_the_facts_know() -> None:
    """Each pair of object type and metric is on the wire at least once."""
    events = traffic(replace(SMALL, count=200, every_kind=True))

    kinds = {(event.get("object_type"), event["metric"]) for event in events}
    assert {(kind.object_type, kind.metric) for kind in specification.events()} <= kinds


def test_traffic_with_every_kind_says_which_count_it_takes() -> None:
    """Too small a count is refused before anything is sent."""
    with pytest.raises(ValueError, match=r"at least \d+"):
        traffic(replace(SMALL, count=20, every_kind=True))


def test_traffic_sends_late_events_after_younger_ones() -> None:
    """Late events keep their time and lose none of their number."""
    events = list(traffic(replace(SMALL, late=0.2)))

    times = [event["timestamp"] for event in events]
    late = sum(time < newest for time, newest in zip(times[1:], times, strict=False))
    assert len({event["event_id"] for event in events}) == 2000
    assert late > 200


def test_traffic_repeats_events_as_they_were() -> None:
    """A repeated event is the same, id and all, and comes on top of the count."""
    events = list(traffic(replace(SMALL, repeat=0.1)))

    times_sent = Counter(event["event_id"] for event in events)
    different = {repr(event) for event in events}
    assert len(times_sent) == 2000
    assert len(different) == 2000
    assert 120 < sum(times_sent.values()) - 2000 < 280


def test_traffic_carries_content_only_if_wanted_and_only_when_sent() -> None:
    """The message itself is in `sent` events, and topics in changed preferences."""
    without = traffic(SMALL)
    with_it = list(traffic(replace(SMALL, with_content=True)))

    carrying = {event["metric"] for event in with_it if "content" in event["data"]}
    assert not any("content" in event["data"] for event in without)
    assert carrying == {"sent", "cio_subscription_preferences_changed"}


def test_traffic_names_the_channel_of_changed_preferences_in_three_ways() -> None:
    """Each such event has one of the three spellings that were published."""
    wanted = replace(SMALL, count=12_000)

    spellings = Counter(
        tuple(sorted({"object_type", "object_type_type", "delivery_type"} & event.keys()))
        for event in traffic(wanted)
        if event["metric"] == "cio_subscription_preferences_changed"
    )

    assert spellings.keys() == {("object_type",), ("object_type_type",), ("delivery_type",)}


def test_traffic_has_campaigns_that_fare_differently() -> None:
    """A welcome is opened far more often than a plea to people who left; most mail arrives."""
    events = list(traffic(Traffic(count=15_000, now=NOW, days=20)))

    assert share(events, "delivered", "sent", 101) > 0.93
    assert share(events, "opened", "delivered", 101) > 0.55
    assert share(events, "opened", "delivered", 103) < 0.45
    assert share(events, "bounced", "sent", 103) > share(events, "bounced", "sent", 101)


def test_traffic_has_journeys_of_several_messages() -> None:
    """Later messages of a campaign share the journey of the first."""
    deliveries: dict[str, set[str]] = defaultdict(set)
    for event in traffic(replace(SMALL, count=5000)):
        if "journey_id" in event["data"]:
            deliveries[event["data"]["journey_id"]].add(event["data"]["delivery_id"])

    assert max(map(len, deliveries.values())) >= 3


def test_traffic_is_busier_by_day_than_by_night() -> None:
    """Hours differ as they do for people."""
    hours = Counter(
        event["timestamp"] // 3600 % 24 for event in traffic(replace(SMALL, count=6000, days=28))
    )

    assert hours[17] > 2 * hours[3]


def test_traffic_is_read_into_rows_without_a_note() -> None:
    """Every made-up event has a table, no unknown field, and no value that a column refuses."""
    for event in traffic(replace(SMALL, with_content=True, every_kind=True)):
        body = json.dumps(event).encode()

        reading = read(Record(body, NOW, str(event["timestamp"]), "00000000", len(body)))

        assert reading.typed is not None
        assert reading.typed["reading_notes"] is None
        assert reading.unknown_fields == ()
