"""The checks over HTTP: the endpoint answers, verifies, is ready, and a test event becomes a row.

The endpoint is a receiver, or the relay in front of one; both give the same answers.
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
_RUN_IT = "start `ciolake serve`, or name the address of the receiver with --url"


def base_url(destination: Destination) -> str:
    """Return scheme, host and port."""
    return destination.url.removesuffix(destination.path)


def endpoint(context: DoctorContext) -> CheckResult:
    """Check that a receiver or relay answers, not a login page or a redirect."""
    if context.destination is None:
        return skipped("the address that Customer.io posts to is unknown", "name it with --url")
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
    fault = fault_of(PostResponse(answer.status_code, text, took)) or "another program answers"
    says, _, fix = fault.partition(". ")
    return failure(f"{url}: {says}", fix or _RUN_IT)


def verifies(context: DoctorContext) -> CheckResult:
    """Check that a wrong signature is answered with an empty 401."""
    destination = known(context)
    event = canary(secrets.token_hex(8), context.now())
    unknown_key = SigningKey.from_text(secrets.token_hex(16))
    try:
        with Sender(destination, unknown_key) as sender:
            answer = sender.post(event.body, timestamp=int(context.now()))
    except NoAnswer as error:
        return failure(f"{destination.shown}: {error}", _RUN_IT)
    if answer.status == 401 and not answer.text:
        return ok(f"{destination.shown} refuses a wrong signature with 401")
    if answer.status == 503 and not answer.text:
        return _unavailable(context)
    if fault := fault_of(answer):
        says, _, fix = fault.partition(". ")
        return failure(f"{destination.shown}: {says}", fix)
    return failure(
        f"{destination.shown} accepts an event with a wrong signature",
        "this is not a receiver: correct the address, or the proxy in front of the receiver",
    )


def _unavailable(context: DoctorContext) -> CheckResult:
    if context.settings.unverified_status == 503:
        return warning(
            "the receiver answers 503 to a wrong signature, because CIO_UNVERIFIED_STATUS is 503",
            "set CIO_UNVERIFIED_STATUS=auto when setup is done",
        )
    return failure(
        "the receiver answers 503: it has no signing key, its inbox is full, or it is stopping",
        "see /readyz and the log of the receiver",
    )


def ready(context: DoctorContext) -> CheckResult:
    """Report the status and the problems that /readyz shows."""
    url = f"{base_url(known(context))}/readyz"
    try:
        answer = ask(context, "/readyz")
        page: dict[str, Any] = answer.json()
        status = str(page["status"])
    except httpx2.HTTPError as error:
        return failure(f"{url} does not answer ({type(error).__name__})", _RUN_IT)
    except (ValueError, KeyError, TypeError):
        return skipped(f"{url} has no status (HTTP {answer.status_code}); a relay has none")
    problems = "; ".join(str(one) for one in page.get("problems", ()))
    fix = "solve the problems that it names; the log of the receiver says more"
    if not problems:
        fix = "set CIO_ADMIN_TOKEN to the token of the receiver, then /readyz shows what is wrong"
    if status == "ok":
        return ok(f"{url} has the status ok")
    result = failure if status == "refusing" else warning
    return result(f"{url} has the status {status}{': ' if problems else ''}{problems}", fix)


def ask(context: DoctorContext, path: str) -> httpx2.Response:
    """Get a page that the receiver shows only with its admin token.

    Raises:
        httpx2.HTTPError: There is no answer.
    """
    destination = known(context)
    headers = {}
    # Over plain http to another machine, others could read the token.
    if context.settings.admin_token and (destination.is_tls or destination.host in LOOPBACK):
        headers["Authorization"] = f"Bearer {context.settings.admin_token}"
    return httpx2.get(f"{base_url(destination)}{path}", headers=headers, timeout=_SECONDS)


def arrives(context: DoctorContext) -> CheckResult:
    """Post a canary event, and check that it is answered 200 and becomes a row.

    With a volume and a flush interval longer than the wait, the event only has to be in the inbox.
    """
    destination, keys = known(context), context.settings.signing_keys
    if not keys:
        return skipped(
            "no signing key is configured, so no event can be signed",
            "set CIO_WEBHOOK_SIGNING_KEYS",
        )
    event = canary(secrets.token_hex(8), context.now())
    began = time.monotonic()
    try:
        post(destination.url, keys[0], event, context.now())
    except EndpointError as error:
        says, _, fix = str(error).partition(". ")
        return failure(says, fix)
    try:
        place = _find(context, event)
    except EndpointError as error:
        says, _, fix = str(error).partition(". ")
        return failure(f"event {event.event_id} was {says}", fix)
    took = time.monotonic() - began
    return ok(f"event {event.event_id} was accepted; {took:.1f} s later {place}")


def _find(context: DoctorContext, event: Canary) -> str:
    """Wait for an accepted event, and return where it is."""
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
    """Return where events are posted to; only for checks that need the check `endpoint`."""
    assert context.destination is not None  # noqa: S101  # `endpoint` is skipped without it
    return context.destination
