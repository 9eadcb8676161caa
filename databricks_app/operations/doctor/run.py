"""The list of checks, and the functions that run them, each with a time limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.errors import ReceiverError
from databricks_app.operations.doctor import (
    backlog,
    catalog,
    certificate,
    clock,
    configuration,
    databricks,
    endpoint,
    first_contact,
    first_tables,
    folder,
    loaded_at,
    local_tables,
    proven_keys,
    quarantine,
    signatures,
    timestamps,
    warehouse_cost,
    webhook_config,
    workspaces,
)
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.result import CheckResult, failure, skipped

_SECONDS = 20.0
_SLOW_SECONDS = 100.0
_RACE_SECONDS = 300.0
_GRACE_SECONDS = 20.0
_HEALTHY = frozenset({"ok", "warning"})
_WAS = {"failure": "failed", "skipped": "was skipped"}


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        name: A short name, which is printed.
        look: Makes the check.
        needs: Names of checks; unless all of them succeed, this one is skipped.
        seconds: Time limit.
    """

    name: str
    look: Callable[[DoctorContext], CheckResult]
    needs: tuple[str, ...] = ()
    seconds: float = _SECONDS


_FIRST = (Check("settings", configuration.settings), Check("key", configuration.key))
_DISK = (
    Check("folder", folder.folder),
    Check("disk", folder.disk),
    Check("filesystem", folder.filesystem),
)
_LOCAL: tuple[Check, ...] = (
    Check("clock", clock.clock),
    *_DISK,
    Check("loader", folder.loader),
    Check("inbox", backlog.inbox),
    Check("quarantine", quarantine.quarantine),
    Check("commits", local_tables.commits),
    Check("files", local_tables.files),
    Check("tables", local_tables.tables),
    Check("properties", local_tables.properties),
    Check("loaded-at", loaded_at.loaded_at),
    Check("workspaces", workspaces.workspaces),
)
_DATABRICKS: tuple[Check, ...] = (
    Check("clock", clock.clock),
    Check("token", databricks.token),
    Check("volume", databricks.volume, ("token",)),
    Check("cost", warehouse_cost.cost, ("token",)),
    Check("warehouse", databricks.warehouse, ("token",), _SLOW_SECONDS),
    Check("grants", catalog.grants, ("warehouse",), _SLOW_SECONDS),
    Check("tables", catalog.tables, ("warehouse",), _SLOW_SECONDS),
    Check("properties", catalog.properties, ("warehouse",), _SLOW_SECONDS),
    Check("loaded-at", loaded_at.loaded_at, ("warehouse",), _SLOW_SECONDS),
    Check("workspaces", workspaces.workspaces, ("warehouse",), _SLOW_SECONDS),
    Check("inbox", backlog.inbox, ("volume",)),
    Check("quarantine", quarantine.quarantine, ("volume",)),
)
FIRST_CONTACT = (
    Check("exclusive", first_contact.exclusive_put, ("volume",), _SLOW_SECONDS),
    Check("visible", first_contact.visible, ("volume",)),
    Check("put-time", first_contact.put_time, ("volume",), _SLOW_SECONDS),
    Check("large-put", first_contact.large_put, ("volume",), _SLOW_SECONDS),
    Check("call-limits", first_contact.call_limits, ("volume",), _SLOW_SECONDS),
    Check("token-life", first_contact.token_life, ("token",)),
    Check("types", first_tables.types, ("volume", "warehouse"), _SLOW_SECONDS),
    Check("races", first_tables.races, ("volume", "warehouse"), _RACE_SECONDS),
    Check("large-body", first_contact.large_body, ("endpoint",), _SLOW_SECONDS),
    *(Check(name, look) for name, look in first_contact.UNANSWERED.items()),
)
"""Checks that a new workspace needs once; see docs/first-contact.md."""


def checks(
    context: DoctorContext, *, with_canary: bool = True, is_first_contact: bool = False
) -> tuple[Check, ...]:
    """Return the checks of an installation, in order."""
    limits = context.limits
    store = _LOCAL
    if context.workspace is not None:
        seconds = limits.lease + _GRACE_SECONDS
        disk = _DISK if context.settings.inbox == "local" else ()
        store = (*disk, *_DATABRICKS, Check("loader", databricks.loader, ("volume",), seconds))
    last = [
        Check("certificate", certificate.certificate),
        Check("endpoint", endpoint.endpoint),
        Check("verifies", endpoint.verifies, ("endpoint",)),
        Check("ready", endpoint.ready, ("endpoint",)),
        Check("signatures", signatures.signatures, ("endpoint",)),
        Check("proven", proven_keys.proven, seconds=_SLOW_SECONDS),
        Check("timestamps", timestamps.timestamps, ("endpoint",)),
        Check("webhook", webhook_config.webhook),
    ]
    if with_canary:
        seconds = limits.canary + _GRACE_SECONDS
        last.append(Check("canary", endpoint.arrives, ("key", "verifies"), seconds))
    if is_first_contact:
        last += FIRST_CONTACT
    return (*_FIRST, *store, *last)


def run_checks(
    context: DoctorContext, *, with_canary: bool = True, is_first_contact: bool = False
) -> Iterator[CheckResult]:
    """Run the checks one after the other, and yield the result of each."""
    states: dict[str, str] = {}
    for check in checks(context, with_canary=with_canary, is_first_contact=is_first_contact):
        blocking = [name for name in check.needs if states[name] not in _HEALTHY]
        if blocking:
            found = skipped(
                f"not checked, because the check {blocking[0]} {_WAS[states[blocking[0]]]}"
            )
        else:
            found = run_check(check, context)
        states[check.name] = found.state
        yield replace(found, name=check.name)


def run_check(check: Check, context: DoctorContext) -> CheckResult:
    """Run one check within its time limit; this never raises."""
    timeout = CallTimeout(call_seconds=check.seconds)
    try:
        return timeout.run(lambda: check.look(context), f"the check {check.name}")
    except ReceiverError as error:
        return failure(str(error), "do what the text says, or see the log of the receiver")
    except OSError as error:
        # The name of a file is no secret; the text of other errors may quote one.
        where = f"{error.filename}: " if error.filename else ""
        return failure(
            f"{where}{error.strerror or type(error).__name__}",
            "run this as the user of the receiver. If it runs as that user already, give that user "
            "access (chown), or check the disk (df, dmesg)",
        )
    except Exception as error:  # noqa: BLE001  # an error in one check must not stop the others
        # Without the text of the error, which may quote a secret or personal data.
        return failure(
            f"the check has an error of its own ({type(error).__name__})", "please report it"
        )
