"""The checks over HTTP: the endpoint answers, verifies, is ready, and a test event becomes a row.

The endpoint is a receiver, or the relay in front of one; both give the same answers.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Mapping
from typing import Any

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from core.webhooks.sender import Destination, NoAnswer, PostResponse, Sender
from core.webhooks.signature import SigningKey
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.result import CheckResult, failure, ok, skipped, warning
from databricks_app.operations.webhooks.advice import fault_of
from databricks_app.operations.webhooks.arrival import is_row, see_in_folder, see_in_inbox
from databricks_app.operations.webhooks.canary import Canary, EndpointError, canary, post
from databricks_app.settings import LOOPBACK

_LOOK_SECONDS = 0.2
_ALIVE = "alive"
_HUNG = (
    "a server runs there and does not answer: its workers hang or die, or a proxy reaches none. "
    "See its log, and what its processes wait for (`ps`: T is stopped, D waits for a disk); then "
    "restart it"
)
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
        answer = httpx2.get(url, timeout=context.limits.answer)
    except httpx2.HTTPError as error:
        return failure(f"{url} does not answer ({type(error).__name__})", _fix_of(error, context))
    took = time.perf_counter() - began
    text = answer.text[:400].strip()
    if answer.status_code == 200 and text == _ALIVE:
        return ok(f"{url} answers in {took * 1000:.0f} ms")
    if answer.status_code == 503 and not text:
        # No worker answers /healthz so: it is the acceptor, in place of a worker that died.
        return failure(f"{url}: no worker of the receiver answers (503)", _HUNG)
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
        says, _, fix = (fault_of(error) or "").partition(". ")
        return failure(f"{destination.shown}: {says}", fix)
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
    return _refusal(context) or failure(
        "the receiver answers 503: it has no signing key, its inbox is full, or it is stopping",
        "see /readyz and the log of the receiver",
    )


def _fix_of(error: Exception, context: DoctorContext) -> str:
    """Return what to do about a request without an answer."""
    if isinstance(error, httpx2.ReadTimeout | httpx2.WriteTimeout | httpx2.RemoteProtocolError):
        # Something accepts connections, so to start the receiver would not help.
        return _HUNG
    if isinstance(error, httpx2.ConnectTimeout):
        return "check the address, and allow the port in the firewall"
    destination = known(context)
    if isinstance(error, httpx2.ConnectError) and destination.is_tls and _is_open(context):
        return "see the check certificate"
    return _RUN_IT


def _is_open(context: DoctorContext) -> bool:
    """Return whether the port of the endpoint accepts connections."""
    destination = known(context)
    try:
        address = (destination.host, destination.port)
        socket.create_connection(address, context.limits.answer).close()
    except OSError:
        return False
    return True


def _refusal(context: DoctorContext) -> CheckResult | None:
    """Return why the receiver answers 503, as its /readyz says it; None if that is unknown."""
    until = time.monotonic() + context.limits.page
    problem = ""
    while not problem:
        try:
            page = ask(context, "/readyz").json()
            problem = str(page["problems"][0]) if page["status"] == "refusing" else ""
        except (httpx2.HTTPError, ValueError, KeyError, TypeError, IndexError):
            return None
        if not problem and time.monotonic() >= until:
            return None
        # The page may be older than the answer, or of a worker that has not met the problem yet.
        time.sleep(0 if problem else _LOOK_SECONDS)
    says, _, fix = problem.partition(": ")
    return failure(f"the receiver answers 503: {says}", fix or "see the log of the receiver")


def ready(context: DoctorContext) -> CheckResult:
    """Report the status and the problems that /readyz shows."""
    url = f"{base_url(known(context))}/readyz"
    try:
        answer = ask(context, "/readyz")
        page: dict[str, Any] = answer.json()
        status = str(page["status"])
    except httpx2.HTTPError as error:
        return failure(f"{url} does not answer ({type(error).__name__})", _fix_of(error, context))
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
    timeout = context.limits.answer
    return httpx2.get(f"{base_url(destination)}{path}", headers=headers, timeout=timeout)


def counts(context: DoctorContext, name: str) -> list[tuple[Mapping[str, str], float]]:
    """Return labels and value of each sample of a metric; empty if it is not shown.

    Raises:
        httpx2.HTTPError: There is no answer.
    """
    answer = ask(context, "/metrics")
    try:
        return [
            (sample.labels, sample.value)
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.name == name
        ]
    except ValueError:
        return []  # another program answers


def arrives(context: DoctorContext) -> CheckResult:
    """Post a canary event, and check that it is answered 200 and becomes a row.

    With a volume and a freshness longer than the wait, the event only has to be in the inbox.
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
        return (_refusal(context) if error.status == 503 else None) or failure(says, fix)
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
    return see_in_inbox(
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
