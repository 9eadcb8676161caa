"""docs/simulator.md lists every option, call and fault field, and its commands work as written."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields

import httpx2

from databricks_app.cli.simulator import simulator as command
from databricks_app.simulator.control import routes
from databricks_app.simulator.driver import Driver
from databricks_app.simulator.faults import InjectedFault
from databricks_app.simulator.schedule import HOUR_STATUSES
from databricks_app.simulator.simulator import Simulator
from tests.support.paths import DOCS

TEXT = (DOCS / "simulator.md").read_text(encoding="utf-8")
CALLS = re.findall(r"^curl -s (.*?)$(?=\n(?:\w|\.|```))", TEXT, re.MULTILINE | re.DOTALL)


def test_page_documents_every_option() -> None:
    """Each option of the command is named in the page."""
    options = [name for one in command.params for name in one.opts]

    undocumented = [option for option in options if f"`{option}`" not in TEXT]

    assert options
    assert undocumented == []


def test_page_documents_every_call_of_the_own_interface(simulator: Simulator) -> None:
    """Each path of `/simulator` is in the page; names in a path are written `<id>`."""
    paths = {route.path for route in routes(Driver(simulator.workspace)).all}
    written = {re.sub(r"\{\w+\}", "<id>", path) for path in paths}

    assert {path for path in written if path not in TEXT} == set()


def test_page_documents_every_field_of_a_fault() -> None:
    """The interface refuses unknown fields, so all known ones must be in the page."""
    assert {field.name for field in fields(InjectedFault) if f"`{field.name}`" not in TEXT} == set()


def test_page_documents_the_statuses_that_cost_an_hour() -> None:
    """The page lists all of them in one sentence."""
    listed = re.search(r"- (400, [\d, ]+), a refused", TEXT)

    assert listed is not None
    assert {int(text) for text in listed[1].split(", ")} == HOUR_STATUSES


def test_commands_of_the_page_work_as_written(simulator: Simulator, app: httpx2.Client) -> None:
    """Each curl command of the page is answered 200, in the order of the page."""
    statuses = []
    for call in CALLS:
        words = shlex.split(call)
        body = words[words.index("-d") + 1] if "-d" in words else None
        path = words[0].removeprefix("http://127.0.0.1:8200")
        statuses.append(app.request("POST" if body else "GET", path, content=body).status_code)

    assert statuses == [200] * 5
    assert len(simulator.workspace.faults.all) == 1
