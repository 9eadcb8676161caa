"""Makes one call of the relay to the platform and reads its answer, up to a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

_MAX_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class UpstreamReply:
    """An answer of the app or of the platform.

    Attributes:
        status: HTTP status.
        headers: Headers; names in lower case.
        body: The bytes, cut at 256 KiB.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


async def send(transport: httpx2.AsyncBaseTransport, request: httpx2.Request) -> UpstreamReply:
    """Make one call. It has no time limit: the caller cancels it.

    Raises:
        httpx2.RequestError: No complete answer arrived.
    """
    # The transport alone, without a client: it follows no redirect and logs no address.
    answer = await transport.handle_async_request(request)
    try:
        body = bytearray()
        async for piece in answer.aiter_raw():
            body += piece
            if len(body) > _MAX_BYTES:  # the app's answers are empty: this is a page
                break
    finally:
        await answer.aclose()
    return UpstreamReply(answer.status_code, dict(answer.headers), bytes(body[:_MAX_BYTES]))
