"""The checks of the configuration: settings and signing keys."""

from __future__ import annotations

from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.result import CheckResult, failure, ok, warning
from databricks_app.runtime.env_file import DEVELOPMENT
from databricks_app.setting_names import unknown_names

_KEY_FIX = (
    "set CIO_WEBHOOK_SIGNING_KEYS to the signing key of your webhook; Customer.io shows it on the "
    "page Reporting Webhooks"
)


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
    inbox = ""
    if context.workspace:
        folder = chosen.inbox_dir if chosen.inbox == "local" else f"{chosen.volume_path}/inbox"
        inbox = f"; the inbox is {chosen.inbox}, at {folder}"
    return ok(f"all settings are valid; the store is {chosen.store}, at {where}{inbox}")


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
    if is_open and any(one.secret.startswith(DEVELOPMENT.encode()) for one in chosen.signing_keys):
        return warning(
            f"{says}; one is a development key, and other machines can reach the receiver", _KEY_FIX
        )
    return ok(says)
