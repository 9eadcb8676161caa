"""Two different events with the same id and day: both lakes keep both."""

from __future__ import annotations

import hashlib
import uuid
from datetime import timedelta

import pytest

from databricks_app.events.decoding import Reading, reread
from databricks_app.lake import Lake, LoadReport
from tests.support.lake_backends import LakeBackend, ids
from tests.support.lake_events import EMAIL, NOON, RAW, SMS, body, event, reading_of

ONE = body("a", "email/sent")
OTHER = body("a", "sms/sent")
DIGEST = f"sha256:{hashlib.sha256(OTHER).hexdigest()}"
BOTH = ["a", DIGEST]


def load(lake: Lake, *readings: Reading) -> LoadReport:
    """Load bodies in one batch."""
    return lake.load(readings, batch_id=uuid.uuid4().hex, loaded_at=NOON)


def conflicts(backend: LakeBackend) -> list[tuple[object, ...]]:
    """Raw rows of events whose key belongs to another event."""
    rows = backend.rows(RAW, "event_id, unrouted_reason, target_table, metric")
    return [row for row in rows if row[1] == "key_conflict"]


def test_other_event_in_a_later_load_becomes_a_raw_row_with_another_id(
    backend: LakeBackend, lake: Lake
) -> None:
    """Its id is the digest of its body. The first event stays unchanged."""
    load(lake, reading_of(ONE))

    report = load(lake, reading_of(OTHER))

    assert conflicts(backend) == [(DIGEST, "key_conflict", None, "sent")]
    assert (ids(backend, EMAIL), ids(backend, SMS)) == (["a"], [])
    assert report.inserted == {RAW: 1}
    assert report.unrouted == {"key_conflict": 1}
    assert report.duplicates == {}


def test_other_event_in_the_same_batch_becomes_a_raw_row_with_another_id(
    backend: LakeBackend, lake: Lake
) -> None:
    """The first of the batch has the key."""
    report = load(lake, reading_of(ONE), reading_of(OTHER), reading_of(ONE))

    assert ids(backend, RAW) == BOTH
    assert (ids(backend, EMAIL), ids(backend, SMS)) == (["a"], [])
    assert report.unrouted == {"key_conflict": 1}
    assert report.duplicates == {RAW: 1, EMAIL: 1}


@pytest.mark.parametrize("order", [(ONE, OTHER), (OTHER, ONE)], ids=["as before", "turned round"])
def test_repetition_of_both_events_changes_nothing(
    backend: LakeBackend, lake: Lake, order: tuple[bytes, bytes]
) -> None:
    """In both orders, because the raw table decides."""
    load(lake, reading_of(ONE), reading_of(OTHER))

    report = load(lake, *map(reading_of, order))

    assert ids(backend, RAW) == BOTH
    assert (ids(backend, EMAIL), ids(backend, SMS)) == (["a"], [])
    assert report.inserted == {}
    assert report.unrouted == {}


@pytest.mark.parametrize(
    "again",
    [
        ONE.replace(b", ", b",").replace(b": ", b":"),
        ONE.replace(b"ada@", b"\\u0061da@"),
        b"\xef\xbb\xbf" + ONE,
        ONE.replace(b'"timestamp": 1', b'"extra": 7, "timestamp": 1'),
    ],
    ids=["white space", "escapes", "byte order mark", "a field beside"],
)
def test_equal_json_with_other_bytes_is_a_repetition(
    backend: LakeBackend, lake: Lake, again: bytes
) -> None:
    """Object type, metric and data are compared after decoding."""
    assert again != ONE
    load(lake, reading_of(ONE))

    report = load(lake, reading_of(again))

    assert ids(backend, RAW) == ["a"]
    assert report.duplicates == {RAW: 1, EMAIL: 1}


@pytest.mark.parametrize(
    "other",
    [
        body("a", "email/clicked"),
        body("a", "email/sent", content_id=1),
        body("a", "email/sent", content_id=True),
    ],
    ids=["metric", "data", "true is not 1"],
)
def test_a_difference_in_metric_or_data_is_another_event(
    backend: LakeBackend, lake: Lake, other: bytes
) -> None:
    """A difference in the object type too."""
    load(lake, reading_of(body("a", "email/sent", content_id=0)))

    load(lake, reading_of(other))

    assert len(conflicts(backend)) == 1


def test_a_replay_of_both_changes_nothing(backend: LakeBackend, lake: Lake) -> None:
    """A replay loads the stored bodies with the key in the body."""
    load(lake, reading_of(ONE), reading_of(OTHER))
    stored = [row[0] for row in backend.rows(RAW, "body")]

    report = load(lake, *(reread(text.encode(), NOON, None) for text in stored))

    assert ids(backend, RAW) == BOTH
    assert report.inserted == {}


def test_a_row_of_an_earlier_release_without_a_digest_is_compared_by_its_body(
    backend: LakeBackend,
) -> None:
    """The columns are added at the next start."""
    before = backend.lake(without=["body_sha256", "workspace"])
    before.start()
    reading = reading_of(ONE)
    for row in (reading.raw, reading.typed or {}):
        for name in ("body_sha256", "workspace"):
            row.pop(name, None)
    load(before, reading)
    before.close()
    lake = backend.lake()
    lake.start()

    report = load(lake, reading_of(ONE, NOON + timedelta(hours=1)), reading_of(OTHER))

    lake.close()
    assert ids(backend, RAW) == BOTH
    assert report.unrouted == {"key_conflict": 1}
    assert backend.rows(RAW, "workspace") == [("default",), (None,)]


def test_verify_lists_the_events_and_finds_no_difference(backend: LakeBackend, lake: Lake) -> None:
    """They are unrouted events and are in no typed table."""
    load(lake, reading_of(ONE), reading_of(OTHER), event("b"))

    verdict = backend.verdict()

    assert verdict.differences == ()
    assert (verdict.conflicts, verdict.conflict_ids) == (1, (DIGEST,))
    assert verdict.unrouted == 1
