"""What the documentation of the Pipelines client says, done."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from core.pipelines import PipelinesClient
from core.pipelines.surface import Surface
from tests.support.paths import DOCS, FIXTURES
from tests.support.vendor_server import RoutedTransport, VendorServer

PAGE = (DOCS / "pipelines.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FAMILIES = [name for name, value in vars(Surface).items() if isinstance(value, property)]


@pytest.fixture(autouse=True)
def _own_handler() -> Iterator[None]:
    """Take back the handler of SIGTERM that the page sets."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def transport(vendor: VendorServer) -> Iterator[RoutedTransport]:
    """Leads calls for Customer.io's hosts to loopback."""
    made = RoutedTransport(vendor.port)
    yield made
    made.close()


def run(block: str, names: dict[str, Any]) -> None:
    """Run a block with what those before it made."""
    exec(compile(block, "docs/pipelines.md", "exec"), names)  # noqa: S102  # our own page


def test_every_block_runs_and_every_face_sends(
    vendor: VendorServer, transport: RoutedTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, on one page, as a reader would; each statement that sends was accepted."""
    monkeypatch.setenv("CIO_PIPELINES_KEY", "write_key")
    names: dict[str, Any] = {}
    run(BLOCKS[0], names)
    names["client"].close()

    with PipelinesClient("write_key", region="eu", transport=transport) as client:
        names["client"] = client
        for block in BLOCKS[1:]:
            run(block, names)

    text = "".join(BLOCKS)
    asked = len(re.findall(r"\bclient(?:\.\w+){1,2}\(", text))
    refused = text.count("except ValidationError")
    from_queue = text.count("queue.flush()")
    assert len(vendor.calls) == asked - refused + from_queue
    assert len(FAMILIES) == 11
    for family in FAMILIES:
        assert f"client.{family}." in text


@pytest.mark.parametrize("page", ["pipelines.md", "migrating.md", "testing.md"])
def test_every_method_that_is_named_exists(page: str) -> None:
    """`client.people.delete` and the like, in prose and in tables too."""
    client = PipelinesClient("k")
    named = re.findall(r"\bclient\.([a-z_]+(?:\.[a-z_]+)?)(?=[(`])", (DOCS / page).read_text())

    assert named or page == "testing.md"
    for dotted in named:
        attribute: Any = client
        for name in dotted.split("."):
            attribute = getattr(attribute, name)
        assert callable(attribute)


def test_events_of_the_migration_page_are_the_vendor_s() -> None:
    """A page that corrects invented names may invent none."""
    facts = (FIXTURES / "pipelines_events.json").read_text()
    named = re.findall(
        r"`(User \w+|Report \w+ Event)`|the name is `([\w ]+)`", (DOCS / "migrating.md").read_text()
    )

    assert len(named) >= 6
    for event, name in named:
        assert f'"event": "{event or name}"' in facts


@pytest.mark.parametrize(
    "earlier",
    [
        "create_customer",
        "update_customer",
        "delete_customer",
        "manage_customer_suppression",
        "get_customer",
        "search_customers",
        "people_manager",
        "gdpr_manager",
        "Push Notification Received",
        "Push Notification Tapped",
        "webhooks: test",
        "without `alias`",
    ],
)
def test_migration_page_answers_for_every_earlier_function(earlier: str) -> None:
    """Also for those that called what never existed; each has a row with what to do instead."""
    rows = [line for line in (DOCS / "migrating.md").read_text().splitlines() if earlier in line]

    assert rows
    for row in rows:
        instead = row.rstrip(" |").split("|")[-1]
        assert re.search(r"`(client\.|get|POST|ciolake send)", instead)
