"""The checks over HTTP: is the endpoint there, does it verify, is it ready, does a row arrive?

The endpoint is a receiver, or the relay in front of one; both answer alike.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

import httpx2

from core.webhooks.sender import Destination, NoAnswer, PostResponse, Sender
from core.webhooks.signature import SigningKey
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.result import CheckResult, failure, ok, skipped, warning
from databricks_app.operations.webhooks.advice import fault_of
from databricks_app.operations.webhooks.arrival import is_row, see_in_folder, see_in_volume
from databricks_app.operations.webhooks.canary import Canary, EndpointError, canary, post
from databricks_app.settings import LOOPBACK

_SECONDS = 5.0
_ALIVE = "alive"
_RUN_IT = "start `ciolake serve`, or give the address with --url"


def base_url(destination: Destination) -> str:
    """Scheme, host and port."""
    return destination.url.removesuffix(destination.path)


def endpoint(context: DoctorContext) -> CheckResult:
    """Something of ours answers, and neither a login page nor a redirect."""
    if context.destination is None:
        return skipped("where events are posted to is not known", "give the address with --url")
    url = f"{base_url(context.destination)}/healthz"
    began = time.perf_counter()
    try:
        answer = httpx2.get(url, timeout=_SECONDS)
    except httpx2.HTTPError as error:
        return failure(f"{url} does not answer ({type(error).__name__})", _RUN_IT)
    took = time.perf_counter() - began
    text = answer.text[:400].strip()
    if answer.status_code == 200 and text == _ALIVE:
        return ok(f"{url} answers in {took * 1000:.0f} ms")
    fault = fault_of(PostResponse(answer.status_code, text, took)) or "something else answers there"
    return failure(f"{url}: {_first(fault)}", _rest(fault) or _RUN_IT)


def verifies(context: DoctorContext) -> CheckResult:
    """A wrong signature is refused with an empty 401."""
    destination = known(context)
    event = canary(secrets.token_hex(8), context.now())
    stranger = SigningKey.from_text(secrets.token_hex(16))
    try:
        with Sender(destination, stranger) as sender:
            answer = sender.post(event.body, timestamp=int(context.now()))
    except NoAnswer as error:
        return failure(f"{destination.url}: {error}", _RUN_IT)
    if answer.status == 401 and not answer.text:
        return ok(f"{destination.url} refuses a wrong signature with 401")
    if answer.status == 503 and not answer.text:
        return _unavailable(context)
    if fault := fault_of(answer):
        return failure(f"{destination.url}: {_first(fault)}", _rest(fault))
    return failure(
        f"{destination.url} takes an event with a wrong signature",
        "something else answers there: correct the address, or what stands in front",
    )


def _unavailable(context: DoctorContext) -> CheckResult:
    if context.settings.unverified_status == 503:
        return warning(
            "a wrong signature is answered 503, as CIO_UNVERIFIED_STATUS says",
            "set CIO_UNVERIFIED_STATUS=auto when the set-up is done",
        )
    return failure(
        "it answers 503: it has no signing key, its inbox is full, or it is stopping",
        "see /readyz and the log there",
    )


def ready(context: DoctorContext) -> CheckResult:
    """What /readyz says; stale timestamps and a silent loader are among its problems."""
    url = f"{base_url(known(context))}/readyz"
    try:
        answer = ask(context, "/readyz")
        said: dict[str, Any] = answer.json()
        status = str(said["status"])
    except httpx2.HTTPError as error:
        return failure(f"{url} does not answer ({type(error).__name__})", _RUN_IT)
    except (ValueError, KeyError, TypeError):
        return skipped(f"{url} tells nothing ({answer.status_code}); a relay has none")
    problems = "; ".join(str(one) for one in said.get("problems", ()))
    fix = "see the problems named, and the log"
    if not problems:
        fix = "set CIO_ADMIN_TOKEN here to what the receiver has: /readyz then names the problems"
    if status == "ok":
        return ok(f"{url} says ok")
    judged = failure if status == "refusing" else warning
    return judged(f"{url} says {status}{': ' if problems else ''}{problems}", fix)


def ask(context: DoctorContext, path: str) -> httpx2.Response:
    """Get a page that the receiver shows to its admins.

    Raises:
        httpx2.HTTPError: There is no answer.
    """
    destination = known(context)
    headers = {}
    # The token goes to nobody who could read it on the way.
    if context.settings.admin_token and (destination.is_tls or destination.host in LOOPBACK):
        headers["Authorization"] = f"Bearer {context.settings.admin_token}"
    return httpx2.get(f"{base_url(destination)}{path}", headers=headers, timeout=_SECONDS)


def arrives(context: DoctorContext) -> CheckResult:
    """An event of our own is taken with 200 and becomes a row.

    With a volume and an interval longer than the wait, it is enough that the inbox holds it.
    """
    destination, keys = known(context), context.settings.signing_keys
    if not keys:
        return skipped("no signing key is known here", "set CIO_WEBHOOK_SIGNING_KEYS")
    event = canary(secrets.token_hex(8), context.now())
    began = time.monotonic()
    try:
        post(destination.url, keys[0], event, context.now())
    except EndpointError as error:
        return failure(_first(str(error)), _rest(str(error)))
    try:
        place = _seen(context, event)
    except EndpointError as error:
        return failure(f"{event.event_id}: {_first(str(error))}", _rest(str(error)))
    return ok(f"{event.event_id}: {place}, {time.monotonic() - began:.1f} s after it was posted")


def _seen(context: DoctorContext, event: Canary) -> str:
    """Where an event is that was taken."""
    seconds = context.limits.canary
    if context.workspace is None:
        return see_in_folder(context.tables(), context.settings.data_dir, event, seconds=seconds)
    return see_in_volume(
        context.remote,
        context.settings,
        event,
        lambda: is_row(context.tables(), event),
        seconds=seconds,
    )


def known(context: DoctorContext) -> Destination:
    """Where events are posted to, for checks that need `endpoint`."""
    assert context.destination is not None  # noqa: S101  # these checks need `endpoint`
    return context.destination


def _first(text: str) -> str:
    """What is wrong; the sentences after it say what to do."""
    return text.partition(". ")[0]


def _rest(text: str) -> str:
    return text.partition(". ")[2]
