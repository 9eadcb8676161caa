"""The simulator's own interface: state, clock, faults, signing keys, deliveries."""

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


def test_state_has_counts_and_queues_but_no_signing_key(
    simulator: Simulator,
    app: httpx2.Client,
    subscribe: Callable[..., int],
    receiver: RecordingReceiver,
) -> None:
    """The state of a webhook has its queue, failures and next try."""
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


def test_deliveries_list_every_call(
    simulator: Simulator,
    app: httpx2.Client,
    subscribe: Callable[..., int],
    receiver: RecordingReceiver,
) -> None:
    """Each has its outcome, number of the try, and ending; for one webhook or for all."""
    number = subscribe(simulator)
    receiver.status = lambda count: 503 if count == 0 else 200
    app.post("/simulator/events", json={"object_type": "email", "metric": "sent", "count": 2})
    simulator.advance(10)

    deliveries = app.get("/simulator/deliveries").json()["deliveries"]
    assert [(one["outcome"], one["try_number"], one["ending"]) for one in deliveries] == [
        (503, 1, None),
        (200, 2, "acknowledged"),
        (200, 1, "acknowledged"),
    ]
    limited = app.get("/simulator/deliveries", params={"webhook_id": number, "limit": 1})
    assert limited.json()["deliveries"] == deliveries[-1:]
    assert app.get("/simulator/deliveries", params={"webhook_id": 9}).json() == {"deliveries": []}
    assert app.get("/simulator/deliveries", params={"limit": 0}).json() == {"deliveries": []}
    assert len(simulator.attempts(number)) == 3


def test_the_clock_is_read_set_and_advanced(app: httpx2.Client) -> None:
    """A call advances it by an hour; another sets its speed."""
    before = app.get("/simulator/clock").json()

    after = app.post("/simulator/clock", json={"advance_seconds": 3600}).json()
    faster = app.post("/simulator/clock", json={"speed": 60}).json()

    assert before["speed"] == 0
    assert after["now"] == before["now"] + 3600
    assert faster["speed"] == 60


@pytest.mark.parametrize(
    "body", [{"speed": -1}, {"speed": "fast"}, {"advance_seconds": 1e12}, {"speed": True}]
)
def test_the_clock_refuses_invalid_values(app: httpx2.Client, body: dict[str, Any]) -> None:
    """A negative or huge number, or a value that is not a number, is answered 400."""
    assert app.post("/simulator/clock", json=body).status_code == 400


def test_a_fault_applies_only_to_its_calls(app: httpx2.Client) -> None:
    """It applies `times` times, to one operation or to any."""
    fault = {"operation": "listSegments", "status": 503, "times": 2}
    active = app.post("/simulator/faults", json=fault).json()["faults"]
    assert (active[0]["operation"], active[0]["times"]) == ("listSegments", 2)

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
    """There are three forms of errors; `retry_after` sets the header."""
    fault = {"operation": operation, "status": 418, "detail": "tea", "retry_after": 7}
    app.post("/simulator/faults", json=fault)

    answer = app.request(method, path)

    assert (answer.status_code, answer.json()) == (418, form)
    assert answer.headers["Retry-After"] == "7"


def test_a_fault_can_have_no_body_or_no_answer_or_a_delay(app: httpx2.Client) -> None:
    """These are the vendor's 404 without a body, a closed connection, and a slow answer."""
    app.post("/simulator/faults", json={"status": 404, "without_body": True})
    app.post("/simulator/faults", json={"hang_up": True})
    app.post("/simulator/faults", json={"delay_seconds": 0.2})

    without_body = app.get("/v1/segments")
    assert (without_body.status_code, without_body.content) == (404, b"")
    with pytest.raises(httpx2.RemoteProtocolError):
        app.get("/v1/segments")
    start = time.monotonic()
    assert app.get("/v1/segments").status_code == 200
    assert app.get("/v1/info/ip_addresses").status_code == 200
    assert time.monotonic() - start >= 0.2


def test_delete_removes_all_faults(app: httpx2.Client) -> None:
    """The next call has the usual answer."""
    app.post("/simulator/faults", json={"status": 500, "times": 99})

    assert app.delete("/simulator/faults").status_code == 204
    assert app.get("/v1/segments").status_code == 200


@pytest.mark.parametrize(
    "fault", [{"staus": 500}, {"status": "500"}, {"status": 200}, {"times": True}]
)
def test_an_invalid_fault_is_refused(app: httpx2.Client, fault: dict[str, Any]) -> None:
    """It is answered 400, so that a test does not wait for an error that never comes."""
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
def test_an_invalid_state_is_refused(app: httpx2.Client, body: dict[str, Any]) -> None:
    """People or channels that cannot be read are answered 400."""
    assert app.post("/simulator/state", json=body).status_code == 400


@pytest.mark.parametrize("body", [{"object_type": "pigeon"}, {"count": 0}, {"count": "x"}])
def test_an_unknown_event_is_refused(app: httpx2.Client, body: dict[str, Any]) -> None:
    """An unknown object type or an invalid count is answered 400."""
    sent = {"object_type": "email", "metric": "sent"}

    assert app.post("/simulator/events", json=sent | body).status_code == 400


def test_an_unknown_webhook_is_not_found(simulator: Simulator, app: httpx2.Client) -> None:
    """It is answered 404 over HTTP, and raises KeyError in Python."""
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
def test_bodies_without_a_length_or_too_large_are_refused(
    simulator: Simulator, header: bytes, status: bytes
) -> None:
    """They are answered 411 or 413 before the body is read."""
    host, _, port = simulator.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(b"POST /v1/track HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
        line = wire.recv(64).split(b"\r\n")[0]

    assert line.split()[1] == status


@pytest.mark.parametrize(
    ("error", "is_printed"), [(ConnectionResetError(), False), (ValueError("mine"), True)]
)
def test_server_prints_its_own_errors_but_not_closed_connections(
    capsys: pytest.CaptureFixture[str], error: Exception, is_printed: bool
) -> None:
    """A client that closes its connection early is not an error of the server."""
    listener = _Listener("127.0.0.1", 0, BaseHTTPRequestHandler)
    try:
        raise error
    except (ConnectionResetError, ValueError):
        listener.handle_error(None, ("127.0.0.1", 1))
    finally:
        listener.server_close()

    assert ("ValueError: mine" in capsys.readouterr().err) == is_printed


def test_simulator_listens_on_ipv6(make_simulator: Callable[..., Simulator]) -> None:
    """The address is in brackets in the URL, as clients need it."""
    try:
        simulator = make_simulator(SimulatorOptions(people=0), host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")

    assert simulator.url.startswith("http://[::1]:")


def test_the_same_seed_has_the_same_keys_and_people() -> None:
    """Another seed has other keys and people."""
    one, same, other = (
        Simulator(SimulatorOptions(seed=seed, people=3), speed=0) for seed in (1, 1, 2)
    )
    ids = [[person.cio_id for person in each.workspace.people] for each in (one, same, other)]
    for each in (one, same, other):
        each.stop()

    assert one.workspace.keys == same.workspace.keys != other.workspace.keys
    assert ids[0] == ids[1] != ids[2]


def test_simulator_runs_until_the_end_of_a_with_block() -> None:
    """It answers inside the block, and does not listen after it."""
    with Simulator(SimulatorOptions(people=0)) as running:
        assert call("GET", f"{running.url}/simulator/clock").json()["speed"] == 1

    with pytest.raises(httpx2.ConnectError):
        call("GET", running.url)
