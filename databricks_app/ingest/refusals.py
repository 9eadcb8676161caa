"""Why requests are refused, and what to do about each reason. Pure but for the log.

The reasons are those of the metric `ciolake_rejected_requests_total`. `docs/log-events.md` has the
same table, which a test compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from databricks_app.runtime.recurring import Level, RecurringLog


@dataclass(frozen=True, slots=True)
class RefusalReason:
    """A reason.

    Attributes:
        advice: What to do, in a sentence.
        level: Of the line when it begins.
        event: Name of that line.
    """

    advice: str
    level: Level = "warning"
    event: str = "request_refused"


_DISK_ADVICE = "do what `problem` says; until then Customer.io is answered 503 and sends again"
_CLIENT_ADVICE = "nothing, unless Customer.io or a proxy in front is the client"

REASONS: dict[str, RefusalReason] = {
    "no_key": RefusalReason("set CIO_WEBHOOK_SIGNING_KEYS and restart or reload", "error"),
    "missing_header": RefusalReason(
        "the sender is not Customer.io, or a proxy in front removes X-CIO-Signature or "
        "X-CIO-Timestamp"
    ),
    "malformed_header": RefusalReason(
        "the sender is not Customer.io, or a proxy in front changes X-CIO-Signature or "
        "X-CIO-Timestamp"
    ),
    "wrong_signature": RefusalReason(
        "compare the signing key of the webhook in Customer.io with CIO_WEBHOOK_SIGNING_KEYS "
        "(`keys_active` logs the fingerprints), and look for a proxy in front that changes bodies"
    ),
    "stale_timestamp": RefusalReason(
        "the clock here is wrong, or Customer.io repeats requests with their first timestamp: "
        "then set CIO_STALE_TIMESTAMPS=accept",
        event="stale_timestamp",
    ),
    "inbox_full": RefusalReason(_DISK_ADVICE, "error"),
    "inbox_error": RefusalReason(_DISK_ADVICE, "error"),
    "inbox_timeout": RefusalReason(
        "the disk or volume of the inbox is too slow: see what else uses it, or raise "
        "CIO_APPEND_DEADLINE_SECONDS (Customer.io gives up after 4 s)",
        "error",
    ),
    "stopping": RefusalReason("nothing: the process stops, and its successor answers", "info"),
    "incomplete": RefusalReason(
        "the client is too slow, or a proxy in front ends its requests early"
    ),
    "too_large": RefusalReason("the body has more than 8 times CIO_MAX_BODY_BYTES: see who sends"),
    "no_room": RefusalReason(
        "too many unfinished requests at once: see who sends them, raise CIO_WEB_WORKERS, or make "
        "room on the disk of CIO_DATA_DIR",
        "error",
    ),
    "overloaded": RefusalReason(
        "requests wait too long for a thread: raise CIO_WEB_THREADS or CIO_WEB_WORKERS", "error"
    ),
    "malformed": RefusalReason(_CLIENT_ADVICE),
    "exception": RefusalReason(
        "this is a fault of the receiver: report error and place", "error", "request_failed"
    ),
    "not_found": RefusalReason(
        "nothing, unless Customer.io posts to a wrong path: it must be that of the README", "info"
    ),
    "method_not_allowed": RefusalReason(_CLIENT_ADVICE, "info"),
    "http_error": RefusalReason(_CLIENT_ADVICE, "info"),
}
"""What to log, by reason."""


def note_refusal(
    recurring: RecurringLog,
    reason: str,
    status: int,
    facts: Mapping[str, object] | None = None,
    *,
    detail: str = "",
    times: int = 1,
) -> None:
    """Count a refusal for the log; its first one is a line.

    Args:
        recurring: Writes the lines.
        reason: A key of `REASONS`.
        status: The answer.
        facts: What else the line says. No personal data.
        detail: Tells kinds of one reason apart; one of a few words, nothing that a client wrote.
        times: How many requests are refused.
    """
    known = REASONS[reason]
    kind = f"{reason}: {detail}" if detail else reason
    said = {**(facts or {}), "status": status, "advice": known.advice}
    recurring.note(known.event, kind, said, times=times, level=known.level)


def note_fault(recurring: RecurringLog, error: Exception) -> None:
    """Count a request that failed unforeseen: type, file and line, none of the error's text."""
    known = REASONS["exception"]
    recurring.note_error(known.event, error, {"status": 503, "advice": known.advice})
