"""The relay in this process: what it accepts, what it forwards, and how it answers."""

from __future__ import annotations

import hmac
import io
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import pytest
import structlog
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.webhooks.signature import SigningKey, sign
from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.errors import SettingsError
from databricks_app.relay.app import Relay, RelayAnswer, create_relay
from databricks_app.relay.settings import from_environment
from tests.support.relay_platform import (
    CLIENT_SECRET,
    KEY,
    Behaviour,
    Platform,
    genuine,
    hang,
    hang_up,
    page,
    reset,
    trickle,
)
from tests.support.spellings import OTHERS, SPELLINGS
from tests.support.still_time import FixedClock

Opener = Callable[..., Relay]


@pytest.fixture
def platform() -> Iterator[Platform]:
    """A workspace whose app stores every event."""
    with Platform() as platform:
        yield platform


@pytest.fixture
def opened(platform: Platform) -> Iterator[Opener]:
    """Open relays in front of `platform`: `opened(now=clock, CIO_...="...")`."""
    relays: list[Relay] = []

    def make(now: Callable[[], float] = time.time, **variables: str) -> Relay:
        relays.append(create_relay(from_environment(platform.variables(**variables)), now=now))
        return relays[-1]

    yield make
    for relay in relays:
        relay.close()


def environ(body: bytes = b"{}", *, key: str = KEY, at: float | None = None) -> dict[str, Any]:
    """Return a signed request."""
    timestamp = str(int(time.time() if at is None else at))
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": WEBHOOK_PATH,
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_X_CIO_TIMESTAMP": timestamp,
        "HTTP_X_CIO_SIGNATURE": sign(SigningKey.from_text(key), timestamp, body),
        "wsgi.input": io.BytesIO(body),
    }


def ask(relay: Relay, request: dict[str, Any]) -> tuple[str, dict[str, str], bytes]:
    """Call the WSGI app; return status line, headers and body."""
    started: list[Any] = []
    body = b"".join(relay(request, lambda *given: started.extend(given)))  # type: ignore[arg-type]
    return started[0], dict(started[1]), body


def test_relay_forwards_a_verified_body_to_the_app(platform: Platform, opened: Opener) -> None:
    """The app gets body, signature, timestamp and content type unchanged, and no token."""
    request = environ(b'{"event_id":"1"}')

    answer = opened().answer(request)

    assert RelayAnswer(200) == answer
    (seen,) = platform.seen
    assert (seen.path, seen.body) == (WEBHOOK_PATH, b'{"event_id":"1"}')
    assert request["HTTP_X_CIO_SIGNATURE"] == seen.headers["x-cio-signature"]
    assert request["HTTP_X_CIO_TIMESTAMP"] == seen.headers["x-cio-timestamp"]
    assert seen.headers["content-type"] == "application/json"
    assert "authorization" not in seen.headers


def test_relay_forwards_every_body_byte_for_byte(platform: Platform, opened: Opener) -> None:
    """Any bytes: NUL, not UTF-8, empty."""
    relay = opened()

    @given(st.binary(max_size=300) | st.text().map(str.encode))
    @hypothesis_settings(
        max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    def check(body: bytes) -> None:
        platform.seen.clear()
        assert relay.answer(environ(body)) == RelayAnswer(200)
        assert [seen.body for seen in platform.seen] == [body]

    check()


@pytest.mark.parametrize("size", [1 << 20, 3 << 20])
def test_relay_forwards_large_bodies(platform: Platform, opened: Opener, size: int) -> None:
    """From memory, and from a file above the limit of memory."""
    body = bytes(range(256)) * (size // 256)

    answer = opened(CIO_MAX_BODY_BYTES=str(2 << 20)).answer(environ(body))

    assert RelayAnswer(200) == answer
    assert platform.seen[0].body == body


def test_relay_accepts_a_body_without_a_length(platform: Platform, opened: Opener) -> None:
    """A sender may use chunks."""
    request = environ(b"[1]")
    del request["CONTENT_LENGTH"]

    assert opened().answer(request) == RelayAnswer(200)
    assert platform.seen[0].body == b"[1]"


def test_relay_can_send_the_signature_in_the_query_too(platform: Platform, opened: Opener) -> None:
    """For a platform that drops the headers."""
    request = environ(b"{}", at=None)

    opened(CIO_RELAY_SIGNATURE="both").answer(request)

    signature, timestamp = request["HTTP_X_CIO_SIGNATURE"], request["HTTP_X_CIO_TIMESTAMP"]
    (seen,) = platform.seen
    assert seen.path == f"{WEBHOOK_PATH}?cio_signature={signature}&cio_timestamp={timestamp}"
    assert seen.headers["x-cio-signature"] == signature


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"HTTP_X_CIO_SIGNATURE": "0" * 64}, "wrong_signature"),
        ({"HTTP_X_CIO_SIGNATURE": "no hex"}, "malformed_header"),
        ({"HTTP_X_CIO_TIMESTAMP": None}, "missing_header"),
        ({"HTTP_X_CIO_SIGNATURE": "\xff" * 64}, "malformed_header"),
        ({"wsgi.input": io.BytesIO(b"[]")}, "wrong_signature"),
    ],
)
def test_relay_forwards_nothing_unverified(
    platform: Platform, opened: Opener, change: dict[str, Any], reason: str
) -> None:
    """The answer is 401 if headers are at fault, and the app gets no request."""
    request = {name: value for name, value in (environ() | change).items() if value is not None}

    status = 503 if reason == "wrong_signature" else 401  # no key is proven yet
    assert opened().answer(request) == RelayAnswer(status, reason)
    assert platform.calls == 0


def test_relay_answers_401_to_a_wrong_signature_once_its_key_is_proven(opened: Opener) -> None:
    """As the receiver does; a request of ours proves nothing."""
    relay = opened()
    ours = {"HTTP_X_CIOLAKE_TEST": "1"}

    assert relay.answer(environ() | ours).status == 200
    assert relay.answer(environ(key="another")).status == 503
    assert relay.answer(environ()).status == 200
    assert relay.answer(environ(key="another")).status == 401


@pytest.mark.parametrize(
    ("signature", "fault"),
    [
        (hmac.new(KEY.encode(), b"{}", "sha256").hexdigest(), "body_only"),
        (b64encode(bytes(32)).decode(), "base64_signature"),
        ("0" * 64, "unknown"),
    ],
)
def test_relay_logs_why_a_signature_failed(opened: Opener, signature: str, fault: str) -> None:
    """The receiver behind it never sees the request."""
    with structlog.testing.capture_logs() as lines:
        opened().answer(environ() | {"HTTP_X_CIO_SIGNATURE": signature})

    (line,) = [one for one in lines if one["event"] == "request_refused"]
    assert line["fault"] == fault
    assert line["advice"]


def test_relay_passes_the_mark_of_our_requests(platform: Platform, opened: Opener) -> None:
    """The app must know that they prove nothing."""
    relay = opened()

    relay.answer(environ() | {"HTTP_X_CIOLAKE_TEST": "1"})
    relay.answer(environ())

    assert [seen.headers.get("x-ciolake-test") for seen in platform.seen] == ["1", None]


def test_relay_can_answer_unverified_requests_503(opened: Opener) -> None:
    """As the receiver itself can."""
    relay = opened(CIO_UNVERIFIED_STATUS="503")

    assert relay.answer(environ(key="another")) == RelayAnswer(503, "wrong_signature")


def test_relay_accepts_each_of_several_keys(opened: Opener) -> None:
    """A key can be rotated without a gap."""
    relay = opened(CIO_WEBHOOK_SIGNING_KEYS=f"another,{KEY}")

    assert {relay.answer(environ(key=key)).status for key in ("another", KEY)} == {200}


def test_relay_without_a_key_accepts_nothing(platform: Platform, opened: Opener) -> None:
    """It never accepts everything instead."""
    assert opened(CIO_WEBHOOK_SIGNING_KEYS="").answer(environ()) == RelayAnswer(503, "no_key")
    assert platform.calls == 0


@pytest.mark.parametrize(
    ("policy", "status"), [("reject", 401), ("accept", 200), ("second_sight", 200)]
)
def test_relay_has_the_receivers_time_window(
    opened: Opener, now: FixedClock, policy: str, status: int
) -> None:
    """The setting decides about a correct signature with an old timestamp."""
    relay = opened(now=now, CIO_STALE_TIMESTAMPS=policy)

    with structlog.testing.capture_logs() as lines:
        assert relay.answer(environ(at=now.at - 301)).status == status
        assert relay.answer(environ(at=now.at + 300)).status == 200

    (line,) = [line for line in lines if line["event"] == "stale_timestamp"]
    assert (line["age_seconds"], line["accepted"]) == (301, policy != "reject")


ROUTES = [
    ("GET", WEBHOOK_PATH, "405 Method Not Allowed", "POST"),
    *(("POST", unquote(path), "200 OK", None) for path in SPELLINGS),
    *(("GET", unquote(path), "405 Method Not Allowed", "POST") for path in SPELLINGS),
    *(("POST", unquote(path, "latin-1"), "404 Not Found", None) for path in OTHERS),
    ("GET", "/healthz", "200 OK", None),
    ("HEAD", "/healthz", "200 OK", None),
    ("POST", "/healthz", "405 Method Not Allowed", "GET, HEAD"),
]


def test_relay_accepts_one_path_and_one_method(opened: Opener) -> None:
    """All other requests get 404 or 405, without a redirect."""
    relay = opened()
    wrong = {}
    for method, path, status, allow in ROUTES:
        request = environ() | {"REQUEST_METHOD": method, "PATH_INFO": path}
        status_line, headers, _ = ask(relay, request)
        found = (status_line, headers.get("Allow"), headers.get("Location"))
        if found != (status, allow, None):
            wrong[method, path] = found

    assert wrong == {}


def test_relay_is_alive_without_the_app(platform: Platform, opened: Opener) -> None:
    """Its host must not restart it because the app is down."""
    platform.stop()

    assert ask(opened(), {"REQUEST_METHOD": "GET", "PATH_INFO": "/healthz"})[2] == b"alive\n"


# The reason in the log, what the app or the platform does, and how often the relay tries.
FAULTS: list[tuple[str, Behaviour, int]] = [
    ("app_refused", genuine(401), 1),
    ("app_unavailable", genuine(503), 1),
    ("app_unavailable", genuine(413), 1),
    ("not_the_app", page(200), 1),
    ("not_the_app", page(200, b""), 1),
    ("not_the_app", page(200, b"x" * (1 << 20)), 1),
    ("platform", page(404), 1),
    ("platform", page(429), 1),
    ("platform", page(500), 1),
    ("platform", page(502), 1),
    ("broken", reset, 2),
    ("broken", hang_up, 2),
]


def test_relay_answers_503_to_every_fault_behind_it(platform: Platform, opened: Opener) -> None:
    """Only the app's own 200 means that the event is stored."""
    relay = opened()
    wrong = []
    for reason, behaviour, tries in FAULTS:
        platform.always = behaviour
        before = platform.calls
        status, headers, _ = ask(relay, environ())
        found = (
            status,
            headers.get("Retry-After"),
            platform.calls - before,
            relay.answer(environ()).reason,
        )
        if found != ("503 Service Unavailable", "5", tries, reason):
            wrong.append((reason, tries, found))

    assert wrong == []


def test_relay_answers_503_while_connections_are_refused(
    platform: Platform, opened: Opener
) -> None:
    """And 200 as soon as they are accepted."""
    relay = opened()
    platform.stop()

    assert relay.answer(environ()) == RelayAnswer(503, "unreachable")

    platform.start()

    assert relay.answer(environ()) == RelayAnswer(200)


def test_relay_repeats_a_request_after_a_broken_connection(
    platform: Platform, opened: Opener
) -> None:
    """The platform closes idle connections when it restarts something."""
    platform.behaviours = [hang_up]

    assert opened().answer(environ(b"[1]")) == RelayAnswer(200)
    assert [seen.body for seen in platform.seen] == [b"[1]"]


@pytest.mark.parametrize("behaviour", [hang, trickle])
def test_relay_answers_in_time_whatever_the_app_does(
    platform: Platform, opened: Opener, behaviour: Behaviour
) -> None:
    """If the app hangs or is slow, the sender is answered before it gives up after 4 s."""
    platform.always = behaviour
    relay = opened(CIO_RELAY_DEADLINE_SECONDS="1")
    started = time.monotonic()

    answer = relay.answer(environ())

    assert RelayAnswer(503, "timeout") == answer
    assert time.monotonic() - started < 2.5
    platform.always = None
    assert relay.answer(environ()) == RelayAnswer(200)


def test_relay_answers_in_time_even_if_its_loop_is_blocked(opened: Opener) -> None:
    """A machine that pauses costs a 503, not a timeout of the sender."""
    relay = opened(CIO_RELAY_DEADLINE_SECONDS="1")
    assert relay.answer(environ()) == RelayAnswer(200)
    relay._loop._loop.call_soon_threadsafe(time.sleep, 3)
    started = time.monotonic()

    assert relay.answer(environ()) == RelayAnswer(503, "timeout")
    assert time.monotonic() - started < 2.5


def test_relay_limits_the_number_of_requests(platform: Platform, opened: Opener) -> None:
    """One too many is answered 503 at once."""
    arrived = threading.Event()

    def wait(handler: Any) -> None:
        arrived.set()
        hang(handler)

    platform.behaviours = [wait]
    relay = opened(CIO_RELAY_MAX_REQUESTS="1", CIO_RELAY_DEADLINE_SECONDS="3")
    first = threading.Thread(target=relay.answer, args=(environ(),))
    first.start()
    assert arrived.wait(10)

    assert relay.answer(environ()) == RelayAnswer(503, "busy")

    platform.closing.set()
    first.join()
    assert relay.answer(environ()) == RelayAnswer(200)


def test_relay_refuses_a_body_over_eight_times_the_limit(
    platform: Platform, opened: Opener
) -> None:
    """Like the receiver, with a known or unknown length."""
    relay = opened(CIO_MAX_BODY_BYTES="1024")
    known, unknown = environ(b"x" * 8193), environ(b"x" * 8193)
    del unknown["CONTENT_LENGTH"]

    assert relay.answer(known) == RelayAnswer(413, "too_large")
    assert relay.answer(unknown) == RelayAnswer(413, "too_large")
    assert relay.answer(environ(b"x" * 8192)) == RelayAnswer(200)
    assert platform.calls == 1


def test_relay_limits_the_bytes_of_all_requests(platform: Platform, opened: Opener) -> None:
    """A second large body is answered 503 while the first one is forwarded."""
    arrived = threading.Event()

    def wait(handler: Any) -> None:
        arrived.set()
        hang(handler)

    platform.behaviours = [wait]
    relay = opened(CIO_MAX_BODY_BYTES="1024", CIO_RELAY_DEADLINE_SECONDS="3")
    first = threading.Thread(target=relay.answer, args=(environ(b"x" * 8000),))
    first.start()
    assert arrived.wait(10)

    assert relay.answer(environ(b"x" * 1000)) == RelayAnswer(503, "busy")

    platform.closing.set()
    first.join()
    assert relay.answer(environ(b"x" * 8000)) == RelayAnswer(200)


class Broken(io.BytesIO):
    """A body whose sender closes the connection."""

    def read(self, _size: int | None = -1) -> bytes:
        """Fail as a socket does."""
        raise ConnectionResetError


class Slow(io.BytesIO):
    """A body that takes longer than the deadline."""

    def read(self, size: int | None = -1) -> bytes:
        """Pass the deadline."""
        time.sleep(0.6)
        return super().read(size)


@pytest.mark.parametrize("body", [io.BytesIO(b"{"), Broken(), Slow(b"{}")])
def test_relay_forwards_no_incomplete_body(
    platform: Platform, opened: Opener, body: io.BytesIO
) -> None:
    """The answer is 408, like the receiver's."""
    relay = opened(CIO_RELAY_DEADLINE_SECONDS="0.5")

    assert relay.answer(environ() | {"wsgi.input": body}) == RelayAnswer(408, "incomplete")
    assert platform.calls == 0


def test_relay_answers_503_after_an_unforeseen_error(opened: Opener) -> None:
    """Never 500, after which Customer.io waits an hour."""
    request = environ()
    del request["wsgi.input"]

    assert opened().answer(request) == RelayAnswer(503, "exception")


def test_relay_logs_no_secret(platform: Platform, opened: Opener) -> None:
    """No keys, tokens, signatures or bodies, after any fault."""
    request = environ(b'{"email":"person@example.com"}')
    with structlog.testing.capture_logs() as lines:
        relay = opened(CIO_RELAY_SIGNATURE="both")
        for behaviour in [reset, page(302), page(403), page(200), genuine(401)]:
            platform.behaviours = [behaviour] * 2
            relay.answer(request | {"wsgi.input": io.BytesIO(b'{"email":"person@example.com"}')})
        relay.answer(environ(key="another"))

    output = repr(lines) + repr(relay._settings)
    for secret in (KEY, CLIENT_SECRET, "token-1", request["HTTP_X_CIO_SIGNATURE"], "person@"):
        assert secret not in output
    assert {"not_delivered", "request_refused"} <= {line["event"] for line in lines}


def test_relay_logs_advice_when_the_app_refuses(platform: Platform, opened: Opener) -> None:
    """Different keys look like dropped headers; the log line names both."""
    platform.always = genuine(401)
    relay = opened()

    with structlog.testing.capture_logs() as lines:
        relay.answer(environ())

    (line,) = [line for line in lines if line["event"] == "not_delivered"]
    assert (line["reason"], line["status"], line["tries"]) == ("app_refused", 401, 1)
    assert "CIO_SIGNATURE_IN_QUERY" in line["advice"]


def test_create_relay_reads_the_environment(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A missing setting fails the deployment, not the requests."""
    monkeypatch.chdir(tmp_path)
    for name, value in platform.variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CIO_RELAY_APP_URL")

    with pytest.raises(SettingsError, match="CIO_RELAY_APP_URL cannot be used: must be"):
        create_relay()


def test_relay_imports_neither_flask_nor_a_store() -> None:
    """A function host starts it in a fraction of a second."""
    source = (
        "import sys, databricks_app.relay.app\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60
    )

    heavy = {
        "flask",
        "werkzeug",
        "pyarrow",
        "deltalake",
        "duckdb",
        "databricks",
        "prometheus_client",
    }
    assert heavy & set(done.stdout.split()) == set()
