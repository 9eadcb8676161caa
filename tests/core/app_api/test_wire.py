"""Calls arrive as official clients send them; the facts and their sources are in `wire_facts`."""

from __future__ import annotations

import pytest

from core.app_api import AppClient
from core.app_api.noun import File
from core.errors import ValidationError
from tests.support.vendor_server import VendorServer
from tests.support.wire_facts import FACTS, WireFact


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)
def test_call_arrives_as_official_clients_send_it(
    app: AppClient, vendor: VendorServer, fact: WireFact
) -> None:
    """Path, query, body and headers at the socket."""
    fact.call(app)

    call = vendor.calls[0]
    assert fact.target == call.target
    assert fact.body is None or call.json == fact.body
    assert {**call.headers, **fact.headers} == call.headers
    assert fact.part in call.body


def test_file_of_unknown_type_is_refused(app: AppClient, vendor: VendorServer) -> None:
    """The vendor rejects `application/octet-stream`; `content_type` says another type."""
    with pytest.raises(ValidationError) as caught:
        app.assets.create(File("a.bin", b"bytes"))
    app.assets.create(File("a.bin", b"bytes", "image/webp"))

    assert caught.value.field == "file.name"
    assert b"Content-Type: image/webp" in vendor.calls[0].body
