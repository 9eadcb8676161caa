"""A plan is applied whole or it is said what was done: against a simulated workspace."""

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
    """A client of `simulator` that repeats nothing."""
    key = simulator.workspace.keys.app
    with AppClient(key, base_url=simulator.url, retries=RetryPolicy(1)) as made:
        yield made


def planned(client: AppClient, *wanted: WebhookSettings, absent: str = "") -> Plan:
    """A plan for these and, if given, without that one."""
    entries = [Wanted(one.name, one) for one in wanted]
    gone = [Wanted(absent, None)] if absent else []
    return plan([*gone, *entries], held(client.reporting_webhooks, KNOWN))


def names(client: AppClient) -> set[str]:
    """Of all webhooks that the workspace holds."""
    return {one.webhook.name for one in held(client.reporting_webhooks, KNOWN)}


def test_apply_writes_the_plan_and_nothing_is_left(client: AppClient) -> None:
    """Created, changed, and deleted last; the workspace is as the file says."""
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


def test_apply_of_nothing_asks_nothing(client: AppClient, simulator: Simulator) -> None:  # noqa: F811
    """A plan without changes makes no call."""
    kept = Plan(planned(client).changes)
    simulator.workspace.faults.add(InjectedFault("listWebhooks", 403))

    assert apply(client.reporting_webhooks, kept, KNOWN) == ()


@pytest.mark.parametrize("kind", ["changed", "deleted", "created"])
def test_apply_stops_before_it_writes_if_somebody_else_did(client: AppClient, kind: str) -> None:
    """Nothing is half done."""
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

    with pytest.raises(ChangedMeanwhileError, match="Nothing was written") as caught:
        apply(noun, plan_, KNOWN)

    assert caught.value.names == (("b",) if kind == "created" else ("a",))
    assert held(noun, KNOWN) == before
    assert pickle.loads(pickle.dumps(caught.value)).names == caught.value.names  # noqa: S301  # ours


def test_apply_that_fails_midway_says_exactly_what_was_done(
    client: AppClient,
    simulator: Simulator,  # noqa: F811
) -> None:
    """Which writes were accepted, which failed and why, which were not tried."""
    apply(client.reporting_webhooks, planned(client, A, B), KNOWN)
    plan_ = planned(client, replace(A, enabled=False), C, absent="b")
    simulator.workspace.faults.add(InjectedFault("createWebhook", 403))

    with pytest.raises(PartlyAppliedError) as caught:
        apply(client.reporting_webhooks, plan_, KNOWN)

    error = caught.value
    assert isinstance(error.__cause__, ForbiddenError)
    assert [one.change.name for one in error.done] == ["a"]
    assert (error.failed.name, [one.name for one in error.left]) == ("c", ["b"])
    assert "create 'c' was not done: createWebhook: status 403" in str(error)
    assert "Done before: update 'a' (id 1). Not tried: delete 'b' (id 2)." in str(error)
    assert names(client) == {"a", "b"}
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301  # ours


def test_apply_says_that_a_write_without_answer_may_be_done(
    client: AppClient,
    simulator: Simulator,  # noqa: F811
) -> None:
    """It is not repeated: a second create would make a second webhook."""
    plan_ = planned(client, A, B)
    simulator.workspace.faults.add(InjectedFault("createWebhook", None, hang_up=True))

    with pytest.raises(PartlyAppliedError, match="create 'a' may or may not be done") as caught:
        apply(client.reporting_webhooks, plan_, KNOWN)

    assert caught.value.is_outcome_unknown
    assert "Done before: nothing. Not tried: create 'b'." in str(caught.value)


def test_apply_does_not_take_an_answer_without_id_for_done() -> None:
    """It was accepted perhaps, so it is not said to be undone either."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        said = {"reporting_webhooks": []} if request.method == "GET" else {}
        return httpx2.Response(200, json=said)

    with (
        AppClient("key", transport=httpx2.MockTransport(answer)) as client,
        pytest.raises(PartlyAppliedError, match="may or may not be done"),
    ):
        apply(client.reporting_webhooks, planned(client, A), KNOWN)
