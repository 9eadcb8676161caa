"""The first-contact checks: questions that only a real Databricks workspace can answer.

Run them once, as a user who may create tables in the schema. They remove their probe files, and
change neither the tables of `sql/` nor the inbox. `first_tables` has the checks that need a table.
docs/first-contact.md explains each question. `UNANSWERED` are questions that need a person.
"""

from __future__ import annotations

import math
import secrets
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from core.webhooks.sender import NoAnswer, Sender
from core.webhooks.signature import SigningKey
from databricks_app.databricks.call_budget import Unlimited
from databricks_app.databricks.workspace import DatabricksWorkspace, WorkspaceError, connect
from databricks_app.errors import LakeError
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.result import CheckResult, failure, ok, skipped, warning

_RACERS = 8
_PUTS = 20
_PUT_BYTES = 16 << 10
_BODY_BYTES = 24 << 20
_PUT_SECONDS = 60.0
_BODY_SECONDS = 60.0
_TOKEN_SECONDS = 15.0
_SHORT_TOKEN_SECONDS = 900.0
# In one burst, more than the documented limits of 10 calls at once and 100 a second. The HTTP
# client has 16 connections.
_CALLERS = 16
_LONGEST_PAUSE_SECONDS = 10.0
_CALLS = 160
_STORE_FIX = "see docs/databricks-store.md, Rights"
_REPORT = "please report it, with the name of the cloud"


def exclusive_put(context: DoctorContext) -> CheckResult:
    """Check that of several puts of one path without overwrite exactly one succeeds.

    The lease of the loader depends on this.
    """
    path = _probe(context)

    def attempt(number: int) -> int | None:
        try:
            context.remote.put(path, b"%d" % number, overwrite=False, seconds=_PUT_SECONDS)
        except FileExistsError:
            return None
        return number

    try:
        with ThreadPoolExecutor(_RACERS) as pool:
            won = [one for one in pool.map(attempt, range(_RACERS)) if one is not None]
        held = context.remote.get(path)
    except (WorkspaceError, FileNotFoundError) as error:
        return failure(str(error), _STORE_FIX)
    finally:
        _remove(context.remote, path)
    if len(won) == 1 and held == b"%d" % won[0]:
        return ok(f"of {_RACERS} simultaneous puts without overwrite, one succeeded")
    return failure(
        f"of {_RACERS} simultaneous puts without overwrite, {len(won)} succeeded: two instances "
        "may load at the same time for a while. That costs more, but no event is written twice",
        f"see docs/databricks-store.md, One loader; {_REPORT}",
    )


def visible(context: DoctorContext) -> CheckResult:
    """Check that a file can be listed and read right after its put, and not after its deletion."""
    path = _probe(context)
    folder, _, name = path.rpartition("/")
    try:
        context.remote.put(path, b"probe", overwrite=True)
        is_listed = name in context.remote.names(folder)
        is_read = context.remote.get(path) == b"probe"
        context.remote.delete(path)
        is_gone = name not in context.remote.names(folder)
    except (WorkspaceError, FileNotFoundError) as error:
        return failure(str(error), _STORE_FIX)
    finally:
        _remove(context.remote, path)
    if is_listed and is_read and is_gone:
        return ok("a file can be listed and read right after its put, and not after its deletion")
    late = [
        words
        for words, is_so in (("listed", is_listed), ("read", is_read), ("gone", is_gone))
        if not is_so
    ]
    return warning(
        f"a file is not {', '.join(late)} immediately, so rows reach the tables later", _REPORT
    )


def put_time(context: DoctorContext) -> CheckResult:
    """Measure how long a put into the volume takes; the receiver waits for it before it answers."""
    deadline = context.settings.append_deadline_seconds
    path, content = _probe(context), secrets.token_bytes(_PUT_BYTES)
    took = []
    try:
        for _ in range(_PUTS):
            began = time.perf_counter()
            context.remote.put(path, content, overwrite=True)
            took.append(time.perf_counter() - began)
    except WorkspaceError as error:
        return failure(str(error), _STORE_FIX)
    finally:
        _remove(context.remote, path)
    middle, slowest = statistics.median(took), max(took)
    says = (
        f"a put of 16 KiB takes {middle * 1e3:.0f} ms (median of {_PUTS}), "
        f"{slowest * 1e3:.0f} ms at most"
    )
    if slowest > deadline / 2:
        return warning(
            f"{says}: the receiver waits only {deadline:g} s and then answers 503",
            "run the receiver in the region of the workspace",
        )
    return ok(says)


def large_put(context: DoctorContext) -> CheckResult:
    """Check that the volume takes a file as large as the largest body that is stored whole."""
    path, size = _probe(context), context.settings.max_body_bytes
    what = f"an object of {size / 2**20:.0f} MiB"
    began = time.perf_counter()
    try:
        context.remote.put(path, bytes(size), overwrite=True, seconds=_PUT_SECONDS)
        returned = len(context.remote.get(path))
    except (WorkspaceError, FileNotFoundError) as error:
        return failure(f"{what}: {error}", "set CIO_MAX_BODY_BYTES lower")
    finally:
        _remove(context.remote, path)
    if returned != size:
        return failure(f"{what} had {returned} bytes when it was read", _REPORT)
    return ok(f"{what} was written and read in {time.perf_counter() - began:.1f} s")


def call_limits(context: DoctorContext) -> CheckResult:
    """Measure how many simultaneous calls the Files API accepts before it answers 429."""
    paths = [_probe(context) for _ in range(_CALLERS)]
    remote = connect(context.variables, budget=Unlimited(), repeat_seconds=0.0)

    def attempt(number: int) -> WorkspaceError | None:
        try:
            remote.put(paths[number % _CALLERS], b"probe", overwrite=True)
        except WorkspaceError as error:
            if error.kind != "busy":
                raise
            return error
        return None

    refused: list[WorkspaceError] = []
    began = time.perf_counter()
    try:
        with ThreadPoolExecutor(_CALLERS) as pool:
            refused = [one for one in pool.map(attempt, range(_CALLS)) if one is not None]
        seconds = time.perf_counter() - began
    except WorkspaceError as error:
        return failure(str(error), _STORE_FIX)
    finally:
        # Wait as asked: otherwise the deletions and the next checks get 429 as well.
        pauses = [one.retry_after_seconds or 1.0 for one in refused]
        time.sleep(min(max(pauses, default=0.0), _LONGEST_PAUSE_SECONDS))
        for path in paths:
            _remove(remote, path)
        remote.close()
    says = (
        f"{_CALLS} puts, {_CALLERS} at the same time, {_CALLS / seconds:.0f} a second: "
        f"{len(refused) or 'none'} refused"
    )
    if not refused:
        return ok(says)
    asked = {one.retry_after_seconds for one in refused}
    pauses_asked = ", ".join(sorted("none" if one is None else f"{one:g} s" for one in asked))
    return warning(
        f"{says} with 429 (Retry-After: {pauses_asked})",
        "see docs/first-contact.md; the receiver repeats refused puts, so its answers take longer",
    )


def token_life(context: DoctorContext) -> CheckResult:
    """Report how long a token is valid; it is renewed ten minutes early."""
    left = context.remote.tokens.get(_TOKEN_SECONDS).ends_at - time.monotonic()
    if math.isinf(left):
        return skipped(
            "with this login the end of the token is unknown",
            "run this with the credentials of the app's service principal",
        )
    if left < _SHORT_TOKEN_SECONDS:
        return warning(
            f"the token is valid for only {left:.0f} s",
            "nothing: it is renewed after half of that time",
        )
    return ok(f"the token is valid for {left / 60:.0f} min")


def large_body(context: DoctorContext) -> CheckResult:
    """Check that proxies let a body of 24 MiB through, with a wrong signature so it is not kept."""
    if context.destination is None:
        return skipped("the address that Customer.io posts to is unknown", "name it with --url")
    unknown_key = SigningKey.from_text(secrets.token_hex(16))
    try:
        with Sender(context.destination, unknown_key, timeout_seconds=_BODY_SECONDS) as sender:
            answer = sender.post(bytes(_BODY_BYTES), timestamp=int(context.now()))
    except NoAnswer as error:
        return warning(
            f"a body of 24 MiB was not answered ({error})",
            "check the size limits of the proxies in front of the receiver",
        )
    if answer.status in {401, context.settings.unverified_status}:
        return ok(f"a body of 24 MiB was read and refused in {answer.seconds:.1f} s")
    return warning(
        f"a body of 24 MiB was answered {answer.status}",
        "check the size limits of the proxies in front of the receiver",
    )


def _unanswered(question: str, answered_by: str) -> Callable[[DoctorContext], CheckResult]:
    """Return a check that only says which question it cannot answer, and how to answer it."""

    def look(_context: DoctorContext) -> CheckResult:
        return skipped(question, answered_by)

    return look


UNANSWERED = {
    "retries": _unanswered(
        "a program cannot find out whether Customer.io signs a retry with a new timestamp",
        "stop the receiver for ten minutes, then see the check timestamps",
    ),
    "concurrency": _unanswered(
        "a program cannot find out whether Customer.io sends several events at the same time",
        "send a newsletter, then run the query in docs/first-contact.md",
    ),
    "auto-stop": _unanswered(
        "the smallest auto-stop can only be found by setting it, and the doctor changes nothing",
        "set 1 minute with the command in docs/first-contact.md, then see the check warehouse",
    ),
    "headers": _unanswered(
        "the last step of the deployment finds out whether the app's proxy passes the headers on",
        "run ciolake deploy without --no-proof",
    ),
    "dashboards": _unanswered(
        "whether the workspace accepts a dashboard file is not checked: none is shipped",
        "import one by hand before you rely on it",
    ),
}
"""Checks that are always skipped, by name: each says its question and how to answer it."""


def _probe(context: DoctorContext) -> str:
    return f"{context.settings.volume_path}/probe/first-{secrets.token_hex(8)}"


def _remove(remote: DatabricksWorkspace, path: str) -> None:
    with suppress(LakeError):
        remote.delete(path)
