"""The receiver: read the bytes, verify, append, answer. It parses no content.

A request passes `begin` (its head), `examine` (its body) and `complete` (what the inbox made of
it). `answer` is these three for a WSGI environ; an event loop calls them one by one, see
`group_commit`. Knows no web framework. The answers and their order are those of the table in the
README; Customer.io's reasons for them: https://docs.customer.io/integrations/api/webhooks
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

from core.webhooks.signature import Refusal, SignatureCheck, SigningKey, Verification
from databricks_app.endpoint import (
    LARGEST_FACTOR,
    Claims,
    content_length,
    signature_headers,
    signature_in_query,
)
from databricks_app.errors import InboxClosed, InboxError, InboxFull, InboxTimeout
from databricks_app.events.record import Record
from databricks_app.ingest.body import BodyStream, ReceivedBody, read_body
from databricks_app.ingest.inbox import Appender
from databricks_app.ingest.refusals import note_fault, note_refusal
from databricks_app.runtime.metrics import Metrics
from databricks_app.runtime.recurring import RecurringLog
from databricks_app.settings import Settings

RECEIVER_STATUSES = (200, 401, 408, 413, 503)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and, for a refusal, its reason as counted."""

    status: int
    reason: str | None = None
    key: str = ""


class _Refused(Exception):  # noqa: N818  # an answer, not a fault
    """The request ends here.

    Attributes:
        answer: To each of the requests that this is about.
        keys: How many there are, by the fingerprint of the key that matched.
        facts: What else the log says.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        key: str = "",
        keys: Mapping[str, int] | None = None,
        **facts: object,
    ) -> None:
        super().__init__(reason)
        self.answer = Answer(status, reason, key)
        self.keys = keys or {key: 1}
        self.facts = facts


class WebhookReceiver:
    """Answers the webhook route. Threads share one.

    Attributes:
        inbox: Where verified bodies go.
        append_deadline_seconds: How long storing one may take.
        max_body_bytes: Of a longer body only the beginning is stored.
        recurring: Logs refusals; the server calls its `sweep` now and then.
    """

    def __init__(
        self,
        settings: Settings,
        inbox: Appender,
        metrics: Metrics,
        now: Callable[[], float] = time.time,
        body_errors: tuple[type[Exception], ...] = (OSError,),
        recurring: RecurringLog | None = None,
    ) -> None:
        """Join the parts.

        Args:
            settings: Keys, window and limits.
            inbox: Where verified bodies go.
            metrics: Where every case is counted.
            now: Unix seconds.
            body_errors: What the server raises while a body is read that does not arrive whole.
            recurring: Logs refusals; one of its own if left out.
        """
        self._settings = settings
        self._keys: tuple[SigningKey, ...] = settings.signing_keys or ()
        self.inbox = inbox
        self.append_deadline_seconds = settings.append_deadline_seconds
        self.max_body_bytes = settings.max_body_bytes
        self._metrics = metrics
        self._now = now
        self._body_errors = body_errors
        self.recurring = recurring or RecurringLog()

    @property
    def body_folder(self) -> Path:
        """Where bodies wait that are too large for memory: on the disk of the data, if it lasts."""
        folder = self._settings.data_dir
        if self._settings.store == "local" and folder.is_dir():
            return folder
        return Path(tempfile.gettempdir())

    def trouble(self) -> str | None:
        """Say in words why everything would be refused now; None if it would not."""
        if not self._keys:
            return "no signing key is configured: set CIO_WEBHOOK_SIGNING_KEYS"
        return self.inbox.trouble()

    def claims(self, signature: bytes | None, timestamp: bytes | None, query: str) -> Claims:
        """Return signature and timestamp: of the headers, or of the query where that is allowed.

        Args:
            signature: Header `X-CIO-Signature` as received.
            timestamp: Header `X-CIO-Timestamp` as received.
            query: Of the request target.
        """
        if signature is None and timestamp is None and self._settings.is_signature_in_query:
            return signature_in_query(query)
        return signature, timestamp

    def answer(self, environ: Mapping[str, Any]) -> Answer:
        """Answer one WSGI request and count it. Never raises."""
        return self._answered(self._answer, environ)

    def begin(
        self, signature: bytes | None, timestamp: bytes | None, length: int | None
    ) -> Answer | SignatureCheck:
        """Examine the head of a request whose body is still to come. Never raises.

        Args:
            signature: As `claims` returned it.
            timestamp: As `claims` returned it.
            length: Bytes of the body; None if that is not known.

        Returns:
            A check, to be fed with the body and given to `examine`; or the answer, counted, where
            the body need not be read.
        """
        return self._answered(self._begin, signature, timestamp, length)

    def examine(
        self,
        check: SignatureCheck,
        kept: Callable[[], bytes],
        length: int,
        sha256: str | None = None,
    ) -> Answer | Record:
        """Return what is to be stored, or the answer to a refused request, counted. Never raises.

        Args:
            check: Of `begin`, fed with all of the body.
            kept: Returns the body, or its first 64 KiB; called if the body is to be stored.
            length: Bytes of the whole body.
            sha256: Hex digest of the whole body where `kept` returns less, else None.
        """
        return self._answered(self._examine, check, kept, length, sha256)

    def examine_bytes(
        self, signature: bytes | None, timestamp: bytes | None, body: bytes
    ) -> Answer | Record:
        """Do `begin` and `examine` for a body that is in memory and within the limit."""
        return self._answered(self._examine_bytes, signature, timestamp, body)

    def complete(
        self, records: Sequence[Record], seconds: Sequence[float], error: InboxError | None
    ) -> Answer:
        """Count what became of records and return the answer to each of them. Never raises.

        Args:
            records: What `examine` returned; one at least.
            seconds: How long the inbox took for each of them.
            error: Why they are not durable; None if they are.
        """
        return self._answered(self._complete, records, seconds, error)

    def store(self, record: Record) -> Answer:
        """Append what `examine` returned, wait for it, and `complete` it. Never raises."""
        return self._answered(self._store, record)

    def refuse(self, reason: str, status: int, detail: str = "") -> None:
        """Count and log a request that the server refuses by itself. Never raises.

        Args:
            reason: A key of `refusals.REASONS`.
            status: The answer.
            detail: One of a few words; nothing that a client wrote.
        """
        self._count(Answer(status, reason), {"": 1}, {}, detail)

    def fail(self, error: Exception) -> None:
        """Count and log a request that an unforeseen error ends. Never raises."""
        note_fault(self.recurring, error)
        self._count(Answer(503, "exception"), {"": 1}, None)

    def _answered(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Answer:
        """Do a part of the work: the one place where refusals and faults become answers."""
        try:
            return work(*args, **kwargs)
        except _Refused as refused:
            self._count(refused.answer, refused.keys, refused.facts)
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
    ) -> None:
        """Count a refusal, and log it unless `facts` is None."""
        reason = answer.reason or ""
        try:
            if facts is not None:
                matched = {"key": answer.key} if answer.key else {}
                note_refusal(
                    self.recurring,
                    reason,
                    answer.status,
                    {**matched, **facts},
                    detail=detail,
                    times=sum(keys.values()),
                )
            for key, number in keys.items():
                self._metrics.rejected.labels(reason, key).inc(number)
        except Exception as error:  # noqa: BLE001  # the answer matters more than the count
            self.recurring.note_error("refusal_not_counted", error)

    def _answer(self, environ: Mapping[str, Any]) -> Answer:
        query = str(environ.get("QUERY_STRING", ""))
        signature, timestamp = self.claims(*signature_headers(environ), query)
        length = content_length(environ)
        check = self._begin(signature, timestamp, length)
        body = self._read(environ["wsgi.input"], check, length)
        return self._store(self._examine(check, lambda: body.kept, body.length, body.sha256))

    def _begin(
        self, signature: bytes | None, timestamp: bytes | None, length: int | None
    ) -> SignatureCheck:
        if not self._keys:
            raise _Refused(503, "no_key")
        check = SignatureCheck(self._keys, signature, timestamp)
        if check.refusal is not None:
            raise _Refused(self._settings.unverified_status, check.refusal.value)
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
        if length is not None and body.length < length:
            raise _Refused(408, "incomplete")
        return body

    def _examine_bytes(
        self, signature: bytes | None, timestamp: bytes | None, body: bytes
    ) -> Record:
        check = self._begin(signature, timestamp, len(body))
        check.update(body)
        return self._examine(check, lambda: body, len(body), None)

    def _examine(
        self, check: SignatureCheck, kept: Callable[[], bytes], length: int, sha256: str | None
    ) -> Record:
        now = self._now()
        verdict = check.verdict(now, self._settings.tolerance_seconds)
        if verdict.key is None:
            reason = (verdict.refusal or Refusal.WRONG_SIGNATURE).value
            raise _Refused(self._settings.unverified_status, reason)
        if verdict.refusal is not None:
            self._note_stale(verdict, verdict.key.fingerprint)
        return Record(
            body=kept(),
            received_at=datetime.fromtimestamp(now, UTC),
            timestamp=check.timestamp.decode("ascii"),
            key_fingerprint=verdict.key.fingerprint,
            body_bytes=length,
            body_sha256=sha256,
        )

    def _store(self, record: Record) -> Answer:
        began = time.perf_counter()
        failure: InboxError | None = None
        try:
            self.inbox.append(record, self.append_deadline_seconds)
        except InboxError as error:
            failure = error
        return self._complete((record,), (time.perf_counter() - began,), failure)

    def _complete(
        self, records: Sequence[Record], seconds: Sequence[float], error: InboxError | None
    ) -> Answer:
        for one in seconds:
            self._metrics.append.observe(one)
        keys = Counter(record.key_fingerprint for record in records)
        if error is not None:
            first = records[0].key_fingerprint
            raise _Refused(503, _inbox_reason(error), first, keys, problem=str(error))
        for key, number in keys.items():
            self._metrics.accepted.labels(key).inc(number)
        self._metrics.accepted_bytes.inc(sum(record.body_bytes for record in records))
        return Answer(200)

    def _note_stale(self, verdict: Verification, key: str) -> None:
        """Count a timestamp outside the window, and refuse it unless the setting accepts it."""
        age = verdict.age_seconds or 0.0
        reason = Refusal.STALE_TIMESTAMP.value
        self._metrics.stale_age.observe(age)
        if self._settings.stale_timestamps != "accept":
            raise _Refused(401, reason, key, age_seconds=round(age), accepted=False)
        facts = {"key": key, "age_seconds": round(age), "accepted": True}
        note_refusal(self.recurring, reason, 200, facts)


def _inbox_reason(error: InboxError) -> str:
    if isinstance(error, InboxFull):
        return "inbox_full"
    if isinstance(error, InboxTimeout):
        return "inbox_timeout"
    return "stopping" if isinstance(error, InboxClosed) else "inbox_error"
