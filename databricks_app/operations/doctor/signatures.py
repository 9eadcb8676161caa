"""The check of refused signatures: why signatures failed, as the receiver reports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from core.webhooks.diagnosis import SignatureFault
from databricks_app.ingest.signature_faults import WORDS
from databricks_app.operations.doctor.endpoint import ask, base_url, known
from databricks_app.operations.doctor.result import CheckResult, ok, skipped, warning
from databricks_app.runtime.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from databricks_app.operations.doctor.context import DoctorContext

_METRIC = "ciolake_signature_faults"
# Every /metrics of a receiver has it. The counter above is missing until the first fault.
_ALWAYS = "ciolake_inbox_pending_events"
_ACCESS = "set CIO_ADMIN_TOKEN to the token of the receiver, or run this in the receiver's folder"


def signatures(context: DoctorContext) -> CheckResult:
    """Report the most frequent fault of signatures that `/readyz` shows now."""
    url = base_url(known(context))
    try:
        pages = [ask(context, path) for path in ("/metrics", "/readyz")]
        is_shown = all(page.status_code in (200, 503) for page in pages)
        counts = _counts(pages[0].text) if is_shown else None
        reported = pages[1].json()["signature_faults"] if is_shown else []
    except httpx2.HTTPError as error:
        return skipped(f"{url} does not answer ({type(error).__name__})", _ACCESS)
    except (ValueError, KeyError, TypeError):
        counts = None
    if counts is None:
        return skipped(f"{url} does not show why signatures failed; a relay has no counts", _ACCESS)
    return _result(counts, [fault for fault in SignatureFault if fault.value in reported])


def _counts(text: str) -> dict[str, float] | None:
    """Read the counts by fault from /metrics; None if it is not the page of a receiver.

    Raises:
        ValueError: It is another page.
    """
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    if all(one.name != _ALWAYS for one in samples):
        return None
    return {
        one.labels.get("reason", ""): one.value for one in samples if one.name == f"{_METRIC}_total"
    }


def _result(counts: Mapping[str, float], reported: Sequence[SignatureFault]) -> CheckResult:
    number = sum(counts.values())
    if not number and not reported:
        return ok("no request was refused because of its signature")
    words = "[request was|requests were] refused because of the signature or timestamp"
    refused = counted(number, words)
    if not reported:
        return ok(f"{refused}; /readyz reports none of them now")
    fault = max(reported, key=lambda one: counts.get(one.value, 0.0))
    return warning(
        f"{refused}; the most frequent reason that /readyz reports now is {fault.value} "
        f"({counts.get(fault.value, 0):,.0f}): such a request {WORDS[fault].means}",
        WORDS[fault].fix,
    )
