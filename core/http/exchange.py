"""One call from its first attempt to its answer, without doing any of it.

`exchange` is a generator: it yields what to do next (`SendRequest` or `Wait`) and is sent what
came of it. Retries, rate limits, redirects and error mapping are decided here once;
`core.http.client` performs the steps with blocking sockets, and an asynchronous client would
perform the same steps.

Pure but for the rate gate, which counts; clock and random numbers are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urljoin

from core.errors import CallError, ConnectionFailedError, ThrottledError
from core.http.regions import may_see_key
from core.http.responses import Response, retry_after_seconds
from core.http.retries import Failure, RetryPolicy, may_repeat, wait_seconds
from core.http.status_errors import from_response

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from datetime import datetime

    from core.http.downloads import Sink
    from core.http.rate_limits import Gate

_MAX_REDIRECTS = 5
_MAX_HOLD_SECONDS = 300.0  # an absurd Retry-After must not stop a client for ever
_REDIRECTS = frozenset({301, 302, 307, 308})  # 303 would turn the call into a GET


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of an API, as its specification has it.

    Attributes:
        name: The vendor's name for it: `track`, `getSegment`.
        method: In upper case.
        path: With its ids in braces: `/v1/segments/{segment_id}`.
        is_repeatable: Whether doing it twice does no harm, so that it may be sent again after an
            unknown outcome.
        rate: The name of its rate class.
    """

    name: str
    method: str
    path: str
    is_repeatable: bool
    rate: str = "default"


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """What is put on the wire; its `repr` shows neither address, key nor content.

    The body of a success goes into the `sink`, if there is one.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    sink: Sink | None = field(default=None, repr=False)

    @property
    def has_key(self) -> bool:
        """Whether a key is sent along, which only Customer.io may see."""
        return "authorization" in self.headers


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Do this: send the request, and send back what came of it."""

    request: OutgoingRequest


@dataclass(frozen=True, slots=True)
class Wait:
    """Do this: let the time pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is known of one attempt; fit for logs and metrics, as it holds no payload and no id.

    Attributes:
        operation: The vendor's name of the call.
        method: In upper case.
        path: The template, without the ids in it.
        number: The first is 1.
        status: None if no answer came.
        failure: The transport's name for what went wrong; None if an answer came.
        elapsed_seconds: From sending to the end of the answer.
        request_bytes: Length of the content sent.
        response_bytes: Length of the decoded answer.
        request_id: What the vendor's support asks for.
        retry_in_seconds: The wait before the next attempt; None if there is none.
        is_redirected: Whether another host than the first was asked in the end, with the key.
    """

    operation: str
    method: str
    path: str
    number: int
    status: int | None
    failure: str | None
    elapsed_seconds: float
    request_bytes: int
    response_bytes: int
    request_id: str | None
    retry_in_seconds: float | None
    is_redirected: bool


@dataclass(frozen=True, slots=True)
class ExchangeRules:
    """What an exchange decides by.

    Attributes:
        policy: How often and how long to try.
        gate: The rate class of the call.
        now: The date, UTC-aware.
        monotonic: Seconds, for durations and rates.
        random: Evenly distributed in [0, 1).
        scrub: Takes the key out of the server's words.
        observe: Is told of each attempt.
    """

    policy: RetryPolicy
    gate: Gate
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    random: Callable[[], float]
    scrub: Callable[[str], str]
    observe: Callable[[Attempt], None]


Step: TypeAlias = SendRequest | Wait
Reply: TypeAlias = Response | Failure | None


def exchange(
    operation: Operation, request: OutgoingRequest, rules: ExchangeRules
) -> Generator[Step, Reply, Response]:
    """Take a call through its attempts.

    Returns:
        The answer, which is a success.

    Raises:
        CallError: One of its kinds, after the last attempt.
    """
    began = rules.monotonic()
    number = 0
    is_unknown = False  # of any attempt: a clear refusal of the last says nothing of the first
    while True:
        number += 1
        yield from _gate(operation, rules, number, is_unknown)
        sent_at = rules.monotonic()
        reply, url = yield from _send(request)
        done_at = rules.monotonic()
        wait = _wait(operation, rules, reply, number, done_at - began)
        rules.observe(_attempt(operation, request, reply, number, done_at - sent_at, wait, url))
        if isinstance(reply, Response) and reply.is_success:
            return reply
        error = _error(operation, rules, reply, number)
        is_unknown = error.is_outcome_unknown = error.is_outcome_unknown or is_unknown
        if wait is None:
            raise error
        yield Wait(wait)


def _gate(
    operation: Operation, rules: ExchangeRules, number: int, is_unknown: bool
) -> Generator[Step, Reply, None]:
    reserved, seconds = rules.gate.reserve(rules.monotonic(), rules.policy.patience_seconds)
    if not reserved:
        error = ThrottledError(
            f"{operation.name}: its rate limit is used up for {seconds:.0f} s; not sent (again)."
            " Try again after retry_after_seconds.",
            operation=operation.name,
            attempts=number - 1,
            retry_after_seconds=seconds,
        )
        error.is_outcome_unknown = is_unknown
        raise error
    if seconds > 0:
        yield Wait(seconds)


def _send(request: OutgoingRequest) -> Generator[Step, Reply, tuple[Response | Failure, str]]:
    """Send, and follow redirects with method and content kept, as far as the key may go."""
    url = request.url
    hops = 0
    while True:
        reply = yield SendRequest(replace(request, url=url))
        assert reply is not None  # noqa: S101  # the one who performs the step answers it
        target = _target(request, url, reply) if hops < _MAX_REDIRECTS else None
        if target is None:
            return reply, url
        url = target
        hops += 1


def _target(request: OutgoingRequest, url: str, reply: Response | Failure) -> str | None:
    if not isinstance(reply, Response) or reply.status not in _REDIRECTS:
        return None
    try:
        target = urljoin(url, reply.headers.get("location", ""))
    except ValueError:
        return None
    may_follow = may_see_key(target) if request.has_key else target.startswith("https://")
    return target if target != url and may_follow else None


def _wait(
    operation: Operation,
    rules: ExchangeRules,
    reply: Response | Failure,
    number: int,
    elapsed: float,
) -> float | None:
    asked: float | None = None
    failed: int | Failure
    if isinstance(reply, Response):
        failed = reply.status
        asked = retry_after_seconds(reply, rules.now())
        if failed == 429 and asked is not None:
            rules.gate.hold(rules.monotonic() + min(asked, _MAX_HOLD_SECONDS))
    else:
        failed = reply
    if not may_repeat(failed, is_repeatable=operation.is_repeatable):
        return None
    return wait_seconds(
        rules.policy,
        attempt=number,
        elapsed_seconds=elapsed,
        retry_after_seconds=asked,
        random=rules.random(),
    )


def _attempt(
    operation: Operation,
    request: OutgoingRequest,
    reply: Response | Failure,
    number: int,
    elapsed: float,
    wait: float | None,
    url: str,
) -> Attempt:
    answered = reply if isinstance(reply, Response) else None
    return Attempt(
        operation=operation.name,
        method=operation.method,
        path=operation.path,
        number=number,
        status=answered.status if answered else None,
        failure=reply.reason if isinstance(reply, Failure) else None,
        elapsed_seconds=elapsed,
        request_bytes=len(request.content),
        response_bytes=len(answered.body) + answered.streamed_bytes if answered else 0,
        request_id=answered.request_id if answered else None,
        retry_in_seconds=wait,
        is_redirected=request.has_key and url != request.url,
    )


def _error(
    operation: Operation, rules: ExchangeRules, reply: Response | Failure, number: int
) -> CallError:
    if isinstance(reply, Response):
        return from_response(
            reply, operation=operation.name, attempts=number, now=rules.now(), scrub=rules.scrub
        )
    unknown = reply.kind == "no_answer"
    outcome = "whether it was done is unknown" if unknown else "it was not sent"
    return ConnectionFailedError(
        f"{operation.name}: no answer ({reply.reason}) in {number} attempts; {outcome}."
        " Check the network, the region and the timeouts.",
        operation=operation.name,
        attempts=number,
        reason=reply.reason,
        is_outcome_unknown=unknown,
    )
