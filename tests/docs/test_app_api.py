"""Every Python block of docs/app-api.md runs, in order, as it is printed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from core.app_api import segments
from tests.support.paths import ROOT

PAGE = (ROOT / "docs/app-api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
MADE = 'AppClient(os.environ["CIO_APP_API_KEY"], region="eu")'

ANSWERS: dict[str, Any] = {
    "POST /v1/send/email": {"delivery_id": "d1", "queued_at": 1},
    "POST /v1/send/push": {"delivery_id": "d2"},
    "POST /v1/send/sms": {"delivery_id": "d3"},
    "POST /v1/send/in_app": {"delivery_id": "d4"},
    "GET /v1/broadcasts/12/triggers": {"triggers": []},
    "POST /v1/campaigns/12/triggers": {"id": 9},
    "GET /v1/campaigns/12/triggers/9": {"id": 9, "processed_at": 5},
    "GET /v1/campaigns/12/triggers/9/errors": {"errors": ["no such person"]},
    "POST /v1/customers": {"identifiers": [{"id": "1", "cio_id": "a1"}], "next": ""},
    "GET /v1/customers": {"results": [{"id": "1", "cio_id": "a1"}]},
    "GET /v1/customers/a1/attributes": {"customer": {"attributes": {"plan": "pro"}}},
    "GET /v1/segments/7/customer_count": {"count": 1},
    "GET /v1/segments/7/membership": {"identifiers": [{"id": "1", "cio_id": "a1"}], "next": ""},
    "POST /v1/exports/customers": {"export": {"id": 5, "status": "pending"}},
    "GET /v1/exports/5": {"export": {"id": 5, "status": "done"}},
    "GET /v1/exports/5/download": {"url": "https://files.example.com/people.csv"},
    "POST /v1/imports": {"import": {"id": 6}},
    "GET /v1/imports/6": {"import": {"id": 6, "state": "imported"}},
    "GET /v1/campaigns/7/metrics": {"metric": {"series": {"delivered": [2, 3]}}},
    "GET /v1/newsletters/3/metrics": {"metric": {"series": {}}},
    "GET /v1/messages": {"messages": [{"id": "d1"}], "next": ""},
    "POST /v1/reporting_webhooks": {"id": 4},
}


def test_segments_name_the_api_that_changes_their_people() -> None:
    """It is the Track API; an earlier text said that the Data Pipelines API does it."""
    said = " ".join((segments.__doc__ or "").split())

    assert "Track API does it (`add_customers`, `remove_customers`)" in said
    assert "Track API. It alone adds people to a manual segment" in " ".join(PAGE.split())


def test_the_page_holds_ten_tasks_that_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block in the names of those before; all the vendor's answers are asked for."""
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "files.example.com":
            return httpx2.Response(200, content=b"id\n1\n")
        name = f"{request.method} {request.url.path}"
        asked.append(name)
        if request.method == "DELETE":
            return httpx2.Response(204)
        return httpx2.Response(200, content=json.dumps(ANSWERS[name]).encode())

    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"TRANSPORT": httpx2.MockTransport(answer)}
    assert MADE in BLOCKS[0]

    for block in BLOCKS:
        text = block.replace(MADE, 'AppClient("key", transport=TRANSPORT)')
        exec(compile(text, "docs/app-api.md", "exec"), names)  # noqa: S102  # our own page

    assert len(re.findall(r"^## \d+\. ", PAGE, re.MULTILINE)) == 10
    assert set(ANSWERS) <= set(asked)
    assert names["delivered"] == 5
    assert (names["delivery"], names["members"]) == ("d1", ["a1"])
    assert (tmp_path / "people.csv").read_bytes() == b"id\n1\n"
    names["client"].close()
