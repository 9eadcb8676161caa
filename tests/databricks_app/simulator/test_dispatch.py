"""Requests to the simulator: keys, paths, rate limits, and unsupported operations."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest

from databricks_app.simulator.dispatch import ROUTES, inventory
from databricks_app.simulator.messages import Refused
from databricks_app.simulator.routing import Route, Router, UnsupportedOperation
from databricks_app.simulator.simulator import Simulator
from databricks_app.simulator.workspace import SimulatorOptions
from tests.support.app_api_calls import detail
from tests.support.simulating import app_client, call

HOOKS = "/v1/reporting_webhooks"


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic abc", "Bearer"])
def test_calls_without_the_key_are_refused(simulator: Simulator, authorization: str) -> None:
    """They are answered 401, in the vendor's form."""
    headers = {"Authorization": authorization} if authorization else {}

    answer = call("GET", f"{simulator.url}/v1/segments", headers=headers)

    assert answer.status_code == 401
    assert detail(answer) == "unauthorized"


def test_the_app_api_accepts_the_private_key_but_not_the_public_key(
    simulator: Simulator,
) -> None:
    """With the keys of 2026, a public key is for the Pipelines API only."""
    keys = simulator.workspace.keys

    statuses = [
        call(
            "GET", f"{simulator.url}/v1/segments", headers={"Authorization": f"Bearer {key}"}
        ).status_code
        for key in (keys.private, keys.public)
    ]

    assert statuses == [200, 401]


@pytest.mark.parametrize(
    ("path", "workspace_id", "status"),
    [
        ("/v1/send/email", "1", 400),  # the key is right, the body is empty
        ("/v1/send/email", "2", 401),
        ("/v1/send/email", "", 401),
        ("/v1/send/whatsapp", "1", 401),
        ("/v1/segments", "1", 401),
    ],
)
def test_a_service_account_sends_in_its_workspace_only(
    simulator: Simulator, path: str, workspace_id: str, status: int
) -> None:
    """It may use only the sends that the vendor lists."""
    key = simulator.workspace.keys.service_account
    headers = {"Authorization": f"Bearer {key}", "X-Workspace-Id": workspace_id}

    answer = call("POST", f"{simulator.url}{path}", headers=headers)

    assert answer.status_code == status


def test_unknown_paths_and_methods_are_refused(app: httpx2.Client) -> None:
    """An unknown path is answered 404, an unknown method 405."""
    assert app.get("/v2/anything").status_code == 404
    assert app.patch(f"{HOOKS}/1").status_code in {405, 501}
    assert app.delete("/v1/info/ip_addresses").status_code == 405


def test_router_finds_unsupported_operations() -> None:
    """An operation of the inventory without a route is found; literal paths come first."""
    inventory_rows = [
        UnsupportedOperation("listSnippets", "GET", "/v1/snippets"),
        UnsupportedOperation("deleteSnippet", "DELETE", "/v1/snippets/{snippet_name}"),
        UnsupportedOperation("listSegments", "GET", "/v1/segments"),
    ]
    router = Router(ROUTES, inventory_rows)

    assert router.find("DELETE", "/v1/snippets/7") == (inventory_rows[1], {"snippet_name": "7"})
    found, _ = router.find("GET", "/v1/segments")
    assert isinstance(found, Route)
    literal, _ = router.find("POST", "/v1/customers/attributes")
    assert literal.operation == "getPeopleById"
    with pytest.raises(Refused):
        router.find("GET", "/v1/snippets/7/8")


def test_routes_are_operations_of_the_vendor() -> None:
    """The name, method and path of each route are in the inventory."""
    known = {(one.operation, one.method, one.path) for one in inventory()}
    ours = {(one.operation, one.method, one.path) for one in ROUTES if one.surface == "app"}

    assert ours <= known
    assert len(known) == 188


def test_an_unsupported_operation_is_answered_501(simulator: Simulator, app: httpx2.Client) -> None:
    """The answer names the operation; without the right key it is 401."""
    answer = app.get("/v1/snippets")

    assert answer.status_code == 501
    assert "listSnippets" in detail(answer)
    assert call("GET", f"{simulator.url}/v1/snippets").status_code == 401


def test_a_fault_can_be_injected_into_an_unsupported_operation(app: httpx2.Client) -> None:
    """So a client can be tested with errors of every operation."""
    app.post("/simulator/faults", json={"operation": "listSnippets", "status": 429})

    assert app.get("/v1/snippets").status_code == 429


def test_the_eleventh_call_in_a_second_is_refused(
    make_simulator: Callable[..., Simulator],
) -> None:
    """It is answered 429 with Retry-After; after that time calls are accepted again."""
    simulator = make_simulator(SimulatorOptions(people=0))
    with app_client(simulator) as app:
        answers = [app.get("/v1/segments") for _ in range(11)]
        simulator.advance(float(answers[-1].headers["Retry-After"]))
        again = app.get("/v1/segments")

    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert detail(answers[-1]) == "too many requests"
    assert again.status_code == 200
