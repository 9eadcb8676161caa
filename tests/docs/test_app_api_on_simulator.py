"""The ten tasks of docs/app-api.md, tried on the simulator as docs/simulator.md promises."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.app_api import AppClient
from core.pipelines import PipelinesClient
from databricks_app.simulator.simulator import Simulator
from databricks_app.simulator.workspace import SimulatorOptions
from tests.support.paths import DOCS

PAGE = (DOCS / "app-api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
MADE = 'AppClient(os.environ["CIO_APP_API_KEY"], region="eu")'
# The ids of the page, and those that the simulated workspace has.
IDS = {
    '"receipt"': "401",
    '"shipped"': "403",
    '"code"': "404",
    '"welcome"': "405",
    "send(client, 12,": "send(client, 301,",
    '{"segment": {"id": 7}}': '{"segment": {"id": 1}}',
    "customer_count(7)": "customer_count(1)",
    "membership(7,": "membership(1,",
    "campaigns.metrics(\n    7,": "campaigns.metrics(\n    101,",
    "newsletters.metrics(3,": "newsletters.metrics(21,",
    "datetime(2026, 11, 2": "datetime(2023, 11, 2",
}


@pytest.fixture
def file_url(tmp_path: Path) -> Iterator[str]:
    """The URL of a CSV file with one person."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Print nothing."""

    (tmp_path / "rows.csv").write_text("id,email\nnew,new@example.com\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/rows.csv"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_ten_tasks_can_be_tried(
    make_simulator: Callable[..., Simulator],
    file_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every block runs; its ids are replaced by those that the simulator has."""
    options = SimulatorOptions(people=10, has_rate_limits=False)
    simulator = make_simulator(options, speed=600.0, start_at=1_700_600_000.0)
    monkeypatch.chdir(tmp_path)
    keys = simulator.workspace.keys
    with PipelinesClient(keys.pipelines, base_url=simulator.url) as pipelines:
        pipelines.people.create("42", {"email": "ada+news@example.com", "plan": "pro"})
        pipelines.people.create("43", {"email": "ada@example.com"})
        pipelines.devices.register("42", "token", type="ios")
    client = AppClient(keys.app, base_url=simulator.url)
    names: dict[str, Any] = {"CLIENT": client}

    for block in BLOCKS:
        text = block.replace(MADE, "CLIENT").replace(
            "https://files.example.com/people.csv", file_url
        )
        for ours, theirs in IDS.items():
            text = text.replace(ours, theirs)
        exec(compile(text, "docs/app-api.md", "exec"), names)  # noqa: S102  # our own page
    client.close()

    assert len(BLOCKS) == 11
    assert len(names["members"]) == names["count"] == 12
    assert names["plan"] == "pro"
    assert "ada+news@example.com" in (tmp_path / "people.csv").read_text()
    assert names["finished"]["rows_imported"] == 1
