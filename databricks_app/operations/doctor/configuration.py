"""The checks of the configuration: settings, signing keys and the clock of this machine."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import httpx2

from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.endpoint import base_url
from databricks_app.operations.doctor.result import CheckResult, failure, ok, skipped, warning
from databricks_app.setting_names import unknown_names
from databricks_app.settings import LOOPBACK

_DEVELOPMENT = b"dev_"
_KEY_FIX = (
    "set CIO_WEBHOOK_SIGNING_KEYS to the signing key of your webhook; Customer.io shows it on the "
    "page Reporting Webhooks"
)
_SECONDS = 5.0


def settings(context: DoctorContext) -> CheckResult:
    """Report the store and misspelt names; a context exists only if the settings could be read."""
    unknown = unknown_names(context.variables)
    if unknown:
        return warning(
            "; ".join(map(str, unknown)),
            "correct the name in the environment or in .env, or remove it",
        )
    chosen = context.settings
    where = chosen.volume_path if context.workspace else str(chosen.data_dir)
    return ok(f"all settings are valid; the store is {chosen.store}, at {where}")


def key(context: DoctorContext) -> CheckResult:
    """Check that there is a signing key, and no development key on a public endpoint."""
    chosen = context.settings
    if chosen.signing_keys is None and chosen.is_loopback and not chosen.is_databricks_app:
        return warning(
            "there is no signing key yet; `ciolake serve` creates a development key in .env",
            _KEY_FIX,
        )
    if not chosen.signing_keys:
        return failure("there is no signing key: every request is answered 503", _KEY_FIX)
    fingerprints = ", ".join(one.fingerprint for one in chosen.signing_keys)
    says = f"{len(chosen.signing_keys)} active signing keys, with the fingerprints {fingerprints}"
    if len(chosen.signing_keys) == 1:
        says = f"1 active signing key, with the fingerprint {fingerprints}"
    is_open = context.is_public or not chosen.is_loopback
    if is_open and any(one.secret.startswith(_DEVELOPMENT) for one in chosen.signing_keys):
        return warning(
            f"{says}; one is a development key, and other machines can reach the receiver", _KEY_FIX
        )
    return ok(says)


def clock(context: DoctorContext) -> CheckResult:
    """Compare this machine's clock with that of the workspace or of a remote endpoint."""
    if context.workspace is not None:
        source = context.workspace.host
    elif context.destination is not None and context.destination.host not in LOOPBACK:
        source = base_url(context.destination)
    else:
        return skipped(
            "there is no other machine to compare the clock with",
            "name the public address of the receiver with --url",
        )
    before = context.now()
    try:
        answer = httpx2.get(f"{source}/healthz", timeout=_SECONDS)
        # The header has whole seconds, cut off: on average half a second is missing.
        theirs = parsedate_to_datetime(answer.headers["Date"]).timestamp() + 0.5
    except (httpx2.HTTPError, KeyError, ValueError) as error:
        return skipped(f"{source} did not send its time ({type(error).__name__})")
    return _clock_result((before + context.now()) / 2 - theirs, context, source)


def _clock_result(offset: float, context: DoctorContext, source: str) -> CheckResult:
    window = context.settings.tolerance_seconds
    says = (
        f"this machine's clock is {abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} "
        f"{source}"
    )
    fix = "synchronise this machine's clock by NTP, for example with `timedatectl set-ntp true`"
    if abs(offset) >= window and context.settings.stale_timestamps != "accept":
        return failure(
            f"{says}: the receiver refuses events whose timestamp differs by more than {window} s",
            fix,
        )
    if abs(offset) >= window / 10:
        return warning(f"{says}; the receiver allows {window} s", fix)
    return ok(
        f"this machine's clock is within {abs(offset) + 0.5:.0f} s of {source}; the receiver "
        f"allows {window} s"
    )
