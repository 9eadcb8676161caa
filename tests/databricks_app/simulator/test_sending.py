"""Sending of reporting webhooks to a real HTTP receiver, over simulated days."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from benchmarks.harness.process_table import wait_until
from databricks_app.simulator.schedule import RetryRules
from databricks_app.simulator.simulator import Simulator
from databricks_app.simulator.workspace import SimulatorOptions
from tests.support.simulating import RecordingReceiver, app_client, call

HOUR = 3600.0
DAY = 86400.0
Subscribe = Callable[..., int]
Make = Callable[..., Simulator]


def ids(receiver: RecordingReceiver) -> list[str]:
    """Return the event id of each call."""
    return [json.loads(arrival.body)["event_id"] for arrival in receiver.arrivals]


def report(simulator: Simulator, count: int = 1, kind: str = "email/delivered") -> None:
    """Report sample events, and send what is due now."""
    object_type, _, metric = kind.partition("/")
    body = {"object_type": object_type, "metric": metric, "count": count}
    answer = call("POST", f"{simulator.url}/simulator/events", json=body)
    assert answer.status_code == 200, answer.text
    simulator.advance(0)


def queued(simulator: Simulator, number: int = 1) -> int:
    """Return how many events are in the queue of a webhook."""
    feed = simulator.workspace.feeds.get(number)
    assert feed is not None
    return len(feed.queue)


def test_events_arrive_signed_in_order(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """A receiver that answers 200 gets each event once, with a valid signature."""
    subscribe(simulator)

    report(simulator, 5)

    assert [arrival.refusal for arrival in receiver.arrivals] == [None] * 5
    assert len(set(ids(receiver))) == 5
    assert [one.event_id for one in simulator.attempts()] == ids(receiver)
    assert queued(simulator) == 0


def test_a_400_stalls_the_feed_for_an_hour(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """The later events wait behind the first, and all arrive in order after the hour."""
    subscribe(simulator)
    receiver.status = lambda number: 400 if number == 0 else 200

    report(simulator, 3)
    assert (len(receiver.arrivals), queued(simulator)) == (1, 3)
    simulator.advance(HOUR - 1)
    assert len(receiver.arrivals) == 1
    simulator.advance(1)

    arrived = ids(receiver)
    assert len(arrived) == 4
    assert arrived[0] == arrived[1]
    assert len(set(arrived)) == 3
    assert queued(simulator) == 0


def test_a_503_does_not_cost_an_hour(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """503 is not among the statuses that cost an hour: the first retry follows after 10 s."""
    subscribe(simulator)
    receiver.status = lambda number: 503 if number == 0 else 200

    report(simulator, 2)
    simulator.advance(10)

    assert [one.outcome for one in simulator.attempts()] == [503, 200, 200]
    assert queued(simulator) == 0


def test_a_refused_connection_costs_an_hour(simulator: Simulator, subscribe: Subscribe) -> None:
    """An endpoint on which nothing listens has the same wait as a 400."""
    with RecordingReceiver() as closed:
        url = closed.url
    subscribe(simulator, endpoint=url)

    report(simulator)

    (attempt,) = simulator.attempts()
    assert attempt.outcome == "refused"
    assert attempt.next_at == attempt.at + HOUR


def test_a_closed_connection_costs_an_hour(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """A connection that is closed without an answer counts as reset."""
    subscribe(simulator)
    receiver.status = lambda _: 0

    report(simulator)

    (attempt,) = simulator.attempts()
    assert (attempt.outcome, attempt.next_at) == ("reset", attempt.at + HOUR)


def test_a_receiver_without_an_answer_times_out(
    make_simulator: Make, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """The event is tried again by backoff, although the receiver may have it already."""
    simulator = make_simulator(SimulatorOptions(people=0, rules=RetryRules(timeout_seconds=0.2)))
    subscribe(simulator)

    def slow_once(number: int) -> int:
        time.sleep(0.5 if number == 0 else 0)
        return 200

    receiver.status = slow_once
    report(simulator)
    simulator.advance(10)

    assert [one.outcome for one in simulator.attempts()] == ["timed_out", 200]
    assert len(set(ids(receiver))) == 1


def test_an_event_is_given_up_after_seven_days(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """The event is lost, and the next event gets its first try."""
    subscribe(simulator)
    receiver.status = lambda _: 400

    report(simulator, 2)
    simulator.advance(7 * DAY)

    first, second = list(dict.fromkeys(ids(receiver)))
    endings = {one.event_id: one.ending for one in simulator.attempts() if one.ending}
    assert endings == {first: "given_up"}
    assert ids(receiver).count(first) == 7 * 24 + 1
    assert ids(receiver).count(second) == 1


def test_re_signed_retries_are_within_the_receivers_window(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """Each try has a new timestamp, so a retry after an hour is accepted."""
    subscribe(simulator)
    receiver.status = lambda number: 500 if number == 0 else 200

    report(simulator)
    simulator.advance(HOUR)

    assert [one.outcome for one in simulator.attempts()] == [500, 200]


def test_retries_with_the_same_timestamp_are_stale_for_seven_days(
    make_simulator: Make, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """With a window of five minutes one 500 is followed by 401 for a week, then by a loss."""
    simulator = make_simulator(SimulatorOptions(people=0, rules=RetryRules(re_sign=False)))
    subscribe(simulator)
    receiver.status = lambda number: 500 if number == 0 else 200

    report(simulator)
    simulator.advance(8 * DAY)

    attempts = simulator.attempts()
    assert {one.outcome for one in attempts[1:]} == {401}
    assert {one.refusal for one in receiver.arrivals[1:]} == {"stale_timestamp"}
    assert attempts[-1].ending == "given_up"


def test_a_retry_that_is_not_re_signed_has_the_timestamp_of_its_first_try(
    make_simulator: Make, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """On the machine's clock the timestamp is as old as the simulated time since the first try."""
    at = 1_790_000_000.0
    options = SimulatorOptions(people=0, rules=RetryRules(re_sign=False))
    simulator = make_simulator(options, wall=lambda: at)
    subscribe(simulator)
    receiver.key = None
    receiver.status = lambda number: 503 if number < 2 else 200

    report(simulator)
    simulator.advance(30)

    stamps = [arrival.timestamp for arrival in receiver.arrivals]
    assert stamps == [1_790_000_000, 1_789_999_990, 1_789_999_970]


def test_webhooks_do_not_block_each_other(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """A failing webhook does not delay the other one; each has its own key."""
    with RecordingReceiver(lambda _: 400) as bad:
        subscribe(simulator, endpoint=bad.url)
        subscribe(simulator)

        report(simulator, 3)

        assert (queued(simulator, 1), queued(simulator, 2)) == (3, 0)
        assert [arrival.refusal for arrival in receiver.arrivals] == [None] * 3
        assert simulator.signing_key(1) != simulator.signing_key(2)


def test_a_disabled_webhook_keeps_its_queue_and_gets_no_new_events(
    simulator: Simulator, subscribe: Subscribe, app: httpx2.Client, receiver: RecordingReceiver
) -> None:
    """Events of that time are never sent; events that were queued before are sent later."""
    subscribe(simulator)
    receiver.status = lambda number: 503 if number == 0 else 200
    report(simulator)

    app.put("/v1/reporting_webhooks/1", json={"disabled": True})
    report(simulator, 5)
    simulator.advance(DAY)
    assert len(receiver.arrivals) == 1
    app.put("/v1/reporting_webhooks/1", json={"disabled": False})
    simulator.advance(0)

    assert len(ids(receiver)) == 2
    assert len(set(ids(receiver))) == 1


def test_only_subscribed_events_are_sent(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """An event is selected by its name, made of channel and metric."""
    subscribe(simulator, events=["sms_delivered"])

    report(simulator, kind="email/delivered")
    report(simulator, kind="sms/delivered")
    report(simulator, kind="slack/undeliverable")  # has no name to subscribe to

    assert [json.loads(one.body)["object_type"] for one in receiver.arrivals] == ["sms"]


@pytest.mark.parametrize("with_content", [True, False])
def test_with_content_decides_whether_sent_events_have_content(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver, with_content: bool
) -> None:
    """A `sent` event has content and headers only if the webhook wants them."""
    subscribe(simulator, with_content=with_content)

    report(simulator, kind="email/sent")

    data: dict[str, Any] = json.loads(receiver.arrivals[0].body)["data"]
    assert ("content" in data, "headers" in data) == (with_content, with_content)


def test_without_full_resolution_each_delivery_has_one_open(
    make_simulator: Make, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """A webhook with full resolution gets every open, another one only the first of each."""
    simulator = make_simulator(SimulatorOptions(people=1, has_rate_limits=False))
    with RecordingReceiver() as full:
        subscribe(simulator, endpoint=full.url, full_resolution=True)
        subscribe(simulator, full_resolution=False)
        with app_client(simulator) as app:
            for _ in range(60):
                answer = app.post(
                    "/v1/send/email",
                    json={
                        "transactional_message_id": "Password_Reset",
                        "to": "ada@example.com",
                        "identifiers": {"email": "ada@example.com"},
                    },
                )
                assert answer.status_code == 200
        simulator.advance(7 * DAY)

        opens = [opened(one.body) for one in receiver.arrivals]
        all_opens = [opened(one.body) for one in full.arrivals]
    first_opens = [delivery for delivery in opens if delivery]
    assert len(first_opens) == len(set(first_opens))
    assert len([delivery for delivery in all_opens if delivery]) > len(first_opens)
    assert set(first_opens) == {delivery for delivery in all_opens if delivery}


def opened(body: bytes) -> str:
    """Return the delivery id of an open; empty for other events."""
    event = json.loads(body)
    return str(event["data"]["delivery_id"]) if event["metric"] == "opened" else ""


def test_the_same_seed_and_calls_make_the_same_events(make_simulator: Make) -> None:
    """Two runs post identical bytes: ids, times and life cycles are the same."""
    runs = []
    for _ in range(2):
        simulator = make_simulator(
            SimulatorOptions(seed=7, people=20, messages_per_hour=30), start_at=1_790_000_000.0
        )
        with RecordingReceiver() as receiver, app_client(simulator) as app:
            app.post(
                "/v1/reporting_webhooks",
                json={
                    "name": "a",
                    "endpoint": receiver.url,
                    "events": ["email_sent", "push_opened"],
                },
            )
            simulator.advance(DAY)
            runs.append([arrival.body for arrival in receiver.arrivals])

    assert len(runs[0]) > 100
    assert runs[0] == runs[1]


def test_a_fast_clock_sends_without_advance(
    make_simulator: Make, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """At speed 36,000 the retry after an hour is made in a tenth of a second."""
    simulator = make_simulator(SimulatorOptions(people=0), speed=36_000.0)
    subscribe(simulator)
    receiver.status = lambda number: 400 if number == 0 else 200

    call(
        "POST", f"{simulator.url}/simulator/events", json={"object_type": "email", "metric": "sent"}
    )

    wait_until(lambda: len(receiver.arrivals) == 2, 10)


def test_a_clock_that_is_started_later_sends_the_queue(
    make_simulator: Make, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """The driver's thread uses the new speed at once."""
    simulator = make_simulator(SimulatorOptions(people=0))
    subscribe(simulator)
    receiver.status = lambda number: 400 if number == 0 else 200
    report(simulator)

    call("POST", f"{simulator.url}/simulator/clock", json={"speed": 36_000})

    wait_until(lambda: len(receiver.arrivals) == 2, 10)


def test_send_test_does_not_wait_for_the_queue(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """The button posts a signed sample at once, even while the queue is blocked."""
    number = subscribe(simulator)
    receiver.status = lambda count: 400 if count == 0 else 200
    report(simulator)

    answer = call("POST", f"{simulator.url}/simulator/webhooks/{number}/test")

    assert answer.json() == {"outcome": 200}
    assert simulator.test(number) == 200
    assert len(set(ids(receiver))) == 3
    assert [arrival.refusal for arrival in receiver.arrivals] == [None, None, None]
    assert queued(simulator) == 1


def test_a_changed_endpoint_gets_the_head_of_the_queue(
    simulator: Simulator, subscribe: Subscribe, app: httpx2.Client, receiver: RecordingReceiver
) -> None:
    """After a wrong endpoint is corrected, the next try sends the waiting events to the new one."""
    with RecordingReceiver(lambda _: 404) as wrong:
        number = subscribe(simulator, endpoint=wrong.url)
        report(simulator, 2)

    app.put(f"/v1/reporting_webhooks/{number}", json={"endpoint": receiver.url})
    simulator.advance(HOUR)

    assert [arrival.path for arrival in receiver.arrivals] == ["/hook", "/hook"]
    assert queued(simulator) == 0


def test_a_deleted_webhook_sends_nothing_more(
    simulator: Simulator, subscribe: Subscribe, app: httpx2.Client, receiver: RecordingReceiver
) -> None:
    """The events in its queue are lost."""
    number = subscribe(simulator)
    receiver.status = lambda _: 400
    report(simulator, 3)

    assert app.delete(f"/v1/reporting_webhooks/{number}").status_code == 200
    simulator.advance(DAY)

    assert len(receiver.arrivals) == 1


def test_the_key_of_another_webhook_does_not_verify(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """Each call is signed with the key of its own webhook."""
    subscribe(simulator)
    other = subscribe(simulator, events=["slack_sent"])

    report(simulator)

    assert receiver.key is not None
    assert simulator.signing_key(other).encode() == receiver.key.secret
    assert [arrival.refusal for arrival in receiver.arrivals] == ["wrong_signature"]
