"""The relay's tokens: asked for once, renewed early, renewed once more when refused."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from core.webhooks.signature import SigningKey, sign
from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.errors import TokenError
from databricks_app.relay.app import Relay, RelayAnswer, create_relay
from databricks_app.relay.settings import from_environment
from databricks_app.relay.token import EARLY_SECONDS, Tokens
from tests.support.relay_platform import KEY, Behaviour, Platform, hang, page, reset
from tests.support.still_time import FixedClock

Body = Callable[[Tokens], Awaitable[None]]


@pytest.fixture
def platform() -> Iterator[Platform]:
    """A workspace whose app stores everything by itself."""
    with Platform() as platform:
        yield platform


def use(platform: Platform, body: Body, now: Callable[[], float] = time.time) -> None:
    """Use tokens of that workspace in an event loop."""

    async def run() -> None:
        async with httpx2.AsyncHTTPTransport() as transport:
            tokens = Tokens(from_environment(platform.variables()), transport, now)
            try:
                await body(tokens)
            finally:
                tokens.close()
                await asyncio.sleep(0)

    asyncio.run(run())


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what happens beside us.

    Raises:
        TimeoutError: It does not happen.
    """
    async with asyncio.timeout(20):
        while not is_so():
            await asyncio.sleep(0.01)


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

    async def body(tokens: Tokens) -> None:
        got = await asyncio.gather(*(tokens.get() for _ in range(32)))
        now.at += 3600 - EARLY_SECONDS - 1
        got.append(await tokens.get())

        assert set(got) == {"token-1"}
        assert platform.token_calls == 1

    use(platform, body, now)


def test_a_token_is_renewed_early_while_the_old_one_serves(
    platform: Platform, now: FixedClock
) -> None:
    """Nobody waits for the new one in its last five minutes."""

    async def body(tokens: Tokens) -> None:
        await tokens.get()
        now.at += 3600 - EARLY_SECONDS

        assert await tokens.get() == "token-1"
        await until(lambda: platform.issued == 2)
        await until(lambda: tokens._call is None)
        assert await tokens.get() == "token-2"

    use(platform, body, now)


def test_a_token_is_renewed_without_any_request(platform: Platform) -> None:
    """The first request after a quiet hour finds a valid token."""
    platform.token_seconds = 2

    async def body(tokens: Tokens) -> None:
        await tokens.get()
        await until(lambda: platform.issued >= 2)

    use(platform, body)


def test_an_old_token_serves_while_no_new_one_can_be_had(
    platform: Platform, now: FixedClock
) -> None:
    """An hour's token bridges five minutes of a broken endpoint; then there is none."""

    async def body(tokens: Tokens) -> None:
        await tokens.get()
        platform.token_behaviour = page(500)
        now.at += 3600 - EARLY_SECONDS

        assert await tokens.get() == "token-1"
        await until(lambda: platform.token_calls == 2 and tokens._call is None)
        assert await tokens.get() == "token-1"
        now.at += EARLY_SECONDS
        with pytest.raises(TokenError):
            await tokens.get()

    use(platform, body, now)


def test_a_failing_endpoint_is_asked_again_until_it_works(platform: Platform) -> None:
    """With growing pauses, and nobody needs to restart anything."""
    platform.token_behaviour = page(500)

    async def body(tokens: Tokens) -> None:
        with pytest.raises(TokenError):
            await tokens.get()
        platform.token_behaviour = None
        await until(lambda: platform.issued == 1)
        await until(lambda: tokens._call is None)
        assert await tokens.get() == "token-1"

    use(platform, body)


def test_a_failing_endpoint_is_not_flooded(platform: Platform) -> None:
    """Requests that come just after a failure share it."""
    platform.token_behaviour = page(500)

    async def body(tokens: Tokens) -> None:
        for _ in range(20):
            with pytest.raises(TokenError):
                await tokens.get()
        assert platform.token_calls == 1

    use(platform, body)


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

    async def body(tokens: Tokens) -> None:
        with pytest.raises(TokenError, match=r"^(answered \d+|no answer|answered 200 without)"):
            await tokens.get()

    use(platform, body)


def test_who_gives_up_waiting_does_not_end_the_call_for_others(platform: Platform) -> None:
    """A token that comes late serves those who wait longer."""
    waiting, release = threading.Event(), threading.Event()

    def late(handler: Any) -> None:
        waiting.set()
        release.wait(20)
        handler.answer(200, b'{"access_token":"late","expires_in":3600}')

    platform.token_behaviour = late

    async def body(tokens: Tokens) -> None:
        patient = asyncio.ensure_future(tokens.get())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(tokens.get(), 0.1)
        assert waiting.is_set()
        release.set()
        assert await patient == "late"

    use(platform, body)


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
