"""The receiver: read the bytes, verify, append, answer. It parses no content.

A request passes three steps: `begin` (headers), `examine` (body) and `complete` (result of the
inbox). `answer` does all three for a WSGI environ; an event loop calls them one by one, see
`group_commit`. Imports no web framework. The README has a table of the answers and their order.
How Customer.io reacts to them: https://docs.customer.io/integrations/api/webhooks
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from core.webhooks.diagnosis import SignatureFault
from core.webhooks.signature import Refusal, SignatureCheck, SigningKey, Verification
from databricks_app.endpoint import (
    LARGEST_FACTOR,
    TEST_ENVIRON,
    Claims,
    content_length,
    header,
    is_test,
    signature_headers,
    signature_in_query,
)
from databricks_app.errors import InboxError
from databricks_app.events.record import Record
from databricks_app.ingest.body import BodyStream, ReceivedBody, read_body
from databricks_app.ingest.inbox import Appender
from databricks_app.ingest.refusals import inbox_reason, note_fault, note_refusal
from databricks_app.ingest.signature_diagnosis import SignatureDiagnosis
from databricks_app.ingest.stale_timestamps import StaleTimestamps
from databricks_app.ingest.verified_keys import VerifiedKeys
from databricks_app.runtime.metrics import Metrics
from databricks_app.runtime.recurring import RecurringLog
from databricks_app.runtime.shared_marks import SharedMarks
from databricks_app.settings import Settings

RECEIVER_STATUSES = (200, 401, 408, 413, 503)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request.

    Attributes:
        status: HTTP status.
        reason: Why the request is refused, as counted; None for 200.
        key: Fingerprint of the signing key that matched, if one did.
    """

    status: int
    reason: str | None = None
    key: str = ""


class _Refused(Exception):  # noqa: N818  # an answer, not an error
    """Ends the processing of refused requests.

    Attributes:
        answer: The answer to each of the requests.
        keys: The number of requests by the fingerprint of the key that matched.
        fault: Why the signature failed, if that is the reason.
        facts: Further fields of the log line.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        key: str = "",
        keys: Mapping[str, int] | None = None,
        fault: SignatureFault | None = None,
        **facts: object,
    ) -> None:
        super().__init__(reason)
        self.fault = fault
        self.answer = Answer(status, reason, key)
        self.keys = keys or {key: 1}
        self.facts = facts


class WebhookReceiver:
    """Answers the webhook route. Safe for several threads.

    Attributes:
        inbox: Stores verified bodies.
        append_deadline_seconds: How long an append may take.
        max_body_bytes: Only the beginning of a longer body is stored.
        verified: Knows which keys have verified requests.
        diagnosis: Finds out why signatures fail.
        stale: Decides about timestamps outside the window.
        recurring: Logs refusals; the server must call its `sweep` regularly.
    """

    def __init__(
        self,
        settings: Settings,
        inbox: Appender,
        metrics: Metrics,
        now: Callable[[], float] = time.time,
        body_errors: tuple[type[Exception], ...] = (OSError,),
        recurring: RecurringLog | None = None,
        marks: SharedMarks | None = None,
    ) -> None:
        """Create a receiver.

        Args:
            settings: Keys, time window and limits.
            inbox: Stores verified bodies.
            metrics: Counts every answer.
            now: Clock, Unix seconds.
            body_errors: Errors that the server raises if a body does not arrive completely.
            recurring: Logs refusals; a new one by default.
            marks: What the web processes share; by default this process has its own.
        """
        self._settings = settings
        self._keys: tuple[SigningKey, ...] = settings.signing_keys or ()
        marks = marks or SharedMarks(None)
        self.verified = VerifiedKeys(self._keys, settings.workspaces, marks)
        self.diagnosis = SignatureDiagnosis(self._keys, self.verified, marks)
        self.stale = StaleTimestamps(settings.stale_timestamps, marks)
        self.inbox = inbox
        self.append_deadline_seconds = settings.append_deadline_seconds
        self.max_body_bytes = settings.max_body_bytes
        self._metrics = metrics
        self._now = now
        self._body_errors = body_errors
        self.recurring = recurring or RecurringLog()

    @property
    def body_folder(self) -> Path:
        """The folder for unfinished bodies that are too large for memory.

        It is the data folder if the inbox is in it, else the temporary folder of the system.
        """
        folder = self._settings.data_dir
        if self._settings.inbox == "local" and folder.is_dir():
            return folder
        return Path(tempfile.gettempdir())

    def trouble(self) -> str | None:
        """Return why every request would be refused now; None if they would be accepted."""
        if not self._keys:
            return "no signing key is configured: set CIO_WEBHOOK_SIGNING_KEYS"
        return self.inbox.trouble()

    def claims(self, signature: bytes | None, timestamp: bytes | None, query: str) -> Claims:
        """Return signature and timestamp from the headers, or from the query if that is allowed.

        Args:
            signature: Header `X-CIO-Signature` as received.
            timestamp: Header `X-CIO-Timestamp` as received.
            query: The query string of the request.
        """
        if signature is None and timestamp is None and self._settings.is_signature_in_query:
            return signature_in_query(query)
        return signature, timestamp

    def answer(self, environ: Mapping[str, Any]) -> Answer:
        """Answer one WSGI request and count it. Never raises."""
        return self._guard(self._answer, environ)

    def begin(
        self,
        signature: bytes | None,
        timestamp: bytes | None,
        length: int | None,
        *,
        is_test: bool = False,
    ) -> Answer | SignatureCheck:
        """Examine the headers of a request, before its body arrives. Never raises.

        Args:
            signature: As returned by `claims`.
            timestamp: As returned by `claims`.
            length: Length of the body in bytes; None if it is not known.
            is_test: Whether the request is marked as one of ours.

        Returns:
            A check for the caller to update with the body and to pass to `examine`. Or, if the
            request is refused without its body, the answer, which is already counted.
        """
        return self._guard(self._begin, signature, timestamp, length, is_test)

    def examine(
        self,
        check: SignatureCheck,
        kept: Callable[[], bytes],
        length: int,
        sha256: str | None = None,
    ) -> Answer | Record:
        """Return the record to store, or the counted answer to a refused request. Never raises.

        Args:
            check: The check from `begin`, updated with the whole body.
            kept: Returns the body, or its first 64 KiB; called only if the request is verified.
            length: Bytes of the whole body.
            sha256: Hex digest of the whole body if `kept` returns a part of it, else None.
        """
        return self._guard(self._examine, check, kept, length, sha256)

    def examine_bytes(
        self,
        signature: bytes | None,
        timestamp: bytes | None,
        body: bytes,
        *,
        is_test: bool = False,
    ) -> Answer | Record:
        """Do `begin` and `examine` for a body in memory that is within the size limit."""

        def examine() -> Record:
            check = self._begin(signature, timestamp, len(body), is_test)
            check.update(body)
            return self._examine(check, lambda: body, len(body), None)

        return self._guard(examine)

    def complete(
        self, records: Sequence[Record], seconds: Sequence[float], error: InboxError | None
    ) -> Answer:
        """Count the result of an append and return the answer to each record. Never raises.

        Args:
            records: Records that `examine` returned; at least one.
            seconds: How long the inbox took for each of them.
            error: Why they are not durable; None if they are.
        """
        return self._guard(self._complete, records, seconds, error)

    def store(self, record: Record) -> Answer:
        """Append a record that `examine` returned, wait, and `complete` it. Never raises."""
        return self._guard(self._store, record)

    def refuse(self, reason: str, status: int, detail: str = "") -> None:
        """Count and log a request that the server itself refuses. Never raises.

        Args:
            reason: A key of `refusals.REASONS`.
            status: The status of the answer.
            detail: Distinguishes kinds of one reason. Use a fixed set of words, never client input.
        """
        self._count(Answer(status, reason), {"": 1}, {}, detail)

    def fail(self, error: Exception) -> None:
        """Count and log a request that fails because of a bug. Never raises."""
        note_fault(self.recurring, error)
        self._count(Answer(503, "exception"), {"": 1}, None)

    def _guard(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Answer:
        """Do one step of the work, and turn refusals and unforeseen errors into answers."""
        try:
            return step(*args, **kwargs)
        except _Refused as refused:
            self._count(refused.answer, refused.keys, refused.facts, fault=refused.fault)
            return refused.answer
        except Exception as error:  # noqa: BLE001  # a 500 would stall the feed for an hour
            self.fail(error)
            return Answer(503, "exception")

    def _count(
        self,
        answer: Answer,
        keys: Mapping[str, int],
        facts: Mapping[str, object] | None,
        detail: str = "",
        fault: SignatureFault | None = None,
    ) -> None:
        """Count a refusal, and log it unless `facts` is None."""
        reason = answer.reason or ""
        try:
            if facts is not None:
                note_refusal(
                    self.recurring,
                    reason,
                    answer.status,
                    {**({"key": answer.key} if answer.key else {}), **facts},
                    detail=detail,
                    fault=fault,
                    times=sum(keys.values()),
                )
            for key, number in keys.items():
                self._metrics.rejected.labels(reason, key).inc(number)
            if fault is not None:
                self._metrics.signature_faults.labels(fault.value).inc()
        # Metrics are files: a full disk must not change the answer.
        except Exception as error:  # noqa: BLE001  # the answer matters more than the count
            self.recurring.note_error("refusal_not_counted", error)

    def _answer(self, environ: Mapping[str, Any]) -> Answer:
        query = str(environ.get("QUERY_STRING", ""))
        signature, timestamp = self.claims(*signature_headers(environ), query)
        length = content_length(environ)
        check = self._begin(signature, timestamp, length, is_test(header(environ, TEST_ENVIRON)))
        body = self._read(environ["wsgi.input"], check, length)
        return self._store(self._examine(check, lambda: body.kept, body.length, body.sha256))

    def _begin(
        self,
        signature: bytes | None,
        timestamp: bytes | None,
        length: int | None,
        is_test: bool,
    ) -> SignatureCheck:
        # The order of these checks is the order of the README's table. The size comes after the
        # headers, so that an unsigned request of any size is answered 401.
        if not self._keys:
            raise _Refused(503, "no_key")
        check = SignatureCheck(self._keys, signature, timestamp, is_test=is_test)
        if check.refusal is not None:
            fault = self.diagnosis.of_headers(check, signature, self._now())
            raise _Refused(
                self._settings.unverified_status or 401, check.refusal.value, fault=fault
            )
        if length is not None and length > self.max_body_bytes * LARGEST_FACTOR:
            raise _Refused(413, "too_large")
        return check

    def _read(self, stream: BodyStream, check: SignatureCheck, length: int | None) -> ReceivedBody:
        try:
            body = read_body(stream, check.update, length, self.max_body_bytes)
        except self._body_errors:
            raise _Refused(408, "incomplete") from None
        if body is None:
            raise _Refused(413, "too_large")
        # A server can report a closed connection as a normal end of the stream.
        if length is not None and body.length < length:
            raise _Refused(408, "incomplete")
        return body

    def _examine(
        self, check: SignatureCheck, kept: Callable[[], bytes], length: int, sha256: str | None
    ) -> Record:
        now = self._now()
        verdict = check.verdict(now, self._settings.tolerance_seconds)
        if verdict.key is None:
            # A check of ours has a wrong signature on purpose: it must not look like a stranger.
            reason = "wrong_test_signature" if check.is_test else Refusal.WRONG_SIGNATURE.value
            tolerance_seconds = self._settings.tolerance_seconds
            status = self.verified.status_of_wrong_signature(check, now, tolerance_seconds)
            fault = self.diagnosis.of_wrong_signature(check, None if sha256 else kept, length, now)
            raise _Refused(self._settings.unverified_status or status, reason, fault=fault)
        if not check.is_test:
            self.verified.note(verdict.key.fingerprint, now)
        body = kept()
        if verdict.refusal is not None:
            age = verdict.age_seconds or 0.0
            is_accepted = self.stale.is_accepted(age, now, body, sha256, is_test=check.is_test)
            self._note_stale(verdict, verdict.key.fingerprint, is_accepted)
        return Record(
            body=body,
            received_at=datetime.fromtimestamp(now, UTC),
            timestamp=check.timestamp.decode("ascii"),
            key_fingerprint=verdict.key.fingerprint,
            body_bytes=length,
            body_sha256=sha256,
        )

    def _store(self, record: Record) -> Answer:
        started = time.perf_counter()
        failure: InboxError | None = None
        try:
            self.inbox.append(record, self.append_deadline_seconds)
        except InboxError as error:
            failure = error
        return self._complete((record,), (time.perf_counter() - started,), failure)

    def _complete(
        self, records: Sequence[Record], seconds: Sequence[float], error: InboxError | None
    ) -> Answer:
        for one in seconds:
            self._metrics.append.observe(one)
        keys = Counter(record.key_fingerprint for record in records)
        if error is not None:
            first = records[0].key_fingerprint
            raise _Refused(503, inbox_reason(error), first, keys=keys, problem=str(error))
        for key, number in keys.items():
            self._metrics.accepted.labels(key).inc(number)
        self._metrics.accepted_bytes.inc(sum(record.body_bytes for record in records))
        return Answer(200)

    def _note_stale(self, verdict: Verification, key: str, is_accepted: bool) -> None:
        """Count a timestamp outside the window, and refuse it unless it is accepted."""
        age, reason = verdict.age_seconds or 0.0, Refusal.STALE_TIMESTAMP.value
        self._metrics.stale_age.observe(age)
        if not is_accepted:
            fault = SignatureFault.STALE
            raise _Refused(401, reason, key, fault=fault, age_seconds=round(age), accepted=False)
        facts = {"key": key, "age_seconds": round(age), "accepted": True}
        note_refusal(self.recurring, reason, 200, facts)
