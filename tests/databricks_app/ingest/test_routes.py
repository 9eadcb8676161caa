"""The HTTP routes of the real app: paths, methods, headers, and who may see which page."""

from __future__ import annotations

import io
import itertools
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from flask import Response
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs
from werkzeug.test import create_environ, run_wsgi_app

from benchmarks.harness.process_table import wait_until
from databricks_app.app import INBOX, create_app
from databricks_app.endpoint import RETRY_AFTER_SECONDS, WEBHOOK_PATH
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.runtime import status
from databricks_app.settings import Settings
from tests.support.spellings import OTHERS, SPELLINGS

BODY = b'{"event_id":"e1","data":{"recipient":"ada@example.com"}}'
FINGERPRINT = "651bf3b7"
PERSONAL = ("ada@example.com", "test_signing_key", "right_token")

ADMIN = {"Authorization": "Bearer right_token"}

Sign = Callable[..., dict[str, str]]


def samples(client: FlaskClient) -> dict[tuple[str, str, str], float]:
    """The samples of `/metrics`: value by name, reason and key."""
    families = text_string_to_metric_families(client.get("/metrics", headers=ADMIN).text)
    return {
        (one.name, one.labels.get("reason", ""), one.labels.get("key", "")): one.value
        for family in families
        for one in family.samples
    }


def rejected(client: FlaskClient) -> dict[str, float]:
    """The refusals in `/metrics`, by reason."""
    name = "ciolake_rejected_requests_total"
    return {key[1]: value for key, value in samples(client).items() if key[0] == name}


def environ_of(headers: dict[str, str]) -> dict[str, str]:
    """Return headers under their WSGI names."""
    return {"HTTP_" + name.upper().replace("-", "_"): headers[name] for name in headers}


def raw(client: FlaskClient, **environ: Any) -> Response:
    """Send a request with these values in its WSGI environ; None removes a value."""
    made = {**create_environ(WEBHOOK_PATH, method="POST"), **environ}
    given = {name: value for name, value in made.items() if value is not None}
    # Not through the client, because it normalises paths and headers.
    body, status_line, headers = run_wsgi_app(client.application, given)
    return Response(body, status_line, headers)


def test_a_signed_request_is_answered_200_with_an_empty_body(
    client: FlaskClient, sign: Sign
) -> None:
    """The answer has only the headers that every answer has."""
    response = client.post(WEBHOOK_PATH, data=BODY, headers=sign(BODY))

    assert response.status_code == 200
    assert response.data == b""
    assert dict(response.headers) == {
        "Content-Length": "0",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }


def test_an_acknowledged_request_is_read_back_by_the_loader(
    client: FlaskClient, sign: Sign, inbox: LocalInbox, settings: Settings
) -> None:
    """An event that was answered 200 is in the inbox, and is counted under its key."""
    client.post(WEBHOOK_PATH, data=BODY, headers=sign(BODY))
    shown = samples(client)
    inbox.close()

    (batch,) = SegmentReader(settings.inbox_dir).batches(10, 10**9)
    assert [record.body for record in batch.records] == [BODY]
    assert shown["ciolake_accepted_events_total", "", FINGERPRINT] == 1
    assert shown["ciolake_accepted_bytes_total", "", ""] == len(BODY)
    assert shown["ciolake_inbox_pending_events", "", ""] == 1


def test_a_query_string_makes_no_difference(client: FlaskClient, sign: Sign) -> None:
    """The path is the same with a query string."""
    response = client.post(f"{WEBHOOK_PATH}?a=b", data=BODY, headers=sign(BODY))

    assert response.status_code == 200


OTHER_PATHS = (
    *OTHERS,
    "/healthz/",
    "//healthz",
    "//metrics",
    "/Metrics",
    "/readyz//",
    "/static/x.css",
    "/favicon.ico",
    "/%00",
    "/%C3%A9",
)


def test_another_path_is_404(client: FlaskClient, sign: Sign) -> None:
    """For every method, also with a valid signature; there is no redirect to a similar path."""
    signature = environ_of(sign(b""))
    requests = list(itertools.product(OTHER_PATHS, ["GET", "POST", "HEAD", "OPTIONS", "PUT"]))

    wrong = {}
    for path, method in requests:
        response = raw(
            client, PATH_INFO=unquote(path, "latin-1"), REQUEST_METHOD=method, **signature
        )
        if (response.status_code, response.data) != (404, b""):
            wrong[method, path] = response.status

    assert wrong == {}
    # The signature shows that Customer.io was given a wrong address.
    assert rejected(client) == {"misdirected": len(requests)}


@pytest.mark.parametrize(
    ("path", "method", "reason"),
    [("/x", "POST", "not_found"), (WEBHOOK_PATH, "GET", "method_not_allowed")],
)
def test_a_wrong_path_or_method_is_of_a_stranger_without_the_signature_header(
    client: FlaskClient, sign: Sign, path: str, method: str, reason: str
) -> None:
    """Scanners do not send it; with it the address in Customer.io is wrong."""
    raw(client, PATH_INFO=path, REQUEST_METHOD=method)
    raw(client, PATH_INFO=path, REQUEST_METHOD=method, **environ_of(sign(b"")))

    assert rejected(client) == {reason: 1, "misdirected": 1}


def test_another_spelling_is_the_same_path(client: FlaskClient, sign: Sign) -> None:
    """The receiver serves a misspelled webhook address; it does not redirect."""
    signature = environ_of(sign(b""))

    answers = {
        path: raw(client, PATH_INFO=unquote(path, "latin-1"), **signature).status_code
        for path in SPELLINGS
    }

    assert answers == dict.fromkeys(SPELLINGS, 200)


def test_another_method_is_405(client: FlaskClient) -> None:
    """Every spelling of the webhook path accepts only POST, and `Allow` says so."""
    methods = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"]
    requests = list(itertools.product([WEBHOOK_PATH, *SPELLINGS], methods))

    wrong = {}
    for path, method in requests:
        response = raw(client, PATH_INFO=unquote(path, "latin-1"), REQUEST_METHOD=method)
        answer = (response.status_code, response.headers.get("Allow"), response.data)
        if answer != (405, "POST", b""):
            wrong[method, path] = answer

    assert wrong == {}
    assert rejected(client) == {"method_not_allowed": len(requests)}


def test_health_and_metrics_accept_only_get_and_head(client: FlaskClient) -> None:
    """Other methods are answered 405, and `Allow` says so."""
    requests = list(
        itertools.product(["/healthz", "/readyz", "/metrics"], ["POST", "OPTIONS", "DELETE"])
    )

    responses = {
        (method, path): client.open(path, method=method, headers=ADMIN) for path, method in requests
    }

    assert {key: one.status_code for key, one in responses.items()} == dict.fromkeys(responses, 405)
    assert {one.headers["Allow"] for one in responses.values()} == {"GET, HEAD"}


@pytest.mark.parametrize(
    ("settings_changed", "headers", "status_code", "reason", "key"),
    [
        pytest.param({"signing_keys": ()}, {}, 503, "no_key", "", id="no-key"),
        pytest.param({}, None, 401, "missing_header", "", id="missing"),
        pytest.param({}, {"X-CIO-Signature": "00"}, 401, "malformed_header", "", id="malformed"),
        pytest.param({}, {"X-CIO-Signature": "0" * 64}, 503, "wrong_signature", "", id="wrong"),
        pytest.param(
            {"unverified_status": 401},
            {"X-CIO-Signature": "0" * 64},
            401,
            "wrong_signature",
            "",
            id="wrong-always-401",
        ),
        pytest.param({}, {"at": "1"}, 401, "stale_timestamp", FINGERPRINT, id="stale"),
    ],
)
def test_a_refusal_is_answered_and_counted(
    settings: Settings,
    inbox: LocalInbox,
    now: Callable[[], float],
    sign: Sign,
    settings_changed: dict[str, Any],
    headers: dict[str, str] | None,
    status_code: int,
    reason: str,
    key: str,
) -> None:
    """Each refusal has a status, an empty body and a counter; each 503 has Retry-After."""
    app = create_app(replace(settings, **settings_changed), inbox=inbox, now=now)
    client = app.test_client()
    if headers is not None:
        at = headers.pop("at", None)
        headers = {**sign(BODY, at=None if at is None else int(at)), **headers}

    response = client.post(WEBHOOK_PATH, data=BODY, headers=headers)

    assert response.status_code == status_code
    assert response.data == b""
    retry_after = str(RETRY_AFTER_SECONDS) if status_code == 503 else None
    assert response.headers.get("Retry-After") == retry_after
    assert samples(client)["ciolake_rejected_requests_total", reason, key] == 1
    assert list(settings.inbox_dir.iterdir()) == []


def test_a_doubled_header_is_refused(client: FlaskClient, sign: Sign) -> None:
    """A request with two signatures is refused, even if one of them is valid."""
    headers = sign(BODY)
    right, wrong = headers["X-CIO-Signature"], "0" * 64

    for joined in (f"{right},{wrong}", f"{wrong},{right}", f"{right},{right}"):
        headers["X-CIO-Signature"] = joined
        assert client.post(WEBHOOK_PATH, data=BODY, headers=headers).status_code == 401


def test_a_closed_inbox_is_503_with_retry_after(
    client: FlaskClient, sign: Sign, inbox: LocalInbox
) -> None:
    """While the receiver stops, the answer says when the sender is to repeat."""
    inbox.close()

    response = client.post(WEBHOOK_PATH, data=BODY, headers=sign(BODY))

    assert response.status_code == 503
    assert response.headers["Retry-After"] == str(RETRY_AFTER_SECONDS)
    assert rejected(client) == {"stopping": 1}


class FailingStream(io.RawIOBase):
    """A stream that raises an unforeseen error."""

    def read(self, _size: int = -1) -> bytes:
        """Fail."""
        raise RuntimeError("ada@example.com")


def test_an_unforeseen_error_of_the_webhook_is_503(client: FlaskClient, sign: Sign) -> None:
    """It is never 500, because that would stall the feed for an hour."""
    headers = sign(BODY)

    response = raw(
        client,
        **environ_of(headers),
        **{"wsgi.input": FailingStream()},
    )

    assert response.status_code == 503
    assert response.headers["Retry-After"] == str(RETRY_AFTER_SECONDS)
    assert rejected(client) == {"exception": 1}


def test_an_unforeseen_error_of_another_route_is_503_and_logged(
    settings: Settings, inbox: LocalInbox
) -> None:
    """The log has the type of the error."""

    def fail() -> float:
        raise RuntimeError("ada@example.com")

    client = create_app(settings, inbox=inbox, now=fail).test_client()

    with capture_logs() as lines:
        response = client.get("/readyz")

    assert response.status_code == 503
    assert [(line["event"], line["error"]) for line in lines] == [
        ("request_failed", "RuntimeError")
    ]


def test_readyz_reports_a_missing_inbox_folder(client: FlaskClient, settings: Settings) -> None:
    """The receiver would refuse now: `/readyz` is 503 with the reason; `/metrics` works."""
    settings.inbox_dir.rmdir()

    ready = client.get("/readyz", headers=ADMIN)
    counts = client.get("/metrics", headers=ADMIN)
    others = client.get("/readyz")

    settings.inbox_dir.mkdir()
    said = ready.json or {}
    assert (ready.status_code, said["status"]) == (503, "refusing")
    assert f"folder {settings.inbox_dir} cannot be read" in said["problems"][0]
    assert said["inbox_pending_events"] is None
    assert (others.status_code, others.json) == (503, {"status": "refusing"})
    assert (counts.status_code, "ciolake_inbox_pending_events NaN" in counts.text) == (200, True)


def test_the_receiver_works_again_when_the_inbox_folder_is_back(
    client: FlaskClient, settings: Settings, sign: Sign
) -> None:
    """Requests meanwhile are answered 503, and no restart is needed."""
    settings.inbox_dir.rmdir()
    refused = client.post(WEBHOOK_PATH, data=BODY, headers=sign(BODY)).status_code
    without = client.get("/readyz").status_code
    settings.inbox_dir.mkdir()

    wait_until(lambda: client.get("/readyz").status_code == 200)
    stored = client.post(WEBHOOK_PATH, data=BODY, headers=sign(BODY)).status_code

    assert (refused, without, stored) == (503, 503, 200)


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_readyz_reports_a_run_folder_that_cannot_be_read(
    client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The receiver still accepts events: `/readyz` is 200 with the problem; `/metrics` works."""
    folder = tmp_path / "run"
    if how == "damaged":
        (folder / "metrics").mkdir(parents=True)
        (folder / "metrics/counter_1.db").write_bytes(b"\xff\xff\x00\x00" + b"\x7f" * 60)
    monkeypatch.setenv(status.RUN_DIR, str(folder))
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(folder / "metrics"))

    ready = client.get("/readyz", headers=ADMIN)
    counts = client.get("/metrics", headers=ADMIN)

    said = ready.json or {}
    problems = " ".join(said["problems"])
    assert (ready.status_code, said["status"]) == (200, "degraded")
    assert "counters of all processes cannot be read" in problems
    assert (f"run folder {folder} cannot be read" in problems) == (how == "missing")
    assert (counts.status_code, "ciolake_counters_readable 0" in counts.text) == (200, True)


def test_readyz_reports_an_inbox_that_does_not_answer(
    settings: Settings, now: Callable[[], float]
) -> None:
    """The first page says so after three seconds; later pages do not wait."""

    class HangingInbox:
        def append(self, _record: Record, _deadline_seconds: float) -> None:
            """Store nothing."""

        def close(self) -> None:
            """End nothing."""

        def trouble(self) -> str | None:
            """Wait, like a call to a disk that hangs."""
            assert may_answer.wait(30)
            return None

    may_answer = threading.Event()
    client = create_app(settings, inbox=HangingInbox(), now=now).test_client()

    first = client.get("/readyz", headers=ADMIN)
    began = time.monotonic()
    counts = client.get("/metrics", headers=ADMIN)
    seconds = time.monotonic() - began
    may_answer.set()

    assert first.status_code == 503
    assert "has not answered for 3 s" in (first.json or {})["problems"][0]
    assert (counts.status_code, "ciolake_inbox_pending_events NaN" in counts.text) == (200, True)
    assert seconds < 2


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_a_chunked_request_is_accepted(client: FlaskClient, sign: Sign, size: int) -> None:
    """Without Content-Length the body is the whole stream."""
    body = b"x" * size
    headers = sign(body)

    response = raw(
        client,
        CONTENT_LENGTH=None,
        HTTP_TRANSFER_ENCODING="chunked",
        **environ_of(headers),
        **{"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True},
    )

    assert response.status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [None, "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "a/\xff"],
)
def test_the_content_type_makes_no_difference(
    client: FlaskClient, sign: Sign, content_type: str | None
) -> None:
    """The raw bytes are read for every content type; no form is parsed."""
    headers = sign(BODY)

    response = raw(
        client,
        CONTENT_TYPE=content_type,
        CONTENT_LENGTH=str(len(BODY)),
        **environ_of(headers),
        **{"wsgi.input": io.BytesIO(BODY)},
    )

    assert response.status_code == 200


texts = st.text(st.characters(max_codepoint=255), max_size=30)


@hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.just(WEBHOOK_PATH) | texts.map(lambda text: "/" + text) | texts,
    st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "CONNECT", "BREW"]),
    st.dictionaries(
        st.sampled_from(
            [
                "HTTP_HOST",
                "HTTP_CONNECTION",
                "HTTP_UPGRADE",
                "HTTP_EXPECT",
                "HTTP_COOKIE",
                "HTTP_X_CIO_SIGNATURE",
                "HTTP_X_CIO_TIMESTAMP",
                "CONTENT_TYPE",
                "CONTENT_LENGTH",
                "QUERY_STRING",
                "SCRIPT_NAME",
            ]
        ),
        texts | st.sampled_from(["upgrade", "websocket", "a" * 300, "[", "x:y:z", "\xff.example"]),
    ),
)
def test_an_unsigned_request_is_always_refused(
    client: FlaskClient, path: str, method: str, headers: dict[str, str]
) -> None:
    """For every path, method and header; the answer is never a redirect or 500."""
    response = raw(client, PATH_INFO=path, REQUEST_METHOD=method, **headers)

    assert response.status_code in {400, 401, 404, 405, 408, 413, 503}
    assert "Location" not in response.headers


def test_a_signed_request_is_accepted_with_any_host(client: FlaskClient, sign: Sign) -> None:
    """The receiver does not check the header Host."""
    hosts = ["", "a.", "[", "\xff.example", "x:y:z", "a b", "*", "a_b"]
    signature = environ_of(sign(b""))

    answers = {host: raw(client, HTTP_HOST=host, **signature).status_code for host in hosts}

    assert answers == dict.fromkeys(hosts, 200)


def test_healthz_is_always_alive(client: FlaskClient, inbox: LocalInbox) -> None:
    """Everybody may see it, and it depends on nothing."""
    inbox.close()

    response = client.get("/healthz", headers={"Host": "events.example.com"})

    assert (response.status_code, response.text) == (200, "alive\n")
    assert client.head("/healthz").status_code == 200


def test_readyz_shows_its_detail_for_the_admin_token(client: FlaskClient, sign: Sign) -> None:
    """It has counts, sizes and problems."""
    client.post(WEBHOOK_PATH, data=BODY, headers=sign(BODY))

    response = client.get("/readyz", headers=ADMIN)

    said = json.loads(response.data)
    assert response.status_code == 200
    assert said["status"] == "degraded"  # no loader runs here
    assert said["inbox_pending_events"] == 1
    assert said["inbox_pending_bytes"] > len(BODY)
    (problem,) = said["problems"]
    assert "loader has not reported yet" in problem


@pytest.mark.parametrize(
    "headers", [{}, {"Host": "127.0.0.1:8000"}, {"Authorization": "Bearer wrong"}]
)
def test_readyz_shows_only_its_status_to_others(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    """A load balancer needs no more."""
    assert client.get("/readyz", headers=headers).json == {"status": "degraded"}


@pytest.mark.parametrize("headers", [ADMIN, {}], ids=["admin", "others"])
def test_readyz_is_503_if_the_receiver_would_refuse(
    client: FlaskClient, inbox: LocalInbox, headers: dict[str, str]
) -> None:
    """Only the admin token shows the reason."""
    inbox.close()

    response = client.get("/readyz", headers=headers)

    assert response.status_code == 503
    said = response.json or {}
    assert said["status"] == "refusing"
    assert ("problems" in said) == (headers == ADMIN)
    if headers == ADMIN:
        assert "is stopping" in said["problems"][0]


def test_readyz_reports_stale_timestamps(client: FlaskClient, sign: Sign) -> None:
    """From the first signed request with a timestamp outside the window."""
    client.post(WEBHOOK_PATH, data=BODY, headers=sign(BODY, at=1))

    problems = (client.get("/readyz", headers=ADMIN).json or {})["problems"]

    assert problems[-1].startswith("1 request ")
    assert "outside the time window" in problems[-1]


def test_metrics_are_shown_for_the_admin_token(client: FlaskClient) -> None:
    """They are in Prometheus' text format and include the gauges of the inbox."""
    response = client.get("/metrics", headers=ADMIN)

    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    shown = samples(client)
    assert shown["ciolake_inbox_pending_events", "", ""] == 0
    assert shown["ciolake_oldest_pending_seconds", "", ""] == 0
    assert shown["ciolake_writer_silent_seconds", "", ""] == -1


def test_metrics_show_the_silence_of_the_loader(
    client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: Any
) -> None:
    """The seconds since its status in the run folder."""
    monkeypatch.setenv(status.RUN_DIR, str(tmp_path))
    status.write(tmp_path, status.LoaderStatus(now() - 12, "2023-11-14T22:13:00+00:00"))

    assert samples(client)["ciolake_writer_silent_seconds", "", ""] == 12
    shown = client.get("/readyz", headers=ADMIN).json or {}
    assert list(shown.pop("verified_keys").values()) == [None]
    assert shown == {
        "status": "ok",
        "inbox_pending_events": 0,
        "inbox_pending_bytes": 0,
        "oldest_pending_seconds": None,
        "signature_faults": [],
        "last_load_at": "2023-11-14T22:13:00+00:00",
        "sender": None,
        "problems": [],
    }


@pytest.mark.parametrize(
    "headers",
    [{}, {"Host": "127.0.0.1:8000"}, {"Via": "1.1 proxy"}, {"Authorization": "Bearer wrong"}],
)
def test_metrics_are_hidden_from_others(client: FlaskClient, headers: dict[str, str]) -> None:
    """Also on this machine. The answer says what is needed."""
    response = client.get("/metrics", headers=headers)

    assert response.status_code == 403
    assert "CIO_ADMIN_TOKEN" in response.text
    assert "ciolake_" not in response.text


def test_oldest_pending_is_an_age_in_seconds(client: FlaskClient, settings: Settings) -> None:
    """It is the age of the oldest event that is not in the tables."""
    name = "1699999990000000-00112233445566ff-1.seg"
    (settings.inbox_dir / name).write_bytes(b"")

    assert samples(client)["ciolake_oldest_pending_seconds", "", ""] == 10
    assert (client.get("/readyz", headers=ADMIN).json or {})["oldest_pending_seconds"] == 10


def test_logs_metrics_and_health_contain_no_secret_and_no_personal_data(
    settings: Settings,
    inbox: LocalInbox,
    now: Callable[[], float],
    sign: Sign,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After requests with every kind of answer."""
    caplog.set_level(logging.DEBUG)
    guarded = replace(settings, admin_token="right_token")
    client = create_app(guarded, inbox=inbox, now=now).test_client()
    signed = sign(BODY)
    for headers in (
        signed,
        {},
        {"X-CIO-Signature": "ada@example.com", "X-CIO-Timestamp": "ada@example.com"},
        {**signed, "X-CIO-Signature": "0" * 64},
        sign(BODY, at=1),
    ):
        client.post(WEBHOOK_PATH, data=BODY, headers=headers)
        client.post("/ada@example.com", data=BODY, headers=headers)
        client.get(WEBHOOK_PATH, headers=headers)
    raw(client, **environ_of(signed), **{"wsgi.input": FailingStream()})
    inbox.close()
    client.post(WEBHOOK_PATH, data=BODY, headers=signed)
    shown = "".join(client.get(path, headers=ADMIN).text for path in ("/metrics", "/readyz"))

    out, err = capfd.readouterr()

    assert "request_failed" in out + err + caplog.text
    for secret in (*PERSONAL, signed["X-CIO-Signature"]):
        assert secret not in out + err + caplog.text + shown


def test_create_app_reads_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments, as gunicorn calls it, it creates its settings and inbox."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CIO_WEBHOOK_SIGNING_KEYS", "test_signing_key")

    app = create_app()

    app.extensions[INBOX].close()
    assert app.test_client().post(WEBHOOK_PATH).status_code == 401
    assert (tmp_path / "data" / "inbox").is_dir()


def test_create_app_closes_segments_after_half_a_flush_interval(
    settings: Settings, sign: Sign
) -> None:
    """So an event waits at most one and a half intervals."""
    app = create_app(replace(settings, flush_interval_seconds=0.05))
    body, at = b"{}", int(datetime.now(UTC).timestamp())
    client = app.test_client()

    client.post(WEBHOOK_PATH, data=body, headers=sign(body, at=at))

    deadline = datetime.now(UTC).timestamp() + 10
    while not list(settings.inbox_dir.glob("*-1.seg")):
        assert datetime.now(UTC).timestamp() < deadline
    app.extensions[INBOX].close()
