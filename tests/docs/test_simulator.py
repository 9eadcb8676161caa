"""docs/simulator.md says what there is, and its calls work as written."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields

import httpx2
import pytest

from databricks_app.cli.simulator import simulator as command
from databricks_app.simulator.control import routes
from databricks_app.simulator.driver import Driver
from databricks_app.simulator.faults import InjectedFault
from databricks_app.simulator.schedule import HOUR_STATUSES
from databricks_app.simulator.simulator import Simulator
from tests.support.paths import DOCS

TEXT = (DOCS / "simulator.md").read_text(encoding="utf-8")
CALLS = re.findall(r"^curl -s (.*?)$(?=\n(?:\w|\.|```))", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("option", [name for one in command.params for name in one.opts])
def test_each_option_is_documented(option: str) -> None:
    """In the table of options."""
    assert f"`{option}`" in TEXT


def test_each_call_of_its_own_interface_is_documented(simulator: Simulator) -> None:
    """With its path; names in the path are written `<id>`."""
    paths = {route.path for route in routes(Driver(simulator.workspace)).all}
    written = {re.sub(r"\{\w+\}", "<id>", path) for path in paths}

    assert {path for path in written if path not in TEXT} == set()


def test_each_field_of_a_fault_is_documented() -> None:
    """As the interface refuses all others."""
    assert {field.name for field in fields(InjectedFault) if f"`{field.name}`" not in TEXT} == set()


def test_the_one_hour_statuses_are_documented() -> None:
    """All of them, in one sentence."""
    listed = re.search(r"- (400, [\d, ]+), a refused", TEXT)

    assert listed is not None
    assert {int(text) for text in listed[1].split(", ")} == HOUR_STATUSES


def test_the_calls_work_as_written(simulator: Simulator, app: httpx2.Client) -> None:
    """Each curl command of the page, one after the other, is answered 200."""
    statuses = []
    for call in CALLS:
        words = shlex.split(call)
        body = words[words.index("-d") + 1] if "-d" in words else None
        path = words[0].removeprefix("http://127.0.0.1:8200")
        statuses.append(app.request("POST" if body else "GET", path, content=body).status_code)

    assert statuses == [200] * 5
    assert len(simulator.workspace.faults.all) == 1
