"""Mistakes of earlier clients of this API, which this client does not make."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from core.app_api import AppClient
from core.errors import ConnectionFailedError, ValidationError
from tests.support.paths import ROOT

INVENTORY = ROOT / "core/app_api/operations.json"
Answer = Callable[[httpx2.Request], httpx2.Response]


def client(answer: Answer) -> AppClient:
    """A client with a function that answers its calls."""
    return AppClient("key", transport=httpx2.MockTransport(answer), sleep=lambda _: None)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/customers/{customer_id}",
        "/v1/customers/{customer_id}/suppress",
        "/v1/reporting_webhooks/{webhook_id}/test",
    ],
)
def test_no_method_calls_what_the_vendor_does_not_have(path: str) -> None:
    """Earlier clients had operations to change and suppress people, and to test webhooks."""
    operations = json.loads(INVENTORY.read_text())["operations"]

    assert path not in {operation["path"] for operation in operations}


def test_a_plus_in_an_e_mail_address_is_encoded() -> None:
    """The vendor would read a raw `+` as a space and find nobody."""
    asked: list[httpx2.URL] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url)
        return httpx2.Response(200, json={"results": []})

    with client(answer) as app:
        app.customers.by_email(email="ada+tag@example.com")

    assert b"ada%2Btag%40example.com" in asked[0].raw_path


def test_a_limit_over_the_maximum_is_refused() -> None:
    """The vendor would return 1,000 without an error, and the rest would be missing."""
    with client(lambda _: pytest.fail("nothing is sent")) as app, pytest.raises(ValidationError):
        list(app.messages.list(limit=1_001))


def test_a_list_returns_all_pages() -> None:
    """Also if the published schema of the answer has no `next`."""
    pages = {"": {"messages": [{"id": "a"}], "next": "n1"}, "n1": {"messages": [{"id": "b"}]}}

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=pages[request.url.params.get("start", "")])

    with client(answer) as app:
        assert [message["id"] for message in app.messages.list()] == ["a", "b"]


def test_a_send_without_an_answer_is_not_sent_again() -> None:
    """The error says that it may have been sent."""
    calls: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        calls.append(request.url.path)
        raise httpx2.ReadTimeout("no answer")

    with client(answer) as app, pytest.raises(ConnectionFailedError) as caught:
        app.send.email(
            {
                "to": "ada@example.com",
                "identifiers": {"id": "1"},
                "transactional_message_id": 1,
            }
        )

    assert calls == ["/v1/send/email"]
    assert caught.value.is_outcome_unknown


def test_types_refuse_what_is_misspelled(tmp_path: Path) -> None:
    """Mypy --strict checks arguments, keys of bodies and values of closed lists."""
    bad = [
        "client.segments.membership(7, limitt=100)",
        'client.messages.list(metrik="sent")',
        'client.send.email({"too": "a@example.com"})',
        'client.broadcasts.metrics(1, period="day")',
        'client.segments.get("seven")',
    ]
    good = [
        "client.segments.membership(7, limit=100)",
        'client.messages.list(metric="sent")',
        'client.campaigns.metrics(7, **between(START, START, "days"))',
        'client.newsletters.metrics(7, **recent("days", 7))',
    ]
    text = "\n".join(
        [
            "from datetime import UTC, datetime",
            "from core.app_api import AppClient",
            "from core.app_api.flows.measuring import between, recent",
            'client = AppClient("key")',
            "START = datetime(2026, 1, 1, tzinfo=UTC)",
            *good,
            *bad,
        ]
    )
    snippet = tmp_path / "snippet.py"
    snippet.write_text(text + "\n")

    output = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(snippet)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    ).stdout

    first = text.split("\n").index(bad[0]) + 1
    refused = {int(line.split(":")[1]) for line in output.splitlines() if ": error:" in line}
    assert refused == set(range(first, first + len(bad))), output
