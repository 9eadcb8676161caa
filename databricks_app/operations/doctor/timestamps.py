"""The check of stale timestamps: valid signatures outside the time window, as counted so far."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from databricks_app.operations.doctor.clock import NTP_FIX
from databricks_app.operations.doctor.endpoint import ask, base_url, known
from databricks_app.operations.doctor.result import CheckResult, ok, skipped, warning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from databricks_app.operations.doctor.context import DoctorContext

_METRIC = "ciolake_stale_timestamp_age_seconds"
_ACCESS = "set CIO_ADMIN_TOKEN to the token of the receiver, or run this in the receiver's folder"
_REPEATS = "If the clock is right, Customer.io repeats failed requests with their first timestamp: "
_ADVICE = {
    "second_sight": "nothing to do, CIO_STALE_TIMESTAMPS=second_sight accepts them from now on",
    "reject": "set CIO_STALE_TIMESTAMPS=second_sight, which accepts each at its second try",
}


def timestamps(context: DoctorContext) -> CheckResult:
    """Check that no request with a valid signature had a timestamp outside the window."""
    url = f"{base_url(known(context))}/metrics"
    try:
        answer = ask(context, "/metrics")
        found = _counted(answer.text) if answer.is_success else None
    except httpx2.HTTPError as error:
        return skipped(f"{url} does not answer ({type(error).__name__})", _ACCESS)
    if found is None:
        return skipped(
            f"{url} does not show the counts (HTTP {answer.status_code}); a relay has none", _ACCESS
        )
    return _result(found, context)


def _counted(text: str) -> dict[float, float] | None:
    """Read the histogram from /metrics: the number of requests up to each age in seconds.

    The last age is infinity. None if the page has no such histogram.
    """
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


def _result(counts: Mapping[float, float], context: DoctorContext) -> CheckResult:
    window = context.settings.tolerance_seconds
    number = counts[math.inf]
    if not number:
        return ok(f"no request with a valid signature was outside the time window of {window} s")
    # A histogram has no exact ages, only buckets: find the bucket of the median.
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
        f"{number:,.0f} requests with a valid signature were {word} although their timestamp "
        f"differs by more than {window} s; half of them came {half} their timestamp"
    )
    if word == "accepted":
        return ok(says)
    if median <= 0:
        # A repeated request is late, never early.
        return warning(says, f"the clock of this machine is behind: {NTP_FIX}")
    advice = _ADVICE.get(context.settings.stale_timestamps, _ADVICE["reject"])
    return warning(says, f"see the check clock; {NTP_FIX}. {_REPEATS}{advice}")
