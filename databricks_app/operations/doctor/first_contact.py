"""The questions that only a real workspace answers: what local doubles cannot show, asked of it.

Asked once, by who may make a table in the schema; see `first_tables` for those that need one.
Probe files are removed again, the tables of `sql/` and the inbox are not touched.
docs/first-contact.md says why each matters, and what its answer changes. `UNANSWERED` are those
that no program can ask.
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
from databricks_app.databricks.workspace import WorkspaceError
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
# More than the documented 10 at once and 100 a second, in one burst; the connections allow 16.
_CALLERS = 16
_LONGEST_PAUSE_SECONDS = 10.0
_CALLS = 160
_STORE_FIX = "see docs/databricks-store.md, Rights"
_REPORT = "please report it, with the name of the cloud"


def exclusive_put(context: DoctorContext) -> CheckResult:
    """Of several puts of one path that may not overwrite, one succeeds: the lease rests on it."""
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
        _remove(context, path)
    if len(won) == 1 and held == b"%d" % won[0]:
        return ok(f"of {_RACERS} puts at once that may not overwrite, one succeeded")
    return failure(
        f"of {_RACERS} puts at once that may not overwrite, {len(won)} succeeded: two instances "
        "may both load for a while, which costs twice and doubles nothing",
        f"see docs/databricks-store.md, One loader; {_REPORT}",
    )


def visible(context: DoctorContext) -> CheckResult:
    """A file is listed and read as soon as it is put, and gone as soon as it is removed."""
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
        _remove(context, path)
    if is_listed and is_read and is_gone:
        return ok("a file is listed and read at once after its put, and not after its removal")
    late = [
        words
        for words, is_so in (("listed", is_listed), ("read", is_read), ("gone", is_gone))
        if not is_so
    ]
    return warning(f"a file is not {', '.join(late)} at once: rows come later", _REPORT)


def put_time(context: DoctorContext) -> CheckResult:
    """How long an object of the inbox takes; the receiver waits for it."""
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
        _remove(context, path)
    middle, slowest = statistics.median(took), max(took)
    says = f"a put of 16 KiB takes {middle * 1e3:.0f} ms, of {_PUTS} at most {slowest * 1e3:.0f} ms"
    if slowest > deadline / 2:
        return warning(
            f"{says}: near the {deadline:g} s that the receiver waits",
            "run the receiver in the region of the workspace; events are answered 503 meanwhile",
        )
    return ok(says)


def large_put(context: DoctorContext) -> CheckResult:
    """One object holds the largest body that is kept whole."""
    path, size = _probe(context), context.settings.max_body_bytes
    what = f"an object of {size / 2**20:.0f} MiB"
    began = time.perf_counter()
    try:
        context.remote.put(path, bytes(size), overwrite=True, seconds=_PUT_SECONDS)
        returned = len(context.remote.get(path))
    except (WorkspaceError, FileNotFoundError) as error:
        return failure(f"{what}: {error}", "set CIO_MAX_BODY_BYTES lower")
    finally:
        _remove(context, path)
    if returned != size:
        return failure(f"{what} came back with {returned} bytes", _REPORT)
    return ok(f"{what} was put and read in {time.perf_counter() - began:.1f} s")


def call_limits(context: DoctorContext) -> CheckResult:
    """How many calls at once, and a second, the Files API takes before it answers 429."""
    paths = [_probe(context) for _ in range(_CALLERS)]

    def attempt(number: int) -> WorkspaceError | None:
        try:
            context.remote.put(paths[number % _CALLERS], b"probe", overwrite=True)
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
        # The limit counts what comes next too: removing the files, and the checks after this one.
        pauses = [one.retry_after_seconds or 1.0 for one in refused]
        time.sleep(min(max(pauses, default=0.0), _LONGEST_PAUSE_SECONDS))
        for path in paths:
            _remove(context, path)
    says = (
        f"{_CALLS} puts, {_CALLERS} at once, {_CALLS / seconds:.0f} a second: "
        f"{len(refused) or 'none'} refused"
    )
    if not refused:
        return ok(says)
    asked = {one.retry_after_seconds for one in refused}
    told = ", ".join(sorted("none" if one is None else f"{one:g} s" for one in asked))
    return warning(
        f"{says} with 429 (Retry-After: {told})",
        "see docs/first-contact.md; refused puts are repeated, so events are answered later",
    )


def token_life(context: DoctorContext) -> CheckResult:
    """How long a token lasts; it is renewed ten minutes early."""
    left = context.remote.tokens.get(_TOKEN_SECONDS).ends_at - time.monotonic()
    if math.isinf(left):
        return skipped("this login does not say when its token ends", "ask as the app's principal")
    if left < _SHORT_TOKEN_SECONDS:
        return warning(f"the token ends in {left:.0f} s", "it is renewed at half its life")
    return ok(f"the token ends in {left / 60:.0f} min")


def large_body(context: DoctorContext) -> CheckResult:
    """What stands in front passes a body of 24 MiB: a wrongly signed one is read and refused."""
    if context.destination is None:
        return skipped("where events are posted to is not known", "give the address with --url")
    stranger = SigningKey.from_text(secrets.token_hex(16))
    try:
        with Sender(context.destination, stranger, timeout_seconds=_BODY_SECONDS) as sender:
            answer = sender.post(bytes(_BODY_BYTES), timestamp=int(context.now()))
    except NoAnswer as error:
        return warning(
            f"a body of 24 MiB gets {error}", "see the limits of what stands in front of the app"
        )
    if answer.status in {401, context.settings.unverified_status}:
        return ok(f"a body of 24 MiB was read and refused in {answer.seconds:.1f} s")
    return warning(
        f"a body of 24 MiB is answered {answer.status}",
        "see the limits of what stands in front of the app",
    )


def _unanswered(question: str, answered_by: str) -> Callable[[DoctorContext], CheckResult]:
    """A check that says what it cannot answer, and who can."""

    def look(_context: DoctorContext) -> CheckResult:
        return skipped(question, answered_by)

    return look


UNANSWERED = {
    "retries": _unanswered(
        "no program can ask whether Customer.io signs a retry anew",
        "stop the receiver for ten minutes, then see the check timestamps",
    ),
    "concurrency": _unanswered(
        "no program can ask whether Customer.io sends several events at once",
        "send a newsletter, then run the query of docs/first-contact.md",
    ),
    "auto-stop": _unanswered(
        "the least auto-stop is found by setting it, and nothing is changed here",
        "set 1 minute with the command of docs/first-contact.md, then see the check warehouse",
    ),
    "headers": _unanswered(
        "whether headers pass the app's proxy is asked by the last step of the deployment",
        "run ciolake deploy, without --no-proof",
    ),
    "dashboards": _unanswered(
        "whether the workspace takes a dashboard file is not asked: none is shipped",
        "import one by hand before you rely on it",
    ),
}
"""By name, checks that are always skipped: each names its question, and who answers it."""


def _probe(context: DoctorContext) -> str:
    return f"{context.settings.volume_path}/probe/first-{secrets.token_hex(8)}"


def _remove(context: DoctorContext, path: str) -> None:
    with suppress(LakeError):
        context.remote.delete(path)
