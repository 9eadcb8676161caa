"""Another key of Customer.io in place of the signing key: only its requests show it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.harness.databricks_double import readiness
from benchmarks.harness.events import event
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import KEY, request
from core.webhooks.signature import SigningKey
from databricks_app.lake.local.store import LocalLake
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.result import CheckResult
from tests.support.doctoring import context_of, found, wrong
from tests.support.lake_events import event as reading
from tests.support.lake_events import load

# Of the same form as the right one, so that nothing but a request tells them apart.
OF_ANOTHER_WEBHOOK = "0f" * 32
FINGERPRINT = SigningKey.from_text(OF_ANOTHER_WEBHOOK).fingerprint


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """A receiver with the key of another webhook."""
    variables = {"CIO_WEB_WORKERS": "1", "CIO_WEBHOOK_SIGNING_KEYS": OF_ANOTHER_WEBHOOK}
    with serving(tmp_path, **variables, CIO_ADMIN_TOKEN="a token of the tests") as receiver:
        wait_until(lambda: readiness(receiver)["status"] == "ok")
        yield receiver


def of_key(receiver: Receiver, key: str = OF_ANOTHER_WEBHOOK, **variables: str) -> DoctorContext:
    """The context of a receiver with this key; the canary is waited for."""
    context = context_of(
        receiver.folder / "data", receiver.url, CIO_WEBHOOK_SIGNING_KEYS=key, **variables
    )
    return replace(context, limits=replace(context.limits, canary=10.0, answer=5.0))


@pytest.mark.slow
def test_the_key_of_another_webhook_is_found_and_named(receiver: Receiver) -> None:
    """At first it is only unproven; with Customer.io's first request it is a failure."""
    unproven = wrong(of_key(receiver))
    status = receiver.post(request(event("e"), key=KEY)).status
    wait_until(lambda: b'reason="wrong_signature"} 1' in receiver.page("/metrics").body)
    results = wrong(of_key(receiver))

    assert status == 503
    assert {name: one.state for name, one in unproven.items()} == {"proven": "warning"}
    assert "canary" not in results  # which we sign with the same wrong key
    assert results["proven"].state == "failure"
    assert "1 requests had a wrong signature" in results["proven"].says
    assert FINGERPRINT in results["proven"].says
    for words in ("Reporting Webhooks", "App API key", "CIO_WEBHOOK_SIGNING_KEYS"):
        assert words in results["proven"].fix
    assert OF_ANOTHER_WEBHOOK not in str(results)


def test_a_request_of_customer_io_proves_a_key(receiver: Receiver) -> None:
    """A stranger's wrong signature changes nothing then; each workspace needs its own."""
    assert receiver.post(request(event("a"), key=OF_ANOTHER_WEBHOOK)).status == 200
    assert receiver.post(request(event("b"), key=KEY)).status == 401
    wait_until(lambda: readiness(receiver)["verified_keys"][FINGERPRINT] is not None)

    own = found(of_key(receiver), "proven")
    names = f"shop:{FINGERPRINT},blog:{SigningKey.from_text(KEY).fingerprint}"
    both = found(of_key(receiver, f"{OF_ANOTHER_WEBHOOK},{KEY}", CIO_WORKSPACES=names), "proven")

    assert own.state == "ok"
    assert both.state != "ok"
    assert "workspace blog" in both.says
    assert "shop" not in both.says


def stored(tmp_path: Path, kind: str) -> CheckResult:
    """What is found of a key without a receiver, of which one event is stored."""
    lake = LocalLake(tmp_path)
    lake.start()
    load(lake, reading("a", kind))
    lake.close()
    context = context_of(tmp_path)
    key = SigningKey(b"of the stored event", "0a1b2c3d")
    return found(
        replace(context, settings=replace(context.settings, signing_keys=(key,))), "proven"
    )


@pytest.mark.parametrize(("kind", "state"), [("email/opened", "ok"), ("ciolake/canary", "warning")])
def test_stored_events_prove_a_key_after_a_restart_unless_they_are_ours(
    tmp_path: Path, kind: str, state: str
) -> None:
    """The receiver forgets at its restart which keys are right; the tables do not."""
    assert stored(tmp_path, kind).state == state


def test_a_development_key_is_not_to_be_proven(tmp_path: Path) -> None:
    """Customer.io does not have it."""
    context = context_of(tmp_path, CIO_WEBHOOK_SIGNING_KEYS="dev_1234567890")

    assert found(context, "proven").state == "skipped"
