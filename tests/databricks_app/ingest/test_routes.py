"""The HTTP face, through the real app: paths, methods, headers, and what is shown to whom."""

from __future__ import annotations

import io
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
    """What `/metrics` shows: value by name, reason and key."""
    families = text_string_to_metric_families(client.get("/metrics", headers=ADMIN).text)
    return {
        (one.name, one.labels.get("reason", ""), one.labels.get("key", "")): one.value
        for family in families
        for one in family.samples
    }


def rejected(client: FlaskClient) -> dict[str, float]:
    """The refusals that `/metrics` shows, by reason."""
    name = "ciolake_rejected_requests_total"
    return {key[1]: value for key, value in samples(client).items() if key[0] == name}


def environ_of(headers: dict[str, str]) -> dict[str, str]:
    """Headers as a WSGI server names them."""
    return {"HTTP_" + name.upper().replace("-", "_"): headers[name] for name in headers}


def raw(client: FlaskClient, **environ: Any) -> Response:
    """Send a request with this WSGI environ in place of an ordinary one."""
    made = {**create_environ(WEBHOOK_PATH, method="POST"), **environ}
    given = {name: value for name, value in made.items() if value is not None}
    # Not through the client, which tidies up what it is given.
    body, status_line, headers = run_wsgi_app(client.application, given)
    return Response(body, status_line, headers)


def test_a_signed_request_is_200_and_empty(client: FlaskClient, sign: Sign) -> None:
    """The answer says nothing but that it is stored."""
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
    """What was answered 200 is in the inbox, and counted under its key."""
    client.post(WEBHOOK_PATH, data=BODY, headers=sign(BODY))
    shown = samples(client)
    inbox.close()

    (batch,) = SegmentReader(settings.inbox_dir).batches(10, 10**9)
    assert [record.body for record in batch.records] == [BODY]
    assert shown["ciolake_accepted_events_total", "", FINGERPRINT] == 1
    assert shown["ciolake_accepted_bytes_total", "", ""] == len(BODY)
    assert shown["ciolake_inbox_pending_events", "", ""] == 1


def test_a_query_string_decides_nothing(client: FlaskClient, sign: Sign) -> None:
    """A parameter added to the address is no other path."""
    response = client.post(f"{WEBHOOK_PATH}?a=b", data=BODY, headers=sign(BODY))

    assert response.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
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
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "PUT"])
def test_another_path_is_404(client: FlaskClient, sign: Sign, path: str, method: str) -> None:
    """Whatever the method and the signature: no redirect to a path that is almost right."""
    response = raw(
        client,
        PATH_INFO=unquote(path, "latin-1"),
        REQUEST_METHOD=method,
        **environ_of(sign(b"")),
    )

    assert response.status_code == 404
    assert response.data == b""
    assert rejected(client) == {"not_found": 1}


@pytest.mark.parametrize("path", SPELLINGS)
def test_another_spelling_is_the_same_path(client: FlaskClient, sign: Sign, path: str) -> None:
    """A slip in the configured address is served, not sent elsewhere."""
    response = raw(client, PATH_INFO=unquote(path, "latin-1"), **environ_of(sign(b"")))

    assert response.status_code == 200


@pytest.mark.parametrize("path", SPELLINGS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_another_method_of_a_spelling_is_405(client: FlaskClient, path: str, method: str) -> None:
    """The path is right, and the answer says what is not."""
    response = raw(client, PATH_INFO=unquote(path, "latin-1"), REQUEST_METHOD=method)

    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"
    assert rejected(client) == {"method_not_allowed": 1}


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"])
def test_another_method_is_405(client: FlaskClient, method: str) -> None:
    """The webhook takes POST alone; the answer names it."""
    response = client.open(WEBHOOK_PATH, method=method)

    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"
    assert response.data == b""
    assert rejected(client) == {"method_not_allowed": 1}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
@pytest.mark.parametrize("method", ["POST", "OPTIONS", "DELETE"])
def test_what_is_shown_is_only_read(client: FlaskClient, path: str, method: str) -> None:
    """Health and metrics take GET and HEAD."""
    response = client.open(path, method=method)

    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("settings_changed", "headers", "status_code", "reason", "key"),
    [
        pytest.param({"signing_keys": ()}, {}, 503, "no_key", "", id="no-key"),
        pytest.param({}, None, 401, "missing_header", "", id="missing"),
        pytest.param({}, {"X-CIO-Signature": "00"}, 401, "malformed_header", "", id="malformed"),
        pytest.param({}, {"X-CIO-Signature": "0" * 64}, 401, "wrong_signature", "", id="wrong"),
        pytest.param(
            {"unverified_status": 503},
            {"X-CIO-Signature": "0" * 64},
            503,
            "wrong_signature",
            "",
            id="wrong-during-set-up",
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
    """Each refusal has its status, an empty body, and a counter; each 503 says when to repeat."""
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
    """A second signature, before or after the right one, spoils both."""
    headers = sign(BODY)
    right, wrong = headers["X-CIO-Signature"], "0" * 64

    for joined in (f"{right},{wrong}", f"{wrong},{right}", f"{right},{right}"):
        headers["X-CIO-Signature"] = joined
        assert client.post(WEBHOOK_PATH, data=BODY, headers=headers).status_code == 401


def test_a_closed_inbox_is_503_with_retry_after(
    client: FlaskClient, sign: Sign, inbox: LocalInbox
) -> None:
    """While the receiver stops the sender is told when to repeat."""
    inbox.close()

    response = client.post(WEBHOOK_PATH, data=BODY, headers=sign(BODY))

    assert response.status_code == 503
    assert response.headers["Retry-After"] == str(RETRY_AFTER_SECONDS)
    assert rejected(client) == {"stopping": 1}


class Broken(io.RawIOBase):
    """A stream that fails in a way nobody foresaw."""

    def read(self, _size: int = -1) -> bytes:
        """Fail."""
        raise RuntimeError("ada@example.com")


def test_an_unforeseen_fault_of_the_webhook_is_503(client: FlaskClient, sign: Sign) -> None:
    """Never a 500, which would stall the feed for an hour."""
    headers = sign(BODY)

    response = raw(
        client,
        **environ_of(headers),
        **{"wsgi.input": Broken()},
    )

    assert response.status_code == 503
    assert response.headers["Retry-After"] == str(RETRY_AFTER_SECONDS)
    assert rejected(client) == {"exception": 1}


def test_an_unforeseen_fault_elsewhere_is_503_and_logged(
    settings: Settings, inbox: LocalInbox
) -> None:
    """A fault behind another route is counted and told of by its kind."""

    def fail() -> float:
        raise RuntimeError("ada@example.com")

    client = create_app(settings, inbox=inbox, now=fail).test_client()

    with capture_logs() as lines:
        response = client.get("/readyz")

    assert response.status_code == 503
    assert [(line["event"], line["error"]) for line in lines] == [
        ("request_failed", "RuntimeError")
    ]


def test_a_missing_inbox_folder_is_told(client: FlaskClient, settings: Settings) -> None:
    """The receiver would refuse now, so it is 503, with the sentence; metrics are shown."""
    settings.inbox_dir.rmdir()

    ready = client.get("/readyz", headers=ADMIN)
    counts = client.get("/metrics", headers=ADMIN)
    others = client.get("/readyz")

    settings.inbox_dir.mkdir()
    said = ready.json or {}
    assert (ready.status_code, said["status"]) == (503, "refusing")
    assert f"the inbox folder {settings.inbox_dir} cannot be read" in said["problems"][0]
    assert said["inbox_pending_events"] is None
    assert (others.status_code, others.json) == (503, {"status": "refusing"})
    assert (counts.status_code, "ciolake_inbox_pending_events NaN" in counts.text) == (200, True)


def test_an_inbox_folder_that_is_back_is_taken_note_of(
    client: FlaskClient, settings: Settings, sign: Sign
) -> None:
    """What was refused meanwhile was 503, and nothing has to be started again."""
    settings.inbox_dir.rmdir()
    refused = client.post(WEBHOOK_PATH, data=BODY, headers=sign(BODY)).status_code
    without = client.get("/readyz").status_code
    settings.inbox_dir.mkdir()

    wait_until(lambda: client.get("/readyz").status_code == 200)
    stored = client.post(WEBHOOK_PATH, data=BODY, headers=sign(BODY)).status_code

    assert (refused, without, stored) == (503, 503, 200)


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_run_folder_that_cannot_be_read_is_told(
    client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The receiver takes events all the same: 200, with the sentence; metrics are shown."""
    folder = tmp_path / "run"
    if how == "damaged":
        (folder / "metrics").mkdir(parents=True)
        (folder / "metrics/counter_1.db").write_bytes(b"\xff\xff\x00\x00" + b"\x7f" * 60)
    monkeypatch.setenv(status.RUN_DIR, str(folder))
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(folder / "metrics"))

    ready = client.get("/readyz", headers=ADMIN)
    counts = client.get("/metrics", headers=ADMIN)

    said = ready.json or {}
    words = " ".join(said["problems"])
    assert (ready.status_code, said["status"]) == (200, "degraded")
    assert "the counters of all processes cannot be read" in words
    assert (f"the run folder {folder} cannot be read" in words) == (how == "missing")
    assert (counts.status_code, "ciolake_counters_readable 0" in counts.text) == (200, True)


def test_an_inbox_that_does_not_answer_is_told(
    settings: Settings, now: Callable[[], float]
) -> None:
    """After three seconds the pages say so; later ones wait for nothing."""

    class Silent:
        def append(self, _record: Record, _deadline_seconds: float) -> None:
            """Store nothing."""

        def close(self) -> None:
            """End nothing."""

        def trouble(self) -> str | None:
            """Wait as a call to a disk does that is gone."""
            assert may_answer.wait(30)
            return None

    may_answer = threading.Event()
    client = create_app(settings, inbox=Silent(), now=now).test_client()

    first = client.get("/readyz", headers=ADMIN)
    began = time.monotonic()
    counts = client.get("/metrics", headers=ADMIN)
    seconds = time.monotonic() - began
    may_answer.set()

    assert first.status_code == 503
    assert "the disk of the inbox has not answered for 3 s" in (first.json or {})["problems"]
    assert (counts.status_code, "ciolake_inbox_pending_events NaN" in counts.text) == (200, True)
    assert seconds < 2


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_a_chunked_request_is_taken(client: FlaskClient, sign: Sign, size: int) -> None:
    """Without Content-Length the body is what the stream holds."""
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
def test_the_content_type_decides_nothing(
    client: FlaskClient, sign: Sign, content_type: str | None
) -> None:
    """The raw bytes are read whatever they are said to be; no form is parsed."""
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
def test_no_unsigned_request_gets_anything_but_a_plain_refusal(
    client: FlaskClient, path: str, method: str, headers: dict[str, str]
) -> None:
    """Never a redirect or a 500, whatever path, method and headers."""
    response = raw(client, PATH_INFO=path, REQUEST_METHOD=method, **headers)

    assert response.status_code in {400, 401, 404, 405, 408, 413, 503}
    assert "Location" not in response.headers


@pytest.mark.parametrize("host", ["", "a.", "[", "\xff.example", "x:y:z", "a b", "*", "a_b"])
def test_a_strange_host_does_not_hinder_a_signed_request(
    client: FlaskClient, sign: Sign, host: str
) -> None:
    """The name by which we are called is not ours to judge."""
    headers = sign(b"")

    response = raw(
        client,
        HTTP_HOST=host,
        **environ_of(headers),
    )

    assert response.status_code == 200


def test_healthz_says_nothing_but_alive(client: FlaskClient, inbox: LocalInbox) -> None:
    """It is open to all and does not depend on anything."""
    inbox.close()

    response = client.get("/healthz", headers={"Host": "events.example.com"})

    assert (response.status_code, response.text) == (200, "alive\n")
    assert client.head("/healthz").status_code == 200


def test_readyz_shows_its_detail_for_the_admin_token(client: FlaskClient, sign: Sign) -> None:
    """Counts, the age of the oldest event and problems in words."""
    client.post(WEBHOOK_PATH, data=BODY, headers=sign(BODY))

    response = client.get("/readyz", headers=ADMIN)

    said = json.loads(response.data)
    assert response.status_code == 200
    assert said["status"] == "degraded"  # no loader runs here
    assert said["inbox_pending_events"] == 1
    assert said["inbox_pending_bytes"] > len(BODY)
    assert said["problems"] == [
        "the loader has not reported yet: events are kept in the inbox",
    ]


@pytest.mark.parametrize(
    "headers", [{}, {"Host": "127.0.0.1:8000"}, {"Authorization": "Bearer wrong"}]
)
def test_readyz_tells_others_its_status_alone(client: FlaskClient, headers: dict[str, str]) -> None:
    """A balancer needs no more than that."""
    assert client.get("/readyz", headers=headers).json == {"status": "degraded"}


@pytest.mark.parametrize("headers", [ADMIN, {}], ids=["admin", "others"])
def test_readyz_is_503_if_the_receiver_would_refuse(
    client: FlaskClient, inbox: LocalInbox, headers: dict[str, str]
) -> None:
    """And only then."""
    inbox.close()

    response = client.get("/readyz", headers=headers)

    assert response.status_code == 503
    said = response.json or {}
    assert said["status"] == "refusing"
    assert ("problems" in said) == (headers == ADMIN)
    if headers == ADMIN:
        assert said["problems"][0] == "the receiver is stopping"


def test_readyz_tells_of_stale_timestamps(client: FlaskClient, sign: Sign) -> None:
    """The first rightly signed request outside the window is seen there too."""
    client.post(WEBHOOK_PATH, data=BODY, headers=sign(BODY, at=1))

    problems = (client.get("/readyz", headers=ADMIN).json or {})["problems"]

    assert problems[-1].startswith("1 rightly signed requests came outside the time window")


def test_metrics_are_shown_for_the_admin_token(client: FlaskClient) -> None:
    """In Prometheus' text format, the inbox's gauges included."""
    response = client.get("/metrics", headers=ADMIN)

    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    shown = samples(client)
    assert shown["ciolake_inbox_pending_events", "", ""] == 0
    assert shown["ciolake_oldest_pending_seconds", "", ""] == 0
    assert shown["ciolake_writer_silent_seconds", "", ""] == -1


def test_metrics_tell_of_the_loader(
    client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: Any
) -> None:
    """How long it has been silent, from what it left in the run folder."""
    monkeypatch.setenv(status.RUN_DIR, str(tmp_path))
    status.write(tmp_path, status.LoaderStatus(now() - 12, "2023-11-14T22:13:00+00:00"))

    assert samples(client)["ciolake_writer_silent_seconds", "", ""] == 12
    assert client.get("/readyz", headers=ADMIN).json == {
        "status": "ok",
        "inbox_pending_events": 0,
        "inbox_pending_bytes": 0,
        "oldest_pending_seconds": None,
        "last_load_at": "2023-11-14T22:13:00+00:00",
        "problems": [],
    }


@pytest.mark.parametrize(
    "headers",
    [{}, {"Host": "127.0.0.1:8000"}, {"Via": "1.1 proxy"}, {"Authorization": "Bearer wrong"}],
)
def test_metrics_are_hidden_from_others(client: FlaskClient, headers: dict[str, str]) -> None:
    """From this machine or from elsewhere: the answer says what is needed."""
    response = client.get("/metrics", headers=headers)

    assert response.status_code == 403
    assert "CIO_ADMIN_TOKEN" in response.text
    assert "ciolake_" not in response.text


def test_oldest_pending_is_an_age(client: FlaskClient, settings: Settings) -> None:
    """Seconds since the oldest event that is not in the tables."""
    name = "1699999990000000-00112233445566ff-1.seg"
    (settings.inbox_dir / name).write_bytes(b"")

    assert samples(client)["ciolake_oldest_pending_seconds", "", ""] == 10
    assert (client.get("/readyz", headers=ADMIN).json or {})["oldest_pending_seconds"] == 10


def test_no_secret_or_personal_data_leaves_by_logs_metrics_or_health(
    settings: Settings,
    inbox: LocalInbox,
    now: Callable[[], float],
    sign: Sign,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every kind of answer, then a look at all that was written or shown."""
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
    raw(client, **environ_of(signed), **{"wsgi.input": Broken()})
    inbox.close()
    client.post(WEBHOOK_PATH, data=BODY, headers=signed)
    shown = "".join(client.get(path, headers=ADMIN).text for path in ("/metrics", "/readyz"))

    out, err = capfd.readouterr()

    assert "request_failed" in out + err + caplog.text
    for secret in (*PERSONAL, signed["X-CIO-Signature"]):
        assert secret not in out + err + caplog.text + shown


def test_create_app_reads_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As gunicorn calls it: without arguments, with settings and inbox of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CIO_WEBHOOK_SIGNING_KEYS", "test_signing_key")

    app = create_app()

    app.extensions[INBOX].close()
    assert app.test_client().post(WEBHOOK_PATH).status_code == 401
    assert (tmp_path / "data" / "inbox").is_dir()


def test_create_app_closes_after_half_a_flush_interval(settings: Settings, sign: Sign) -> None:
    """So that an event waits one and a half intervals at most."""
    app = create_app(replace(settings, flush_interval_seconds=0.05))
    body, at = b"{}", int(datetime.now(UTC).timestamp())
    client = app.test_client()

    client.post(WEBHOOK_PATH, data=body, headers=sign(body, at=at))

    deadline = datetime.now(UTC).timestamp() + 10
    while not list(settings.inbox_dir.glob("*-1.seg")):
        assert datetime.now(UTC).timestamp() < deadline
    app.extensions[INBOX].close()
