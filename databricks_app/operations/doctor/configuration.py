"""The checks of what was configured: keys, and the clock against somebody else's."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import httpx2

from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.endpoint import base_url
from databricks_app.operations.doctor.result import CheckResult, failure, ok, skipped, warning
from databricks_app.settings import LOOPBACK

_DEVELOPMENT = b"dev_"
_KEY_FIX = (
    "set CIO_WEBHOOK_SIGNING_KEYS to the key that Customer.io shows on its page Reporting Webhooks"
)
_SECONDS = 5.0


def settings(context: DoctorContext) -> CheckResult:
    """That they can be read is known already; say what they choose."""
    chosen = context.settings
    where = chosen.volume_path if context.workspace else str(chosen.data_dir)
    return ok(f"readable; store {chosen.store} at {where}")


def key(context: DoctorContext) -> CheckResult:
    """A signing key is there, and none made for development where others can reach the socket."""
    chosen = context.settings
    if chosen.signing_keys is None and chosen.is_loopback and not chosen.is_databricks_app:
        return warning(
            "no signing key yet; `ciolake serve` makes one for development in .env", _KEY_FIX
        )
    if not chosen.signing_keys:
        return failure("no signing key: every request is answered 503", _KEY_FIX)
    fingerprints = ", ".join(one.fingerprint for one in chosen.signing_keys)
    says = f"{len(chosen.signing_keys)} active: {fingerprints} (fingerprints)"
    is_open = context.is_public or not chosen.is_loopback
    if is_open and any(one.secret.startswith(_DEVELOPMENT) for one in chosen.signing_keys):
        return warning(f"{says}; one was made for development and others can reach it", _KEY_FIX)
    return ok(says)


def clock(context: DoctorContext) -> CheckResult:
    """This machine's clock agrees with that of the workspace, or of an endpoint elsewhere."""
    source = _other_clock(context)
    if source is None:
        return skipped("no other clock is known", "give the public address with --url")
    before = context.now()
    try:
        answer = httpx2.get(f"{source}/healthz", timeout=_SECONDS)
        # The header is cut to whole seconds.
        theirs = parsedate_to_datetime(answer.headers["Date"]).timestamp() + 0.5
    except (httpx2.HTTPError, KeyError, ValueError) as error:
        return skipped(f"{source} does not tell the time ({type(error).__name__})")
    return _judged((before + context.now()) / 2 - theirs, context, source)


def _judged(offset: float, context: DoctorContext, source: str) -> CheckResult:
    window = context.settings.tolerance_seconds
    says = f"{abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} {source}"
    fix = "set this machine's clock by NTP, e.g. `timedatectl set-ntp true`"
    if abs(offset) >= window and context.settings.stale_timestamps == "reject":
        return failure(f"{says}: events outside the window of {window} s are refused", fix)
    if abs(offset) >= window / 10:
        return warning(f"{says}; the window is {window} s", fix)
    return ok(f"within {abs(offset) + 0.5:.0f} s of {source}; the window is {window} s")


def _other_clock(context: DoctorContext) -> str | None:
    if context.workspace is not None:
        return context.workspace.host
    if context.destination is None or context.destination.host in LOOPBACK:
        return None
    return base_url(context.destination)
