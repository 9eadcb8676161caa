"""The door: read the bytes, verify, append, answer. It parses no content.

Knows WSGI's environ and no web framework. `express` uses it in pieces, for an event loop. The
answers and their order are those of the table in the README; Customer.io's reasons for them:
https://docs.customer.io/integrations/api/webhooks
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs

import structlog

from core.webhooks.signature import (
    SIGNATURE_PARAMETER,
    TIMESTAMP_PARAMETER,
    Refusal,
    SignatureCheck,
    SigningKey,
    Verification,
)
from databricks_app.errors import InboxClosed, InboxError, InboxFull, InboxTimeout
from databricks_app.events.record import Record
from databricks_app.ingest.inbox import Appender
from databricks_app.runtime.metrics import Metrics
from databricks_app.settings import Settings

RETRY_AFTER_SECONDS = 5
DOOR_STATUSES = (200, 401, 408, 413, 503)
CUT_BYTES = 64 << 10
LARGEST_FACTOR = 8
_PIECE_BYTES = 1 << 20

Found = TypeVar("Found")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and, for a refusal, its reason as counted."""

    status: int
    reason: str | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class _Body:
    """What was read: the bytes (cut if too large), their whole length, the digest if cut."""

    kept: bytes
    length: int
    sha256: str | None


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes:
        """Return at most so much; nothing at the end."""
        ...


class Door:
    """Answers the webhook route. Threads share one.

    Attributes:
        inbox: Where verified bodies go.
        append_deadline_seconds: How long storing one may take.
    """

    def __init__(
        self,
        settings: Settings,
        inbox: Appender,
        metrics: Metrics,
        now: Callable[[], float] = time.time,
        body_errors: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        """Join the parts.

        Args:
            settings: Keys, window and limits.
            inbox: Where verified bodies go.
            metrics: Where every case is counted.
            now: Unix seconds.
            body_errors: What the server raises while a body is read that does not arrive whole.
        """
        self._settings = settings
        self._keys: tuple[SigningKey, ...] = settings.signing_keys or ()
        self.inbox = inbox
        self.append_deadline_seconds = settings.append_deadline_seconds
        self._metrics = metrics
        self._now = now
        self._body_errors = body_errors
        self._has_warned_of_stale = False

    def trouble(self) -> str | None:
        """Say in words why the door would refuse everything now; None if it would not."""
        if not self._keys:
            return "no signing key is configured: set CIO_WEBHOOK_SIGNING_KEYS"
        return self.inbox.trouble()

    def answer(self, environ: Mapping[str, Any]) -> Answer:
        """Answer one request and count it. Never raises."""
        return self._never_raising(lambda: self._answer(environ))

    def examine(
        self, signature: bytes | None, timestamp: bytes | None, length: int | None, stream: _Stream
    ) -> Answer | Record:
        """Return what is to be stored, or the answer to a refused request, counted. Never raises.

        Args:
            signature: Header `X-CIO-Signature` as received.
            timestamp: Header `X-CIO-Timestamp` as received.
            length: Of the body; None if it was not told.
            stream: The body.
        """
        return self._counted(lambda: self._examine(signature, timestamp, length, stream))

    def examine_bytes(
        self, signature: bytes | None, timestamp: bytes | None, body: bytes
    ) -> Answer | Record:
        """Do the same as `examine` for a body that is in memory."""
        return self.examine(signature, timestamp, len(body), io.BytesIO(body))

    def claims(
        self, signature: bytes | None, timestamp: bytes | None, query: str
    ) -> tuple[bytes | None, bytes | None]:
        """Return signature and timestamp: of the headers, or of the query where that is allowed.

        Args:
            signature: Header `X-CIO-Signature` as received.
            timestamp: Header `X-CIO-Timestamp` as received.
            query: Of the request target.
        """
        if signature is None and timestamp is None and self._settings.is_signature_in_query:
            return _from_query(query)
        return signature, timestamp

    @property
    def spool_folder(self) -> Path:
        """Where bodies wait that are too large for memory: on the disk of the data, if it lasts."""
        folder = self._settings.data_dir
        if self._settings.store == "local" and folder.is_dir():
            return folder
        return Path(tempfile.gettempdir())

    @property
    def max_body_bytes(self) -> int:
        """Of a longer body only the beginning is stored."""
        return self._settings.max_body_bytes

    def begin(
        self, signature: bytes | None, timestamp: bytes | None, length: int | None
    ) -> Answer | SignatureCheck:
        """Begin to examine a request whose body is still to come. Never raises.

        Args:
            signature: Header `X-CIO-Signature` as received.
            timestamp: Header `X-CIO-Timestamp` as received.
            length: Of the body; None if it was not told.

        Returns:
            A check, to be fed with the body and given to `conclude`; or the answer, counted, where
            the body need not be read.
        """
        return self._counted(lambda: self._begin(signature, timestamp, length))

    def conclude(
        self, check: SignatureCheck, kept: Callable[[], bytes], length: int, sha256: str | None
    ) -> Answer | Record:
        """Return what is to be stored, or the answer to a refused request, counted. Never raises.

        Args:
            check: Fed with all of the body.
            kept: Returns the body, or its first 64 KiB; called if the body is to be stored.
            length: Of the whole body.
            sha256: Hex digest of the whole body where `kept` is less, else None.
        """
        return self._counted(lambda: self._conclude(check, kept, length, sha256))

    def store(self, record: Record) -> Answer:
        """Store what `conclude` returned, wait for it and count it. Never raises."""
        return self._never_raising(lambda: self._store(record))

    def settle(
        self, records: Sequence[Record], seconds: Sequence[float], error: InboxError | None
    ) -> Answer:
        """Count what became of records and return the answer to each of them. Never raises.

        Args:
            records: What `examine` returned.
            seconds: How long each of them took.
            error: Why they are not durable; None if they are.
        """
        return self._never_raising(lambda: self._settle(records, seconds, error))

    def refuse(self, reason: str, key: str = "", number: int = 1) -> None:
        """Count refusals."""
        self._metrics.rejected.labels(reason, key).inc(number)

    def _counted(self, work: Callable[[], Found | Answer]) -> Found | Answer:
        found = self._never_raising(work)
        if isinstance(found, Answer) and found.reason != "exception":
            self.refuse(found.reason or "", found.key)
        return found

    def _never_raising(self, work: Callable[[], Found]) -> Found | Answer:
        try:
            return work()
        except Exception as error:  # noqa: BLE001  # a 500 would stall the feed for an hour
            log.error("request_failed", error=type(error).__name__)
            self.refuse("exception")
            return Answer(503, "exception")

    def _answer(self, environ: Mapping[str, Any]) -> Answer:
        signature, timestamp = self.claims(
            _header(environ, "HTTP_X_CIO_SIGNATURE"),
            _header(environ, "HTTP_X_CIO_TIMESTAMP"),
            str(environ.get("QUERY_STRING", "")),
        )
        found = self.examine(signature, timestamp, _content_length(environ), environ["wsgi.input"])
        return found if isinstance(found, Answer) else self._store(found)

    def _examine(
        self, signature: bytes | None, timestamp: bytes | None, length: int | None, stream: _Stream
    ) -> Answer | Record:
        check = self._begin(signature, timestamp, length)
        if isinstance(check, Answer):
            return check
        try:
            body = self._read(stream, check, length)
        except self._body_errors:
            return Answer(408, "incomplete")
        if body is None:
            return Answer(413, "too_large")
        if length is not None and body.length < length:
            return Answer(408, "incomplete")
        return self._conclude(check, lambda: body.kept, body.length, body.sha256)

    def _begin(
        self, signature: bytes | None, timestamp: bytes | None, length: int | None
    ) -> Answer | SignatureCheck:
        if not self._keys:
            return Answer(503, "no_key")
        check = SignatureCheck(self._keys, signature, timestamp)
        if check.refusal is not None:
            return Answer(self._settings.unverified_status, check.refusal.value)
        if length is not None and length > self._settings.max_body_bytes * LARGEST_FACTOR:
            return Answer(413, "too_large")
        return check

    def _conclude(
        self, check: SignatureCheck, kept: Callable[[], bytes], length: int, sha256: str | None
    ) -> Answer | Record:
        now = self._now()
        verdict = check.verdict(now, self._settings.tolerance_seconds)
        if verdict.refusal is Refusal.STALE_TIMESTAMP:
            self._note_stale(verdict)
        if verdict.key is None or not self._is_accepted(verdict):
            reason = (verdict.refusal or Refusal.WRONG_SIGNATURE).value
            status = 401 if verdict.key else self._settings.unverified_status
            return Answer(status, reason, verdict.key.fingerprint if verdict.key else "")
        return Record(
            body=kept(),
            received_at=datetime.fromtimestamp(now, UTC),
            timestamp=check.timestamp.decode("ascii"),
            key_fingerprint=verdict.key.fingerprint,
            body_bytes=length,
            body_sha256=sha256,
        )

    def _is_accepted(self, verdict: Verification) -> bool:
        return verdict.refusal is None or (
            verdict.refusal is Refusal.STALE_TIMESTAMP
            and self._settings.stale_timestamps == "accept"
        )

    def _store(self, record: Record) -> Answer:
        began = time.perf_counter()
        failure: InboxError | None = None
        try:
            self.inbox.append(record, self.append_deadline_seconds)
        except InboxError as error:
            failure = error
        return self._settle((record,), (time.perf_counter() - began,), failure)

    def _settle(
        self, records: Sequence[Record], seconds: Sequence[float], error: InboxError | None
    ) -> Answer:
        for one in seconds:
            self._metrics.append.observe(one)
        keys = Counter(record.key_fingerprint for record in records)
        if error is not None:
            reason = _inbox_reason(error)
            for key, number in keys.items():
                self.refuse(reason, key, number)
            return Answer(503, reason, records[0].key_fingerprint)
        for key, number in keys.items():
            self._metrics.accepted.labels(key).inc(number)
        self._metrics.accepted_bytes.inc(sum(record.body_bytes for record in records))
        return Answer(200)

    def _read(self, stream: _Stream, check: SignatureCheck, length: int | None) -> _Body | None:
        """Read the body to its end; None if it is longer than can be taken at all."""
        limit = self._settings.max_body_bytes
        pieces: list[bytes] = []
        digest: hashlib._Hash | None = None
        total = 0
        while piece := stream.read(_wanted(length, total)):
            check.update(piece)
            total += len(piece)
            if total > limit * LARGEST_FACTOR:
                return None
            if digest is not None:
                digest.update(piece)
                continue
            pieces.append(piece)
            if total > limit:
                digest = hashlib.sha256()
                for one in pieces:
                    digest.update(one)
                pieces = [_beginning(pieces, min(CUT_BYTES, limit))]
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return _Body(body, total, digest.hexdigest() if digest else None)

    def _note_stale(self, verdict: Verification) -> None:
        age = verdict.age_seconds or 0.0
        self._metrics.stale_age.observe(age)
        if not self._has_warned_of_stale:
            self._has_warned_of_stale = True
            log.warning(
                "stale_timestamp",
                age_seconds=round(age),
                key=verdict.key.fingerprint if verdict.key else "",
                accepted=self._settings.stale_timestamps == "accept",
                advice="the clock here is wrong, or Customer.io repeats requests with their first "
                "timestamp: then set CIO_STALE_TIMESTAMPS=accept",
            )


def _header(environ: Mapping[str, Any], name: str) -> bytes | None:
    value = environ.get(name)
    return None if value is None else str(value).encode("latin-1", "replace")


def _content_length(environ: Mapping[str, Any]) -> int | None:
    text = str(environ.get("CONTENT_LENGTH") or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _wanted(length: int | None, total: int) -> int:
    """Bytes to ask for: a server's stream may wait for all that is asked of it."""
    return _PIECE_BYTES if length is None else max(0, min(_PIECE_BYTES, length - total))


def _beginning(pieces: list[bytes], size: int) -> bytes:
    """Return the first bytes of a body without putting all of it together."""
    kept = bytearray()
    for piece in pieces:
        kept += piece[: size - len(kept)]
        if len(kept) == size:
            break
    return bytes(kept)


def _inbox_reason(error: InboxError) -> str:
    if isinstance(error, InboxFull):
        return "inbox_full"
    if isinstance(error, InboxTimeout):
        return "inbox_timeout"
    return "stopping" if isinstance(error, InboxClosed) else "inbox_error"


def _from_query(query: str) -> tuple[bytes | None, bytes | None]:
    """Signature and timestamp as the relay sends them; a doubled one counts as missing."""
    try:
        given = parse_qs(query, max_num_fields=8, encoding="latin-1")
    except ValueError:
        return None, None

    def only(name: str) -> bytes | None:
        values = given.get(name, ())
        return values[0].encode("latin-1") if len(values) == 1 else None

    return only(SIGNATURE_PARAMETER), only(TIMESTAMP_PARAMETER)
