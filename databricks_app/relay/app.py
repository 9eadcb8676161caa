"""The relay: receives Customer.io's requests on any host and forwards them to a Databricks App.

A Databricks App answers only callers with an OAuth token, and Customer.io cannot send one. The
relay is a small WSGI app for any container or function host. It verifies the signature, adds a
token, forwards the same bytes, and answers 200 only when the app has stored them. Every fault
behind it is answered 503, after which Customer.io does not wait an hour.

The WSGI app is `databricks_app.relay.app:create_relay()`; docs/deployment.md says how to run it.
Imports neither Flask nor the inbox.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any

import httpx2
import structlog

from core.webhooks.diagnosis import SignatureFault
from core.webhooks.signature import TEST_HEADER, Refusal, SignatureCheck
from databricks_app.databricks.token import Token, Tokens, machine_token
from databricks_app.endpoint import (
    LARGEST_FACTOR,
    RETRY_AFTER_SECONDS,
    TEST_ENVIRON,
    bytes_to_read,
    content_length,
    header,
    is_test,
    is_webhook_path,
    signature_headers,
    signature_query,
)
from databricks_app.errors import TokenError
from databricks_app.ingest.signature_diagnosis import SignatureDiagnosis
from databricks_app.ingest.signature_faults import WORDS
from databricks_app.ingest.stale_timestamps import OLDEST_SECONDS
from databricks_app.ingest.verified_keys import VerifiedKeys
from databricks_app.relay.loop_thread import LoopThread
from databricks_app.relay.settings import RelaySettings, from_environment
from databricks_app.relay.upstream import (
    ForwardOutcome,
    ForwardResult,
    Upstream,
    VerifiedRequest,
)
from databricks_app.runtime import logs
from databricks_app.runtime.shared_marks import SharedMarks
from databricks_app.runtime.unknown_settings import log_unknown_settings
from databricks_app.settings import environment

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_PIECE_BYTES = 64 << 10
# The loop ends a request at its deadline; the waiting thread gives it this much longer.
_GRACE_SECONDS = 0.2
_OPEN_SECONDS = 30.0

log = structlog.get_logger(__name__)

# The other refusals are not logged: strangers cause them all the time.
_LOGGED_REFUSALS = (Refusal.WRONG_SIGNATURE, "busy", "too_large")

# After these outcomes a new token may help.
_MAYBE_TOKEN = (ForwardOutcome.TOKEN_REFUSED, ForwardOutcome.FORBIDDEN)

_ADVICE = {
    ForwardOutcome.NO_TOKEN: "check DATABRICKS_HOST, DATABRICKS_CLIENT_ID and "
    "DATABRICKS_CLIENT_SECRET",
    ForwardOutcome.TOKEN_REFUSED: "check that the service principal belongs to the workspace of "
    "the app and may use it",
    ForwardOutcome.FORBIDDEN: "grant the service principal CAN USE on the app",
    ForwardOutcome.APP_REFUSED: "give the app the relay's keys and window; if they agree, the "
    "platform drops the X-CIO headers: see CIO_SIGNATURE_IN_QUERY in docs/deployment.md",
    ForwardOutcome.NOT_THE_APP: "check CIO_RELAY_APP_URL: not the receiver, but another program "
    "answers there",
}


@dataclass(frozen=True, slots=True)
class RelayAnswer:
    """An answer of the relay.

    Attributes:
        status: HTTP status.
        reason: Why it is not 200, for the log.
        allow: Value of the header `Allow`; empty without one.
        text: The body.
    """

    status: int
    reason: str = ""
    allow: str = ""
    text: bytes = b""


class _RelayRefusal(Exception):  # noqa: N818  # leads to an answer, is not a fault
    """Ends a request with an answer."""

    def __init__(self, answer: RelayAnswer, fault: SignatureFault | None = None) -> None:
        super().__init__(answer.reason)
        self.answer = answer
        self.fault = fault


class _Budget:
    """How many more requests and bytes the relay may process at the same time."""

    def __init__(self, requests: int, most_bytes: int) -> None:
        self._lock = threading.Lock()
        self._requests = requests
        self._bytes = most_bytes

    def take(self, requests: int, size: int) -> bool:
        """Reserve requests and bytes; return False if not enough are left."""
        with self._lock:
            if self._requests < requests or self._bytes < size:
                return False
            self._requests -= requests
            self._bytes -= size
            return True


class _Share:
    """The part of the budget that one request uses; released at the end of the block."""

    def __init__(self, budget: _Budget) -> None:
        self.size = 0
        self._budget = budget
        if not budget.take(1, 0):
            raise _RelayRefusal(RelayAnswer(503, "busy"))

    def __enter__(self) -> _Share:
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.take(-1, -self.size)

    def grow(self, size: int) -> None:
        """Reserve `size` more bytes."""
        if not self._budget.take(0, size):
            raise _RelayRefusal(RelayAnswer(503, "busy"))
        self.size += size


class Relay:
    """The WSGI app. Threads may share one; make it after the process has forked."""

    def __init__(self, settings: RelaySettings, now: Callable[[], float]) -> None:
        """Start to fetch a token without waiting for it; see `create_relay`."""
        self._settings = settings
        self._now = now
        # A process has its own marks: a relay has no run folder. It does not know workspaces.
        marks = SharedMarks(None)
        self._verified = VerifiedKeys(settings.signing_keys, {}, marks)
        self._diagnosis = SignatureDiagnosis(settings.signing_keys, self._verified, marks)
        self._max_bytes = settings.max_body_bytes * LARGEST_FACTOR
        self._budget = _Budget(settings.most_requests, self._max_bytes)
        self._loop = LoopThread()

        async def open_upstream() -> Upstream:
            return Upstream(settings)

        # In the loop, because its connections belong to the loop where they are made.
        self._upstream = self._loop.run(open_upstream(), _OPEN_SECONDS)
        # Not a monotonic clock: it may stop while a function host freezes the process.
        self._tokens = Tokens(lambda: _fetch_token(settings, now), clock=now)
        self._tokens.begin()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        answer = self.answer(environ)
        headers = [
            ("Content-Length", str(len(answer.text))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if answer.text:
            headers.append(("Content-Type", "text/plain; charset=utf-8"))
        if answer.allow:
            headers.append(("Allow", answer.allow))
        if answer.status == 503:
            headers.append(("Retry-After", str(RETRY_AFTER_SECONDS)))
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        return [answer.text] if answer.text else ()

    def answer(self, environ: Mapping[str, Any]) -> RelayAnswer:
        """Answer one request and log its faults. Never raises."""
        try:
            return self._answer(environ)
        except _RelayRefusal as refused:
            if fault := refused.fault:
                facts = {"fault": fault.value, "advice": WORDS[fault].fix}
                log.warning("request_refused", reason=refused.answer.reason, **facts)
            elif refused.answer.reason in _LOGGED_REFUSALS:
                log.warning("request_refused", reason=refused.answer.reason)
            return refused.answer
        except Exception as error:  # noqa: BLE001  # after a 500 Customer.io waits an hour
            log.error("request_failed", error=type(error).__name__, at=logs.raised_at(error))
            return RelayAnswer(503, "exception")

    def close(self) -> None:
        """Close the connections and end the threads."""
        self._tokens.close()
        self._loop.run(self._upstream.close(), _OPEN_SECONDS)
        self._loop.close()

    def _answer(self, environ: Mapping[str, Any]) -> RelayAnswer:
        deadline = time.monotonic() + self._settings.deadline_seconds
        method = environ["REQUEST_METHOD"]
        path = str(environ.get("PATH_INFO", ""))
        if path.lstrip("/") == "healthz":
            if method not in ("GET", "HEAD"):
                return RelayAnswer(405, "method_not_allowed", allow="GET, HEAD")
            return RelayAnswer(200, text=b"alive\n" if method == "GET" else b"")
        if not is_webhook_path(path):
            return RelayAnswer(404, "not_found")
        if method != "POST":
            return RelayAnswer(405, "method_not_allowed", allow="POST")
        return self._verify_and_forward(environ, deadline)

    def _verify_and_forward(self, environ: Mapping[str, Any], deadline: float) -> RelayAnswer:
        if not self._settings.signing_keys:
            return RelayAnswer(503, "no_key")
        signature, timestamp = signature_headers(environ)
        is_ours = is_test(header(environ, TEST_ENVIRON))
        keys = self._settings.signing_keys
        check = SignatureCheck(keys, signature, timestamp, is_test=is_ours)
        if check.refusal is not None or signature is None or timestamp is None:
            answer = RelayAnswer(self._settings.unverified_status or 401, str(check.refusal))
            raise _RelayRefusal(answer, self._diagnosis.of_headers(check, signature, self._now()))
        # The body may not be forwarded before its last byte is verified. Up to `max_body_bytes` it
        # is kept in memory, above that in a temporary file.
        with (
            _Share(self._budget) as share,
            SpooledTemporaryFile(max_size=self._settings.max_body_bytes) as body,
        ):
            self._read(environ, check, share, body, deadline)
            self._verify(check, body, share.size)
            headers = {b"X-CIO-Signature": signature, b"X-CIO-Timestamp": timestamp}
            if is_ours:
                headers[TEST_HEADER.encode()] = b"1"
            if content_type := header(environ, "CONTENT_TYPE"):
                headers[b"Content-Type"] = content_type
            query = ""
            if self._settings.signature_place == "both":
                query = signature_query(signature, timestamp)
            return self._forward(VerifiedRequest(body, share.size, headers, query), deadline)

    def _read(
        self,
        environ: Mapping[str, Any],
        check: SignatureCheck,
        share: _Share,
        body: IO[bytes],
        deadline: float,
    ) -> None:
        """Copy the body into a file and update the signature check."""
        length = content_length(environ)
        if length is not None and length > self._max_bytes:
            raise _RelayRefusal(RelayAnswer(413, "too_large"))
        stream = environ["wsgi.input"]
        while True:
            try:
                piece = stream.read(bytes_to_read(length, share.size, _PIECE_BYTES))
            except OSError:  # the sender has closed the connection
                raise _RelayRefusal(RelayAnswer(408, "incomplete")) from None
            if not piece:
                break
            if share.size + len(piece) > self._max_bytes:
                raise _RelayRefusal(RelayAnswer(413, "too_large"))
            if time.monotonic() > deadline:
                raise _RelayRefusal(RelayAnswer(408, "incomplete"))
            share.grow(len(piece))
            check.update(piece)
            body.write(piece)
        if length is not None and share.size < length:
            raise _RelayRefusal(RelayAnswer(408, "incomplete"))

    def _verify(self, check: SignatureCheck, body: IO[bytes], length: int) -> None:
        now = self._now()
        verdict = check.verdict(now, self._settings.tolerance_seconds)
        if verdict.key is None:
            status = self._settings.unverified_status or self._verified.status_of_wrong_signature(
                check, now, self._settings.tolerance_seconds
            )
            body.seek(0)
            fault = self._diagnosis.of_wrong_signature(check, body.read, length, now)
            raise _RelayRefusal(RelayAnswer(status, str(verdict.refusal)), fault)
        if not check.is_test:
            self._verified.note(verdict.key.fingerprint, now)
        if verdict.refusal is None:
            return
        age = round(verdict.age_seconds or 0)
        policy = self._settings.stale_timestamps
        # With `second_sight` the app decides, because it remembers the bodies. Its refusal is 503
        # here, so that Customer.io repeats the request soon.
        is_accepted = policy == "accept" or (
            policy == "second_sight" and abs(age) <= OLDEST_SECONDS
        )
        log.warning(
            "stale_timestamp", age_seconds=age, key=verdict.key.fingerprint, accepted=is_accepted
        )
        if not is_accepted:
            raise _RelayRefusal(RelayAnswer(401, verdict.refusal))

    def _forward(self, request: VerifiedRequest, deadline: float) -> RelayAnswer:
        result = self._try_with_tokens(request, deadline)
        if result.outcome is ForwardOutcome.STORED:
            return RelayAnswer(200)
        log.warning(
            "not_delivered",
            reason=result.outcome,
            tries=result.tries,
            status=result.status,
            error=result.error,
            seconds_left=round(deadline - time.monotonic(), 2),
            advice=_ADVICE.get(result.outcome),
        )
        return RelayAnswer(503, result.outcome)

    def _try_with_tokens(self, request: VerifiedRequest, deadline: float) -> ForwardResult:
        """Forward a request; repeat it once with a new token if the first one is refused."""
        result: ForwardResult | None = None
        refused: Token | None = None
        while True:
            left = deadline - time.monotonic()
            try:
                token = self._tokens.get(left, other_than=refused)
            except TokenError:
                is_late = time.monotonic() >= deadline
                outcome = ForwardOutcome.TIMEOUT if is_late else ForwardOutcome.NO_TOKEN
                return result or ForwardResult(outcome)
            if result is not None and token is refused:
                return result  # no new one came in time
            tries = result.tries if result is not None else 0
            work = self._upstream.forward(request, token.text, deadline, tries)
            try:
                new = self._loop.run(work, max(0.0, deadline - time.monotonic()) + _GRACE_SECONDS)
            except TimeoutError:  # the loop was too busy to end the request at its deadline
                return ForwardResult(ForwardOutcome.TIMEOUT)
            if result is not None or new.outcome not in _MAYBE_TOKEN:
                return new
            is_certain = new.outcome is ForwardOutcome.TOKEN_REFUSED
            if not self._tokens.refuse(token, is_certain=is_certain):
                return new
            result, refused = new, token


def create_relay(
    settings: RelaySettings | None = None, *, now: Callable[[], float] = time.time
) -> Relay:
    """Make the WSGI app.

    Call it after the process has forked: it has threads.

    Args:
        settings: Default: read from the environment; then logs are set up too.
        now: Unix seconds.

    Raises:
        SettingsError: A setting is missing or cannot be used.
    """
    if settings is None:
        variables = environment()
        settings = from_environment(variables)
        logs.configure(settings.log_level, "relay")
        log_unknown_settings(variables)
    return Relay(settings, now)


def _fetch_token(settings: RelaySettings, now: Callable[[], float]) -> Token:
    # With its own client, because all connections to the app may hang. `trust_env=False`: no proxy,
    # as for the connections to the app.
    with httpx2.Client(trust_env=False) as client:
        token = machine_token(
            client, settings.workspace_url, settings.client_id, settings.client_secret, now
        )
    log.info("token_refreshed", seconds=round(token.ends_at - now()))
    return token
