"""The check of what the receiver has counted: requests rightly signed at the wrong time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from databricks_app.operations.doctor.endpoint import ask, base_url, known
from databricks_app.operations.doctor.result import CheckResult, ok, skipped, warning

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    return _judged(found, context)


def _counted(text: str) -> dict[float, float] | None:
    """How many there were up to each age in seconds, infinity last; None if that is not said."""
    try:
        counts = {
            float(sample.labels["le"]): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == f"{_METRIC}_bucket"
        }
    except (ValueError, KeyError):
        return None
    return counts if math.inf in counts else None


def _judged(counts: Mapping[float, float], context: DoctorContext) -> CheckResult:
    window = f"the window of {context.settings.tolerance_seconds} s"
    number = counts[math.inf]
    if not number:
        return ok(f"no rightly signed request came outside {window}")
    # The buckets are all that is known of the ages: of which one the median is.
    median = min(age for age, count in counts.items() if count >= number / 2)
    half = (
        f"at least {-median:,.0f} s before"
        if median <= 0
        else f"up to {median:,.0f} s after"
        if median < math.inf
        else f"more than {max(age for age in counts if age < math.inf):,.0f} s after"
    )
    words = {"accept": "accepted", "second_sight": "refused until they came again"}
    word = words.get(context.settings.stale_timestamps, "refused")
    says = (
        f"{number:,.0f} rightly signed requests came outside {window} and were {word}, half of "
        f"them {half} their timestamp"
    )
    return ok(says) if word == "accepted" else warning(says, _REFUSED_FIX)
