"""The App API client: hosts, keys, repeated calls, uploads and downloads."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.app_api import AppClient
from core.app_api.declarations import declare
from core.app_api.noun import File, Noun
from core.errors import (
    ClientClosedError,
    ConfigurationError,
    ConnectionFailedError,
    ForbiddenError,
    RedirectError,
    ResponseError,
    ServerError,
    ThrottledError,
    ValidationError,
)
from core.http.rate_limits import Gate, Rate
from tests.support.still_time import StillTime
from tests.support.vendor_server import Call, Reply, RoutedTransport, VendorServer

MakeApp = Callable[..., AppClient]

SEND = declare("sendThing", "POST", "/v1/send", rate="transactional")
SEARCH = declare("searchThings", "POST", "/v1/search", is_repeatable=True)
READ = declare("readThing", "GET", "/v1/things/{id}")
UPLOAD = declare("uploadThing", "POST", "/v1/files")


def noun(client: AppClient) -> Noun:
    """Return a noun without methods, to call the base class."""
    return Noun(client._http)


@pytest.mark.parametrize(
    ("options", "host"),
    [
        ({}, "api.customer.io"),
        ({"region": "eu"}, "api-eu.customer.io"),
        ({"api_key": "sk_eu_key"}, "api-eu.customer.io"),
        ({"api_key": "sk_us_key", "region": "eu"}, "api.customer.io"),
    ],
)
def test_region_chooses_the_host(
    make_app: MakeApp, vendor: VendorServer, options: dict[str, Any], host: str
) -> None:
    """The region in the key overrides the argument."""
    transport = RoutedTransport(vendor.port)
    client = make_app(base_url=None, transport=transport, **options)

    client.segments.list()
    transport.close()
    assert host == vendor.calls[0].headers["host"]


def test_key_is_sent_as_a_bearer_token_and_shown_nowhere(
    app: AppClient, vendor: VendorServer
) -> None:
    """The `repr` of a client contains no key."""
    with app:
        app.segments.list()

    assert vendor.calls[0].headers["authorization"] == "Bearer app_key"
    assert "app_key" not in repr(app)


def test_service_account_names_its_workspace(make_app: MakeApp, vendor: VendorServer) -> None:
    """A token of a service account is valid for several workspaces."""
    make_app(workspace_id=12).segments.list()

    assert vendor.calls[0].headers["x-workspace-id"] == "12"


def test_unusable_region_is_refused() -> None:
    """At construction."""
    with pytest.raises(ConfigurationError, match="region"):
        AppClient("app_key", region="mars")


def test_closed_client_refuses_calls_and_downloads(app: AppClient) -> None:
    """A call after `close` raises `ClientClosedError`."""
    app.close()

    with pytest.raises(ClientClosedError):
        app.segments.list()
    with pytest.raises(ClientClosedError):
        app.download("https://files.example.com/x", io.BytesIO())


@pytest.mark.parametrize("reply", [Reply(503), Reply(hang_up=True)], ids=["503", "no answer"])
def test_creating_is_not_repeated_after_an_unknown_outcome(
    app: AppClient, vendor: VendorServer, reply: Reply
) -> None:
    """A second POST could create something twice; the error says that the outcome is unknown."""
    vendor.replies = [reply]

    with pytest.raises((ServerError, ConnectionFailedError)) as caught:
        app.segments.create({"segment": {"name": "VIP"}})
    assert caught.value.is_outcome_unknown
    assert len(vendor.calls) == 1


def test_send_that_was_throttled_is_repeated(app: AppClient, vendor: VendorServer) -> None:
    """The vendor did not execute a call that it answered with 429."""
    vendor.replies = [Reply(429, headers={"retry-after": "1"})]

    noun(app)._done(SEND, body={})
    assert len(vendor.calls) == 2


def test_searches_by_post_are_repeated(app: AppClient, vendor: VendorServer) -> None:
    """A search changes nothing."""
    vendor.replies = [Reply(503), Reply(hang_up=True)]

    assert noun(app)._call(SEARCH, dict[str, str], body={}) == {}
    assert len(vendor.calls) == 3


def test_reads_updates_and_deletes_are_repeated(app: AppClient, vendor: VendorServer) -> None:
    """Executing them twice has the same result."""
    vendor.replies = [Reply(503), Reply(), Reply(503), Reply(), Reply(503), Reply(204, b"")]
    fields: Any = {"name": "a", "endpoint": "https://example.com", "events": ["email_sent"]}

    app.reporting_webhooks.get(1)
    app.reporting_webhooks.update(1, fields)
    app.reporting_webhooks.delete(1)
    assert [call.method for call in vendor.calls] == ["GET"] * 2 + ["PUT"] * 2 + ["DELETE"] * 2


def test_archived_messages_are_limited_to_100_a_day(app: AppClient, vendor: VendorServer) -> None:
    """The 101st call would wait for a day: it is refused and not sent."""
    for _ in range(100):
        app.messages.archived_message("dgOq6wUEAA==")

    with pytest.raises(ThrottledError):
        app.messages.archived_message("dgOq6wUEAA==")
    assert len(vendor.calls) == 100


def test_default_rate_is_ten_a_second(app: AppClient, time: StillTime) -> None:
    """The eleventh call waits until the second is over."""
    for _ in range(11):
        app.segments.list()

    assert time.slept == [1.0]


def test_gates_are_shared_between_clients(make_app: MakeApp, time: StillTime) -> None:
    """Two clients of a workspace count together."""
    gates = {"default": Gate(Rate(1, 5.0))}

    make_app(gates=gates).segments.list()
    make_app(gates=gates).segments.list()
    assert time.slept == [5.0]


@pytest.mark.parametrize("body", [b"", b"  "])
def test_absent_answer_is_an_empty_object(
    app: AppClient, vendor: VendorServer, body: bytes
) -> None:
    """A success may have no body."""
    vendor.replies = [Reply(200, body)]

    assert app.segments.list() == {}


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"7"])
def test_answer_that_is_not_an_object_is_an_error(
    app: AppClient, vendor: VendorServer, body: bytes
) -> None:
    """The call was accepted, so the error warns against repeating it."""
    vendor.replies = [Reply(200, body)]

    with pytest.raises(ResponseError, match=r"listSegments.*before you repeat"):
        app.segments.list()


def test_unknown_fields_are_kept(app: AppClient, vendor: VendorServer) -> None:
    """The vendor adds fields without notice."""
    vendor.replies = [Reply(200, b'{"segment":{"id":7,"new":[1]},"also":2}')]

    assert app.segments.get(7) == {"segment": {"id": 7, "new": [1]}, "also": 2}


@pytest.mark.parametrize(
    "value",
    [b"ada@example.com", float("nan"), "\ud800", {1, 2}],
    ids=["bytes", "nan", "surrogate", "set"],
)
def test_body_that_json_cannot_represent_is_refused_without_its_value(
    app: AppClient, vendor: VendorServer, value: Any
) -> None:
    """Nothing is sent, and the error does not show the value."""
    with pytest.raises(ValidationError, match=r"^body\.to: ") as caught:
        noun(app)._done(SEND, body={"to": value})
    assert caught.value.__cause__ is None
    assert vendor.calls == []


def test_text_is_sent_as_utf8(app: AppClient, vendor: VendorServer) -> None:
    """The body is UTF-8 without escapes."""
    app.segments.create({"segment": {"name": "Zoë"}})

    assert '{"segment":{"name":"Zoë"}}'.encode() == vendor.calls[0].body
    assert vendor.calls[0].headers["content-type"] == "application/json"


def test_files_are_uploaded_as_multipart(app: AppClient, vendor: VendorServer) -> None:
    """A file name cannot add a header; absent fields are not sent."""
    file = File('a"\r\nx: y.png', b"\x00\r\n--bytes", "image/png")

    fields = {"name": "Logo", "parent_folder_id": 3, "absent": None}
    noun(app)._upload(UPLOAD, dict[str, str], file=file, fields=fields)
    (call,) = vendor.calls
    assert call.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b"\r\nx: y" not in call.body
    assert b"\x00\r\n--bytes\r\n" in call.body
    assert b'name="parent_folder_id"\r\n\r\n3\r\n' in call.body
    assert b"absent" not in call.body
    assert "bytes" not in repr(file)


def test_answer_that_is_a_file_is_returned_as_bytes(app: AppClient, vendor: VendorServer) -> None:
    """An image is returned unchanged."""
    vendor.replies = [Reply(200, b"\x89PNG")]

    assert noun(app)._read(READ, path={"id": 1}) == b"\x89PNG"
    assert vendor.calls[0].headers["accept"] == "*/*"


def ranged(content: bytes) -> Callable[[Call], Reply]:
    """Serve a file; serve ranges of it if `If-Range` is its etag."""

    def script(call: Call) -> Reply:
        start = call.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-")
        if start == "0" or call.headers.get("if-range", '"v1"') != '"v1"':
            return Reply(200, content, {"etag": '"v1"'})
        place = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return Reply(206, content[int(start) :], {"content-range": place})

    return script


def test_download_sends_no_key_and_the_unchanged_url(
    app: AppClient, vendor: VendorServer, tmp_path: Path
) -> None:
    """The host of a signed URL must not see the key."""
    vendor.script = ranged(b"a,b\n1,2\n")
    path = tmp_path / "export.csv"

    with path.open("wb") as file:
        answer = app.download(f"{vendor.url}/x.csv?signature=s%2B1", file)
    assert path.read_bytes() == b"a,b\n1,2\n"
    assert (
        answer.status,
        answer.streamed_bytes,
        answer.body,
        answer.headers["etag"],
    ) == (200, 8, b"", '"v1"')
    assert "authorization" not in vendor.calls[0].headers
    assert vendor.calls[0].headers["accept-encoding"] == "identity"
    assert vendor.calls[0].target == "/x.csv?signature=s%2B1"


@pytest.mark.parametrize(("if_range", "status"), [('"v1"', 206), ('"v0"', 200), ("", 206)])
def test_download_continues_or_starts_again(
    app: AppClient, vendor: VendorServer, if_range: str, status: int
) -> None:
    """A changed file is written from its start. Both results are complete."""
    vendor.script = ranged(b"0123456789")
    file = io.BytesIO(b"0123xxxxxxxxxxxx")

    answer = app.download(f"{vendor.url}/x", file, offset=4, if_range=if_range)
    assert status == answer.status
    assert file.getvalue() == b"0123456789"


def test_download_of_another_range_is_an_error(app: AppClient, vendor: VendorServer) -> None:
    """The file would have a gap. It stays unchanged."""
    vendor.replies = [Reply(206, b"89", {"content-range": "bytes 8-9/10"})]
    file = io.BytesIO(b"0123")

    with pytest.raises(ResponseError, match="another range"):
        app.download(f"{vendor.url}/x", file, offset=4)
    assert file.getvalue() == b"0123"


def test_incomplete_download_is_repeated_from_its_start(
    app: AppClient, vendor: VendorServer
) -> None:
    """Bytes of the failed attempt do not stay in the file."""
    vendor.replies = [Reply(200, b"half of it", {"content-length": "99", "connection": "close"})]
    vendor.script = ranged(b"whole")
    file = io.BytesIO()

    # The server must close for the client to see that the answer is short.
    answer = app.download(f"{vendor.url}/x", file)
    assert answer.streamed_bytes == 5
    assert file.getvalue() == b"whole"


def test_download_is_written_in_small_parts(app: AppClient, vendor: VendorServer) -> None:
    """A large export needs little memory."""
    vendor.replies = [Reply(200, b"x" * (8 << 20))]
    widths: list[int] = []

    class Measured(io.BytesIO):
        def write(self, piece: Any) -> int:
            widths.append(len(piece))
            return super().write(piece)

    app.download(f"{vendor.url}/x", Measured())
    assert sum(widths) == 8 << 20
    assert max(widths) <= 1 << 20


def test_expired_url_is_an_error_and_leaves_the_file(app: AppClient, vendor: VendorServer) -> None:
    """The error page is not written to the file, and the error does not show the URL."""
    vendor.replies = [Reply(403, b"<Error>expired</Error>")]
    file = io.BytesIO(b"before")

    with pytest.raises(ForbiddenError) as caught:
        app.download(f"{vendor.url}/x?signature=secret", file)
    assert "secret" not in str(caught.value)
    assert caught.value.body == "<Error>expired</Error>"
    assert file.getvalue() == b"before"


@pytest.mark.parametrize(
    "url", ["http://files.example.com/x", "file:///etc/passwd", "https://", "https://[", ""]
)
def test_download_accepts_https_only(url: str) -> None:
    """Exports contain personal data. The error does not show the URL."""
    with AppClient("app_key") as client, pytest.raises(ValidationError) as caught:
        client.download(url, io.BytesIO())
    assert "passwd" not in str(caught.value)


def test_download_follows_redirects_to_https_only(make_app: MakeApp, vendor: VendorServer) -> None:
    """No key is sent, so any https host is allowed."""
    transport = RoutedTransport(vendor.port)
    client = make_app(base_url=None, transport=transport)
    vendor.replies = [
        Reply(302, b"", {"location": "https://other.example.com/y"}),
        Reply(200, b"here"),
        Reply(302, b"", {"location": "http://other.example.com/y"}),
    ]
    file = io.BytesIO()

    client.download("https://files.example.com/x", file)
    assert file.getvalue() == b"here"
    assert vendor.calls[1].headers["host"] == "other.example.com"
    with pytest.raises(RedirectError):
        client.download("https://files.example.com/x", file)
    transport.close()


def test_import_loads_no_noun_and_no_inventory() -> None:
    """The import is fast: a noun is imported at its first use."""
    code = (
        "import sys, core.app_api as a; c = a.AppClient('k');"
        "loaded = [m for m in sys.modules if m.startswith('core.app_api')];"
        "c.segments; print(*sorted(loaded), 'then', 'core.app_api.segments' in sys.modules)"
    )

    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == (
        "core.app_api core.app_api.client core.app_api.declarations core.app_api.nouns then True"
    )
