"""The relay's tokens: fetched once, renewed early, renewed once more when refused."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from core.webhooks.signature import SigningKey, sign
from databricks_app.databricks.token import EARLY_SECONDS, Token, Tokens, machine_token
from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.errors import TokenError
from databricks_app.relay.app import Relay, RelayAnswer, create_relay
from databricks_app.relay.settings import from_environment
from tests.support.relay_platform import (
    CLIENT_ID,
    CLIENT_SECRET,
    KEY,
    Behaviour,
    Platform,
    hang,
    page,
    reset,
)
from tests.support.still_time import FixedClock

LONG = 20.0


@pytest.fixture
def platform() -> Iterator[Platform]:
    """A workspace whose app stores every event."""
    with Platform() as platform:
        yield platform


@contextmanager
def begun(platform: Platform, now: Callable[[], float] = time.time) -> Iterator[Tokens]:
    """Tokens of that workspace, as the relay makes them."""
    host = platform.variables()["DATABRICKS_HOST"]

    def fetch() -> Token:
        with httpx2.Client(trust_env=False) as client:
            return machine_token(client, host, CLIENT_ID, CLIENT_SECRET, now)

    tokens = Tokens(fetch, clock=now)
    tokens.begin()
    try:
        yield tokens
    finally:
        tokens.close()


def eventually(holds: Callable[[], bool]) -> None:
    """Wait for the effect of another thread."""
    deadline = time.monotonic() + LONG
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def post(relay: Relay, now: Callable[[], float] = time.time) -> RelayAnswer:
    """Let the relay answer a signed request."""
    timestamp = str(int(now()))
    return relay.answer(
        {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": WEBHOOK_PATH,
            "CONTENT_LENGTH": "2",
            "HTTP_X_CIO_TIMESTAMP": timestamp,
            "HTTP_X_CIO_SIGNATURE": sign(SigningKey.from_text(KEY), timestamp, b"{}"),
            "wsgi.input": io.BytesIO(b"{}"),
        }
    )


@pytest.fixture
def relay(platform: Platform, now: FixedClock) -> Iterator[Relay]:
    """A relay in front of `platform`, with a fixed clock."""
    relay = create_relay(from_environment(platform.variables()), now=now)
    yield relay
    relay.close()


def test_a_token_is_used_until_it_is_renewed(platform: Platform, now: FixedClock) -> None:
    """One call for many requests, also for requests at the same time."""
    with begun(platform, now) as tokens, ThreadPoolExecutor(16) as threads:
        got = set(threads.map(lambda _: tokens.get(LONG).text, range(32)))
        now.at += 3600 - EARLY_SECONDS - 1
        got.add(tokens.get(LONG).text)

        assert got == {"token-1"}
        assert platform.token_calls == 1


def test_a_token_is_renewed_early_while_the_old_one_is_used(
    platform: Platform, now: FixedClock
) -> None:
    """A request wakes the thread that renews it, and does not wait."""
    with begun(platform, now) as tokens:
        tokens.get(LONG)
        now.at += 3600 - EARLY_SECONDS

        assert tokens.get(LONG).text == "token-1"
        eventually(lambda: tokens.get(LONG).text == "token-2")


def test_a_token_that_expired_in_a_pause_is_renewed_by_the_next_request(
    platform: Platform, now: FixedClock
) -> None:
    """A function host may freeze a process for longer than the life of a token."""
    with begun(platform, now) as tokens:
        tokens.get(LONG)
        now.at += 7200

        assert tokens.get(LONG).text == "token-2"


def test_a_token_is_renewed_without_any_request(platform: Platform) -> None:
    """The first request after a quiet hour finds a valid token."""
    platform.token_seconds = 2
    with begun(platform) as tokens:
        tokens.get(LONG)
        eventually(lambda: platform.issued >= 2)


def test_an_old_token_is_used_until_it_expires_if_no_renewal_works(
    platform: Platform, now: FixedClock
) -> None:
    """The token endpoint may be down for ten minutes."""
    with begun(platform, now) as tokens:
        tokens.get(LONG)
        platform.token_behaviour = page(500)
        now.at += 3600 - EARLY_SECONDS

        assert tokens.get(LONG).text == "token-1"
        eventually(lambda: platform.token_calls >= 2)
        assert tokens.get(LONG).text == "token-1"
        now.at += EARLY_SECONDS
        with pytest.raises(TokenError):
            tokens.get(LONG)


def test_a_request_ends_the_pause_after_a_failure(platform: Platform, now: FixedClock) -> None:
    """After a second; until then requests share the failure and do not call the endpoint again."""
    platform.token_behaviour = page(500)
    with begun(platform, now) as tokens:
        for _ in range(20):
            with pytest.raises(TokenError, match="HTTP 500"):
                tokens.get(LONG)
        assert platform.token_calls <= 2
        platform.token_behaviour = None
        now.at += 1

        assert tokens.get(LONG).text == "token-1"


def token_answer(text: bytes, status: int = 200) -> Behaviour:
    """Answer a token call with this text."""
    return lambda handler: handler.answer(status, text, content_type="application/json")


UNEXPECTED: dict[str, Behaviour] = {
    "empty": token_answer(b""),
    "not UTF-8": token_answer(b"\xff"),
    "a list": token_answer(b"[]"),
    "null": token_answer(b"null"),
    "deeply nested": token_answer(b"[" * 100_000),
    "no token": token_answer(b'{"expires_in":3600}'),
    "no lifetime": token_answer(b'{"access_token":"t"}'),
    "lifetime as text": token_answer(b'{"access_token":"t","expires_in":"3600"}'),
    "lifetime as boolean": token_answer(b'{"access_token":"t","expires_in":true}'),
    "no time left": token_answer(b'{"access_token":"t","expires_in":0}'),
    "empty token": token_answer(b'{"access_token":"","expires_in":3600}'),
    "token with a line end": token_answer(b'{"access_token":"a\\r\\nb: c","expires_in":3600}'),
    "401": token_answer(b'{"access_token":"t","expires_in":3600}', 401),
    "a page": page(200),
    "a redirect": page(302, Location="https://example.com/"),
    "a reset": reset,
}


def test_an_unexpected_answer_is_a_token_error(platform: Platform) -> None:
    """Whatever an endpoint or a proxy answers; the error does not quote it."""
    wrong = {}
    for name, behaviour in UNEXPECTED.items():
        platform.token_behaviour = behaviour
        with begun(platform) as tokens:
            try:
                text = f"no error, but {tokens.get(LONG)}"
            except TokenError as error:
                text = str(error)
        if not text.startswith("the workspace ") or "access_token" in text:
            wrong[name] = text

    assert wrong == {}


def test_a_timeout_of_one_caller_does_not_end_the_fetch(platform: Platform) -> None:
    """A late token serves the callers that wait longer."""
    release = threading.Event()

    def late(handler: Any) -> None:
        release.wait(LONG)
        handler.answer(200, b'{"access_token":"late","expires_in":3600}')

    platform.token_behaviour = late
    with begun(platform) as tokens, ThreadPoolExecutor(1) as threads:
        longer = threads.submit(lambda: tokens.get(LONG).text)
        with pytest.raises(TokenError, match="has not given us a token"):
            tokens.get(0.1)
        release.set()

        assert longer.result(LONG) == "late"


def test_relay_answers_503_without_a_token(platform: Platform) -> None:
    """In time, although the token endpoint hangs."""
    platform.token_behaviour = hang
    relay = create_relay(from_environment(platform.variables(CIO_RELAY_DEADLINE_SECONDS="0.5")))

    started = time.monotonic()
    answer = post(relay)

    assert RelayAnswer(503, "timeout") == answer
    assert time.monotonic() - started < 2
    assert platform.calls == 0
    relay.close()


def test_relay_answers_503_when_the_secret_is_wrong(platform: Platform) -> None:
    """It sends nothing to the app without a token."""
    variables = platform.variables(DATABRICKS_CLIENT_SECRET="another")
    relay = create_relay(from_environment(variables))

    assert post(relay) == RelayAnswer(503, "no_token")
    assert platform.calls == 0
    relay.close()


def test_relay_answers_503_when_the_token_has_expired_and_none_comes(
    platform: Platform, relay: Relay, now: FixedClock
) -> None:
    """It never sends an expired token."""
    assert post(relay, now).status == 200
    platform.token_behaviour = page(500)
    now.at += 3600

    assert post(relay, now) == RelayAnswer(503, "no_token")
    assert platform.calls == 1


@pytest.mark.parametrize("behaviour", [None, page(302), page(403)])
def test_relay_tries_again_with_a_new_token(
    platform: Platform, relay: Relay, now: FixedClock, behaviour: Behaviour | None
) -> None:
    """Once, after a revoked token, a login redirect or a missing permission."""
    assert post(relay, now).status == 200
    if behaviour is None:
        platform.valid.clear()
    else:
        platform.behaviours = [behaviour]

    assert post(relay, now) == RelayAnswer(200)
    assert (platform.calls, platform.token_calls) == (3, 2)


def test_relay_tries_again_only_once(platform: Platform, relay: Relay, now: FixedClock) -> None:
    """If new tokens are refused too, the token is not the cause."""
    platform.always = page(403)

    answers = {post(relay, now) for _ in range(5)}

    assert answers == {RelayAnswer(503, "forbidden")}
    assert platform.calls == 2 + 4
    assert platform.token_calls == 2


def test_relay_tells_a_refused_token_from_a_missing_permission(
    platform: Platform, relay: Relay, now: FixedClock
) -> None:
    """By the words of the 403."""
    platform.always = page(403, b"Invalid access token.")

    answers = {post(relay, now) for _ in range(2)}

    assert answers == {RelayAnswer(503, "token_refused")}
    assert platform.token_calls == 2


def test_relay_renews_a_refused_token_once_for_all_requests(
    platform: Platform, relay: Relay, now: FixedClock
) -> None:
    """Requests refused at the same time share the new token."""
    assert post(relay, now).status == 200
    platform.valid.clear()

    with ThreadPoolExecutor(16) as threads:
        answers = set(threads.map(lambda _: post(relay, now), range(16)))

    assert answers == {RelayAnswer(200)}
    assert platform.token_calls == 2


def test_relay_follows_no_redirect(platform: Platform, relay: Relay, now: FixedClock) -> None:
    """The token is sent only to the app's host."""
    visits: list[object] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def handle(self) -> None:
            visits.append(self.client_address)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    to = f"http://127.0.0.1:{server.server_port}/"
    for status in (301, 302, 303, 307, 308):
        platform.behaviours = [page(status, Location=to)] * 2
        assert post(relay, now) == RelayAnswer(503, "token_refused")
        platform.behaviours = []

    server.shutdown()
    server.server_close()
    assert visits == []
