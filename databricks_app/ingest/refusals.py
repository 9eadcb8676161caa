"""The reasons for refusing requests, with what to do about each. Does no I/O except logging.

The reasons are the label values of the metric `ciolake_rejected_requests_total`. A test compares
this table with the one in `docs/log-events.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.webhooks.diagnosis import PROVEN, SignatureFault
from databricks_app.errors import InboxClosed, InboxError, InboxFull, InboxTimeout
from databricks_app.ingest.signature_faults import WORDS
from databricks_app.runtime.recurring import Level, RecurringLog


@dataclass(frozen=True, slots=True)
class RefusalReason:
    """How a reason is logged.

    Attributes:
        advice: What to do.
        level: Level of the log line when such refusals begin.
        event: Name of that line.
    """

    advice: str
    level: Level = "warning"
    event: str = "request_refused"


_DISK_ADVICE = "do what `problem` says; until then the answer is 503, and Customer.io sends again"
_CLIENT_ADVICE = "nothing, unless the client is Customer.io or a proxy in front of the receiver"

REASONS: dict[str, RefusalReason] = {
    "no_key": RefusalReason("set CIO_WEBHOOK_SIGNING_KEYS and restart or reload", "error"),
    "missing_header": RefusalReason(
        "the sender is not Customer.io, or a proxy in front removes the header X-CIO-Signature or "
        "X-CIO-Timestamp"
    ),
    "malformed_header": RefusalReason(
        "the sender is not Customer.io, or a proxy in front changes the header X-CIO-Signature or "
        "X-CIO-Timestamp"
    ),
    "wrong_signature": RefusalReason(
        "compare the signing key of the webhook in Customer.io with CIO_WEBHOOK_SIGNING_KEYS "
        "(`keys_active` logs the fingerprints), and look for a proxy in front that changes bodies"
    ),
    "wrong_test_signature": RefusalReason(
        "nothing if it was `ciolake doctor`, which checks that it is refused; else compare the key "
        "of the sender (`ciolake send`, set-up) with CIO_WEBHOOK_SIGNING_KEYS",
        "info",
    ),
    "stale_timestamp": RefusalReason(
        "check the clock of this machine; if it is right, Customer.io repeats requests with their "
        "first timestamp: keep CIO_STALE_TIMESTAMPS=second_sight, which accepts them at their "
        "second try, or set CIO_STALE_TIMESTAMPS=accept",
        event="stale_timestamp",
    ),
    "inbox_full": RefusalReason(_DISK_ADVICE, "error"),
    "inbox_error": RefusalReason(_DISK_ADVICE, "error"),
    "inbox_timeout": RefusalReason(
        "the disk or volume of the inbox is too slow: check what else uses it, or raise "
        "CIO_APPEND_DEADLINE_SECONDS (Customer.io gives up after 4 s)",
        "error",
    ),
    "stopping": RefusalReason("nothing: this process stops, and the next one answers", "info"),
    "incomplete": RefusalReason(
        "the client is too slow, or a proxy in front ends its requests early"
    ),
    "too_large": RefusalReason(
        "the body is larger than 8 times CIO_MAX_BODY_BYTES: find out who sends it"
    ),
    "no_room": RefusalReason(
        "too many unfinished requests at once: find out who sends them, raise CIO_WEB_WORKERS, or "
        "free space on the disk of CIO_DATA_DIR",
        "error",
    ),
    "overloaded": RefusalReason(
        "requests wait too long for a thread: raise CIO_WEB_THREADS or CIO_WEB_WORKERS", "error"
    ),
    "malformed": RefusalReason(_CLIENT_ADVICE),
    "exception": RefusalReason(
        "this is a bug of the receiver: report `error` and `at`", "error", "request_failed"
    ),
    "misdirected": RefusalReason(
        "correct the address of the webhook in Customer.io: its path is /api/webhooks/customerio; "
        "or a proxy in front changes the path, or turns POST into GET (a redirect)",
        "error",
    ),
    "not_found": RefusalReason(
        "nothing, unless Customer.io posts to the wrong path: compare it with the README", "info"
    ),
    "method_not_allowed": RefusalReason(_CLIENT_ADVICE, "info"),
    "http_error": RefusalReason(_CLIENT_ADVICE, "info"),
}
"""How each reason is logged."""


def note_refusal(
    recurring: RecurringLog,
    reason: str,
    status: int,
    facts: Mapping[str, object] | None = None,
    *,
    detail: str = "",
    fault: SignatureFault | None = None,
    times: int = 1,
) -> None:
    """Note a refusal in the log; only the first of a kind writes a line.

    Args:
        recurring: Writes the lines.
        reason: A key of `REASONS`.
        status: The status of the answer.
        facts: Further fields of the line. No personal data.
        detail: Distinguishes kinds of one reason. Use a fixed set of words, never client input.
        fault: Why the signature failed, if that is the reason.
        times: How many requests are refused.
    """
    known = REASONS[reason]
    explained = {}
    if fault is not None and fault is not SignatureFault.STALE:
        explained = {"fault": fault.value, "advice": WORDS[fault].fix}
        # A line of its own, so that the requests of strangers do not hide a proven fault.
        detail = detail or (fault.value if fault in PROVEN else "")
    kind = f"{reason}: {detail}" if detail else reason
    fields = {"advice": known.advice, **explained, **(facts or {}), "status": status}
    recurring.note(known.event, kind, fields, times=times, level=known.level)


def inbox_reason(error: InboxError) -> str:
    """Return the reason for a refusal by the inbox."""
    if isinstance(error, InboxFull):
        return "inbox_full"
    if isinstance(error, InboxTimeout):
        return "inbox_timeout"
    return "stopping" if isinstance(error, InboxClosed) else "inbox_error"


def note_fault(recurring: RecurringLog, error: Exception) -> None:
    """Note a request that failed because of a bug: type, file and line, not the error's text."""
    known = REASONS["exception"]
    recurring.note_error(known.event, error, {"status": 503, "advice": known.advice})
