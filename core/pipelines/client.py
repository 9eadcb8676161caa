"""The client of the Data Pipelines API.

A call is one request. A batch is sent in as few requests as possible.
Source: https://docs.customer.io/integrations/api/cdp/
"""

from __future__ import annotations

import json
import logging
import random as random_module
import time
from typing import TYPE_CHECKING, Self

from core.errors import ApiError, RejectedItem
from core.http.api_key import ApiKey
from core.http.client import Access, HttpClient, Timeouts, Timing, utc_now
from core.http.exchange import Attempt, Operation
from core.http.rate_limits import Gate, Rate
from core.http.regions import base_url as base_url_of
from core.http.regions import checked_base_url
from core.http.responses import Json
from core.pipelines.batches import split
from core.pipelines.encoding import batch_body, encoded, envelope, room
from core.pipelines.rejections import Undelivered, delivered
from core.pipelines.surface import Surface

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    import httpx2

    from core.errors import CustomerIOError
    from core.http.retries import RetryPolicy
    from core.pipelines.items import Context, Fields, Item

logger = logging.getLogger(__name__)

# https://docs.customer.io/integrations/api/cdp/
RATES = {"pipelines": Rate(limit=3000, per_seconds=3.0)}
# All calls are repeated after an unknown outcome. Executing identify, group or alias twice changes
# nothing. A repeated event has the same message id. The vendor does not promise to drop the second
# one, but a lost event is worse than an event that is counted twice.
OPERATIONS = {
    name: Operation(name, "POST", f"/v1/{name}", is_repeatable=True, rate="pipelines")
    for name in ("identify", "track", "page", "screen", "group", "alias", "batch")
}
# So many rejected items before the first accepted one mean that not the items are wrong.
_MAX_REJECTIONS = 20


class PipelinesClient(Surface):
    """Sends people, events and objects to Customer.io. Threads may share it.

    Strict mode is on by default: without it the vendor answers 200 to data that it drops.
    """

    def __init__(
        self,
        api_key: str,
        *,
        region: str = "us",
        base_url: str | None = None,
        strict: bool = True,
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
            api_key: A write key, or a key that begins with `sk_` or `pk_`. White space around it
                is removed.
            region: `us` or `eu`. The region in the key, if any, overrides it.
            base_url: Another host, without `/v1`. It overrides both regions.
            strict: Whether invalid data is an error (`BadRequestError`) or is dropped.
            retries: How often and how long to retry.
            timeouts: Of one attempt.
            transport: Replaces the sockets. The caller closes it.
            sleep: Waits for a number of seconds.
            now: The current time, UTC-aware.
            monotonic: Seconds, for durations and rate limits.
            random: Uniformly distributed in [0, 1), for the waits between attempts.
            gates: `{"pipelines": gate}`, shared with other clients of the workspace.
            on_attempt: Called after each attempt, for logs and metrics; contains no payload.
            user_agent: The header `User-Agent`.

        Raises:
            ConfigurationError: The key, the region or the URL cannot be used.
        """
        key = ApiKey(api_key)
        regional = base_url_of("pipelines", key.region or region)
        if key.region is not None and key.region != region:
            logger.debug("the region of the key is used: %s", key.region)
        headers = {"content-type": "application/json", "user-agent": user_agent}
        self._clock = Timing(sleep, now, monotonic, random)
        self._http = HttpClient(
            Access(
                base_url=regional if base_url is None else checked_base_url(base_url),
                authorization=key.basic_or_bearer,
                scrub=key.scrub,
                headers=headers | ({"x-strict-mode": "1"} if strict else {}),
            ),
            RATES,
            retries=retries,
            timeouts=timeouts,
            transport=transport,
            clock=self._clock,
            gates=gates,
            on_attempt=on_attempt,
        )

    def __repr__(self) -> str:
        return f"PipelinesClient({self._http!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Calling it again does nothing."""
        self._http.close()

    def batch(
        self,
        items: Iterable[Item],
        *,
        context: Context | Fields | None = None,
        integrations: Fields | None = None,
    ) -> list[str]:
        """Send many items in order, in as few requests as possible.

        All items are checked before the first request. An empty batch sends no request. If the
        vendor rejects an item, all others are sent all the same.

        Args:
            items: Items as the vendor specifies them; they are not changed.
            context: For all items.
            integrations: For all items.

        Returns:
            The message id of each item.

        Raises:
            ValidationError: Names the item and the field: `items[3].userId`. Nothing was sent.
            SizeError: An item is larger than 32,000 bytes. Nothing was sent.
            BadRequestError: The vendor rejected items: `rejected` has them with its messages.
            CallError: A request failed. `unconfirmed` are the items that may not be accepted.

        Operation: batch
        """
        ends = envelope(context, integrations)
        now = self._clock.now
        pairs = [encoded(item, now, f"items[{at}]") for at, item in enumerate(items)]
        bodies = [data for _, data in pairs]
        # The vendor can reject `context` too. It would reject it with every item.
        limit = None if context is None and integrations is None else _MAX_REJECTIONS
        failures: list[Undelivered] = []
        start = 0
        for count in split(map(len, bodies), room(ends)):
            part = bodies[start : start + count]
            start += count
            failures += delivered(
                part, lambda items: self.send_encoded(items, ends), max_rejections=limit
            )
            if failures and not failures[-1].is_rejected:
                # Items of the failed request may have been accepted, later items were not sent.
                failures.append(Undelivered(bodies[start:], failures[-1].error, is_rejected=False))
                break
        if failures:
            raise _failure(failures, len(bodies))
        return [message_id for message_id, _ in pairs]

    def encoded(self, item: Mapping[str, object], prefix: str | None = None) -> tuple[str, bytes]:
        """Check, complete and encode an item with this client's clock; see `encoding.encoded`."""
        return encoded(item, self._clock.now, prefix)

    def send_encoded(
        self,
        items: Sequence[bytes],
        ends: tuple[bytes, bytes] | None = None,
        *,
        retries: RetryPolicy | None = None,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        """Send encoded items as one batch. They must fit into one batch.

        Args:
            items: As `encoded` returned them.
            ends: As `encoding.envelope` returned them.
            retries: Replaces the retry policy of the client.
            pause: Replaces `sleep` of the clock. An exception in it ends the call.

        Raises:
            CallError: The request failed; the subclass says how.
        """
        ends = ends or envelope(None, None)
        self._http.call(
            OPERATIONS["batch"],
            # `sentAt` is the time of the attempt: the vendor may correct timestamps with it.
            content=lambda: batch_body(items, ends, self._clock.now()),
            retries=retries,
            pause=pause,
        )

    def _take(self, item: Mapping[str, object]) -> str:
        message_id, data = self.encoded(item)
        self._http.call(OPERATIONS[str(item["type"])], content=data)
        return message_id


def _failure(failures: Sequence[Undelivered], total: int) -> CustomerIOError:
    """Return the error of a batch: what stopped it, otherwise the first rejection."""
    error = failures[0 if failures[-1].is_rejected else -1].error
    error.unconfirmed = tuple(item for one in failures for item in decoded(one.items))
    error.rejected = tuple(
        RejectedItem(item, one.error.vendor_message if isinstance(one.error, ApiError) else None)
        for one in failures
        if one.is_rejected
        for item in decoded(one.items)
    )
    error.add_note(
        f"{len(error.unconfirmed)} of {total} items are unconfirmed; the vendor rejected"
        f" {len(error.rejected)} of them, see `rejected`. The others were accepted."
    )
    return error


def decoded(items: Iterable[bytes]) -> tuple[Json, ...]:
    """Decode encoded items to dictionaries."""
    return tuple(json.loads(data) for data in items)
