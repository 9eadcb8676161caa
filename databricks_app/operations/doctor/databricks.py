"""The checks of the store `databricks`: token, volume, warehouse, lease."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx2

from databricks_app.databricks.workspace import WorkspaceError
from databricks_app.errors import LakeError, QueryError, TokenError
from databricks_app.lake.warehouse.lease import SILENCE_SECONDS, Lease, LeaseState
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.result import CheckResult, failure, ok, warning

_TOKEN_SECONDS = 15.0
_STATE_SECONDS = 10.0
_LOOK_SECONDS = 0.5
_SHORT_FLUSH_SECONDS = 60.0
_START = "start the app, or `ciolake serve` with these settings"
_VOLUME_FIX = "see docs/databricks-store.md, Rights"


def token(context: DoctorContext) -> CheckResult:
    """The workspace gives a token."""
    began = time.perf_counter()
    try:
        context.remote.tokens.get(_TOKEN_SECONDS)
    except TokenError as error:
        return failure(
            f"{context.remote.host}: {error}",
            "check DATABRICKS_HOST, DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET",
        )
    return ok(f"{context.remote.host} gave one in {time.perf_counter() - began:.1f} s")


def volume(context: DoctorContext) -> CheckResult:
    """The volume takes a file, gives it back, and lets it be removed."""
    path = f"{context.settings.volume_path}/probe/doctor-{secrets.token_hex(8)}"
    began = time.perf_counter()
    try:
        context.remote.put(path, b"probe", overwrite=True, seconds=_STATE_SECONDS)
        context.remote.get(path)
        context.remote.delete(path)
    except (WorkspaceError, FileNotFoundError) as error:
        return failure(f"{context.settings.volume_path}: {error}", _VOLUME_FIX)
    took = time.perf_counter() - began
    return ok(f"{context.settings.volume_path}: put, read and removed a file in {took:.2f} s")


def warehouse(context: DoctorContext) -> CheckResult:
    """The warehouse is there and answers."""
    name = context.settings.warehouse_id
    if not name:
        return failure("no SQL warehouse is named", "set DATABRICKS_WAREHOUSE_ID")
    told = _told(context, name)
    if isinstance(told, CheckResult):
        return told
    began = time.perf_counter()
    try:
        context.warehouse().run("SELECT 1 AS one")
    except QueryError as error:
        return failure(f"{name} was {told.get('state')}: {error}", f"see that it runs; {_grant()}")
    says = f"{name} was {told.get('state')} and answered in {time.perf_counter() - began:.1f} s"
    return _judged_stop(says, told.get("auto_stop_mins"), context.settings.flush_interval_seconds)


def _told(context: DoctorContext, name: str) -> dict[str, Any] | CheckResult:
    """What the workspace says of the warehouse."""
    try:
        bearer = context.remote.tokens.get(_TOKEN_SECONDS).text
        answer = httpx2.get(
            f"{context.remote.host}/api/2.0/sql/warehouses/{name}",
            headers={"Authorization": f"Bearer {bearer}"},
            timeout=_STATE_SECONDS,
        )
        said = answer.json()
    except (httpx2.HTTPError, ValueError) as error:
        return failure(f"{name}: no answer ({type(error).__name__})", "check the way there")
    if answer.status_code == 404:
        return failure(f"there is no warehouse {name}", "correct DATABRICKS_WAREHOUSE_ID")
    if not answer.is_success or not isinstance(said, dict):
        return failure(f"{name}: HTTP {answer.status_code}", _grant())
    return said


def _grant() -> str:
    return "give the app's service principal CAN USE on the warehouse"


def _judged_stop(says: str, minutes: object, flush_seconds: float) -> CheckResult:
    """Whether the flush interval costs latency for nothing, or the warehouse never sleeps."""
    if not isinstance(minutes, int):
        return ok(says)
    if minutes == 0:
        return warning(f"{says}; it never stops by itself", "give it an auto-stop, e.g. 10 minutes")
    if _SHORT_FLUSH_SECONDS <= flush_seconds < minutes * 60:
        return warning(
            f"{says}; a flush every {flush_seconds:g} s keeps it awake (auto-stop {minutes} min)",
            "lower the warehouse's auto-stop to save; as it is, a shorter "
            "CIO_FLUSH_INTERVAL_SECONDS costs no more (docs/databricks-store.md)",
        )
    return ok(f"{says}; auto-stop {minutes} min")


def loader(
    context: DoctorContext,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> CheckResult:
    """Whoever holds the lease still counts."""
    lease = Lease(context.remote, f"{context.settings.volume_path}/lease")
    try:
        first = lease.newest()
        if not first.epoch:
            return warning("no instance has ever loaded", _START)
        if first.is_released:
            return warning(f"no instance loads: lease {first.epoch} was given back", _START)
        until = monotonic() + context.limits.lease
        while monotonic() < until:
            if (now := lease.newest()) != first:
                return _judged_lease(now)
            sleep(_LOOK_SECONDS)
    except LakeError as error:
        return failure(f"the lease cannot be read: {error}", _VOLUME_FIX)
    seconds = SILENCE_SECONDS + (first.statement_seconds or 0)
    return failure(
        f"the owner of lease {first.epoch} gave no sign of life in {context.limits.lease:g} s",
        f"another instance takes over after {seconds:g} s, when its last statement must be over; "
        f"if none runs, {_START}",
    )


def _judged_lease(now: LeaseState) -> CheckResult:
    if now.is_released:
        return warning(f"the instance that loads is stopping (lease {now.epoch})", _START)
    return ok(f"an instance loads (lease {now.epoch}, renewal {now.renewals})")
