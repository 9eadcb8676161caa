"""The check of this machine's clock: against that of another machine, and against the events.

The receiver judges a request by its timestamp, so the clock that counts is that of Customer.io.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx2

from core.errors import ConfigurationError
from core.http.regions import base_url as customer_io
from databricks_app.errors import QueryError
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.endpoint import base_url
from databricks_app.operations.doctor.result import CheckResult, failure, ok, skipped, warning
from databricks_app.operations.workspaces.app_api import has_key, names, region
from databricks_app.settings import LOOPBACK

NTP_FIX = "synchronise this machine's clock by NTP, for example with `timedatectl set-ntp true`"
_LATE_FIX = (
    f"compare it with `date -u` of another machine; {NTP_FIX}. If the clock is right, Customer.io "
    "sends late: see the webhook's last answers there"
)
_RECENT = timedelta(hours=1)
_FEW_EVENTS = 20
# When the newest events of Customer.io were received, and when they happened.
_NEWEST = """SELECT received_at, event_timestamp FROM webhook_raw_events
WHERE received_at > :since AND event_date >= :day AND event_timestamp IS NOT NULL
  AND coalesce(object_type, '') <> 'ciolake'
ORDER BY received_at DESC LIMIT 100"""


def clock(context: DoctorContext) -> CheckResult:
    """Compare this machine's clock with that of another machine, and with recent events."""
    source = _source(context)
    by_events = _by_events(context) if context.workspace is None else None
    if source is None:
        return by_events or skipped(
            "there is no other machine to compare the clock with",
            "set CIO_APP_API_KEY, or name the public address of the receiver with --url",
        )
    before = context.now()
    try:
        answer = httpx2.get(f"{source}/healthz", timeout=context.limits.answer)
        # The header has whole seconds, cut off: on average half a second is missing.
        theirs = parsedate_to_datetime(answer.headers["Date"]).timestamp() + 0.5
    except (httpx2.HTTPError, KeyError, ValueError) as error:
        return by_events or skipped(f"{source} did not send its time ({type(error).__name__})")
    result = _result((before + context.now()) / 2 - theirs, context, source)
    # A proxy on this machine sends our own time; then only the events tell.
    is_worse = by_events is not None and by_events.state != "ok" and result.state == "ok"
    return by_events if by_events is not None and is_worse else result


def _source(context: DoctorContext) -> str | None:
    """Return the address of another machine with a clock of its own, preferably Customer.io's."""
    if context.workspace is not None:
        return context.workspace.host
    for workspace in names(context.variables):
        if has_key(context.variables, workspace):
            try:
                chosen = context.app_api.region or region(context.variables, workspace)
                return context.app_api.base_url or customer_io("app", chosen)
            except ConfigurationError:
                break
    if context.destination is not None and context.destination.host not in LOOPBACK:
        return base_url(context.destination)
    return None


def _by_events(context: DoctorContext) -> CheckResult | None:
    """Compare the times when recent events were received and happened; None without enough."""
    since = datetime.fromtimestamp(context.now(), UTC) - _RECENT
    parameters = {"since": since, "day": (since - timedelta(days=2)).date()}
    try:
        rows = context.tables().run(_NEWEST, parameters).rows
    except QueryError:
        return None  # the checks of the tables report it
    delays = [
        (received - happened).total_seconds()
        for received, happened in rows
        if isinstance(received, datetime) and isinstance(happened, datetime)
    ]
    if not delays:
        return None
    least, window = min(delays), context.settings.tolerance_seconds
    # An event cannot be received before it happens; whole seconds are cut off its time.
    if least <= -window / 10:
        return _judged(f"an event was received {-least:.0f} s before it happened", least, context)
    if len(delays) < _FEW_EVENTS or least > _RECENT.total_seconds():
        return None
    says = (
        f"the {len(delays)} newest events were received at least {least:.0f} s after they happened"
    )
    return warning(says, _LATE_FIX) if least >= window / 10 else ok(says)


def _result(offset: float, context: DoctorContext, source: str) -> CheckResult:
    window = context.settings.tolerance_seconds
    if abs(offset) < window / 10:
        return ok(
            f"this machine's clock is within {abs(offset) + 0.5:.0f} s of {source}; the receiver "
            f"allows {window} s"
        )
    side = "ahead of" if offset > 0 else "behind"
    return _judged(f"this machine's clock is {abs(offset):.0f} s {side} {source}", offset, context)


def _judged(says: str, offset: float, context: DoctorContext) -> CheckResult:
    window, policy = context.settings.tolerance_seconds, context.settings.stale_timestamps
    if abs(offset) < window or policy == "accept":
        return warning(f"{says}; the receiver allows {window} s", NTP_FIX)
    when = " the first time, which costs an hour" if policy == "second_sight" else ""
    return failure(
        f"{says}: the receiver refuses events whose timestamp differs by more than {window} s"
        f"{when}",
        NTP_FIX,
    )
