"""The simulator's own interface: state, time, faults, keys, what was sent."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx2
import pytest

from databricks_app.simulator.server import _Listener
from databricks_app.simulator.simulator import Simulator
from databricks_app.simulator.workspace import SimulatorOptions
from tests.support.simulating import RecordingReceiver, call

SEND = {
    "transactional_message_id": 401,
    "to": "ada@example.com",
    "identifiers": {"email": "ada@example.com"},
}


def test_state_tells_how_much_there_is(
    simulator: Simulator,
    app: httpx2.Client,
    subscribe: Callable[..., int],
    receiver: RecordingReceiver,
) -> None:
    """People, messages, events, queues; no signing key."""
    number = subscribe(simulator)
    receiver.status = lambda _: 400
    app.post("/v1/send/email", json=SEND)
    simulator.advance(1)

    answer = app.get("/simulator/state")
    state = answer.json()

    assert (state["people"], state["messages"], state["speed"]) == (11, 1, 0)
    (webhook,) = state["webhooks"]
    assert webhook["queued"] == 1
    assert webhook["failures"] == 1
    assert webhook["next_at"] == webhook["failing_since"] + 3600
    assert simulator.signing_key(number) not in answer.text
    assert app.get("/simulator/webhooks").json() == {"webhooks": [webhook]}
    key = app.get(f"/simulator/webhooks/{number}/signing_key").json()["signing_key"]
    assert key == simulator.signing_key(number)


def test_deliveries_tell_every_call(
    simulator: Simulator,
    app: httpx2.Client,
    subscribe: Callable[..., int],
    receiver: RecordingReceiver,
) -> None:
    """With outcome, try, time and what follows; of one webhook or of all."""
    number = subscribe(simulator)
    receiver.status = lambda count: 503 if count == 0 else 200
    app.post("/simulator/events", json={"object_type": "email", "metric": "sent", "count": 2})
    simulator.advance(10)

    every = app.get("/simulator/deliveries").json()["deliveries"]
    assert [(one["outcome"], one["try_number"], one["ending"]) for one in every] == [
        (503, 1, None),
        (200, 2, "acknowledged"),
        (200, 1, "acknowledged"),
    ]
    limited = app.get("/simulator/deliveries", params={"webhook_id": number, "limit": 1})
    assert limited.json()["deliveries"] == every[-1:]
    assert app.get("/simulator/deliveries", params={"webhook_id": 9}).json() == {"deliveries": []}
    assert app.get("/simulator/deliveries", params={"limit": 0}).json() == {"deliveries": []}
    assert len(simulator.attempts(number)) == 3


def test_the_clock_is_read_set_and_advanced(app: httpx2.Client) -> None:
    """An hour at once; the speed as a number."""
    before = app.get("/simulator/clock").json()

    after = app.post("/simulator/clock", json={"advance_seconds": 3600}).json()
    faster = app.post("/simulator/clock", json={"speed": 60}).json()

    assert before["speed"] == 0
    assert after["now"] == before["now"] + 3600
    assert faster["speed"] == 60


@pytest.mark.parametrize(
    "body", [{"speed": -1}, {"speed": "fast"}, {"advance_seconds": 1e12}, {"speed": True}]
)
def test_the_clock_refuses_what_no_clock_can(app: httpx2.Client, body: dict[str, Any]) -> None:
    """400: times do not go back."""
    assert app.post("/simulator/clock", json=body).status_code == 400


def test_a_fault_holds_for_its_calls_only(app: httpx2.Client) -> None:
    """So many times, for one operation or for any."""
    fault = {"operation": "listSegments", "status": 503, "times": 2}
    in_force = app.post("/simulator/faults", json=fault).json()["faults"]
    assert (in_force[0]["operation"], in_force[0]["times"]) == ("listSegments", 2)

    assert app.get("/v1/campaigns").status_code == 200
    assert [app.get("/v1/segments").status_code for _ in range(3)] == [503, 503, 200]
    app.post("/simulator/faults", json={"status": 500})
    assert app.get("/v1/campaigns").status_code == 500
    assert app.get("/simulator/faults").json() == {"faults": []}


@pytest.mark.parametrize(
    ("operation", "method", "path", "form"),
    [
        ("listSegments", "GET", "/v1/segments", {"errors": [{"status": "418", "detail": "tea"}]}),
        ("sendEmail", "POST", "/v1/send/email", {"meta": {"error": "tea"}}),
        ("track", "POST", "/v1/track", {"meta": {"errors": ["tea"]}}),
    ],
)
def test_a_fault_has_the_form_of_its_operation(
    app: httpx2.Client, operation: str, method: str, path: str, form: dict[str, Any]
) -> None:
    """Three forms of errors, and Retry-After where it is asked for."""
    fault = {"operation": operation, "status": 418, "detail": "tea", "retry_after": 7}
    app.post("/simulator/faults", json=fault)

    answer = app.request(method, path)

    assert (answer.status_code, answer.json()) == (418, form)
    assert answer.headers["Retry-After"] == "7"


def test_a_fault_may_have_no_body_or_no_answer_or_come_late(app: httpx2.Client) -> None:
    """As the vendor's bare 404, a broken connection, and slowness."""
    app.post("/simulator/faults", json={"status": 404, "without_body": True})
    app.post("/simulator/faults", json={"hang_up": True})
    app.post("/simulator/faults", json={"delay_seconds": 0.2})

    bare = app.get("/v1/segments")
    assert (bare.status_code, bare.content) == (404, b"")
    with pytest.raises(httpx2.RemoteProtocolError):
        app.get("/v1/segments")
    began = time.monotonic()
    assert app.get("/v1/segments").status_code == 200
    assert app.get("/v1/info/ip_addresses").status_code == 200
    assert time.monotonic() - began >= 0.2


def test_faults_are_lifted_at_once(app: httpx2.Client) -> None:
    """All of them."""
    app.post("/simulator/faults", json={"status": 500, "times": 99})

    assert app.delete("/simulator/faults").status_code == 204
    assert app.get("/v1/segments").status_code == 200


@pytest.mark.parametrize(
    "fault", [{"staus": 500}, {"status": "500"}, {"status": 200}, {"times": True}]
)
def test_a_fault_that_cannot_be_read_is_refused(app: httpx2.Client, fault: dict[str, Any]) -> None:
    """400, so that a test does not wait for an error that never comes."""
    assert app.post("/simulator/faults", json=fault).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {"people": {}},
        {"people": [{}]},
        {"people": [7]},
        {"people": [{"id": "u", "attributes": 7}]},
        {"disabled_channels": ["pigeon"]},
        {"disabled_channels": [{}]},
    ],
)
def test_a_seed_that_cannot_be_read_is_refused(app: httpx2.Client, body: dict[str, Any]) -> None:
    """400."""
    assert app.post("/simulator/state", json=body).status_code == 400


@pytest.mark.parametrize("body", [{"object_type": "pigeon"}, {"count": 0}, {"count": "x"}])
def test_an_unknown_event_is_refused(app: httpx2.Client, body: dict[str, Any]) -> None:
    """400."""
    whole = {"object_type": "email", "metric": "sent"} | body

    assert app.post("/simulator/events", json=whole).status_code == 400


def test_unknown_webhooks_have_no_key(simulator: Simulator, app: httpx2.Client) -> None:
    """404 over HTTP, KeyError in Python."""
    assert app.get("/simulator/webhooks/9/signing_key").status_code == 404
    assert app.post("/simulator/webhooks/9/test").status_code == 404
    with pytest.raises(KeyError):
        simulator.signing_key(9)
    with pytest.raises(KeyError):
        simulator.test(9)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"Transfer-Encoding: chunked", b"411"),
        (b"Content-Length: x", b"411"),
        (b"Content-Length: 99999999999", b"413"),
    ],
)
def test_bodies_of_no_known_length_are_refused(
    simulator: Simulator, header: bytes, status: bytes
) -> None:
    """And those that would fill the memory."""
    host, _, port = simulator.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(b"POST /v1/track HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
        line = wire.recv(64).split(b"\r\n")[0]

    assert line.split()[1] == status


@pytest.mark.parametrize(
    ("error", "is_told"), [(ConnectionResetError(), False), (ValueError("mine"), True)]
)
def test_a_client_that_leaves_early_is_no_news(
    capsys: pytest.CaptureFixture[str], error: Exception, is_told: bool
) -> None:
    """Nothing is printed of it; a fault of the simulator's own is."""
    listener = _Listener("127.0.0.1", 0, BaseHTTPRequestHandler)
    try:
        raise error
    except (ConnectionResetError, ValueError):
        listener.handle_error(None, ("127.0.0.1", 1))
    finally:
        listener.server_close()

    assert ("ValueError: mine" in capsys.readouterr().err) == is_told


def test_it_listens_at_ipv6_too(make_simulator: Callable[..., Simulator]) -> None:
    """Where the machine has it; the URL is one that clients take."""
    try:
        simulator = make_simulator(SimulatorOptions(people=0), host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")

    assert simulator.url.startswith("http://[::1]:")


def test_the_same_seed_has_the_same_keys_and_people() -> None:
    """And another seed has others."""
    one, same, other = (
        Simulator(SimulatorOptions(seed=seed, people=3), speed=0) for seed in (1, 1, 2)
    )
    ids = [[person.cio_id for person in each.workspace.people] for each in (one, same, other)]
    for each in (one, same, other):
        each.stop()

    assert one.workspace.keys == same.workspace.keys != other.workspace.keys
    assert ids[0] == ids[1] != ids[2]


def test_it_is_used_until_the_end_of_a_block() -> None:
    """It answers inside, and nobody listens at its address afterwards."""
    with Simulator(SimulatorOptions(people=0)) as running:
        assert call("GET", f"{running.url}/simulator/clock").json()["speed"] == 1

    with pytest.raises(httpx2.ConnectError):
        call("GET", running.url)
