"""The HTTP client: what is sent, what is repeated, where the key goes, what is logged."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from core import errors
from core.http.client import (
    Access,
    HttpClient,
    Timeouts,
    Timing,
    address,
    default_transport,
    read_json,
)
from core.http.exchange import Attempt, ExchangeRules, Operation, OutgoingRequest, Wait, exchange
from core.http.rate_limits import Gate, Rate
from core.http.responses import Response
from core.http.retries import NO_RETRIES, RetryPolicy
from tests.support.still_time import StillTime
from tests.support.vendor_server import Call, Reply, RoutedTransport, VendorServer

GET = Operation("getThing", "GET", "/v1/things/{thing_id}", is_repeatable=True)
SEND = Operation("sendThing", "POST", "/v1/send", is_repeatable=False)
RATES = {"default": Rate(1000, 1.0)}

Make = Callable[..., HttpClient]


def access(base_url: str) -> Access:
    """Return access with the key `k3y`."""
    return Access(
        base_url=base_url,
        authorization=lambda: "Bearer k3y",
        scrub=lambda text: text.replace("k3y", "[key]"),
        headers={"user-agent": "test"},
    )


@pytest.fixture
def make(vendor: VendorServer, time: StillTime) -> Iterator[Make]:
    """Create clients of `vendor` with the clock `time`: `make(base_url=..., **options)`."""
    clients: list[HttpClient] = []

    def client(base_url: str = vendor.url, **options: Any) -> HttpClient:
        options = {"clock": time.clock(), "rates": RATES} | options
        clients.append(HttpClient(access(base_url), **options))
        return clients[-1]

    yield client
    for made in clients:
        made.close()


def test_call_encodes_ids_and_query(make: Make, vendor: VendorServer) -> None:
    """A raw `+` would mean a space, and no character of an id may change the path."""
    make().call(
        GET,
        path={"thing_id": "a+b/c?@example.com"},
        query={"email": "a+b@x y", "many": ["1", "2"], "flag": True, "limit": 5, "none": None},
    )

    assert vendor.calls[0].target == (
        "/v1/things/a%2Bb%2Fc%3F%40example.com?email=a%2Bb%40x%20y&many=1&many=2&flag=true&limit=5"
    )
    assert vendor.calls[0].headers["authorization"] == "Bearer k3y"


@pytest.mark.parametrize("value", ["", " ", ".", "..", "\ud800", None])
def test_call_refuses_an_id_that_would_change_the_path(
    make: Make, vendor: VendorServer, value: str | None
) -> None:
    """A blank id would call another operation. Nothing is sent."""
    with pytest.raises(errors.ValidationError, match="thing_id: ") as caught:
        make().call(GET, path={} if value is None else {"thing_id": value})

    assert caught.value.field == "thing_id"
    assert vendor.calls == []


def test_query_with_a_lone_surrogate_is_refused() -> None:
    """It cannot be encoded; the error names the argument."""
    with pytest.raises(errors.ValidationError, match="email: "):
        address("https://x", "/v1/y", {}, {"email": "\ud800"})


def test_connections_are_reused(make: Make, vendor: VendorServer) -> None:
    """Ten calls use one connection."""
    client = make()

    for _ in range(10):
        client.call(SEND)

    assert len({call.connection for call in vendor.calls}) == 1


def test_temporary_failures_are_repeated(make: Make, vendor: VendorServer, time: StillTime) -> None:
    """The documented statuses are repeated after growing waits with jitter."""
    client = make()
    waits = {}
    for status in (408, 429, 500, 502, 503, 504, 522, 524):
        vendor.replies = [Reply(status), Reply(status)]
        time.slept.clear()
        assert client.call(GET, path={"thing_id": 1}).status == 200
        waits[status] = [*time.slept]

    assert {status: one for status, one in waits.items() if one != [0.125, 0.25]} == {}


@pytest.mark.parametrize("status", [408, 500, 503, 524])
def test_unsafe_calls_are_not_repeated_after_an_unknown_outcome(
    make: Make, vendor: VendorServer, status: int
) -> None:
    """A send that may have been executed is not repeated; the error says so."""
    vendor.script = lambda _: Reply(status)

    with pytest.raises(errors.ApiError) as caught:
        make().call(SEND)

    assert caught.value.is_outcome_unknown
    assert len(vendor.calls) == 1


def test_unsafe_calls_are_repeated_after_429(make: Make, vendor: VendorServer) -> None:
    """The vendor did not process a call that it answered with 429."""
    vendor.replies = [Reply(429, headers={"Retry-After": "2"})]

    make().call(SEND)

    assert len(vendor.calls) == 2


def test_unsafe_calls_are_not_repeated_after_a_lost_answer(
    make: Make, vendor: VendorServer
) -> None:
    """The server closed the connection after it had read the call."""
    vendor.script = lambda _: Reply(hang_up=True)

    with pytest.raises(errors.ConnectionFailedError) as caught:
        make().call(SEND)

    assert caught.value.is_outcome_unknown
    assert caught.value.reason == "RemoteProtocolError"
    assert len(vendor.calls) == 1


def test_repeatable_calls_are_repeated_after_a_lost_answer(
    make: Make, vendor: VendorServer
) -> None:
    """Executing the call twice does no harm."""
    vendor.replies = [Reply(hang_up=True)]

    assert make().call(GET, path={"thing_id": 1}).status == 200


def test_refused_connections_are_repeated_for_every_call(make: Make, time: StillTime) -> None:
    """Without a connection the call was not sent."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = make(f"http://127.0.0.1:{unused.getsockname()[1]}")

        with pytest.raises(errors.ConnectionFailedError) as caught:
            client.call(SEND)

    assert (caught.value.attempts, caught.value.is_outcome_unknown) == (4, False)
    assert len(time.slept) == 3


def test_unknown_outcome_of_an_earlier_attempt_is_not_forgotten(
    make: Make, vendor: VendorServer
) -> None:
    """The 400 of the second attempt says nothing about the first one."""
    vendor.replies = [Reply(503), Reply(400)]

    with pytest.raises(errors.BadRequestError) as caught:
        make().call(GET, path={"thing_id": 1})

    assert caught.value.is_outcome_unknown


def test_retry_after_is_the_minimum_wait_of_all_calls(
    make: Make, vendor: VendorServer, time: StillTime
) -> None:
    """Later calls of the same rate class wait for it too."""
    vendor.replies = [Reply(429, headers={"Retry-After": "20"})]
    client = make(retries=NO_RETRIES)

    with pytest.raises(errors.RateLimitError):
        client.call(SEND)
    client.call(SEND)

    assert time.slept == [20.0]


def test_long_retry_after_is_an_error(make: Make, vendor: VendorServer, time: StillTime) -> None:
    """The error has the time. The next call does not wait either, and is not sent."""
    vendor.replies = [Reply(429, headers={"Retry-After": "86400"})]
    client = make()

    with pytest.raises(errors.RateLimitError) as limited:
        client.call(SEND)
    with pytest.raises(errors.ThrottledError) as throttled:
        client.call(SEND)

    assert limited.value.retry_after_seconds == 86400
    assert throttled.value.retry_after_seconds == 300
    assert (len(vendor.calls), time.slept) == (1, [])


def test_threads_share_a_rate_limit(make: Make, vendor: VendorServer) -> None:
    """Six calls at two in ten seconds: two start at once, two after 10 s, two after 20 s."""
    slept: list[float] = []
    clock = Timing(sleep=slept.append, monotonic=lambda: 0.0)
    client = make(clock=clock, rates={"default": Rate(2, 10.0)})
    threads = [threading.Thread(target=client.call, args=(SEND,)) for _ in range(6)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(slept) == [10.0, 10.0, 20.0, 20.0]
    assert len(vendor.calls) == 6


def test_rate_gate_can_be_shared_between_clients(make: Make, time: StillTime) -> None:
    """Two clients of one workspace count together."""
    gate = Gate(Rate(1, 3.0))

    make(gates={"default": gate}).call(SEND)
    make(gates={"default": gate}).call(SEND)

    assert time.slept == [3.0]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_within_customer_io_keeps_method_body_and_key(
    make: Make, vendor: VendorServer, status: int
) -> None:
    """A call to the US host for an EU workspace arrives there unchanged."""
    transport = RoutedTransport(vendor.port)
    vendor.replies = [Reply(status, headers={"Location": "https://api-eu.customer.io/v1/send"})]

    make("https://api.customer.io", transport=transport).call(SEND, content=b'{"a":1}')

    transport.close()
    first, second = vendor.calls
    assert (first.headers["host"], second.headers["host"]) == (
        "api.customer.io",
        "api-eu.customer.io",
    )
    assert (second.method, second.body) == ("POST", b'{"a":1}')
    assert second.headers["authorization"] == "Bearer k3y"


def test_redirect_to_another_host_is_an_error_and_never_gets_the_key(
    make: Make, vendor: VendorServer
) -> None:
    """Another host, plain http, or a change of method: nothing is sent there."""
    redirects = [
        (307, "https://example.com/v1/send"),
        (307, "http://api-eu.customer.io/v1/send"),
        (307, "https://customer.io.example.com/"),
        (307, "//example.com"),
        (307, "https://[x"),
        (307, "https://api-eu.customer.io@example.com/"),
        (307, ""),
        (303, "https://api-eu.customer.io/v1/send"),
    ]
    transport = RoutedTransport(vendor.port)
    client = make("https://api.customer.io", transport=transport)
    refused = []
    for status, location in redirects:
        vendor.replies = [Reply(status, headers={"Location": location} if location else {})]
        try:
            client.call(SEND)
        except errors.RedirectError:
            refused.append((status, location))

    transport.close()
    assert refused == redirects
    assert len(vendor.calls) == len(redirects)


def test_redirect_to_an_invalid_url_is_an_error_of_ours(make: Make, vendor: VendorServer) -> None:
    """It does not raise an exception of another library."""
    transport = RoutedTransport(vendor.port)
    where = {"Location": "https://api-eu.customer.io/" + "x" * 70_000}
    vendor.script = lambda _: Reply(307, headers=where)

    with pytest.raises(errors.ConnectionFailedError):
        make("https://api.customer.io", transport=transport).call(SEND)

    transport.close()


def test_redirect_is_logged_once(
    make: Make, vendor: VendorServer, caplog: pytest.LogCaptureFixture
) -> None:
    """With the wrong region every call needs two requests; one warning says so."""
    transport = RoutedTransport(vendor.port)
    moved = Reply(307, headers={"Location": "https://api-eu.customer.io/v1/send"})
    vendor.replies = [moved, Reply(), moved, Reply()]
    client = make("https://api.customer.io", transport=transport)

    client.call(SEND)
    client.call(SEND)

    transport.close()
    assert caplog.text.count("set the region") == 1


def test_exchange_can_be_performed_asynchronously() -> None:
    """An event loop executes the same steps, without a thread."""

    async def perform() -> tuple[int, list[float]]:
        answers = iter([Response(503, {}, b""), Response(200, {}, b"{}")])
        waits = []
        steps = exchange(GET, OutgoingRequest("GET", "https://x", {}, b""), rules)
        reply: Response | None = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as done:
                return done.value.status, waits
            await asyncio.sleep(0)
            reply = None
            if isinstance(step, Wait):
                waits.append(step.seconds)
            else:
                reply = next(answers)

    still = StillTime()
    rules = ExchangeRules(
        policy=RetryPolicy(),
        gate=Gate(Rate(10, 1.0)),
        now=still.clock().now,
        monotonic=lambda: 0.0,
        random=lambda: 0.5,
        scrub=str,
        observe=lambda _: None,
    )

    assert asyncio.run(perform()) == (200, [0.125])


def test_redirects_in_a_circle_end(make: Make, vendor: VendorServer) -> None:
    """Two hosts that redirect to each other are an error after five redirects."""
    transport = RoutedTransport(vendor.port)

    def other(call: Call) -> Reply:
        host = {"api.customer.io": "api-eu"}.get(call.headers["host"], "api")
        return Reply(307, headers={"Location": f"https://{host}.customer.io/v1/send"})

    vendor.script = other

    with pytest.raises(errors.RedirectError):
        make("https://api.customer.io", transport=transport).call(SEND)

    transport.close()
    assert len(vendor.calls) == 6


def test_attempts_are_logged_without_payload(
    make: Make, vendor: VendorServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Hook and log have the operation, but not its ids, its content or the key."""
    attempts: list[Attempt] = []
    vendor.replies = [Reply(503), Reply(200, b'{"secret": 1}', {"X-Request-Id": "r1"})]

    with caplog.at_level(logging.DEBUG):
        make(on_attempt=attempts.append).call(
            GET, path={"thing_id": "ada@example.com"}, query={"q": "secret"}, content=b"secret"
        )

    assert [(a.number, a.status, a.retry_in_seconds) for a in attempts] == [
        (1, 503, 0.125),
        (2, 200, None),
    ]
    assert (attempts[1].request_id, attempts[1].request_bytes, attempts[1].response_bytes) == (
        "r1",
        6,
        13,
    )
    assert attempts[0].path == "/v1/things/{thing_id}"
    shown = f"{attempts} {caplog.text}"
    assert "getThing attempt 1: 503" in shown
    assert not [word for word in ("example.com", "secret", "k3y") if word in shown]


def test_failing_hook_does_not_fail_the_call(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """The type of the exception is logged."""

    def fail(_: Attempt) -> None:
        raise KeyError("ada@example.com")

    assert make(on_attempt=fail).call(SEND).status == 200
    assert "on_attempt failed: KeyError" in caplog.text
    assert "example.com" not in caplog.text


def test_key_is_in_no_repr_and_no_error(make: Make, vendor: VendorServer) -> None:
    """Not even if the server sends the key back."""
    vendor.script = lambda call: Reply(401, call.headers["authorization"].encode())
    client = make()

    with pytest.raises(errors.AuthenticationError) as caught:
        client.call(SEND)

    request = OutgoingRequest(
        "POST", "https://x/ada@example.com", {"authorization": "k3y"}, b"body"
    )
    shown = f"{client!r} {caught.value!r} {caught.value.body} {vars(caught.value)} {request!r}"
    assert "k3y" not in shown
    assert "ada@example.com" not in shown


def test_compressed_answers_are_read(make: Make, vendor: VendorServer) -> None:
    """The client asks for compression."""
    body = gzip.compress(b'{"things": []}')
    vendor.replies = [Reply(200, body, {"Content-Encoding": "gzip"})]

    answer = make().call(GET, path={"thing_id": 1})

    assert read_json(GET, answer) == {"things": []}


def test_answer_that_cannot_be_decompressed_has_an_unknown_outcome(
    make: Make, vendor: VendorServer
) -> None:
    """The call may have been executed."""
    vendor.replies = [Reply(200, b"not gzip", {"Content-Encoding": "gzip"})]

    with pytest.raises(errors.ConnectionFailedError) as caught:
        make().call(SEND)

    assert (caught.value.reason, caught.value.is_outcome_unknown) == ("DecodingError", True)


def test_slow_answer_ends_at_the_total_timeout(make: Make, time: StillTime) -> None:
    """Each part restarts the read timeout, but not the total timeout."""

    def trickle() -> Iterator[bytes]:
        for _ in range(100):
            time.sleep(1.0)
            yield b" "

    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=trickle()))
    client = make(transport=transport, timeouts=Timeouts(total=5.0), retries=NO_RETRIES)

    with pytest.raises(errors.ConnectionFailedError) as caught:
        client.call(SEND)

    assert caught.value.reason == "ReadTimeout"
    assert time.at < 1010


def test_silent_server_ends_at_the_read_timeout(make: Make) -> None:
    """A server that accepts the connection and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = make(url, timeouts=Timeouts(read=0.05), retries=NO_RETRIES)

        with pytest.raises(errors.ConnectionFailedError, match="ReadTimeout"):
            client.call(SEND)


def test_call_that_cannot_be_sent_is_not_repeated(make: Make, time: StillTime) -> None:
    """A retry would fail too."""

    def refuse(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.UnsupportedProtocol("no")

    with pytest.raises(errors.ConnectionFailedError, match="not sent"):
        make(transport=httpx2.MockTransport(refuse)).call(GET, path={"thing_id": 1})

    assert time.slept == []


def test_read_json_returns_none_for_an_empty_answer_only() -> None:
    """An answer that is not JSON is an error."""
    assert read_json(GET, Response(204, {}, b" ")) is None
    with pytest.raises(errors.ResponseError, match=r"getThing: .*200"):
        read_json(GET, Response(200, {}, b"<html>"))


def test_closed_client_refuses_calls(make: Make) -> None:
    """Closing twice is allowed; a call afterwards is an error."""
    with make() as client:
        client.call(SEND)
    client.close()

    with pytest.raises(errors.ClientClosedError, match="sendThing"):
        client.call(SEND)


def test_transport_of_the_caller_stays_open() -> None:
    """The caller closes its transport."""
    closed = []

    class Mine(httpx2.MockTransport):
        def close(self) -> None:
            closed.append(self)

    with HttpClient(
        access("http://x"), RATES, transport=Mine(lambda _: httpx2.Response(200))
    ) as client:
        client.after_fork()
        assert client.call(SEND).status == 200

    assert closed == []


def test_environment_proxy_is_used_unless_the_host_is_exempt(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the variables `http_proxy` and `no_proxy` say."""
    monkeypatch.setenv("http_proxy", vendor.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    for url in ("http://cdp.example.com", vendor.url):
        transport = default_transport(url)
        transport.handle_request(httpx2.Request("GET", f"{url}/v1")).read()
        transport.close()

    assert [call.target for call in vendor.calls] == ["http://cdp.example.com/v1", "/v1"]


def test_forked_child_opens_new_connections(make: Make, vendor: VendorServer) -> None:
    """Parent and child never write to the same socket."""
    client = make(retries=RetryPolicy(attempts=1))
    client.call(SEND)

    child = os.fork()
    if child == 0:
        os._exit(0 if client.call(SEND).status == 200 else 1)
    status = os.waitpid(child, 0)[1]
    client.call(SEND)

    assert status == 0
    first, second, third = (call.connection for call in vendor.calls)
    assert first == third != second
