"""OAuth machine tokens of a Databricks service principal: cached, and refreshed before they end.

A token is renewed five minutes early while requests go on with the old one; on a function host,
which is frozen between requests, the next request begins the renewal and does not wait for it.
Only where there is no valid token does a request wait. Source:
https://docs.databricks.com/aws/en/dev-tools/auth/oauth-m2m

All of it runs in one event loop.
"""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2
import structlog

from databricks_app.errors import TokenError
from databricks_app.relay.http import UpstreamReply, send
from databricks_app.relay.settings import RelaySettings

EARLY_SECONDS = 300.0
CALL_SECONDS = 10.0
_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
_FORCED_SECONDS = 5.0
_FORM = b"grant_type=client_credentials&scope=all-apis"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Token:
    """A token and when it is to be renewed and ends, Unix seconds."""

    text: str = field(repr=False)
    refresh_at: float
    expires_at: float


class Tokens:
    """The current token of one service principal. Make and use it in one event loop."""

    def __init__(
        self,
        settings: RelaySettings,
        transport: httpx2.AsyncBaseTransport,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Begin without a token; nothing is asked for yet.

        Args:
            settings: The workspace and the service principal.
            transport: Carries the calls; the caller's to close.
            now: Unix seconds. Not a monotonic clock: that may stand still while a function sleeps.
        """
        pair = f"{settings.client_id}:{settings.client_secret}".encode()
        self._authorization = f"Basic {b64encode(pair).decode()}"
        self._url = f"{settings.workspace_url}/oidc/v1/token"
        self._transport = transport
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._token: _Token | None = None
        self._call: asyncio.Task[_Token] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._failures = 0
        self._paused_until = 0.0
        self._forced_until = 0.0

    async def get(self) -> str:
        """Return a token that has not ended; waits only if there is none.

        Raises:
            TokenError: There is none and none can be had.
        """
        token = self._token
        if token is None or self._now() >= token.expires_at:
            return await self._fresh()
        if self._now() >= token.refresh_at and not self._is_paused():
            self.begin()
        return token.text

    async def renew(self, refused: str) -> str:
        """Return another token than the one that the platform refused.

        Raises:
            TokenError: None can be had, or a new one was refused only just now: then it is not
                the token, and more of them would not help.
        """
        if self._token is not None and self._token.text == refused:
            if self._loop.time() < self._forced_until:
                raise TokenError("new tokens are refused too: grant CAN USE on the app")
            self._forced_until = self._loop.time() + _FORCED_SECONDS
            self._token = None
        return await self.get()

    def begin(self) -> asyncio.Task[_Token]:
        """Ask for a token, unless that is under way; nobody needs to wait for it."""
        if self._call is None:
            if self._timer is not None:
                self._timer.cancel()
            self._call = self._loop.create_task(self._ask())
            self._call.add_done_callback(self._end)
        return self._call

    def close(self) -> None:
        """Ask for no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._call is not None:
            self._call.cancel()

    async def _fresh(self) -> str:
        if self._is_paused():
            raise TokenError("the token endpoint has failed just now")
        # Shielded: one who gives up waiting must not end the call for all others.
        return (await asyncio.shield(self.begin())).text

    def _is_paused(self) -> bool:
        return self._call is None and self._loop.time() < self._paused_until

    def _end(self, call: asyncio.Task[_Token]) -> None:
        """Keep what was got, and see to it that it is asked again in time."""
        self._call = None
        if call.cancelled():
            return
        if (error := call.exception()) is not None:
            log.warning("token_failed", reason=str(error), failures=self._failures + 1)
            self._paused_until = self._loop.time() + _PAUSE_SECONDS
            again = min(_LONGEST_PAUSE_SECONDS, 2.0**self._failures)
            self._failures = min(self._failures + 1, 10)
        else:
            self._token = call.result()
            self._failures = 0
            again = max(1.0, self._token.refresh_at - self._now())
            log.info("token_refreshed", seconds=round(self._token.expires_at - self._now()))
        self._timer = self._loop.call_later(again, self.begin)

    async def _ask(self) -> _Token:
        asked_at = self._now()
        request = httpx2.Request(
            "POST",
            self._url,
            headers={
                "authorization": self._authorization,
                "content-type": "application/x-www-form-urlencoded",
                "accept": "application/json",
                "accept-encoding": "identity",
            },
            content=_FORM,
        )
        try:
            async with asyncio.timeout(CALL_SECONDS):
                reply = await send(self._transport, request)
        except (TimeoutError, httpx2.RequestError) as error:
            raise TokenError(f"no answer ({type(error).__name__})") from error
        return _read(reply, asked_at)


def _read(reply: UpstreamReply, asked_at: float) -> _Token:
    """Take the token out of an answer, none of whose text is repeated."""
    if reply.status != 200:
        raise TokenError(f"answered {reply.status}")
    try:
        said = json.loads(reply.body)
        text, seconds = said["access_token"], said["expires_in"]
        if not (isinstance(text, str) and text.isascii() and text.isprintable() and text.strip()):
            raise ValueError
        if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds <= 0:
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise TokenError("answered 200 without a token") from None
    early = min(EARLY_SECONDS, seconds / 2)
    return _Token(text, asked_at + seconds - early, asked_at + seconds)
