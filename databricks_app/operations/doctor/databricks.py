"""The checks of the store `databricks`: token, volume, warehouse, lease."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx2

from databricks_app.databricks.workspace import WorkspaceError
from databricks_app.errors import LakeError, QueryError, TokenError
from databricks_app.lake.warehouse.lease import SILENCE_SECONDS, Lease
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.result import CheckResult, failure, ok, warning

_TOKEN_SECONDS = 15.0
_STATE_SECONDS = 10.0
_LOOK_SECONDS = 0.5
_FREE = (
    "lease {} is free, as it is between two loads with local inboxes; /readyz of each receiver "
    "says whether its loader runs"
)
_DRAINS = "a loader with a local inbox loads now (lease {})"
_START = "start the app, or run `ciolake serve` with these settings"
_VOLUME_FIX = "see docs/databricks-store.md, Rights"
_WAREHOUSE_FIX = "grant the app's service principal CAN USE on the warehouse"


def token(context: DoctorContext) -> CheckResult:
    """Check that the workspace issues a token."""
    began = time.perf_counter()
    try:
        context.remote.tokens.get(_TOKEN_SECONDS)
    except TokenError as error:
        return failure(
            f"{context.remote.host}: {error}",
            "check DATABRICKS_HOST, DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET",
        )
    return ok(f"{context.remote.host} issued a token in {time.perf_counter() - began:.1f} s")


def volume(context: DoctorContext) -> CheckResult:
    """Check that a file can be written to the volume, read and deleted."""
    path = f"{context.settings.volume_path}/probe/doctor-{secrets.token_hex(8)}"
    began = time.perf_counter()
    try:
        context.remote.put(path, b"probe", overwrite=True, seconds=_STATE_SECONDS)
        context.remote.get(path)
        context.remote.delete(path)
    except (WorkspaceError, FileNotFoundError) as error:
        return failure(f"{context.settings.volume_path}: {error}", _VOLUME_FIX)
    took = time.perf_counter() - began
    return ok(
        f"a file was written to {context.settings.volume_path}, read and deleted in {took:.2f} s"
    )


def warehouse(context: DoctorContext) -> CheckResult:
    """Check that the warehouse exists and runs a statement; this starts a stopped one."""
    name = context.settings.warehouse_id
    if not name:
        return failure("no SQL warehouse is configured", "set DATABRICKS_WAREHOUSE_ID to its id")
    described = describe(context, name)
    if isinstance(described, CheckResult):
        return described
    state = described.get("state")
    began = time.perf_counter()
    try:
        context.warehouse().run("SELECT 1 AS one")
    except QueryError as error:
        return failure(
            f"warehouse {name} was {state}: {error}",
            f"check that the warehouse can start; {_WAREHOUSE_FIX}",
        )
    started = "" if state == "RUNNING" else ", so this check has started it,"
    took = time.perf_counter() - began
    return ok(f"warehouse {name} was {state}{started} and answered in {took:.1f} s")


def describe(context: DoctorContext, name: str) -> dict[str, Any] | CheckResult:
    """Return what the workspace's API says about the warehouse, or the result if it fails."""
    try:
        bearer = context.remote.tokens.get(_TOKEN_SECONDS).text
        answer = httpx2.get(
            f"{context.remote.host}/api/2.0/sql/warehouses/{name}",
            headers={"Authorization": f"Bearer {bearer}"},
            timeout=_STATE_SECONDS,
        )
        described = answer.json()
    except (httpx2.HTTPError, ValueError) as error:
        return failure(
            f"the workspace did not describe warehouse {name} ({type(error).__name__})",
            "check DATABRICKS_HOST and the network between here and the workspace",
        )
    if answer.status_code == 404:
        return failure(f"there is no warehouse {name}", "correct DATABRICKS_WAREHOUSE_ID")
    if not answer.is_success or not isinstance(described, dict):
        return failure(f"warehouse {name}: HTTP {answer.status_code}", _WAREHOUSE_FIX)
    return described


def loader(
    context: DoctorContext,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> CheckResult:
    """Check that the owner of the lease renews it."""
    lease = Lease(context.remote, f"{context.settings.volume_path}/lease")
    try:
        first = lease.newest()
        if not first.epoch:
            return warning("no loader has ever run", _START)
        if first.is_released and first.is_for_one_drain:
            return ok(_FREE.format(first.epoch))
        if first.is_released:
            return warning(f"no loader runs: lease {first.epoch} was given back", _START)
        until = monotonic() + context.limits.lease
        while monotonic() < until:
            now = lease.newest()
            if now != first and now.is_for_one_drain:
                return ok(_FREE.format(now.epoch) if now.is_released else _DRAINS.format(now.epoch))
            if now != first and now.is_released:
                return warning(f"the loader is stopping (lease {now.epoch})", _START)
            if now != first:
                return ok(f"a loader runs (lease {now.epoch}, renewal {now.renewals})")
            sleep(_LOOK_SECONDS)
    except LakeError as error:
        return failure(f"the lease cannot be read: {error}", _VOLUME_FIX)
    seconds = SILENCE_SECONDS + (first.statement_seconds or 0)
    return failure(
        f"the owner of lease {first.epoch} did not renew it within {context.limits.lease:g} s",
        f"another instance takes over after {seconds:g} s, when the last statement of the owner "
        f"has ended; if no other instance runs, {_START}",
    )
