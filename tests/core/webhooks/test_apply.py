"""A plan is applied, or the error says what was done: against a simulated workspace."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace

import httpx2
import pytest

from core.app_api import AppClient
from core.errors import ForbiddenError
from core.http.retries import RetryPolicy
from core.webhooks import specification
from core.webhooks.apply import (
    ChangedMeanwhileError,
    PartlyAppliedError,
    apply,
    body,
    held,
)
from core.webhooks.config import Plan, Wanted, WebhookSettings, plan
from databricks_app.simulator.faults import InjectedFault
from databricks_app.simulator.simulator import Simulator
from tests.support.simulating import make_simulator, simulator  # noqa: F401

KNOWN = specification.subscription_names()
A, B, C = (WebhookSettings(name, f"https://{name}.example.com/", ("email_sent",)) for name in "abc")


@pytest.fixture
def client(simulator: Simulator) -> Iterator[AppClient]:  # noqa: F811  # the fixture, by its name
    """A client of `simulator` without retries."""
    key = simulator.workspace.keys.app
    with AppClient(key, base_url=simulator.url, retries=RetryPolicy(1)) as made:
        yield made


def planned(client: AppClient, *wanted: WebhookSettings, absent: str = "") -> Plan:
    """Make a plan for these webhooks, which deletes the webhook `absent`."""
    entries = [Wanted(one.name, one) for one in wanted]
    gone = [Wanted(absent, None)] if absent else []
    return plan([*gone, *entries], held(client.reporting_webhooks, KNOWN))


def names(client: AppClient) -> set[str]:
    """Return the names of all webhooks of the workspace."""
    return {one.webhook.name for one in held(client.reporting_webhooks, KNOWN)}


def test_apply_writes_all_changes_of_the_plan(client: AppClient) -> None:
    """Deletions last; afterwards the workspace matches the file."""
    apply(client.reporting_webhooks, planned(client, A, B), KNOWN)
    changed = replace(A, events=KNOWN, enabled=False, with_content=True, full_resolution=True)

    done = apply(client.reporting_webhooks, planned(client, changed, C, absent="b"), KNOWN)

    assert [(one.change.action, one.change.name) for one in done] == [
        ("update", "a"),
        ("create", "c"),
        ("delete", "b"),
    ]
    assert {one.id: one.webhook for one in held(client.reporting_webhooks, KNOWN)} == {
        done[0].id: changed,
        done[1].id: C,
    }


def test_apply_without_changes_makes_no_call(client: AppClient, simulator: Simulator) -> None:  # noqa: F811
    """Not even the call that reads the workspace."""
    kept = Plan(planned(client).changes)
    simulator.workspace.faults.add(InjectedFault("listWebhooks", 403))

    assert apply(client.reporting_webhooks, kept, KNOWN) == ()


@pytest.mark.parametrize("kind", ["changed", "deleted", "created"])
def test_apply_writes_nothing_if_the_workspace_has_changed(client: AppClient, kind: str) -> None:
    """Somebody else changed, deleted or created a webhook of the plan."""
    apply(client.reporting_webhooks, planned(client, A), KNOWN)
    number = held(client.reporting_webhooks, KNOWN)[0].id
    plan_ = planned(client, replace(A, enabled=False), B)
    noun = client.reporting_webhooks
    if kind == "changed":
        noun.update(number, body(replace(A, with_content=True)))
    elif kind == "deleted":
        noun.delete(number)
    else:
        noun.create(body(replace(B, endpoint="https://other.example.com/")))
    before = held(noun, KNOWN)

    with pytest.raises(ChangedMeanwhileError, match="Nothing") as caught:
        apply(noun, plan_, KNOWN)

    assert caught.value.names == (("b",) if kind == "created" else ("a",))
    assert held(noun, KNOWN) == before
    assert pickle.loads(pickle.dumps(caught.value)).names == caught.value.names  # noqa: S301  # ours


def test_apply_that_fails_lists_what_was_done_and_what_was_not(
    client: AppClient,
    simulator: Simulator,  # noqa: F811
) -> None:
    """The writes that were accepted, the write that failed and why, the writes not tried."""
    apply(client.reporting_webhooks, planned(client, A, B), KNOWN)
    plan_ = planned(client, replace(A, enabled=False), C, absent="b")
    simulator.workspace.faults.add(InjectedFault("createWebhook", 403))

    with pytest.raises(PartlyAppliedError) as caught:
        apply(client.reporting_webhooks, plan_, KNOWN)

    error = caught.value
    assert isinstance(error.__cause__, ForbiddenError)
    assert [one.change.name for one in error.done] == ["a"]
    assert (error.failed.name, [one.name for one in error.left]) == ("c", ["b"])
    parts = ("create 'c' was not done", "403", "Done before: update 'a'", "Not tried: delete 'b'")
    assert [part for part in parts if part not in str(error)] == []
    assert names(client) == {"a", "b"}
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301  # ours


def test_apply_reports_a_write_without_answer_as_unknown(
    client: AppClient,
    simulator: Simulator,  # noqa: F811
) -> None:
    """It is not repeated: a second create could create a second webhook."""
    plan_ = planned(client, A, B)
    simulator.workspace.faults.add(InjectedFault("createWebhook", None, hang_up=True))

    with pytest.raises(PartlyAppliedError, match="create 'a' may have been done") as caught:
        apply(client.reporting_webhooks, plan_, KNOWN)

    assert caught.value.is_outcome_unknown
    assert caught.value.done == ()
    assert [change.name for change in caught.value.left] == ["b"]


def test_apply_reports_an_answer_without_id_as_unknown() -> None:
    """The create may have been done."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        body = {"reporting_webhooks": []} if request.method == "GET" else {}
        return httpx2.Response(200, json=body)

    with (
        AppClient("key", transport=httpx2.MockTransport(answer)) as client,
        pytest.raises(PartlyAppliedError, match="may have been done"),
    ):
        apply(client.reporting_webhooks, planned(client, A), KNOWN)
