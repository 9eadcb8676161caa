"""The sender of reporting webhooks against a real receiver, over days that pass at once."""

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


def happen(simulator: Simulator, count: int = 1, kind: str = "email/delivered") -> None:
    """Let events happen, and what is due now be sent."""
    object_type, _, metric = kind.partition("/")
    body = {"object_type": object_type, "metric": metric, "count": count}
    answer = call("POST", f"{simulator.url}/simulator/events", json=body)
    assert answer.status_code == 200, answer.text
    simulator.advance(0)


def queued(simulator: Simulator, number: int = 1) -> int:
    """Return how many events wait."""
    feed = simulator.workspace.feeds.get(number)
    assert feed is not None
    return len(feed.queue)


def test_events_arrive_signed_in_order(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """A receiver that takes them gets each once, verifies it, and can tell who sent it."""
    subscribe(simulator)

    happen(simulator, 5)

    assert [arrival.refusal for arrival in receiver.arrivals] == [None] * 5
    assert len(set(ids(receiver))) == 5
    assert [one.event_id for one in simulator.attempts()] == ids(receiver)
    assert queued(simulator) == 0


def test_a_400_stalls_the_feed_for_an_hour(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """One bad answer: the later events wait behind the first, and all come in order after it."""
    subscribe(simulator)
    receiver.status = lambda number: 400 if number == 0 else 200

    happen(simulator, 3)
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
    """Outside the one-hour list the first repetition comes after seconds."""
    subscribe(simulator)
    receiver.status = lambda number: 503 if number == 0 else 200

    happen(simulator, 2)
    simulator.advance(10)

    assert [one.outcome for one in simulator.attempts()] == [503, 200, 200]
    assert queued(simulator) == 0


def test_a_refused_connection_costs_an_hour(simulator: Simulator, subscribe: Subscribe) -> None:
    """Nobody listens at the endpoint: the same as a 400."""
    with RecordingReceiver() as closed:
        url = closed.url
    subscribe(simulator, endpoint=url)

    happen(simulator)

    (attempt,) = simulator.attempts()
    assert attempt.outcome == "refused"
    assert attempt.next_at == attempt.at + HOUR


def test_a_closed_connection_costs_an_hour(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """The end of the connection instead of an answer is a reset to the vendor."""
    subscribe(simulator)
    receiver.status = lambda _: 0

    happen(simulator)

    (attempt,) = simulator.attempts()
    assert (attempt.outcome, attempt.next_at) == ("reset", attempt.at + HOUR)


def test_silence_is_given_up_after_the_timeout(
    make_simulator: Make, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """No answer in time is tried again by backoff, though the receiver may have it already."""
    simulator = make_simulator(SimulatorOptions(people=0, rules=RetryRules(timeout_seconds=0.2)))
    subscribe(simulator)

    def slow_once(number: int) -> int:
        time.sleep(0.5 if number == 0 else 0)
        return 200

    receiver.status = slow_once
    happen(simulator)
    simulator.advance(10)

    assert [one.outcome for one in simulator.attempts()] == ["timed_out", 200]
    assert len(set(ids(receiver))) == 1


def test_seven_days_of_failure_give_up_one_event(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """Then the next one gets its first try; the first is lost."""
    subscribe(simulator)
    receiver.status = lambda _: 400

    happen(simulator, 2)
    simulator.advance(7 * DAY)

    first, second = list(dict.fromkeys(ids(receiver)))
    endings = {one.event_id: one.ending for one in simulator.attempts() if one.ending}
    assert endings == {first: "given_up"}
    assert ids(receiver).count(first) == 7 * 24 + 1
    assert ids(receiver).count(second) == 1


def test_re_signed_retries_pass_the_receivers_window(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """A fresh timestamp with each try: an hour later the event is as good as new."""
    subscribe(simulator)
    receiver.status = lambda number: 500 if number == 0 else 200

    happen(simulator)
    simulator.advance(HOUR)

    assert [one.outcome for one in simulator.attempts()] == [500, 200]


def test_retries_with_the_same_timestamp_are_stale_for_seven_days(
    make_simulator: Make, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """A window of five minutes turns one 500 into a week of 401, and then a loss."""
    simulator = make_simulator(SimulatorOptions(people=0, rules=RetryRules(re_sign=False)))
    subscribe(simulator)
    receiver.status = lambda number: 500 if number == 0 else 200

    happen(simulator)
    simulator.advance(8 * DAY)

    attempts = simulator.attempts()
    assert {one.outcome for one in attempts[1:]} == {401}
    assert {one.refusal for one in receiver.arrivals[1:]} == {"stale_timestamp"}
    assert attempts[-1].ending == "given_up"


def test_a_retry_that_is_not_re_signed_bears_the_time_of_its_first_try(
    make_simulator: Make, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """Within the receiver's window it passes, older by as much as has passed since."""
    at = 1_790_000_000.0
    options = SimulatorOptions(people=0, rules=RetryRules(re_sign=False))
    simulator = make_simulator(options, wall=lambda: at)
    subscribe(simulator)
    receiver.key = None
    receiver.status = lambda number: 503 if number < 2 else 200

    happen(simulator)
    simulator.advance(30)

    stamps = [arrival.timestamp for arrival in receiver.arrivals]
    assert stamps == [1_790_000_000, 1_789_999_990, 1_789_999_970]


def test_webhooks_do_not_block_each_other(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """One webhook's bad answer leaves the other's queue alone; each has a key of its own."""
    with RecordingReceiver(lambda _: 400) as bad:
        subscribe(simulator, endpoint=bad.url)
        subscribe(simulator)

        happen(simulator, 3)

        assert (queued(simulator, 1), queued(simulator, 2)) == (3, 0)
        assert [arrival.refusal for arrival in receiver.arrivals] == [None] * 3
        assert simulator.signing_key(1) != simulator.signing_key(2)


def test_a_disabled_webhook_keeps_its_queue_and_takes_nothing_new(
    simulator: Simulator, subscribe: Subscribe, app: httpx2.Client, receiver: RecordingReceiver
) -> None:
    """What happens while it is disabled is not sent later; what waited is."""
    subscribe(simulator)
    receiver.status = lambda number: 503 if number == 0 else 200
    happen(simulator)

    app.put("/v1/reporting_webhooks/1", json={"disabled": True})
    happen(simulator, 5)
    simulator.advance(DAY)
    assert len(receiver.arrivals) == 1
    app.put("/v1/reporting_webhooks/1", json={"disabled": False})
    simulator.advance(0)

    assert len(ids(receiver)) == 2
    assert len(set(ids(receiver))) == 1


def test_only_subscribed_events_are_sent(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """By the name of channel and metric."""
    subscribe(simulator, events=["sms_delivered"])

    happen(simulator, kind="email/delivered")
    happen(simulator, kind="sms/delivered")
    happen(simulator, kind="slack/undeliverable")  # has no name to subscribe to

    assert [json.loads(one.body)["object_type"] for one in receiver.arrivals] == ["sms"]


@pytest.mark.parametrize("with_content", [True, False])
def test_with_content_decides_whether_sent_carries_the_message(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver, with_content: bool
) -> None:
    """The same event goes to one webhook with its content and to another without."""
    subscribe(simulator, with_content=with_content)

    happen(simulator, kind="email/sent")

    data: dict[str, Any] = json.loads(receiver.arrivals[0].body)["data"]
    assert ("content" in data, "headers" in data) == (with_content, with_content)


def test_without_full_resolution_each_delivery_opens_once(
    make_simulator: Make, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """A full webhook gets every open, another one the first of each delivery only."""
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
        every = [opened(one.body) for one in full.arrivals]
    firsts = [delivery for delivery in opens if delivery]
    assert len(firsts) == len(set(firsts))
    assert len([delivery for delivery in every if delivery]) > len(firsts)
    assert set(firsts) == {delivery for delivery in every if delivery}


def opened(body: bytes) -> str:
    """Return the delivery id of an open; empty for other events."""
    event = json.loads(body)
    return str(event["data"]["delivery_id"]) if event["metric"] == "opened" else ""


def test_the_same_seed_and_calls_make_the_same_events(make_simulator: Make) -> None:
    """Ids, times and what becomes of each message: a run repeats byte for byte."""
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


def test_a_clock_at_speed_sends_by_itself(
    make_simulator: Make, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """Nobody steps it: an hour passes in a fraction of a second."""
    simulator = make_simulator(SimulatorOptions(people=0), speed=36_000.0)
    subscribe(simulator)
    receiver.status = lambda number: 400 if number == 0 else 200

    call(
        "POST", f"{simulator.url}/simulator/events", json={"object_type": "email", "metric": "sent"}
    )

    wait_until(lambda: len(receiver.arrivals) == 2, 10)


def test_a_clock_set_going_sends_what_had_waited(
    make_simulator: Make, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """Its thread learns of the new speed at once."""
    simulator = make_simulator(SimulatorOptions(people=0))
    subscribe(simulator)
    receiver.status = lambda number: 400 if number == 0 else 200
    happen(simulator)

    call("POST", f"{simulator.url}/simulator/clock", json={"speed": 36_000})

    wait_until(lambda: len(receiver.arrivals) == 2, 10)


def test_send_test_goes_past_the_queue(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """The button posts a signed sample now, even while the feed is blocked."""
    number = subscribe(simulator)
    receiver.status = lambda count: 400 if count == 0 else 200
    happen(simulator)

    answer = call("POST", f"{simulator.url}/simulator/webhooks/{number}/test")

    assert answer.json() == {"outcome": 200}
    assert simulator.test(number) == 200
    assert len(set(ids(receiver))) == 3
    assert [arrival.refusal for arrival in receiver.arrivals] == [None, None, None]
    assert queued(simulator) == 1


def test_a_changed_endpoint_gets_the_head_of_the_queue(
    simulator: Simulator, subscribe: Subscribe, app: httpx2.Client, receiver: RecordingReceiver
) -> None:
    """Mending a mistyped endpoint: at the next try the waiting events go to the new one."""
    with RecordingReceiver(lambda _: 404) as wrong:
        number = subscribe(simulator, endpoint=wrong.url)
        happen(simulator, 2)

    app.put(f"/v1/reporting_webhooks/{number}", json={"endpoint": receiver.url})
    simulator.advance(HOUR)

    assert [arrival.path for arrival in receiver.arrivals] == ["/hook", "/hook"]
    assert queued(simulator) == 0


def test_a_deleted_webhook_sends_nothing_more(
    simulator: Simulator, subscribe: Subscribe, app: httpx2.Client, receiver: RecordingReceiver
) -> None:
    """What waited for it is gone."""
    number = subscribe(simulator)
    receiver.status = lambda _: 400
    happen(simulator, 3)

    assert app.delete(f"/v1/reporting_webhooks/{number}").status_code == 200
    simulator.advance(DAY)

    assert len(receiver.arrivals) == 1


def test_signature_is_the_vendors(
    simulator: Simulator, subscribe: Subscribe, receiver: RecordingReceiver
) -> None:
    """Another webhook's key does not verify it."""
    subscribe(simulator)
    other = subscribe(simulator, events=["slack_sent"])

    happen(simulator)

    assert receiver.key is not None
    assert simulator.signing_key(other).encode() == receiver.key.secret
    assert [arrival.refusal for arrival in receiver.arrivals] == ["wrong_signature"]
