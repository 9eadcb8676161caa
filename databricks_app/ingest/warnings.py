"""What `/readyz` and the alerts say about wrong signatures and stale timestamps. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databricks_app.setting_table import StalePolicy

# Customer.io may try once an hour. With two hours and a half, one late try ends no report.
REPORT_SECONDS = 9000.0


def suspicion(workspaces: tuple[str, ...]) -> str:
    """Return what `/readyz` and the alert say about workspaces whose key may be wrong."""
    names = ", ".join(workspaces)
    return (
        f"a request had a wrong signature, and no signing key of the workspace {names} has "
        "verified a request of Customer.io since: if Customer.io sent it, the key in "
        "CIO_WEBHOOK_SIGNING_KEYS is wrong, and the feed waits. Compare it with the key on the "
        "page Reporting Webhooks in Customer.io; `ciolake webhooks setup ENDPOINT --new-key` "
        "stores the right key and proves it. If it is the same key, `ciolake explain-signature` "
        "says why a captured request fails"
    )


def stale_advice(policy: StalePolicy, expects_stale: bool) -> str:
    """Return how stale requests are treated now and what to do, to follow their number.

    Args:
        policy: The setting.
        expects_stale: Whether they are accepted at first sight, with `second_sight`.
    """
    if policy == "accept":
        return " and were accepted (CIO_STALE_TIMESTAMPS=accept): check the clock of this machine"
    if policy == "reject":
        return (
            ": check the clock of this machine; if it is right, set "
            "CIO_STALE_TIMESTAMPS=second_sight"
        )
    if expects_stale:
        return (
            ": the same body came twice, so the clock of this machine is wrong, or Customer.io "
            "repeats its first timestamp; they are accepted until a day passes without one "
            "(CIO_STALE_TIMESTAMPS=second_sight): check the clock of this machine"
        )
    return (
        " and were refused the first time; each is accepted if it comes again "
        "(CIO_STALE_TIMESTAMPS=second_sight): check the clock of this machine"
    )
