"""The check of what the receiver has counted: requests rightly signed at the wrong time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from databricks_app.operations.doctor.endpoint import ask, base_url, known
from databricks_app.operations.doctor.result import CheckResult, ok, skipped, warning

if TYPE_CHECKING:
    from databricks_app.operations.doctor.context import DoctorContext

_METRIC = "ciolake_stale_timestamp_age_seconds"
_ACCESS = "set CIO_ADMIN_TOKEN here to what the receiver has, or run this in its folder"
_REFUSED_FIX = (
    "see the check clock; if the clocks are right, Customer.io repeats requests with their first "
    "timestamp: set CIO_STALE_TIMESTAMPS=accept, or they are refused until they are given up"
)


def timestamps(context: DoctorContext) -> CheckResult:
    """No rightly signed request came with a timestamp outside the window."""
    url = f"{base_url(known(context))}/metrics"
    try:
        answer = ask(context, "/metrics")
        found = _counted(answer.text) if answer.is_success else None
    except httpx2.HTTPError as error:
        return skipped(f"{url} does not answer ({type(error).__name__})", _ACCESS)
    if found is None:
        return skipped(f"{url} does not tell ({answer.status_code}); a relay has none", _ACCESS)
    return _judged(*found, context)


def _counted(text: str) -> tuple[float, float] | None:
    """How many there were, and the sum of their ages in seconds; None if that is not said."""
    try:
        samples = {
            one.name: one.value
            for family in text_string_to_metric_families(text)
            for one in family.samples
        }
        return samples[f"{_METRIC}_count"], samples[f"{_METRIC}_sum"]
    except (ValueError, KeyError):
        return None


def _judged(number: float, age: float, context: DoctorContext) -> CheckResult:
    window = f"the window of {context.settings.tolerance_seconds} s"
    if not number:
        return ok(f"no rightly signed request came outside {window}")
    mean = age / number
    word = "accepted" if context.settings.stale_timestamps == "accept" else "refused"
    says = (
        f"{number:,.0f} rightly signed requests came outside {window} and were {word}, on average "
        f"{abs(mean):,.0f} s {'after' if mean > 0 else 'before'} their timestamp"
    )
    return ok(says) if word == "accepted" else warning(says, _REFUSED_FIX)
