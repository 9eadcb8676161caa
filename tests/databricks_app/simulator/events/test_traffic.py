"""The traffic of a workspace has the requested events, in the order of sending."""

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
    """Return the share of a campaign's deliveries with metric `of` that have `metric` too."""
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
def test_traffic_has_the_requested_count_within_its_days(
    count: int, days: float, seed: int, now: datetime
) -> None:
    """For any period: exactly `count` different events, in order of time, all within it."""
    end = now.replace(tzinfo=UTC)

    events = list(traffic(Traffic(count=count, now=end, days=days, seed=seed, people=20)))

    times = [event["timestamp"] for event in events]
    assert len({event["event_id"] for event in events}) == count
    assert times == sorted(times)
    assert int(end.timestamp() - days * 86400) <= times[0]
    assert times[-1] <= end.timestamp()


def test_traffic_is_the_same_for_the_same_seed_in_another_process() -> None:
    """Hash seeds and the clock do not change the events."""
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
    """Traffic of another seed has no id in common."""
    first, second = (
        {event["event_id"] for event in traffic(replace(SMALL, seed=seed))} for seed in (1, 2)
    )

    assert first & second == set()


def test_traffic_with_every_kind_has_all_kinds_of_the_specification() -> None:
    """Each pair of object type and metric occurs at least once."""
    events = traffic(replace(SMALL, count=200, every_kind=True))

    kinds = {(event.get("object_type"), event["metric"]) for event in events}
    assert {(kind.object_type, kind.metric) for kind in specification.events()} <= kinds


def test_traffic_with_every_kind_refuses_a_count_that_is_too_small() -> None:
    """The error names the count that is needed, before any event is made."""
    with pytest.raises(ValueError, match=r"at least \d+"):
        traffic(replace(SMALL, count=20, every_kind=True))


def test_traffic_sends_late_events_after_newer_ones() -> None:
    """Late events keep their timestamp, and no event is lost."""
    events = list(traffic(replace(SMALL, late=0.2)))

    times = [event["timestamp"] for event in events]
    late = sum(time < newest for time, newest in zip(times[1:], times, strict=False))
    assert len({event["event_id"] for event in events}) == 2000
    assert late > 200


def test_traffic_repeats_events_unchanged() -> None:
    """A repeated event is identical, with its id, and is added to the count."""
    events = list(traffic(replace(SMALL, repeat=0.1)))

    times_sent = Counter(event["event_id"] for event in events)
    different = {repr(event) for event in events}
    assert len(times_sent) == 2000
    assert len(different) == 2000
    assert 120 < sum(times_sent.values()) - 2000 < 280


def test_traffic_has_content_only_if_requested_and_only_in_two_metrics() -> None:
    """The message is in `sent` events, the topics are in changed preferences."""
    without_content = traffic(SMALL)
    with_content = traffic(replace(SMALL, with_content=True))

    metrics = {event["metric"] for event in with_content if "content" in event["data"]}
    assert not any("content" in event["data"] for event in without_content)
    assert metrics == {"sent", "cio_subscription_preferences_changed"}


def test_traffic_names_the_channel_of_changed_preferences_in_three_ways() -> None:
    """Each such event has one of the three field names that the vendor has published."""
    spellings = Counter(
        tuple(sorted({"object_type", "object_type_type", "delivery_type"} & event.keys()))
        for event in traffic(replace(SMALL, count=12_000))
        if event["metric"] == "cio_subscription_preferences_changed"
    )

    assert spellings.keys() == {("object_type",), ("object_type_type",), ("delivery_type",)}


def test_traffic_has_campaigns_with_different_rates() -> None:
    """A welcome is opened more often than a win-back message, and bounces less often."""
    events = list(traffic(Traffic(count=15_000, now=NOW, days=20)))

    assert share(events, "delivered", "sent", 101) > 0.93
    assert share(events, "opened", "delivered", 101) > 0.55
    assert share(events, "opened", "delivered", 103) < 0.45
    assert share(events, "bounced", "sent", 103) > share(events, "bounced", "sent", 101)


def test_traffic_has_journeys_of_several_messages() -> None:
    """Later messages of a campaign have the journey id of the first."""
    deliveries: dict[str, set[str]] = defaultdict(set)
    for event in traffic(replace(SMALL, count=5000)):
        if "journey_id" in event["data"]:
            deliveries[event["data"]["journey_id"]].add(event["data"]["delivery_id"])

    assert max(map(len, deliveries.values())) >= 3


def test_traffic_is_busier_by_day_than_by_night() -> None:
    """The busiest hour has more than twice the events of the quietest hours."""
    hours = Counter(
        event["timestamp"] // 3600 % 24 for event in traffic(replace(SMALL, count=6000, days=28))
    )

    assert hours[17] > 2 * hours[3]


def test_traffic_is_read_into_rows_without_a_note() -> None:
    """Every made-up event has a table, no unknown field, and no value that a column refuses."""
    for event in traffic(replace(SMALL, with_content=True, every_kind=True)):
        body = json.dumps(event).encode()

        reading = read(Record(body, NOW, str(event["timestamp"]), "00000000", len(body)))

        assert reading.typed is not None, event
        assert reading.typed["reading_notes"] is None, event
        assert reading.unknown_fields == (), event
