"""Exports, imports and ESP suppression of the simulator, by the client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.app_api import AppClient
from core.app_api.flows import jobs
from core.app_api.flows.waiting import Polling
from core.errors import (
    BadRequestError,
    ForbiddenError,
    JobFailedError,
    NotFoundError,
    NotSupportedError,
)
from databricks_app.simulator.simulator import Simulator

EVERYONE: Any = {"filters": {"segment": {"id": 1}}}
ADVANCE = 10.0


@pytest.fixture
def client(simulator: Simulator) -> Iterator[AppClient]:
    """A client of the simulator that lets its time pass instead of waiting."""
    with AppClient(
        simulator.workspace.keys.app, base_url=simulator.url, sleep=lambda _: None
    ) as made:
        yield made


@pytest.fixture
def publish(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Put a CSV file on a server; return its URL."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Print nothing."""

    folder = tmp_path / "published"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def put(text: str) -> str:
        (folder / "rows.csv").write_text(text)
        return f"http://127.0.0.1:{server.server_port}/rows.csv"

    yield put
    server.shutdown()
    thread.join()
    server.server_close()


def polling(simulator: Simulator) -> Polling:
    """Poll by letting the time of the simulator pass."""
    return Polling(sleep=lambda _: simulator.advance(ADVANCE))


def run_import(client: AppClient, simulator: Simulator, url: str, **fields: Any) -> Any:
    """Import a file; return the final state."""
    whole: Any = {"type": "people", "identifier": "id", "name": "n", "data_file_url": url} | fields
    started = client.imports.create({"import": whole})["import"]
    return jobs.imported(client, started["id"], polling=polling(simulator))


def test_people_are_exported_to_a_file(
    client: AppClient, simulator: Simulator, tmp_path: Path
) -> None:
    """Pending first, then a file with a line for each person."""
    export = client.exports.customers(EVERYONE)["export"]
    assert export["status"] == "pending"
    with pytest.raises(NotFoundError):
        client.exports.download(export["id"])

    path = jobs.save(client, export["id"], tmp_path / "people.csv", polling=polling(simulator))

    lines = path.read_text().splitlines()
    assert lines[0].startswith("id,email,cio_id,")
    assert len(lines) == 1 + 10
    assert client.exports.list()["exports"][0]["downloads"] == 1


def test_deliveries_of_a_campaign_are_exported(
    client: AppClient, simulator: Simulator, tmp_path: Path
) -> None:
    """Only those of the source, each with the time of its metrics."""
    delivery = client.send.email(
        {
            "to": "ada@example.com",
            "identifiers": {"id": "10001"},
            "transactional_message_id": 401,
        }
    )["delivery_id"]
    simulator.advance(60)
    export = client.exports.deliveries({"transactional_message_id": 401})["export"]
    other = client.exports.deliveries({"transactional_message_id": 402})["export"]

    path = jobs.save(client, export["id"], tmp_path / "d.csv", polling=polling(simulator))

    assert path.read_text().splitlines()[1].startswith(f"{delivery},email,10001,ada@example.com,")
    assert (export["total"], other["total"]) == (1, 0)


def test_url_of_a_file_expires(client: AppClient, simulator: Simulator, tmp_path: Path) -> None:
    """After 15 minutes, as at the vendor."""
    client.exports.customers(EVERYONE)
    simulator.advance(ADVANCE)
    url = client.exports.download(1)["url"]
    simulator.advance(901)

    with pytest.raises(ForbiddenError), (tmp_path / "f").open("wb") as file:
        client.download(url, file)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"campaign_id": 1, "action_id": 2},
        {"campaign_id": "x"},
        {"campaign_id": 1, "start": "x"},
        {"campaign_id": 1, "metric": "x"},
    ],
)
def test_export_that_cannot_be_read_is_refused(client: AppClient, body: Any) -> None:
    """400, as everywhere."""
    with pytest.raises(BadRequestError):
        client.exports.deliveries(body)


def test_people_are_imported_from_a_file(
    client: AppClient, simulator: Simulator, publish: Callable[[str], str]
) -> None:
    """A row without an id is not imported."""
    url = publish("id,email,plan\nnew-1,n1@example.com,pro\n,lost@example.com,free\n")

    final = run_import(client, simulator, url)

    assert (final["state"], final["rows_to_import"], final["rows_imported"]) == ("imported", 2, 1)
    person = client.customers.attributes("new-1")["customer"]
    assert person["attributes"]["plan"] == "pro"


def test_only_existing_people_are_imported_if_asked(
    client: AppClient, simulator: Simulator, publish: Callable[[str], str]
) -> None:
    """`data_to_process` as the vendor documents it."""
    url = publish("id,plan\n10001,pro\nnew-1,pro\n")

    existing = run_import(client, simulator, url, data_to_process="only_existing")
    new = run_import(client, simulator, url, data_to_process="only_new")

    assert (existing["rows_imported"], new["rows_imported"]) == (1, 1)


def test_events_objects_and_relationships_are_imported(
    client: AppClient, simulator: Simulator, publish: Callable[[str], str]
) -> None:
    """Each row becomes what it says."""
    run_import(client, simulator, publish("id,event,price\n10001,Bought,3\n"), type="event")
    run_import(
        client, simulator, publish("object_id,name\nacme,Acme\n"), type="object", object_type_id="1"
    )
    rows = publish("id,object_id\n10001,acme\n")
    run_import(client, simulator, rows, type="relationship", object_type_id="1")

    names = [
        one.get("data", {}).get("name")
        for one in client.customers.activities("10001", type="event")
    ]
    assert "Bought" in names
    assert len(list(client.customers.relationships("10001"))) == 1
    assert simulator.workspace.objects[(1, "acme")]["name"] == "Acme"


def test_import_of_a_file_that_is_not_there_fails(
    client: AppClient, simulator: Simulator, publish: Callable[[str], str]
) -> None:
    """The state says why."""
    url = publish("id\n").replace("rows.csv", "other.csv")

    with pytest.raises(JobFailedError):
        run_import(client, simulator, url)

    assert client.imports.get(1)["import"]["error"] == "data_file_url: HTTPError"


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"data_file_url": "file:///etc/hosts"},
        {"type": "pets"},
        {"identifier": "phone"},
        {"type": "object"},
        {"data_to_process": "some"},
    ],
)
def test_import_that_cannot_be_read_is_refused(
    client: AppClient, simulator: Simulator, fields: Any
) -> None:
    """400; no file of this machine is read."""
    with pytest.raises(BadRequestError):
        run_import(client, simulator, "http://127.0.0.1:9/x", **fields)
    with pytest.raises(NotFoundError):
        client.imports.get(1)


def test_suppressed_addresses_are_kept_by_kind(client: AppClient) -> None:
    """Added twice, listed, searched, deleted."""
    for address in ("b@example.com", "A@example.com", "a@example.com"):
        client.esp_suppression.create("invalid_emails", address)

    listed = [one["email"] for one in client.esp_suppression.list("invalid_emails", limit=1)]
    by_domain = [one["email"] for one in client.esp_suppression.domain("x.com", "invalid_emails")]
    found = client.esp_suppression.search("a@example.com")["suppressions"]
    client.esp_suppression.delete("invalid_emails", "a@example.com")

    assert listed == by_domain == ["b@example.com", "a@example.com"]
    assert [one["reason"] for one in found] == ["invalid_emails"]
    assert client.esp_suppression.search("a@example.com")["suppressions"] == []
    assert list(client.esp_suppression.list("blocks")) == []
    with pytest.raises(NotFoundError):
        client.esp_suppression.delete("invalid_emails", "a@example.com")
    with pytest.raises(BadRequestError):
        list(client.esp_suppression.list("opens"))  # type: ignore[arg-type]


def test_operation_that_is_not_imitated_is_no_temporary_failure(client: AppClient) -> None:
    """501 is not repeated, and its error does not advise to try again later."""
    with pytest.raises(NotSupportedError, match="will fail again") as caught:
        client.snippets.list()

    assert caught.value.attempts == 1
    assert not caught.value.is_outcome_unknown
    assert "later" not in str(caught.value)
