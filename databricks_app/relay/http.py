"""One call of the relay to the platform: its whole answer, and no more of it than is sensible.

httpx2's transport is used directly: it follows no redirect and logs no address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

_MOST_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class UpstreamReply:
    """What was answered.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        body: The bytes, cut at 256 KiB: what is longer is a page, and of no use here.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


async def send(transport: httpx2.AsyncBaseTransport, request: httpx2.Request) -> UpstreamReply:
    """Make one call; the caller limits its time, by cancelling it.

    Raises:
        httpx2.RequestError: No whole answer came.
    """
    answer = await transport.handle_async_request(request)
    try:
        body = bytearray()
        async for piece in answer.aiter_raw():
            body += piece
            if len(body) > _MOST_BYTES:
                break
    finally:
        await answer.aclose()
    return UpstreamReply(answer.status_code, dict(answer.headers), bytes(body[:_MOST_BYTES]))
