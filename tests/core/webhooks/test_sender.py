"""Posts are signed like those of Customer.io, and each failure has a reason."""

from __future__ import annotations

import socket
import threading
import time
from http.client import BadStatusLine

import pytest

from core.webhooks.sender import Destination, NoAnswer, Sender, signed_headers
from core.webhooks.signature import SigningKey
from databricks_app.operations.webhooks.destination import parse
from tests.support.loopback_receiver import KEY, LoopbackReceiver, unused_destination


def now() -> int:
    """Unix seconds."""
    return int(time.time())


def test_signed_headers_carry_a_known_signature() -> None:
    """`openssl dgst -sha256 -hmac` computed the digest."""
    headers = signed_headers(SigningKey.from_text("key"), 1700000000, b'{"event_id":"1"}')

    assert headers["X-CIO-Timestamp"] == "1700000000"
    assert headers["X-CIO-Signature"] == (
        "40ea4ab320c7b0f7662f19a8006934a7fed200126c304521d557ea04ec268118"
    )


def test_post_sends_the_unchanged_body_with_a_valid_signature() -> None:
    """A receiver accepts it, even if the body is not text."""
    body = b'{"odd":  "\xff\x00"}\r\n'

    with LoopbackReceiver() as receiver, Sender(receiver.destination, KEY) as sender:
        answer = sender.post(body, timestamp=now())

    assert answer.is_acknowledged
    assert receiver.bodies == [body]
    assert receiver.paths == ["/api/webhooks/customerio"]
    assert receiver.headers[0]["Content-Type"] == "application/json"


def test_post_keeps_its_connection() -> None:
    """Many posts take one connection."""
    with LoopbackReceiver(text=b"ok") as receiver, Sender(receiver.destination, KEY) as sender:
        for _ in range(5):
            sender.post(b"{}", timestamp=now())

    assert receiver.connections == 1


def test_post_opens_a_new_connection_if_the_receiver_closed_the_old_one() -> None:
    """A connection that was closed between two posts is no failure."""
    with (
        LoopbackReceiver(hangs_up=True) as receiver,
        Sender(receiver.destination, KEY) as sender,
    ):
        answers = [sender.post(b"{}", timestamp=now()) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert sender.reopened == 2


def test_post_returns_the_start_of_the_text_of_a_refusal() -> None:
    """Bounded, printable characters only; a long page is not read to its end."""
    text = b"No \x1b[31mkey\n" + b"x" * 100_000
    wrong = SigningKey.from_text("wrong")
    with LoopbackReceiver(text=text) as receiver, Sender(receiver.destination, wrong) as sender:
        answers = [sender.post(b"{}", timestamp=now()) for _ in range(2)]

    assert [answer.status for answer in answers] == [401, 401]
    assert not answers[0].is_acknowledged
    assert answers[0].text.startswith("No [31mkey xxx")
    assert len(answers[0].text) < 400


def test_post_does_not_follow_redirects() -> None:
    """A redirect does not acknowledge the event, as for Customer.io."""
    with (
        LoopbackReceiver(status=lambda _: 302, location="/elsewhere") as receiver,
        Sender(receiver.destination, KEY) as sender,
    ):
        answer = sender.post(b"{}", timestamp=now())

    assert answer.status == 302
    assert receiver.paths == ["/api/webhooks/customerio"]


def test_post_to_a_port_without_listener_is_refused() -> None:
    """The reason is `refused`."""
    with Sender(unused_destination(), KEY) as sender, pytest.raises(NoAnswer) as caught:
        sender.post(b"{}", timestamp=now())

    assert caught.value.reason == "refused"


def test_post_ends_at_its_timeout() -> None:
    """The next post works."""
    with (
        LoopbackReceiver(hangs=lambda number: number == 0) as receiver,
        Sender(receiver.destination, KEY, timeout_seconds=0.1) as sender,
    ):
        with pytest.raises(NoAnswer) as caught:
            sender.post(b"{}", timestamp=now())
        answer = sender.post(b"{}", timestamp=now())

    assert caught.value.reason == "timed_out"
    assert answer.is_acknowledged


def test_post_to_a_listener_that_hangs_up_is_reset() -> None:
    """A new connection that is closed without an answer is a failure."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        hang_up = threading.Thread(target=lambda: server.accept()[0].close())
        hang_up.start()
        destination = Destination(False, "127.0.0.1", server.getsockname()[1], "/")
        with Sender(destination, KEY) as sender, pytest.raises(NoAnswer) as caught:
            sender.post(b"{}", timestamp=now())
        hang_up.join()

    assert caught.value.reason == "reset"


def test_post_over_tls_to_a_plain_server_fails_as_tls() -> None:
    """The reason for a port with http instead of https is `tls`."""
    with LoopbackReceiver() as receiver:
        destination = parse(receiver.url.replace("http:", "https:"))
        with Sender(destination, KEY) as sender, pytest.raises(NoAnswer) as caught:
            sender.post(b"{}", timestamp=now())

    assert caught.value.reason == "tls"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(111, "refused"), "refused"),
        (BrokenPipeError(32, "broken pipe"), "reset"),
        (BadStatusLine("garbage"), "reset"),
        (socket.gaierror(-2, "Name or service not known"), "unknown_host"),
        (OSError(101, "Network is unreachable"), "unreachable"),
    ],
)
def test_no_answer_names_the_failure_of_the_network(error: Exception, reason: str) -> None:
    """A closed list of reasons; the text of the error has the reason only."""
    failure = NoAnswer.because_of(error)

    assert failure.reason == reason
    assert str(failure) == f"no answer: {reason.replace('_', ' ')}"
