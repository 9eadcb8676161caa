"""The client of the App API: its nouns are attributes, their methods the vendor's operations.

Reads, PUT and DELETE are repeated after passing failures. Sends, triggers and what creates
something are not repeated once they may have been done; `CallError.is_outcome_unknown` says so.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

import logging
import random as random_module
import time
from typing import TYPE_CHECKING, Self

from core.app_api.declarations import RATES
from core.app_api.nouns import Nouns
from core.http.api_key import ApiKey
from core.http.client import Access, HttpClient, Timeouts, Timing, utc_now
from core.http.downloads import Sink
from core.http.exchange import Attempt, Operation
from core.http.regions import base_url as base_url_of
from core.http.regions import checked_base_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import BinaryIO

    import httpx2

    from core.http.rate_limits import Gate
    from core.http.responses import Response
    from core.http.retries import RetryPolicy

logger = logging.getLogger(__name__)

_DOWNLOAD = Operation("download", "GET", "(signed address)", is_repeatable=True, rate="download")


class AppClient(Nouns):
    """Reads and changes a workspace, and sends messages. Safe to share between threads."""

    def __init__(
        self,
        api_key: str,
        *,
        region: str = "us",
        base_url: str | None = None,
        workspace_id: int | None = None,
        retries: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], object] = time.sleep,
        now: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_module.random,
        gates: Mapping[str, Gate] | None = None,
        on_attempt: Callable[[Attempt], object] | None = None,
        user_agent: str = "ciolake",
    ) -> None:
        """Prepare a client; nothing is sent, connections are made when they are needed.

        Args:
            api_key: An App API key, or a key that begins with `sk_`; blanks are trimmed.
            region: `us` or `eu`; a key that carries its region goes before.
            base_url: Another host, without `/v1`; goes before both.
            workspace_id: Only with the token of a service account (`sa_live_`), for sends.
            retries: How often and how long to try.
            timeouts: For one attempt.
            transport: Replaces the sockets; the caller's to close.
            sleep: Lets that many seconds pass.
            now: The date, UTC-aware.
            monotonic: Seconds, for durations and rates.
            random: Evenly distributed in [0, 1), for the waits between attempts.
            gates: Rate gates by class, shared with other clients of the workspace. The classes
                are those of `declarations.RATES`; `transactional` is the one that the vendor
                shares with the Data Pipelines API.
            on_attempt: Is told of each attempt, for logs and metrics; holds no payload.
            user_agent: The header's value.

        Raises:
            ConfigurationError: Key, region or address cannot be used.
        """
        key = ApiKey(api_key)
        regional = base_url_of("app", key.region or region)
        if key.region is not None and key.region != region:
            logger.debug("the key's own region is used: %s", key.region)
        workspace = {} if workspace_id is None else {"x-workspace-id": str(workspace_id)}
        self._http = HttpClient(
            Access(
                base_url=regional if base_url is None else checked_base_url(base_url),
                authorization=key.bearer,
                scrub=key.scrub,
                headers={"user-agent": user_agent} | workspace,
            ),
            RATES,
            retries=retries,
            timeouts=timeouts,
            transport=transport,
            clock=Timing(sleep, now, monotonic, random),
            gates=gates,
            on_attempt=on_attempt,
        )

    def __repr__(self) -> str:
        return f"AppClient({self._http!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; a second time does nothing."""
        self._http.close()

    def download(
        self,
        url: str,
        file: BinaryIO,
        *,
        offset: int = 0,
        if_range: str = "",
        on_answer: Callable[[Mapping[str, str]], object] | None = None,
        total_seconds: float = 3600.0,
    ) -> Response:
        """Write what a signed address holds into a file, in bounded memory and without the key.

        Args:
            url: As `exports` gave it; it expires.
            file: Open for writing, seekable; the caller's to sync and to close.
            offset: How many bytes it holds already, to continue after them.
            if_range: The `etag` of the answer that those bytes came with.
            on_answer: Is told the headers of each answer before any of it is written, so that
                the `etag` is known of what a broken download leaves.
            total_seconds: How long one attempt may take.

        Returns:
            The answer without its body. Status 206 if it was continued, 200 if written anew;
            `streamed_bytes` were written.

        Raises:
            ValidationError: The address is not https. Nothing was sent.
            ForbiddenError: The address has expired, as S3 says it; ask for another.
            CallError: One of its other kinds.
        """
        sink = Sink(file, offset=offset, if_range=if_range, on_answer=on_answer)
        return self._http.download(_DOWNLOAD, url, sink, total_seconds=total_seconds)
