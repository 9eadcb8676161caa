"""People and segments in the simulated App API."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from databricks_app.simulator.simulator import Simulator
from tests.support.app_api_calls import detail
from tests.support.simulating import call


def test_people_are_found_by_each_identifier(app: httpx2.Client) -> None:
    """A person is found by id, e-mail address and cio_id, and in a list of ids."""
    (person,) = app.get("/v1/customers/10001/attributes").json().values()
    email, cio_id = person["identifiers"]["email"], person["identifiers"]["cio_id"]

    found = app.get("/v1/customers", params={"email": email.upper()}).json()["results"]
    assert found == [{"id": "10001", "email": email, "cio_id": cio_id}]
    by_email = app.get(f"/v1/customers/{email}/attributes", params={"id_type": "email"})
    by_cio_id = app.get(f"/v1/customers/cio_{cio_id}/attributes", params={"id_type": "cio_id"})
    assert by_email.json() == by_cio_id.json() == {"customer": person}
    assert person["attributes"]["first_name"]
    assert person["devices"]
    many = app.post("/v1/customers/attributes", json={"ids": ["10001", "nobody"]}).json()
    assert many == {"customers": [{"customer": person}]}


def test_unknown_people_are_not_found(app: httpx2.Client) -> None:
    """They and a wrong `id_type` are answered 404; an unknown address has an empty result."""
    assert app.get("/v1/customers/nobody/attributes").status_code == 404
    wrong = app.get("/v1/customers/10001/attributes", params={"id_type": "phone"})
    assert wrong.status_code == 404
    assert app.get("/v1/customers", params={"email": "x@example.com"}).json() == {"results": []}
    assert app.post("/v1/customers/attributes", json={"ids": []}).status_code == 400


def test_a_filter_selects_people(simulator: Simulator, app: httpx2.Client) -> None:
    """`and`, `or`, `not`, `segment` and `attribute` work, and the result has pages."""
    person = {"id": "10002", "attributes": {"plan": "gold", "unsubscribed": True}}
    call("POST", f"{simulator.url}/simulator/state", json={"people": [person]})
    gold = {"attribute": {"field": "plan", "operator": "eq", "value": "gold"}}
    has_plan = {"attribute": {"field": "plan", "operator": "exists"}}

    def search(condition: dict[str, Any], **query: Any) -> dict[str, Any]:
        answer = app.post("/v1/customers", json={"filter": condition}, params=query)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    assert search({"and": [gold, has_plan, {"segment": {"id": 2}}]})["ids"] == ["10002"]
    assert len(search({"not": gold})["identifiers"]) == 9
    assert len(search({"or": [gold, {"segment": {"id": 1}}]})["identifiers"]) == 10
    assert search({"segment": {"id": 99}})["ids"] == []
    first = search({"segment": {"id": 1}}, limit=6)
    second = search({"segment": {"id": 1}}, limit=6, start=first["next"])
    assert (len(first["identifiers"]), len(second["identifiers"]), second["next"]) == (6, 4, "")


@pytest.mark.parametrize(
    "condition",
    [
        None,
        {},
        {"and": []},
        {"and": [{}], "or": [{}]},
        {"xor": []},
        {"segment": {"id": "x"}},
        {"attribute": {"field": "plan", "operator": "like"}},
        {"attribute": 7},
    ],
)
def test_an_invalid_filter_is_refused(app: httpx2.Client, condition: object) -> None:
    """It is answered 400, and the error names the filter."""
    answer = app.post("/v1/customers", json={"filter": condition})

    assert answer.status_code == 400
    assert "filter" in detail(answer)


def test_segments_are_created_filled_counted_and_deleted(
    simulator: Simulator, app: httpx2.Client
) -> None:
    """A manual segment is empty until the simulator's own interface sets its members."""
    created = app.post("/v1/segments", json={"segment": {"name": "Friends"}}).json()["segment"]
    path = f"/v1/segments/{created['id']}"
    assert app.get(f"{path}/customer_count").json() == {"count": 0}

    url = f"{simulator.url}/simulator/segments/{created['id']}/members"
    assert call("PUT", url, json={"ids": ["10001", "10003", "nobody"]}).json() == {"count": 2}

    members = app.get(f"{path}/membership", params={"limit": 1}).json()
    assert (members["ids"], members["next"] != "") == (["10001"], True)
    segments = app.get("/v1/customers/10001/segments").json()["segments"]
    assert [segment["name"] for segment in segments] == ["Everyone", "Friends"]
    assert app.get(path).json()["segment"] == created
    assert app.get("/v1/segments").json()["segments"][-1] == created
    assert app.get(f"{path}/used_by").json()["used_by"]["campaigns"] == []
    assert app.delete(path).status_code == 204
    assert app.get(path).status_code == 404


def test_segments_with_a_filter_cannot_be_deleted_or_filled(
    simulator: Simulator, app: httpx2.Client
) -> None:
    """Deleting one is answered 404, setting its members 400; a segment needs a name."""
    url = f"{simulator.url}/simulator/segments/1/members"

    assert app.delete("/v1/segments/1").status_code == 404
    assert call("PUT", url, json={"ids": []}).status_code == 400
    assert app.post("/v1/segments", json={"segment": {}}).status_code == 400
    assert app.post("/v1/segments", json={"segment": 7}).status_code == 400
