"""A test event, signed as Customer.io signs, that shows whether an endpoint accepts events.

Its object type is `ciolake`, which no typed table has. So it is a row of the raw table only, and no
view counts it as a message.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2

from core.errors import ConfigurationError
from core.webhooks.config import shown
from core.webhooks.sender import NoAnswer, Sender, destination, signed_headers
from core.webhooks.signature import SigningKey
from databricks_app.errors import ReceiverError
from databricks_app.operations.webhooks.advice import fault_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LOOK_SECONDS = 0.5
# A platform may hold the request until an app has started.
_TOKEN_ANSWER_SECONDS = 30.0


class EndpointError(ReceiverError):
    """An endpoint does not accept a signed event.

    Attributes:
        is_temporary: Whether it may accept it later, when it has read its settings again.
        status: Status of the receiver's own answer; None if the receiver did not answer.
    """

    def __init__(
        self, words: str, *, is_temporary: bool = False, status: int | None = None
    ) -> None:
        super().__init__(words)
        self.is_temporary = is_temporary
        self.status = status


@dataclass(frozen=True, slots=True)
class Canary:
    """A test event; its `event_id` consists of letters, digits and hyphens."""

    event_id: str
    body: bytes


def canary(token: str, now: float, *, kind: str = "canary") -> Canary:
    """Create a test event with the id `ciolake-<kind>-<token>`.

    Args:
        token: Makes the id unique; letters, digits and hyphens.
        now: Unix seconds.
        kind: What it is sent for.
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
        EndpointError: The answer is not 200; the text says why and what to do.
    """
    try:
        there = destination(endpoint)
    except ConfigurationError as error:
        raise EndpointError(f"{shown(endpoint)}: {error}") from error
    with Sender(there, key) as sender:
        try:
            answer = sender.post(event.body, timestamp=int(now))
        except NoAnswer as error:
            words = f"{there.shown}: {fault_of(error)}"
            raise EndpointError(words, is_temporary=error.reason == "refused") from error
    fault = fault_of(answer, key)
    if fault is not None:
        # Without a body the answer is the receiver's own: it may get the key in a moment.
        is_temporary = answer.status in {401, 503} and not answer.text
        raise EndpointError(
            f"{there.shown}: {fault}",
            is_temporary=is_temporary,
            status=None if answer.text else answer.status,
        )


def reach(endpoint: str, now: float) -> None:
    """Check that a receiver listens: post an event that it must refuse, and that is not kept.

    Raises:
        EndpointError: Nothing listens there, or something else does; the text says what to do.
    """
    there = destination(endpoint)
    with Sender(there, SigningKey.from_text(secrets.token_hex(16))) as sender:
        try:
            answer = sender.post(canary("reach", now).body, timestamp=int(now))
        except NoAnswer as error:
            raise EndpointError(f"{there.shown}: {fault_of(error)}") from error
    is_refusal = answer.status in {401, 503} and not answer.text
    fault = None if is_refusal else fault_of(answer)
    if fault is not None:
        raise EndpointError(f"{there.shown}: {fault}")


def post_as(
    headers: Mapping[str, str], endpoint: str, key: SigningKey, event: Canary, now: float
) -> None:
    """Post an event once with more headers, such as the token that a Databricks App requires.

    Uses the proxy that the environment names, as databricks-sdk does.

    Raises:
        EndpointError: The answer is not 200; the text is the status or the kind of error.
    """
    sent = {**headers, **signed_headers(key, int(now), event.body)}
    try:
        answer = httpx2.post(
            endpoint, content=event.body, headers=sent, timeout=_TOKEN_ANSWER_SECONDS
        )
    except httpx2.HTTPError as error:
        raise EndpointError(type(error).__name__, is_temporary=True) from error
    if answer.status_code != httpx2.codes.OK or answer.content:
        raise EndpointError(f"HTTP {answer.status_code}", is_temporary=True)


def post_until_accepted(
    endpoint: str,
    key: SigningKey,
    event: Canary,
    *,
    seconds: float,
    now: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Post an event until it is accepted: a receiver may need a moment to read a new key.

    Args:
        endpoint: Where to post.
        key: Signs the event.
        event: The same event each time; the tables get it once.
        seconds: How long to try. A fault that is not temporary ends it immediately.
        now: Returns Unix seconds.
        monotonic: Monotonic clock, in seconds.
        sleep: Sleeps that many seconds.

    Raises:
        EndpointError: It was not accepted; the text says why and what to do.
    """
    until = monotonic() + seconds
    while True:
        try:
            post(endpoint, key, event, now())
            return
        except EndpointError as error:
            if not error.is_temporary or monotonic() >= until:
                raise
        sleep(_LOOK_SECONDS)
