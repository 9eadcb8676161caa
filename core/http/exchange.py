"""The protocol of one call without I/O: retries, rate limits, redirects and errors.

`exchange` is a generator. It yields the next step (`SendRequest` or `Wait`), and the caller sends
back the result of the step. `core.http.client` executes the steps with blocking sockets; an
asynchronous client can execute the same steps.

Pure except for the rate gate, which counts calls. Clock and random numbers are arguments.
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
# A very long Retry-After must not block all other calls of the client.
_MAX_HOLD_SECONDS = 300.0
# Not 303: it would turn the call into a GET.
_REDIRECTS = frozenset({301, 302, 307, 308})


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of an API, as in the vendor's specification.

    Attributes:
        name: The vendor's name: `track`, `getSegment`.
        method: In upper case.
        path: With ids in braces: `/v1/segments/{segment_id}`.
        is_repeatable: Whether executing it twice does no harm. Then it may be sent again when the
            outcome of an attempt is unknown.
        rate: The name of its rate class.
    """

    name: str
    method: str
    path: str
    is_repeatable: bool
    rate: str = "default"


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """A request to send. Its `repr` shows no URL, no key and no content.

    If there is a `sink`, the body of a successful answer is written to it. `renew` returns the
    content of each attempt, if it contains the time of sending.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    sink: Sink | None = field(default=None, repr=False)
    renew: Callable[[], bytes] | None = field(default=None, repr=False)

    @property
    def has_key(self) -> bool:
        """Whether the request contains the API key, which only Customer.io may see."""
        return "authorization" in self.headers


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A step: send the request, and send its answer or failure to the generator."""

    request: OutgoingRequest


@dataclass(frozen=True, slots=True)
class Wait:
    """A step: wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, for logs and metrics. It contains no payload and no id.

    Attributes:
        operation: The vendor's name of the call.
        method: In upper case.
        path: The template, without ids.
        number: The first attempt is 1.
        status: The HTTP status; None if no answer arrived.
        failure: The name of the transport's exception; None if an answer arrived.
        elapsed_seconds: From sending to the end of the answer.
        request_bytes: Length of the content sent.
        response_bytes: Length of the answer after decompression.
        request_id: The id that the vendor's support asks for.
        retry_in_seconds: The wait before the next attempt; None if there is no next attempt.
        is_redirected: Whether a redirect was followed with the key.
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
    """The settings of one exchange.

    Attributes:
        policy: How often and how long to retry.
        gate: The rate limit of the call.
        now: The current time, UTC-aware.
        monotonic: Seconds, for durations and rate limits.
        random: Uniformly distributed in [0, 1).
        scrub: Removes the key from a text.
        observe: Called after each attempt.
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
    """Send a request, and repeat it as the rules allow.

    Returns:
        A successful answer.

    Raises:
        CallError: The last attempt failed; the subclass says how.
    """
    started_at = rules.monotonic()
    number = 0
    # True once the outcome of any attempt is unknown: if the last attempt gets a clear refusal, an
    # earlier attempt may still have been executed.
    is_unknown = False
    while True:
        number += 1
        yield from _wait_for_rate_limit(operation, rules, number, is_unknown)
        if request.renew is not None:
            request = replace(request, content=request.renew())
        sent_at = rules.monotonic()
        reply, url = yield from _send_following_redirects(request)
        done_at = rules.monotonic()
        # Before `observe`, because an attempt includes the wait that follows it.
        wait = _wait_before_retry(operation, rules, reply, number, done_at - started_at)
        rules.observe(_attempt(operation, request, reply, number, done_at - sent_at, wait, url))
        if isinstance(reply, Response) and reply.is_success:
            return reply
        error = _error(operation, rules, reply, number)
        is_unknown = error.is_outcome_unknown = error.is_outcome_unknown or is_unknown
        if wait is None:
            raise error
        yield Wait(wait)


def _wait_for_rate_limit(
    operation: Operation, rules: ExchangeRules, number: int, is_unknown: bool
) -> Generator[Step, Reply, None]:
    reserved, seconds = rules.gate.reserve(rules.monotonic(), rules.policy.max_wait_seconds)
    if not reserved:
        error = ThrottledError(
            f"{operation.name}: the rate limit allows the next call in {seconds:.0f} s, which is"
            " longer than the client waits. The call was not sent (again). Try again after"
            " retry_after_seconds.",
            operation=operation.name,
            attempts=number - 1,
            retry_after_seconds=seconds,
        )
        error.is_outcome_unknown = is_unknown
        raise error
    if seconds > 0:
        yield Wait(seconds)


def _send_following_redirects(
    request: OutgoingRequest,
) -> Generator[Step, Reply, tuple[Response | Failure, str]]:
    """Send a request and follow redirects with the same method and content.

    Returns:
        The last reply and its URL.
    """
    url = request.url
    redirects = 0
    while True:
        reply = yield SendRequest(replace(request, url=url))
        assert reply is not None  # noqa: S101  # only a `Wait` is answered with None
        target = _redirect_target(request, url, reply) if redirects < _MAX_REDIRECTS else None
        if target is None:
            return reply, url
        url = target
        redirects += 1


def _redirect_target(request: OutgoingRequest, url: str, reply: Response | Failure) -> str | None:
    if not isinstance(reply, Response) or reply.status not in _REDIRECTS:
        return None
    try:
        target = urljoin(url, reply.headers.get("location", ""))
    except ValueError:
        return None
    # With a key only to Customer.io, without a key (downloads) to any https host.
    may_follow = may_see_key(target) if request.has_key else target.startswith("https://")
    return target if target != url and may_follow else None


def _wait_before_retry(
    operation: Operation,
    rules: ExchangeRules,
    reply: Response | Failure,
    number: int,
    elapsed: float,
) -> float | None:
    requested: float | None = None
    failed: int | Failure
    if isinstance(reply, Response):
        failed = reply.status
        requested = retry_after_seconds(reply, rules.now())
        if failed == 429 and requested is not None:
            # The limit is the workspace's, so all other calls of this rate class wait too.
            rules.gate.hold(rules.monotonic() + min(requested, _MAX_HOLD_SECONDS))
    else:
        failed = reply
    if not may_repeat(failed, is_repeatable=operation.is_repeatable):
        return None
    return wait_seconds(
        rules.policy,
        attempt=number,
        elapsed_seconds=elapsed,
        retry_after_seconds=requested,
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
    answer = reply if isinstance(reply, Response) else None
    return Attempt(
        operation=operation.name,
        method=operation.method,
        path=operation.path,
        number=number,
        status=answer.status if answer else None,
        failure=reply.reason if isinstance(reply, Failure) else None,
        elapsed_seconds=elapsed,
        request_bytes=len(request.content),
        response_bytes=len(answer.body) + answer.streamed_bytes if answer else 0,
        request_id=answer.request_id if answer else None,
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
    is_unknown = reply.kind == "no_answer"
    outcome = "Customer.io may have executed the call" if is_unknown else "The call was not sent"
    return ConnectionFailedError(
        f"{operation.name}: no answer ({reply.reason}) in {number} attempts. {outcome}."
        " Check the network, the region and the timeouts.",
        operation=operation.name,
        attempts=number,
        reason=reply.reason,
        is_outcome_unknown=is_unknown,
    )
