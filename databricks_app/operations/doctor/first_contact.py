"""The questions that only a real workspace answers: what local doubles cannot show, asked of it.

Asked once, by who may make a table in the schema; see `first_tables` for those that need one.
Probe files are removed again, the tables of `sql/` and the inbox are not touched.
docs/first-contact.md says why each matters, and lists those that no program can ask.
"""

from __future__ import annotations

import math
import secrets
import statistics
import time
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


def _probe(context: DoctorContext) -> str:
    return f"{context.settings.volume_path}/probe/first-{secrets.token_hex(8)}"


def _remove(context: DoctorContext, path: str) -> None:
    with suppress(LakeError):
        context.remote.delete(path)
