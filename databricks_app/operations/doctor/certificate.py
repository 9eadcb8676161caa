"""The check of the endpoint's TLS certificate."""

from __future__ import annotations

from databricks_app.operations.certificate import look
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.result import CheckResult, failure, ok, skipped, warning


def certificate(context: DoctorContext) -> CheckResult:
    """Check that clients accept the certificate, and that it does not end soon."""
    there = context.destination
    if there is None:
        return skipped("the address that Customer.io posts to is unknown", "name it with --url")
    if not there.is_tls:
        return skipped(
            f"http://{there.host}:{there.port} has no certificate",
            "name the public address of the receiver with --url or CIO_RELAY_URL",
        )
    state = look(there.host, there.port, context.now(), seconds=context.limits.answer)
    where = f"the certificate of {there.host}:{there.port}"
    if state is None:
        return skipped(f"{where} is unknown: there is no connection", "see the check endpoint")
    if state.says:
        result = failure if state.days_left is None else warning
        return result(f"{where} {state.says}", state.fix)
    return ok(f"{where} is valid for this host; {state.days_left:.0f} days are left")
