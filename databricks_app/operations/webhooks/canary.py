"""An event of our own, signed as Customer.io signs: does an endpoint take it, and into the table?

Its object type is `ciolake`, so that it stands in the raw table alone and counts nowhere as a
message that somebody got.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from core.errors import ConfigurationError
from core.webhooks.sender import Answer, NoAnswer, Sender, destination
from databricks_app.errors import ReceiverError

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.webhooks.signature import SigningKey
    from databricks_app.lake.local.query import Result

_LOOK_SECONDS = 0.5

_NO_ANSWER = {
    "refused": "nothing listens there. Start the receiver, and open the firewall for it.",
    "timed_out": "no answer within 4 s, Customer.io's limit. See what is slow: the network, or the"
    " receiver's disk (/readyz).",
    "unknown_host": "the host's name is not known. Correct the endpoint, or its DNS entry.",
    "tls": "the TLS connection failed. Give it a certificate that public clients trust, with its"
    " whole chain.",
    "reset": "the connection broke before an answer came. See the log of what stands in front.",
    "unreachable": "the network does not reach it. Check the address and the firewall.",
}
_STATUS = {
    401: "the receiver does not know this key, or its clock is wrong. Let it read its settings"
    " again (SIGHUP, or deploy it again).",
    404: "nothing is at this path. The receiver's is /api/webhooks/customerio.",
    405: "this path takes no POST. The receiver's is /api/webhooks/customerio.",
    503: "the receiver cannot store now: it has no key yet, or its inbox is full. /readyz says"
    " which.",
}


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


class Tables(Protocol):
    """What can be asked for the raw table."""

    def run(self, sql: str, /) -> Result:
        """Rows of a query."""
        ...


def canary(token: str, now: float) -> Canary:
    """Make the event.

    Args:
        token: Makes its id unique; letters and digits.
        now: Unix seconds.
    """
    event_id = f"ciolake-canary-{token}"
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
            words = f"{endpoint}: {_NO_ANSWER[error.reason]}"
            raise EndpointError(words, is_passing=error.reason == "refused") from error
    fault = fault_of(answer)
    if fault is not None:
        raise EndpointError(f"{endpoint}: {fault}", is_passing=_is_passing(answer))


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


def fault_of(answer: Answer) -> str | None:
    """What is wrong with an answer to a signed event, and what to do; None of 200 as it should be.

    A receiver of this project answers without a body. Where there is one, something in front of it
    has answered.
    """
    status = answer.status
    if 300 <= status < 400:
        return (
            f"it redirects ({status}), and Customer.io may not follow. Give the final address; a"
            " Databricks App sends callers without a token to its login: use the relay"
            " (docs/deployment.md)."
        )
    if _is_page(answer.text):
        return (
            f"a web page answers ({status}), such as a login, not the receiver. Let requests to the"
            " endpoint pass without a login; a Databricks App needs the relay (docs/deployment.md)."
        )
    if status == 200:
        return None
    if answer.text and status in {401, 403}:
        return (
            f"something in front of the receiver refuses ({status}). Let requests to the endpoint"
            " pass; a Databricks App needs the relay (docs/deployment.md)."
        )
    advice = _STATUS.get(status, "the receiver does not answer so: see what stands in front of it.")
    return f"it answers {status} instead of 200: {advice}"


def wait_for_row(
    tables: Tables,
    event: Canary,
    *,
    seconds: float,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> bool:
    """Whether the event stands in the raw table within that many seconds.

    Raises:
        QueryError: The table cannot be asked.
    """
    # The id is ours: letters, digits and hyphens.
    sql = f"SELECT event_id FROM webhook_raw_events WHERE event_id = '{event.event_id}'"  # noqa: S608
    until = monotonic() + seconds
    while not tables.run(sql).rows:
        if monotonic() >= until:
            return False
        sleep(_LOOK_SECONDS)
    return True


def _is_passing(answer: Answer) -> bool:
    return answer.status in {401, 503} and not answer.text


def _is_page(text: str) -> bool:
    start = text.lstrip().lower()
    return start.startswith(("<!doctype", "<html")) or "<form" in start
