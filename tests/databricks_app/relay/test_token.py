"""The relay's tokens: asked for once, renewed early, renewed once more when refused."""

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
    """A workspace whose app stores everything by itself."""
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
    """Wait for what another thread does."""
    deadline = time.monotonic() + LONG
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def post(relay: Relay, now: Callable[[], float] = time.time) -> RelayAnswer:
    """Have the relay answer a signed request."""
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
    """A relay in front of `platform`, with a clock that stands still."""
    relay = create_relay(from_environment(platform.variables()), now=now)
    yield relay
    relay.close()


def test_a_token_is_used_until_it_is_renewed(platform: Platform, now: FixedClock) -> None:
    """One call for many requests, however many begin at once."""
    with begun(platform, now) as tokens, ThreadPoolExecutor(16) as threads:
        got = set(threads.map(lambda _: tokens.get(LONG).text, range(32)))
        now.at += 3600 - EARLY_SECONDS - 1
        got.add(tokens.get(LONG).text)

        assert got == {"token-1"}
        assert platform.token_calls == 1


def test_a_token_is_renewed_early_while_the_old_one_serves(
    platform: Platform, now: FixedClock
) -> None:
    """A request wakes what renews it, which may have been frozen, and does not wait."""
    with begun(platform, now) as tokens:
        tokens.get(LONG)
        now.at += 3600 - EARLY_SECONDS

        assert tokens.get(LONG).text == "token-1"
        eventually(lambda: tokens.get(LONG).text == "token-2")


def test_a_token_that_ended_in_a_pause_is_renewed_by_the_next_request(
    platform: Platform, now: FixedClock
) -> None:
    """A function host freezes a process for longer than a token lasts."""
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


def test_an_old_token_serves_while_no_new_one_can_be_had(
    platform: Platform, now: FixedClock
) -> None:
    """An hour's token bridges ten minutes of a broken endpoint; then there is none."""
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
    """A second later; until then the failure is shared, so that the endpoint is not flooded."""
    platform.token_behaviour = page(500)
    with begun(platform, now) as tokens:
        for _ in range(20):
            with pytest.raises(TokenError, match="HTTP 500"):
                tokens.get(LONG)
        assert platform.token_calls <= 2
        platform.token_behaviour = None
        now.at += 1

        assert tokens.get(LONG).text == "token-1"


def said(text: bytes, status: int = 200) -> Behaviour:
    """Answer a call for a token with this text."""
    return lambda handler: handler.answer(status, text, content_type="application/json")


@pytest.mark.parametrize(
    "behaviour",
    [
        said(b""),
        said(b"\xff"),
        said(b"[]"),
        said(b"null"),
        said(b"[" * 100_000),
        said(b'{"expires_in":3600}'),
        said(b'{"access_token":"t"}'),
        said(b'{"access_token":"t","expires_in":"3600"}'),
        said(b'{"access_token":"t","expires_in":true}'),
        said(b'{"access_token":"t","expires_in":0}'),
        said(b'{"access_token":"","expires_in":3600}'),
        said(b'{"access_token":"a\\r\\nb: c","expires_in":3600}'),
        said(b'{"access_token":"t","expires_in":3600}', 401),
        page(200),
        page(302, Location="https://example.com/"),
        reset,
    ],
)
def test_a_strange_answer_is_no_token(platform: Platform, behaviour: Behaviour) -> None:
    """Whatever an endpoint, or a proxy instead of it, says: an error of ours, without its text."""
    platform.token_behaviour = behaviour
    with begun(platform) as tokens, pytest.raises(TokenError, match=r"^the workspace ") as caught:
        tokens.get(LONG)

    assert "access_token" not in str(caught.value)


def test_who_gives_up_waiting_does_not_end_the_call_for_others(platform: Platform) -> None:
    """A token that comes late serves those who wait longer."""
    release = threading.Event()

    def late(handler: Any) -> None:
        release.wait(LONG)
        handler.answer(200, b'{"access_token":"late","expires_in":3600}')

    platform.token_behaviour = late
    with begun(platform) as tokens, ThreadPoolExecutor(1) as threads:
        longer = threads.submit(lambda: tokens.get(LONG).text)
        with pytest.raises(TokenError, match="not yet"):
            tokens.get(0.1)
        release.set()

        assert longer.result(LONG) == "late"


def test_relay_answers_503_without_a_token(platform: Platform) -> None:
    """The endpoint is slow: the sender has its answer in time all the same."""
    platform.token_behaviour = hang
    relay = create_relay(from_environment(platform.variables(CIO_RELAY_DEADLINE_SECONDS="0.5")))

    started = time.monotonic()
    answer = post(relay)

    assert RelayAnswer(503, "timeout") == answer
    assert time.monotonic() - started < 2
    assert platform.calls == 0
    relay.close()


def test_relay_answers_503_when_the_secret_is_wrong(platform: Platform) -> None:
    """And sends nothing to the app without a token."""
    variables = platform.variables(DATABRICKS_CLIENT_SECRET="another")
    relay = create_relay(from_environment(variables))

    assert post(relay) == RelayAnswer(503, "no_token")
    assert platform.calls == 0
    relay.close()


def test_relay_answers_503_when_the_token_has_ended_and_none_comes(
    platform: Platform, relay: Relay, now: FixedClock
) -> None:
    """An ended token is never sent."""
    assert post(relay, now).status == 200
    platform.token_behaviour = page(500)
    now.at += 3600

    assert post(relay, now) == RelayAnswer(503, "no_token")
    assert platform.calls == 1


@pytest.mark.parametrize("behaviour", [None, page(302), page(403)])
def test_relay_tries_again_with_a_new_token(
    platform: Platform, relay: Relay, now: FixedClock, behaviour: Behaviour | None
) -> None:
    """A token revoked early, a login redirect, a permission given just now: once more."""
    assert post(relay, now).status == 200
    if behaviour is None:
        platform.valid.clear()
    else:
        platform.behaviours = [behaviour]

    assert post(relay, now) == RelayAnswer(200)
    assert (platform.calls, platform.token_calls) == (3, 2)


def test_relay_tries_again_once_only(platform: Platform, relay: Relay, now: FixedClock) -> None:
    """Where new tokens are refused too it is not the token, and more of them do not help."""
    platform.always = page(403)

    answers = {post(relay, now) for _ in range(5)}

    assert answers == {RelayAnswer(503, "token_refused")}
    assert platform.calls == 2 + 4
    assert platform.token_calls == 2


def test_relay_renews_a_refused_token_once_for_all(
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
    """The token goes to the app's host and to no other."""
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
