"""Flows of several calls: which calls they make, when they stop, what they refuse."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.app_api import AppClient
from core.app_api.flows import broadcasting, composing, jobs, measuring
from core.app_api.flows.waiting import Polling, wait
from core.errors import (
    ConnectionFailedError,
    ForbiddenError,
    JobFailedError,
    ResponseError,
    SizeError,
    ValidationError,
    WaitTimeoutError,
)


class Clock:
    """A clock that moves only by `sleep`; `naps` are the lengths of the sleeps."""

    def __init__(self) -> None:
        self.naps: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.naps.append(seconds)

    def monotonic(self) -> float:
        """Seconds slept so far."""
        return sum(self.naps)


@pytest.fixture
def clock() -> Clock:
    """A clock at 0."""
    return Clock()


@pytest.fixture
def polling(clock: Clock) -> Polling:
    """Polling for an hour of that clock."""
    return Polling(sleep=clock.sleep, monotonic=clock.monotonic)


class Vendor:
    """Answers by path; `calls` are method and path of each call, in order."""

    def __init__(self, **answers: Any) -> None:
        self.calls: list[tuple[str, str]] = []
        self.answers: dict[str, Any] = answers

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Return the next answer of a list, or always the same answer."""
        self.calls.append((request.method, request.url.path))
        name = request.url.path.strip("/").replace("/", "_").replace(".", "_")
        answer = self.answers[f"{request.method}_{name}"]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx2.Response) else httpx2.Response(200, json=answer)


@pytest.fixture
def client_of(clock: Clock) -> Iterator[Callable[[Vendor], AppClient]]:
    """Create clients of a vendor that wait on the clock of the test."""
    made: list[AppClient] = []

    def make(vendor: Vendor) -> AppClient:
        made.append(
            AppClient(
                "key",
                transport=httpx2.MockTransport(vendor),
                sleep=clock.sleep,
                monotonic=clock.monotonic,
            )
        )
        return made[-1]

    yield make
    for client in made:
        client.close()


# Waiting


def test_wait_pauses_longer_each_time_and_reports_each_state(
    clock: Clock, polling: Polling
) -> None:
    """Each pause is 1.5 times the one before, up to the longest one."""
    seen: list[int] = []
    numbers = iter(range(100))

    last = wait(lambda: next(numbers), lambda number: number == 12, polling, seen.append)

    assert last == 12
    assert seen == list(range(13))
    assert clock.naps[:3] == [1.0, 1.5, 2.25]
    assert clock.naps[-1] == 30.0


def test_wait_ends_at_its_timeout(clock: Clock) -> None:
    """Exactly at the timeout, after a last poll."""
    polling = Polling(timeout_seconds=10, sleep=clock.sleep, monotonic=clock.monotonic)

    with pytest.raises(WaitTimeoutError, match="10 s"):
        wait(lambda: 0, bool, polling)

    assert sum(clock.naps) == 10


# Exports and imports


def exporting(*files: Any, **answers: Any) -> Vendor:
    """A vendor with a finished export 7 at a signed URL."""
    return Vendor(
        GET_v1_exports_7={"export": {"id": 7, "status": "done"}},
        GET_v1_exports_7_download={"url": "https://files.example.com/people.csv"},
        GET_people_csv=list(files),
        **answers,
    )


def test_exported_waits_until_it_is_done(
    client_of: Callable[[Vendor], AppClient], polling: Polling
) -> None:
    """The last state is the result."""
    states = ["pending", "pending", "done"]
    vendor = Vendor(GET_v1_exports_7=[{"export": {"id": 7, "status": one}} for one in states])
    seen: list[Any] = []

    export = jobs.exported(client_of(vendor), 7, polling=polling, on_progress=seen.append)

    assert export == {"id": 7, "status": "done"}
    assert [one["status"] for one in seen] == states


@pytest.mark.parametrize("end", [{"status": "failed"}, {"status": "done", "failed": True}])
def test_exported_raises_if_the_export_failed(
    client_of: Callable[[Vendor], AppClient], polling: Polling, end: dict[str, object]
) -> None:
    """In both forms of the vendor."""
    vendor = Vendor(GET_v1_exports_7={"export": {"id": 7} | end})

    with pytest.raises(JobFailedError, match="export 7"):
        jobs.exported(client_of(vendor), 7, polling=polling)


def test_save_writes_the_whole_file_and_leaves_nothing_beside_it(
    client_of: Callable[[Vendor], AppClient], tmp_path: Path
) -> None:
    """The key is not sent to the signed URL."""
    asked: list[httpx2.Request] = []

    def file(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, content=b"id,email\n1,ada@example.com\n")

    saved = jobs.save(client_of(exporting(file)), 7, tmp_path / "people.csv")

    assert saved.read_bytes() == b"id,email\n1,ada@example.com\n"
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]
    assert "authorization" not in asked[0].headers


def test_save_continues_an_incomplete_download(
    client_of: Callable[[Vendor], AppClient], tmp_path: Path
) -> None:
    """Only the rest is requested, if the file has not changed."""
    whole = b"0123456789" * 100

    def broken() -> Iterator[bytes]:
        yield whole[:300]
        raise httpx2.ReadError("reset")

    def rest(request: httpx2.Request) -> httpx2.Response:
        assert (request.headers["range"], request.headers["if-range"]) == ("bytes=300-", '"v1"')
        headers = {"content-range": "bytes 300-999/1000", "etag": '"v1"'}
        return httpx2.Response(206, headers=headers, content=whole[300:])

    first = [httpx2.Response(200, headers={"etag": '"v1"'}, content=broken()) for _ in range(9)]
    vendor = exporting(*first)
    client = client_of(vendor)
    with pytest.raises(ConnectionFailedError):
        jobs.save(client, 7, tmp_path / "people.csv")
    assert not (tmp_path / "people.csv").exists()
    vendor.answers["GET_people_csv"] = rest

    jobs.save(client, 7, tmp_path / "people.csv")

    assert (tmp_path / "people.csv").read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]


def test_save_starts_again_if_the_part_is_of_another_export(
    client_of: Callable[[Vendor], AppClient], tmp_path: Path
) -> None:
    """The part of another export is not continued."""
    (tmp_path / "people.csv.part").write_bytes(b"of another export")
    (tmp_path / "people.csv.part.json").write_text('{"export": 6, "etag": "x"}')

    saved = jobs.save(
        client_of(exporting(httpx2.Response(200, content=b"id\n"))), 7, tmp_path / "people.csv"
    )

    assert saved.read_bytes() == b"id\n"


def test_save_gets_a_new_url_when_one_has_expired(
    client_of: Callable[[Vendor], AppClient], tmp_path: Path
) -> None:
    """Twice; then it raises."""
    good = exporting(httpx2.Response(403), httpx2.Response(200, content=b"id\n"))
    jobs.save(client_of(good), 7, tmp_path / "people.csv")
    with pytest.raises(ForbiddenError):
        jobs.save(client_of(exporting(httpx2.Response(403))), 7, tmp_path / "others.csv")

    assert good.calls.count(("GET", "/v1/exports/7/download")) == 2


def test_save_refuses_a_damaged_archive(
    client_of: Callable[[Vendor], AppClient], tmp_path: Path
) -> None:
    """No file is left, so the next call starts again."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("people.csv", "id\n" * 100)
    damaged = packed.getvalue().replace(b"id\nid\n", b"id\nix\n", 1)
    client = client_of(exporting(httpx2.Response(200, content=damaged)))

    with pytest.raises(ResponseError, match="damaged"):
        jobs.save(client, 7, tmp_path / "people.zip")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "end",
    [
        {"state": "importing", "rows_to_import": 5, "rows_imported": 5},
        {"state": "imported", "rows_to_import": 5, "rows_imported": 4},
    ],
)
def test_imported_waits_for_all_rows_or_a_final_state(
    client_of: Callable[[Vendor], AppClient], polling: Polling, end: dict[str, object]
) -> None:
    """The vendor publishes no list of the states."""
    begun = {"import": {"state": "processing", "rows_to_import": 5, "rows_imported": 1}}
    vendor = Vendor(GET_v1_imports_3=[begun, {"import": end}])

    assert jobs.imported(client_of(vendor), 3, polling=polling) == end


def test_imported_raises_if_the_import_failed(
    client_of: Callable[[Vendor], AppClient], polling: Polling
) -> None:
    """The error does not repeat the vendor's message, which may quote rows."""
    vendor = Vendor(GET_v1_imports_3={"import": {"error": "row ada@example.com"}})

    with pytest.raises(JobFailedError) as caught:
        jobs.imported(client_of(vendor), 3, polling=polling)

    assert "ada" not in str(caught.value)


# Messages

BODY: Any = {
    "to": "ada@example.com",
    "identifiers": {"email": "ada@example.com"},
    "transactional_message_id": "receipt",
}


def test_attachments_are_base64_by_file_name(tmp_path: Path) -> None:
    """From paths and from bytes."""
    (tmp_path / "a.txt").write_bytes(b"hello")

    made = composing.attachments(tmp_path / "a.txt", ("b.bin", b"\x00\xff"))

    assert made == {"a.txt": "aGVsbG8=", "b.bin": "AP8="}


@pytest.mark.parametrize("names", [["a"], ["../a.txt"], ["a.txt", "a.txt"]])
def test_attachments_refuse_names_that_the_vendor_refuses(names: list[str]) -> None:
    """A name needs an extension, has no folder, and is unique."""
    with pytest.raises(ValidationError):
        composing.attachments(*((name, b"") for name in names))


def test_attachments_have_at_most_two_megabytes() -> None:
    """Together, before base64."""
    half = bytes(1 << 20)

    made = composing.attachments(("a.bin", half), ("b.bin", half))

    assert composing.checked(BODY | {"attachments": made}, now=0)
    with pytest.raises(SizeError) as caught:
        composing.attachments(("a.bin", half), ("b.bin", half + b"1"))
    assert (caught.value.size_bytes, caught.value.limit_bytes) == ((2 << 20) + 1, 2 << 20)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"identifiers": {}}, "identifiers"),
        ({"identifiers": {"id": "1", "email": "ada@example.com"}}, "identifiers"),
        ({"identifiers": {"phone": "1"}}, "identifiers"),
        ({"identifiers": {"id": ""}}, "identifiers"),
        ({"transactional_message_id": ""}, "transactional_message_id"),
        ({"to": ",".join(["a@example.com"] * 10), "cc": ",".join(["b@example.com"] * 6)}, "to"),
        ({"send_at": 1_000 + 90 * 86_400 + 1}, "send_at"),
    ],
)
def test_checked_refuses_what_the_vendor_refuses(change: dict[str, object], field: str) -> None:
    """The error names the field and does not show its value."""
    with pytest.raises(ValidationError) as caught:
        composing.checked(BODY | change, now=1_000)

    assert caught.value.field == field
    assert "example.com" not in str(caught.value)


def test_checked_accepts_a_message_without_template_and_limits_its_size() -> None:
    """With body, subject and sender it needs no template."""
    written: Any = {"to": "a@example.com", "identifiers": {"id": "1"}, "subject": "s", "from": "f"}

    assert composing.checked(written | {"body": "b"}, now=0)["subject"] == "s"
    with pytest.raises(ValidationError, match="body"):
        composing.checked(written, now=0)
    with pytest.raises(SizeError):
        composing.checked(written | {"body": "x" * (1 << 20)}, now=0)


# Broadcasts


def broadcast(queued: list[int], **answers: Any) -> Vendor:
    """A vendor with broadcast 12; `queued` are the numbers of waiting triggers at each poll."""
    looks = [{"triggers": [{"id": n} for n in range(one)]} for one in queued]
    return Vendor(
        **{
            "GET_v1_broadcasts_12_triggers": looks,
            "POST_v1_campaigns_12_triggers": {"id": 9},
            "GET_v1_campaigns_12_triggers_9": [{"id": 9}, {"id": 9, "processed_at": 5}],
            "GET_v1_campaigns_12_triggers_9_errors": {"errors": ["nobody has this address"]},
        }
        | answers
    )


def test_send_waits_for_room_and_returns_the_errors(
    client_of: Callable[[Vendor], AppClient], polling: Polling
) -> None:
    """Five triggers may be queued."""
    vendor = broadcast([5, 5, 4])

    sent = broadcasting.send(client_of(vendor), 12, {"emails": ["a@example.com"]}, polling=polling)

    assert sent.trigger == {"id": 9, "processed_at": 5}
    assert list(sent.errors) == ["nobody has this address"]
    assert [method for method, _ in vendor.calls] == ["GET"] * 3 + ["POST"] + ["GET"] * 3


def test_send_never_triggers_twice_after_an_unknown_outcome(
    client_of: Callable[[Vendor], AppClient], polling: Polling
) -> None:
    """The error says that it may have been sent."""
    vendor = broadcast([0], POST_v1_campaigns_12_triggers=httpx2.ReadTimeout("late"))

    with pytest.raises(ConnectionFailedError) as caught:
        broadcasting.send(client_of(vendor), 12, {}, polling=polling)

    assert caught.value.is_outcome_unknown
    assert [method for method, _ in vendor.calls].count("POST") == 1


def test_triggers_are_ten_seconds_apart(
    client_of: Callable[[Vendor], AppClient], clock: Clock, polling: Polling
) -> None:
    """The client keeps the vendor's rate limit."""
    client = client_of(broadcast([0]))

    broadcasting.send(client, 12, {}, polling=polling)
    broadcasting.send(client, 12, {}, polling=polling)

    assert 9 < clock.monotonic() < 13


def test_each_kind_of_trigger_is_sent_unchanged(
    client_of: Callable[[Vendor], AppClient], polling: Polling
) -> None:
    """All six kinds of audience."""
    bodies: list[Any] = [
        {"data": {"k": 1}},
        {"recipients": {"segment": {"id": 7}}},
        {"ids": ["1"]},
        {"emails": ["a@example.com"], "email_ignore_missing": True},
        {"per_user_data": [{"id": "1", "data": {"k": 1}}]},
        {"data_file_url": "https://files.example.com/people.jsonl"},
    ]
    arrived: list[object] = []

    def take(request: httpx2.Request) -> httpx2.Response:
        arrived.append(json.loads(request.content))
        return httpx2.Response(200, json={"id": 9})

    client = client_of(broadcast([0], POST_v1_campaigns_12_triggers=take))
    for body in bodies:
        broadcasting.send(client, 12, body, polling=polling)

    assert arrived == bodies


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"ids": [], "emails": []}, ValidationError),
        ({"ids": ["1"] * 10_001}, ValidationError),
        ({"data": {"k": "x" * 50_000}}, SizeError),
        ({"data_file_url": "x" * (25 << 20)}, SizeError),
    ],
)
def test_check_refuses_a_trigger_over_the_limits(body: Any, error: type[Exception]) -> None:
    """Before anything is sent."""
    with pytest.raises(error):
        broadcasting.check(body)


# Metrics


@given(period=st.sampled_from(sorted(measuring.MOST_STEPS)), number=st.integers(-5, 200))
def test_recent_accepts_the_numbers_of_steps_that_the_vendor_supports(
    period: Any, number: int
) -> None:
    """From 2 steps to 24 hours, 45 days, 12 weeks or 120 months."""
    if 2 <= number <= measuring.MOST_STEPS[period]:
        assert measuring.recent(period, number) == {"period": period, "steps": number}
    else:
        with pytest.raises(ValidationError):
            measuring.recent(period, number)


def test_recent_refuses_an_unknown_period() -> None:
    """The vendor would return zeros instead of an error."""
    with pytest.raises(ValidationError, match=r"period: .*days"):
        measuring.recent("day", 7)  # type: ignore[arg-type]


def test_between_is_version_two_in_seconds() -> None:
    """Start and end in Unix seconds, and the time zone of the days."""
    start = datetime(2026, 11, 1, tzinfo=UTC)

    window = measuring.between(start, start + timedelta(days=7), "days", tz="Europe/Berlin")

    assert window == {
        "version": "2",
        "res": "days",
        "tz": "Europe/Berlin",
        "start": 1_793_491_200,
        "end": 1_794_096_000,
    }


@pytest.mark.parametrize(
    ("days", "tz", "zone", "field"),
    [(0, "UTC", UTC, "end"), (400, "UTC", UTC, "end"), (1, "Mars", UTC, "tz"),
     (1, "UTC", None, "start")],
)  # fmt: skip
def test_between_refuses_invalid_time_ranges(days: int, tz: str, zone: Any, field: str) -> None:
    """An empty range, a range that is too long, an unknown or missing time zone."""
    start = datetime(2026, 11, 1, tzinfo=zone)

    with pytest.raises(ValidationError) as caught:
        measuring.between(start, start + timedelta(days=days), "days", tz=tz)

    assert caught.value.field == field


def test_steps_are_aligned_and_rename_suppressed() -> None:
    """One dictionary for each step, oldest first; `suppressed` is `dropped`."""
    answer: Any = {"metric": {"series": {"sent": [3, 4], "suppressed": [0, 1]}}}

    assert measuring.steps(answer) == [{"sent": 3, "dropped": 0}, {"sent": 4, "dropped": 1}]
    assert measuring.steps({}) == []
    with pytest.raises(ResponseError):
        measuring.steps({"metric": {"series": {"sent": [1], "opened": [1, 2]}}})
