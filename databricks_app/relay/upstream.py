"""Forwards requests from the relay to the app, and interprets the answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import IO

import httpx2

from databricks_app.databricks.token import is_about_token
from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.relay.http import UpstreamReply, send
from databricks_app.relay.settings import RelaySettings

_PIECE_BYTES = 256 << 10
# Shorter than in the app (125 s) and the platform (300 s), so that the relay closes first.
_IDLE_SECONDS = 60.0
_BROKEN = (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError)


class ForwardOutcome(StrEnum):
    """The outcome of a request; all but `STORED` are answered 503."""

    STORED = "stored"
    NO_TOKEN = "no_token"  # noqa: S105  # a reason, not a secret
    TOKEN_REFUSED = "token_refused"  # noqa: S105  # the same
    FORBIDDEN = "forbidden"
    APP_REFUSED = "app_refused"
    APP_UNAVAILABLE = "app_unavailable"
    NOT_THE_APP = "not_the_app"
    PLATFORM = "platform"
    UNREACHABLE = "unreachable"
    BROKEN = "broken"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class VerifiedRequest:
    """A verified request.

    Attributes:
        body: A file with the body.
        length: Length of the body in bytes.
        headers: The sender's headers that the app needs, as received.
        query: The query string for the app; empty if there is none.
    """

    body: IO[bytes]
    length: int
    headers: dict[bytes, bytes]
    query: str = ""


@dataclass(frozen=True, slots=True)
class ForwardResult:
    """The result of forwarding a request.

    Attributes:
        outcome: The outcome.
        tries: How often it was sent; 0 if that is unknown.
        status: Status of the last answer; None without an answer.
        error: Type of the exception; None with an answer.
    """

    outcome: ForwardOutcome
    tries: int = 0
    status: int | None = None
    error: str | None = None


class Upstream:
    """The app behind the platform's proxy. Make and use it in one event loop."""

    def __init__(self, settings: RelaySettings) -> None:
        """Set up the transport; it connects at the first request."""
        limits = httpx2.Limits(
            max_connections=settings.most_requests,
            max_keepalive_connections=settings.most_requests,
            keepalive_expiry=_IDLE_SECONDS,
        )
        self._transport = httpx2.AsyncHTTPTransport(limits=limits)
        self._url = settings.app_url + WEBHOOK_PATH

    async def forward(
        self, request: VerifiedRequest, token: str, deadline: float, tries: int = 0
    ) -> ForwardResult:
        """Forward a request to the app; send it again once if the connection breaks.

        Args:
            request: The request.
            token: The OAuth token.
            deadline: When to give up, in seconds of the monotonic clock.
            tries: How often it was sent before.
        """
        try:
            # The clock of the loop is the monotonic clock.
            async with asyncio.timeout_at(deadline):
                first = await self._try(request, token, tries + 1)
                if tries or first.outcome is not ForwardOutcome.BROKEN:
                    return first
                # The other side may close an idle connection just when it is reused. Sending the
                # event twice is harmless: the tables keep each key once.
                return await self._try(request, token, tries + 2)
        except TimeoutError:
            return ForwardResult(ForwardOutcome.TIMEOUT)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def _try(self, request: VerifiedRequest, token: str, number: int) -> ForwardResult:
        call = httpx2.Request(
            "POST",
            self._url + (f"?{request.query}" if request.query else ""),
            headers={
                **request.headers,
                b"Authorization": b"Bearer " + token.encode(),
                b"Content-Length": str(request.length).encode(),
                # `send` reads raw bytes and decompresses nothing.
                b"Accept-Encoding": b"identity",
            },
            content=_pieces(request.body),
        )
        try:
            reply = await send(self._transport, call)
        except httpx2.RequestError as error:
            is_broken = isinstance(error, _BROKEN)
            outcome = ForwardOutcome.BROKEN if is_broken else ForwardOutcome.UNREACHABLE
            return ForwardResult(outcome, number, error=type(error).__name__)
        return ForwardResult(meaning(reply), number, reply.status)


async def _pieces(body: IO[bytes]) -> AsyncIterator[bytes]:
    body.seek(0)  # it may be sent for the second time
    while piece := body.read(_PIECE_BYTES):
        yield piece


def meaning(reply: UpstreamReply) -> ForwardOutcome:
    """Return the outcome that an answer to a verified request means."""
    # The app's own answers have no body and `Cache-Control: no-store`; the platform's pages in
    # front of it do not. Only the app's own 200 means that the event is stored.
    is_of_app = not reply.body and "no-store" in reply.headers.get("cache-control", "")
    if reply.status == 200:
        return ForwardOutcome.STORED if is_of_app else ForwardOutcome.NOT_THE_APP
    if reply.status == 401 and is_of_app:
        return ForwardOutcome.APP_REFUSED
    # A redirect leads to the login page.
    is_login = 300 <= reply.status < 400
    if is_login or is_about_token(reply.status, reply.body.decode(errors="replace")):
        return ForwardOutcome.TOKEN_REFUSED
    if reply.status == 403:
        return ForwardOutcome.FORBIDDEN
    return ForwardOutcome.APP_UNAVAILABLE if is_of_app else ForwardOutcome.PLATFORM
