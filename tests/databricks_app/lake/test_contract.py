"""The loading contract: what all lakes must do, each with its own engine."""

from __future__ import annotations

import multiprocessing
import uuid
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databricks_app.events.decoding import Reading, read
from databricks_app.events.record import Record
from databricks_app.lake import Lake, LoadReport
from databricks_app.runtime import crash_points
from tests.support.lake_backends import BACKENDS, LakeBackend, ids
from tests.support.lake_events import EMAIL, NOON, RAW, SMS, body, event, reading_of

FIRST = [event("a"), event("b", "sms/sent"), event("c", days_ago=1)]
SECOND = [*FIRST, event("d"), event("e", "sms/sent"), event("f", days_ago=1), event("g", "x/y")]

# Two of them have the key of another event, one of the same batch and one of an earlier one.
SHARING = [*SECOND, event("d", "sms/sent"), event("a", "sms/sent")]
MICROSECOND = timedelta(microseconds=1)

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.support.lake_backends", "tests.support.lake_events"])

POINTS = {
    "local": [
        "lake.before_raw_append",
        "lake.after_raw_append",
        "lake.before_raw_append:2",
        "lake.after_raw_append:2",
        "lake.before_typed_append",
        "lake.after_typed_append:2",
        "lake.after_typed_sync:2",
    ],
    "warehouse": [
        "lake.after_stage",
        "lake.before_raw_merge",
        "lake.after_raw_merge",
        "lake.after_raw_merge:2",
        "lake.after_stage:2",
        "lake.before_typed_merge",
        "lake.after_typed_merge",
        "lake.after_typed_merge:2",
    ],
    "staged": [
        "lake.after_stage",
        "lake.after_stage:3",
        "lake.before_raw_merge",
        "lake.after_raw_merge",
        "lake.after_raw_merge:2",
        "lake.after_insert_again",
        "lake.before_typed_merge",
        "lake.after_typed_merge",
        "lake.after_typed_merge:2",
    ],
}


def load(lake: Lake, *readings: Reading, batch_id: str | None = None) -> LoadReport:
    """Load readings at noon, like the loader: each load has a new id."""
    return lake.load(readings, batch_id=batch_id or uuid.uuid4().hex, loaded_at=NOON)


def test_an_event_is_one_row_in_raw_and_one_in_its_table(backend: LakeBackend, lake: Lake) -> None:
    """Both have the time and the id of the load."""
    report = load(lake, event("a", subject="Hello"), batch_id="b1")

    assert report.inserted == {RAW: 1, EMAIL: 1}
    for table, loaded_at in ((RAW, NOON), (EMAIL, NOON + MICROSECOND)):
        expected = [("a", date(2026, 11, 22), "b1", loaded_at, "default")]
        columns = "event_id, event_date, batch_id, loaded_at, workspace"
        assert backend.rows(table, columns) == expected
    assert backend.rows(EMAIL, "subject, recipient") == [("Hello", "ada@example.com")]


def test_first_event_with_a_key_in_a_batch_is_kept(backend: LakeBackend, lake: Lake) -> None:
    """In the raw and the typed table."""
    report = load(lake, event("a"), reading_of(body("a"), NOON + timedelta(hours=1)))

    assert report.duplicates == {RAW: 1, EMAIL: 1}
    assert backend.rows(EMAIL, "received_at") == backend.rows(RAW, "received_at") == [(NOON,)]


def test_repeated_load_changes_nothing(backend: LakeBackend, lake: Lake) -> None:
    """Everything is counted as a duplicate."""
    load(lake, *FIRST, batch_id="b1")

    report = load(lake, *FIRST, batch_id="b2")

    assert report.inserted == {}
    assert report.duplicates == {RAW: 3, EMAIL: 2, SMS: 1}
    assert set(backend.rows(RAW, "batch_id")) == {("b1",)}


def test_same_id_with_another_date_is_another_event(backend: LakeBackend, lake: Lake) -> None:
    """The key has two parts."""
    load(lake, event("a"))

    load(lake, event("a", days_ago=1))

    assert ids(backend, RAW) == ids(backend, EMAIL) == ["a", "a"]


def test_a_batch_of_many_dates_is_loaded_whole(backend: LakeBackend, lake: Lake) -> None:
    """There are more dates than one group has."""
    report = load(lake, *(event(f"e{day}", days_ago=day) for day in range(40)))

    assert report.inserted == {RAW: 40, EMAIL: 40}
    assert len(set(ids(backend, EMAIL))) == 40


def test_new_rows_are_counted_by_table_and_metric(lake: Lake) -> None:
    """Stored rows count as duplicates of their table."""
    load(lake, event("a"), event("b", "sms/sent"))

    report = load(lake, event("a"), event("b", "sms/sent"), event("c"), event("d", "email/clicked"))

    assert report.by_metric == {
        (RAW, "opened"): 1,
        (RAW, "clicked"): 1,
        (EMAIL, "opened"): 1,
        (EMAIL, "clicked"): 1,
    }
    assert report.duplicates == {RAW: 2, EMAIL: 1, SMS: 1}


def test_hostile_ids_are_ordinary_keys(backend: LakeBackend, lake: Lake) -> None:
    """No value is part of a statement."""
    odd = ["' OR 1=1 --", "`;DROP TABLE x", ":batch_id", "$1", "\\", "ünï", "a b"]
    load(lake, *(event(one) for one in odd))

    report = load(lake, *(event(one) for one in odd))

    assert report.inserted == {}
    assert set(ids(backend, EMAIL)) == set(odd)


def test_nested_and_absent_values_are_stored_unchanged(backend: LakeBackend, lake: Lake) -> None:
    """Maps of lists; a value that was not sent is NULL."""
    load(lake, event("a", "email/sent", headers={"X-A": ["1", "2"]}))

    ((headers, subject),) = backend.rows(EMAIL, "headers, subject")

    assert dict(headers) == {"X-A": ["1", "2"]}
    assert subject is None


def test_typed_row_is_made_from_the_body_in_the_raw_table(backend: LakeBackend, lake: Lake) -> None:
    """A repetition changes nothing, also after a crash between raw and typed."""
    first = event("a", subject="first")
    load(lake, replace(first, table=None, typed=None))

    report = load(lake, reading_of(body("a", subject="first"), NOON + timedelta(hours=1)))

    assert report.inserted == {EMAIL: 1}
    assert backend.rows(EMAIL, "subject, received_at") == [("first", NOON)]


def test_stored_event_keeps_its_typed_table(backend: LakeBackend, lake: Lake) -> None:
    """Also if the current routing names another table."""
    first = event("a", "sms/sent")
    elsewhere = replace(first, raw={**first.raw, "target_table": EMAIL}, table=EMAIL, typed=None)
    load(lake, replace(elsewhere, table=None))

    load(lake, event("a", "sms/sent"))

    assert (ids(backend, EMAIL), ids(backend, SMS)) == (["a"], [])


def test_unrouted_event_gets_a_typed_row_when_the_code_knows_its_type(
    backend: LakeBackend, lake: Lake
) -> None:
    """The raw row stays as it was."""
    content = body("a")
    old = reading_of(content)
    unknown = {**old.raw, "target_table": None, "unrouted_reason": "unknown_object_type"}
    load(lake, replace(old, raw=unknown, table=None, typed=None))

    replayed = read(Record(content, NOON + timedelta(days=9), "", "", len(content), kind="replay"))
    report = load(lake, replayed)

    assert report.inserted == {EMAIL: 1}
    assert backend.rows(RAW, "target_table, unrouted_reason") == [(None, "unknown_object_type")]
    assert backend.rows(EMAIL, "received_at") == [(NOON,)]
    assert backend.verdict().replayed == 1


def test_unreadable_body_is_stored_byte_for_byte(backend: LakeBackend, lake: Lake) -> None:
    """As base64, once, with its digest as id."""
    content = b"\xff{not json"
    for _ in range(2):
        load(lake, reading_of(content))

    ((event_id, text, encoding, length),) = backend.rows(
        RAW, "event_id, body, body_encoding, body_bytes"
    )

    assert event_id.startswith("sha256:")
    assert (text, encoding, length) == ("/3tub3QganNvbg==", "base64", len(content))


@pytest.mark.parametrize(
    ("column", "value", "error"),
    [
        ("campaign_id", 2**63, "OverflowError"),
        ("subject", "\ud800", "UnicodeEncodeError"),
        ("event_timestamp", datetime(2026, 1, 1), "TypeError"),  # noqa: DTZ001  # the fault
    ],
)
def test_event_with_a_value_of_a_wrong_type_is_only_in_the_raw_table(
    backend: LakeBackend, lake: Lake, column: str, value: object, error: str
) -> None:
    """No value is converted silently; the other row is loaded."""
    bad = event("bad")
    bad = replace(bad, typed={**(bad.typed or {}), column: value})

    report = load(lake, event("good"), bad)

    assert {f"load_failed:{error}": 1} == report.rejected == report.unrouted
    assert ids(backend, EMAIL) == ["good"]
    assert backend.rows(RAW, "event_id, target_table, unrouted_reason") == [
        ("bad", None, f"load_failed:{error}"),
        ("good", EMAIL, None),
    ]


def test_one_rejected_row_is_found_among_many(backend: LakeBackend, lake: Lake) -> None:
    """By bisection; all other rows are loaded once."""
    backend.refuse(RAW, "body_bytes <> 12345")
    lake.close()
    lake.start()
    readings = [event(f"e{number:04}", "sms/sent") for number in range(1000)]
    readings[777] = replace(readings[777], raw={**readings[777].raw, "body_bytes": 12345})

    report = load(lake, *readings)

    assert report.inserted == {RAW: 1000, SMS: 999}
    assert sum(report.rejected.values()) == 1
    assert [row for row in backend.rows(RAW, "event_id, body_encoding") if row[1] == "base64"] == [
        ("e0777", "base64")
    ]


def test_rejected_typed_row_keeps_its_raw_row(backend: LakeBackend, lake: Lake) -> None:
    """The check names it."""
    backend.refuse(EMAIL, "subject <> 'bad'")
    lake.close()
    lake.start()

    report = load(lake, event("a", subject="good"), event("b", subject="bad"))
    lake.close()

    assert sum(report.rejected.values()) == 1
    assert (ids(backend, RAW), ids(backend, EMAIL)) == (["a", "b"], ["a"])
    (difference,) = backend.verdict().differences
    assert (difference.kind, difference.event_ids) == ("missing", ("b",))


def test_start_adds_missing_columns(backend: LakeBackend) -> None:
    """They are NULL in existing rows; nothing else changes."""
    old = backend.lake(without=["subject", "reading_notes"])
    old.start()
    load(old, without(event("a"), "subject", "reading_notes"))
    old.close()

    lake = backend.lake()
    report = lake.start()
    load(lake, event("b", subject="Hello"))
    lake.close()

    assert report.added_columns == {EMAIL: ("subject", "reading_notes"), SMS: ("reading_notes",)}
    assert backend.rows(EMAIL, "event_id, subject") == [("a", None), ("b", "Hello")]


def without(reading: Reading, *columns: str) -> Reading:
    """The reading of a release that did not know these columns."""
    typed = {name: value for name, value in (reading.typed or {}).items() if name not in columns}
    return replace(reading, typed=typed)


def die(store: str, folder: Path, point: str) -> None:
    """In a child process: load, and be killed at the crash point."""
    crash_points.arm(point)
    lake = BACKENDS[store](folder).lake()
    lake.start()
    load(lake, *SHARING)
    lake.close()


def killed(store: str, folder: Path, point: str) -> bool:
    """Whether the child process was killed there."""
    child = _SERVER.Process(target=die, args=(store, folder, point))
    child.start()
    child.join()
    code = child.exitcode
    child.close()
    return code == -9


@pytest.mark.parametrize(
    ("store", "point"), [(store, point) for store, points in POINTS.items() for point in points]
)
def test_next_load_completes_a_killed_load(tmp_path: Path, store: str, point: str) -> None:
    """At every crash point no row is lost or repeated."""
    first = BACKENDS[store](tmp_path)
    lake = first.lake()
    lake.start()
    load(lake, *FIRST)
    lake.close()
    first.close()
    assert killed(store, tmp_path, point)

    backend = BACKENDS[store](tmp_path)
    lake = backend.lake()
    lake.start()
    load(lake, *reversed(SHARING))
    lake.close()

    assert [one for one in ids(backend, RAW) if ":" not in one] == list("abcdefg")
    assert len(ids(backend, EMAIL)) + len(ids(backend, SMS)) == 6
    digests = sorted(str(one.raw["body_sha256"]) for one in SHARING)
    assert [row[0] for row in backend.rows(RAW, "body_sha256")] == digests
    verdict = backend.verdict()
    assert (verdict.differences, verdict.unrouted, verdict.conflicts) == ((), 3, 2)
    backend.close()


BATCHES = st.lists(
    st.lists(
        st.builds(
            event,
            st.sampled_from("abcdef"),
            st.sampled_from(["email/opened", "email/clicked", "sms/sent", "x/y"]),
            days_ago=st.integers(0, 2),
        ),
        max_size=6,
    ),
    max_size=5,
)


@given(batches=BATCHES)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.parametrize("store", BACKENDS)
def test_every_event_is_stored_once_however_batches_overlap(
    store: str, batches: list[list[Reading]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each key and each event is there once, also if events share a key; typed tables agree."""
    backend = BACKENDS[store](tmp_path_factory.mktemp(store))
    lake = backend.lake()
    lake.start()
    for number, batch in enumerate(batches):
        load(lake, *batch, batch_id=str(number))
    lake.close()

    offered = [one for batch in batches for one in batch]
    keys = {(one.event_id, one.event_date) for one in offered}
    own = [row for row in backend.rows(RAW, "event_id, event_date") if ":" not in row[0]]
    assert own == sorted(keys)
    digests = {str(one.raw["body_sha256"]) for one in offered}
    assert [row[0] for row in backend.rows(RAW, "body_sha256")] == sorted(digests)
    assert backend.verdict().differences == ()
    backend.close()
