"""A real `ciolake serve` logs when refusals begin, when they end, and what to do."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.harness.events import event
from benchmarks.harness.kills import reload
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import KEY, request, signed
from core.webhooks.signature import SigningKey
from databricks_app.endpoint import WEBHOOK_PATH
from tests.support.disks import small_disk
from tests.support.strace import needs_strace, strace

FINGERPRINT = SigningKey.from_text(KEY).fingerprint
OTHER_KEY = "a key of somebody else"
PERSON = "ada@example.com"
# No event is loaded during a test.
NEVER = {"CIO_FLUSH_INTERVAL_SECONDS": "3600"}


def begun(receiver: Receiver, name: str = "request_refused") -> dict[str, dict[str, object]]:
    """The first lines of refusals, by reason."""
    return {str(line["reason"]): line for line in receiver.logged(name)}


def ended(receiver: Receiver) -> dict[str, int]:
    """The number of refusals in the last lines, by reason."""
    found: Counter[str] = Counter()
    for name in ("request_refused_ended", "stale_timestamp_ended"):
        for line in receiver.logged(name):
            found[str(line["reason"])] += int(str(line["times"]))
    return dict(found)


def post(body: bytes, **headers: str) -> bytes:
    """A request that has only these headers and its length."""
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    head = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n"
    return (head + "".join(lines)).encode() + b"\r\n" + body


def test_each_refusal_of_a_request_is_logged_once_with_what_to_do(tmp_path: Path) -> None:
    """Many of a kind are two lines, and neither contains input of a client."""
    body = event(PERSON)
    malformed = {"X_CIO_Signature": PERSON, "X_CIO_Timestamp": PERSON}
    requests = {
        "missing_header": post(body),
        "malformed_header": post(body, **malformed),
        "wrong_signature": request(body, key=OTHER_KEY),
        "stale_timestamp": request(body, signed(body, timestamp=1)),
        "too_large": request(event(PERSON, padding=9000)),
        "malformed: syntax": f"{PERSON}\r\n\r\n".encode(),
        "not_found": f"GET /{PERSON} HTTP/1.1\r\nHost: h\r\n\r\n".encode(),
        "method_not_allowed": f"GET {WEBHOOK_PATH}?{PERSON} HTTP/1.1\r\nHost: h\r\n\r\n".encode(),
    }
    with serving(tmp_path, CIO_WEB_WORKERS="1", CIO_MAX_BODY_BYTES="1024") as receiver:
        with receiver.connect() as slow:
            slow.send(request(body)[:-1])  # never finished: the server ends it
            for data in requests.values():
                for _ in range(20):
                    receiver.post(data)
            assert slow.answer().status == 408
        receiver.stop()

        lines = begun(receiver) | begun(receiver, "stale_timestamp")
        assert set(lines) == {*requests, "incomplete"}
        assert all(line["advice"] for line in lines.values())
        assert {reason: line["status"] for reason, line in lines.items() if "header" in reason} == {
            "missing_header": 401,
            "malformed_header": 401,
        }
        assert len(receiver.logged("request_refused")) == len(requests)  # one is an event apart
        assert ended(receiver) == {**dict.fromkeys(requests, 20), "incomplete": 1}
        assert_private(receiver)


def test_many_refusals_of_two_workers_are_one_line_of_each(tmp_path: Path) -> None:
    """For any number of connections; a fresh receiver answers 503 to a wrong signature."""
    with serving(tmp_path) as receiver:
        for _ in range(100):
            assert receiver.post(request(event("x"), key=OTHER_KEY)).status == 503
        receiver.stop()

        assert 1 <= len(receiver.logged("request_refused")) <= 2
        assert ended(receiver) == {"wrong_signature": 100}


def test_a_receiver_without_a_key_logs_it(tmp_path: Path) -> None:
    """At the start, and when the first event is refused."""
    with serving(tmp_path, CIO_WEBHOOK_SIGNING_KEYS="", CIO_WEB_WORKERS="1") as receiver:
        assert receiver.post(request(event("x"))).status == 503
        wait_until(lambda: bool(begun(receiver)))

        assert "CIO_WEBHOOK_SIGNING_KEYS" in str(receiver.logged("keys_missing"))
        assert "CIO_WEBHOOK_SIGNING_KEYS" in str(begun(receiver)["no_key"]["advice"])


@pytest.mark.slow
def test_active_keys_are_logged_by_fingerprint_at_start_and_reload(tmp_path: Path) -> None:
    """One line each; no line contains a key."""
    with serving(tmp_path, CIO_WEBHOOK_SIGNING_KEYS=f"{KEY},{OTHER_KEY}") as receiver:
        assert len(receiver.logged("keys_active")) == 1
        reload(receiver)
        wait_until(lambda: len(receiver.logged("keys_active")) == 2)

        other = SigningKey.from_text(OTHER_KEY).fingerprint
        for line in receiver.logged("keys_active"):
            assert line["fingerprints"] == [FINGERPRINT, other]
        assert_private(receiver)


def test_a_full_inbox_is_logged(tmp_path: Path) -> None:
    """With the limit and what to do."""
    limit = {"CIO_INBOX_MAX_BYTES": str(1 << 20), "CIO_WEB_WORKERS": "1"}
    with serving(tmp_path, **NEVER, **limit) as receiver:
        assert receiver.post(request(event("first", padding=1 << 20))).status == 200
        assert receiver.post(request(event("second"))).status == 503
        wait_until(lambda: bool(begun(receiver)))

        line = begun(receiver)["inbox_full"]
        assert (line["level"], line["status"], line["key"]) == ("error", 503, FINGERPRINT)
        assert "CIO_INBOX_MAX_BYTES" in str(line["problem"])


def test_a_missing_inbox_folder_is_logged(tmp_path: Path) -> None:
    """The receiver works again when the folder is back."""
    with serving(tmp_path, **NEVER, CIO_WEB_WORKERS="1") as receiver:
        inbox = tmp_path / "data/inbox"
        inbox.rename(tmp_path / "elsewhere")
        assert receiver.post(request(event("refused"))).status == 503
        (tmp_path / "elsewhere").rename(inbox)
        assert receiver.post(request(event("taken"))).status == 200
        receiver.stop()

        line = begun(receiver)["inbox_error"]
        assert (line["level"], line["status"]) == ("error", 503)
        assert "No such file or directory" in str(line["problem"])
        assert ended(receiver) == {"inbox_error": 1}


@needs_strace
@pytest.mark.slow
def test_a_disk_that_is_too_slow_is_logged(tmp_path: Path) -> None:
    """If a sync takes longer than the deadline."""
    slow = strace(tmp_path / "strace", "fdatasync", "fdatasync:delay_enter=1500000")
    deadline = {"CIO_APPEND_DEADLINE_SECONDS": "0.3", "CIO_WEB_WORKERS": "1"}
    with serving(tmp_path, prefix=slow, **NEVER, **deadline) as receiver:
        assert receiver.post(request(event("late"))).status == 503
        wait_until(lambda: bool(begun(receiver)))

        assert "CIO_APPEND_DEADLINE_SECONDS" in str(begun(receiver)["inbox_timeout"]["advice"])


@pytest.mark.slow
def test_no_space_for_a_large_body_is_logged(tmp_path: Path) -> None:
    """If the disk is full before the whole body is received."""
    with (
        small_disk(tmp_path / "data", "4m"),
        serving(tmp_path, **NEVER, CIO_WEB_WORKERS="1") as receiver,
    ):
        assert receiver.post(request(event("large", padding=20 << 20))).status == 503
        wait_until(lambda: bool(begun(receiver)))

        assert set(begun(receiver)) == {"no_room: disk"}
        assert "CIO_DATA_DIR" in str(begun(receiver)["no_room: disk"]["advice"])


def test_the_last_line_of_traffic_has_the_last_part_of_a_minute(tmp_path: Path) -> None:
    """Accepted, refused, the answer time and the pending events; only the supervisor logs it."""
    with serving(tmp_path, **NEVER) as receiver:
        for number in range(10):
            assert receiver.post(request(event(str(number)))).status == 200
        assert receiver.post(request(event("x"), key=OTHER_KEY)).status == 401
        receiver.stop()

        (line,) = receiver.logged("traffic")
        assert line["process"] == "supervisor"
        assert (line["accepted"], line["refused"]) == (10, {"wrong_signature": 1})
        # The loader may load them while it stops, if the web processes stopped first.
        assert line["pending"] == 10 or line["loaded"]
        assert 0 < float(str(line["p50_ms"])) <= float(str(line["p99_ms"]))
        assert 0 <= float(str(line["load_lag_seconds"])) < 60


def test_a_receiver_without_traffic_logs_no_traffic(tmp_path: Path) -> None:
    """There is no line with zeros."""
    with serving(tmp_path) as receiver:
        receiver.stop()

        assert receiver.logged("traffic") == []


@pytest.mark.slow
def test_refusals_end_after_a_minute_without_one(tmp_path: Path) -> None:
    """The process still runs, and the line `traffic` of the minute has the refusals by reason."""
    with serving(tmp_path, CIO_WEB_WORKERS="1") as receiver:
        for _ in range(3):
            receiver.post(request(event("x"), key=OTHER_KEY))
        wait_until(lambda: bool(receiver.logged("request_refused_ended")), 70)

        (line,) = receiver.logged("request_refused_ended")
        assert (line["times"], line["is_process_ending"]) == (3, False)
        wait_until(lambda: bool(receiver.logged("traffic")), 10)
        assert receiver.logged("traffic")[0]["refused"] == {"wrong_signature": 3}


def assert_private(receiver: Receiver) -> None:
    """Check that every line is a JSON object without a key, a signature, an address or a body."""
    for line in receiver.log.splitlines():
        assert isinstance(json.loads(line), dict)
    for secret in (PERSON, KEY, OTHER_KEY, "event_id", "127.0.0.1"):
        assert secret not in receiver.log
    assert not re.search(r"[0-9a-f]{64}", receiver.log)
