"""The client of the App API. Nouns are its attributes, operations are methods of the nouns.

Reads, PUT and DELETE are repeated after temporary failures. Operations that send, trigger or create
something are not repeated if the vendor may have executed them: see
`CallError.is_outcome_unknown`.
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
    """Reads and changes a workspace, and sends messages. Threads may share it."""

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
        """Create a client. Nothing is sent, connections are opened when they are needed.

        Args:
            api_key: An App API key, or a key that begins with `sk_`. White space around it is
                removed.
            region: `us` or `eu`. The region in the key, if any, overrides it.
            base_url: Another host, without `/v1`. It overrides both regions.
            workspace_id: Only to send with the token of a service account (`sa_live_`).
            retries: How often and how long to retry.
            timeouts: Of one attempt.
            transport: Replaces the sockets. The caller closes it.
            sleep: Waits for a number of seconds.
            now: The current time, UTC-aware.
            monotonic: Seconds, for durations and rate limits.
            random: Uniformly distributed in [0, 1), for the waits between attempts.
            gates: Rate gates by class, shared with other clients of the workspace. The classes
                are those of `declarations.RATES`. The Data Pipelines API has the same limit as
                the class `transactional`, and both count together.
            on_attempt: Called after each attempt, for logs and metrics; contains no payload.
            user_agent: The header `User-Agent`.

        Raises:
            ConfigurationError: The key, the region or the URL cannot be used.
        """
        key = ApiKey(api_key)
        regional = base_url_of("app", key.region or region)
        if key.region is not None and key.region != region:
            logger.debug("the region of the key is used: %s", key.region)
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
        """Close the connections. Calling it again does nothing."""
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
        """Download a signed URL to a file in bounded memory. The key is not sent.

        Args:
            url: As `exports.download` returned it; it expires.
            file: Open for writing and seekable. The caller syncs and closes it.
            offset: How many bytes the file has already; the download continues after them.
            if_range: The `etag` of the answer that these bytes came from.
            on_answer: Called with the headers of each answer, before its body is written. Store
                their `etag` to continue after a failure.
            total_seconds: The timeout of one attempt.

        Returns:
            The answer without its body. Status 206: the download was continued; 200: the file was
            written from its start. `streamed_bytes` were written.

        Raises:
            ValidationError: The URL is not https. Nothing was sent.
            ForbiddenError: The URL has expired: get a new one.
            CallError: The download failed; the subclass says how.
        """
        sink = Sink(file, offset=offset, if_range=if_range, on_answer=on_answer)
        return self._http.download(_DOWNLOAD, url, sink, total_seconds=total_seconds)
