"""An event of our own, signed as Customer.io signs: does an endpoint take it?

Its object type is `ciolake`, so that it stands in the raw table alone and counts nowhere as a
message that somebody got.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2

from core.errors import ConfigurationError
from core.webhooks.sender import NoAnswer, PostResponse, Sender, destination, signed_headers
from databricks_app.errors import ReceiverError
from databricks_app.operations.webhooks.advice import fault_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from core.webhooks.signature import SigningKey

_LOOK_SECONDS = 0.5
# A platform in front may wait for an app that starts.
_TOKEN_ANSWER_SECONDS = 30.0


class EndpointError(ReceiverError):
    """An endpoint does not take a signed event as it should.

    Attributes:
        is_passing: Whether it may take it once it has read its settings again.
    """

    def __init__(self, words: str, *, is_passing: bool = False) -> None:
        super().__init__(words)
        self.is_passing = is_passing


@dataclass(frozen=True, slots=True)
class Canary:
    """One event of our own; `event_id` consists of letters, digits and hyphens."""

    event_id: str
    body: bytes


def canary(token: str, now: float, *, kind: str = "canary") -> Canary:
    """Make the event; its id is `ciolake-<kind>-<token>`.

    Args:
        token: Makes its id unique; letters, digits and hyphens.
        now: Unix seconds.
        kind: Says what it was sent for.
    """
    event_id = f"ciolake-{kind}-{token}"
    event = {
        "event_id": event_id,
        "object_type": "ciolake",
        "metric": "canary",
        "timestamp": int(now),
        "data": {},
    }
    return Canary(event_id, json.dumps(event).encode())


def post(endpoint: str, key: SigningKey, event: Canary, now: float) -> None:
    """Post an event once, as Customer.io would.

    Raises:
        EndpointError: It is not taken with 200; says why and what to do.
    """
    try:
        there = destination(endpoint)
    except ConfigurationError as error:
        raise EndpointError(f"{endpoint}: {error}") from error
    with Sender(there, key) as sender:
        try:
            answer = sender.post(event.body, timestamp=int(now))
        except NoAnswer as error:
            words = f"{endpoint}: {fault_of(error)}"
            raise EndpointError(words, is_passing=error.reason == "refused") from error
    fault = fault_of(answer, key)
    if fault is not None:
        raise EndpointError(f"{endpoint}: {fault}", is_passing=_is_passing(answer))


def post_as(
    headers: Mapping[str, str], endpoint: str, key: SigningKey, event: Canary, now: float
) -> None:
    """Post an event once with more headers, such as a token that a Databricks App asks for.

    Goes through the proxy that the environment names, as databricks-sdk does.

    Raises:
        EndpointError: It is not taken with 200; says in short what came instead.
    """
    sent = {**headers, **signed_headers(key, int(now), event.body)}
    try:
        answer = httpx2.post(
            endpoint, content=event.body, headers=sent, timeout=_TOKEN_ANSWER_SECONDS
        )
    except httpx2.HTTPError as error:
        raise EndpointError(type(error).__name__, is_passing=True) from error
    if answer.status_code != httpx2.codes.OK or answer.content:
        raise EndpointError(f"HTTP {answer.status_code}", is_passing=True)


def post_until_taken(
    endpoint: str,
    key: SigningKey,
    event: Canary,
    *,
    seconds: float,
    now: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Post an event until it is taken: a receiver may need a moment to read a new key.

    Args:
        endpoint: Where to.
        key: Signs it.
        event: The same one each time; it arrives once in the tables.
        seconds: How long; a fault that time does not mend ends it at once.
        now: Unix seconds.
        monotonic: Seconds.
        sleep: Lets that many seconds pass.

    Raises:
        EndpointError: It was not taken with 200; says why and what to do.
    """
    until = monotonic() + seconds
    while True:
        try:
            post(endpoint, key, event, now())
            return
        except EndpointError as error:
            if not error.is_passing or monotonic() >= until:
                raise
        sleep(_LOOK_SECONDS)


def _is_passing(answer: PostResponse) -> bool:
    return answer.status in {401, 503} and not answer.text
