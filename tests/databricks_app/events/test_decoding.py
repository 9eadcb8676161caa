"""Reading: the raw row holds the exact bytes, and the typed row follows the route."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, NoReturn

import pytest

from databricks_app.events import decoding
from databricks_app.events.decoding import RAW_COLUMNS, Reading, read, reread
from databricks_app.events.handlers import HANDLERS_BY_TABLE
from databricks_app.events.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

RECEIVED_AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
EVENT = {
    "event_id": "e1",
    "object_type": "email",
    "metric": "sent",
    "timestamp": 1_700_000_000,
    "data": {"delivery_id": "d1", "recipient": "person1@example.com"},
}
GOOD = json.dumps(EVENT).encode()


def record(body: bytes, body_bytes: int | None = None, body_sha256: str | None = None) -> Record:
    """A record as the receiver makes it."""
    size = len(body) if body_bytes is None else body_bytes
    return Record(body, RECEIVED_AT, "1700000000", "0123abcd", size, body_sha256)


def changed(**changes: object) -> Reading:
    """Read the good event with changed members."""
    return read(record(json.dumps(EVENT | changes).encode()))


def bytes_of(raw: Mapping[str, object]) -> bytes:
    """The body that a raw row stands for."""
    text = str(raw["body"])
    return base64.b64decode(text) if raw["body_encoding"] == "base64" else text.encode()


def test_read_of_a_good_event() -> None:
    """A routed event has a raw row and a typed row under one key."""
    result = read(record(GOOD))

    assert (result.event_id, result.event_date) == ("e1", date(2023, 11, 14))
    assert result.table == "webhook_email_events"
    assert result.raw == {
        "event_id": "e1",
        "object_type": "email",
        "metric": "sent",
        "event_timestamp": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        "event_date": date(2023, 11, 14),
        "received_at": RECEIVED_AT,
        "workspace": "default",
        "target_table": "webhook_email_events",
        "unrouted_reason": None,
        "key_fingerprint": "0123abcd",
        "body": GOOD.decode(),
        "body_encoding": "utf-8",
        "body_bytes": len(GOOD),
        "body_sha256": hashlib.sha256(GOOD).hexdigest(),
    }
    assert list(result.raw) == [column.name for column in RAW_COLUMNS]
    assert result.typed is not None
    assert result.typed["received_at"] == RECEIVED_AT
    assert result.typed["recipient"] == "person1@example.com"


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"", "utf-8"),
        (b"\xef\xbb\xbf" + GOOD + b"\r\n", "utf-8"),
        (b'{"event_id": "\\u0000"}', "utf-8"),
        (b"a\x00b", "utf-8"),
        ("ünïcode \U0001f600".encode(), "utf-8"),
        (b"\xff\xfe\x00", "base64"),
        (b'{"event_id":"\xed\xa0\x80"}', "base64"),
    ],
)
def test_raw_row_gives_back_the_exact_bytes(body: bytes, encoding: str) -> None:
    """The body is text where it is UTF-8, else base64; both are exact."""
    raw = read(record(body)).raw

    assert raw["body_encoding"] == encoding
    assert bytes_of(raw) == body
    assert raw["body_bytes"] == len(body)


def test_unrouted_event_has_a_raw_row_with_the_reason() -> None:
    """An event that no table takes is kept with why."""
    result = changed(object_type="carrier_pigeon", data={"new": 1})

    assert (result.table, result.typed) == (None, None)
    assert result.raw["target_table"] is None
    assert result.raw["unrouted_reason"] == "unknown_object_type"
    assert type(result.raw["unrouted_reason"]) is str
    assert result.raw["object_type"] == "carrier_pigeon"
    assert result.unknown_fields == ()


def test_event_without_an_id_keeps_what_else_is_known() -> None:
    """The raw row of an event without an id still says what and when."""
    result = changed(event_id=None)

    assert result.event_id == result.raw["event_id"]
    assert result.raw["unrouted_reason"] == "no_event_id"
    assert (result.raw["object_type"], result.raw["metric"]) == ("email", "sent")
    assert result.event_date == date(2023, 11, 14)


@pytest.mark.parametrize(
    ("beginning", "encoding"), [(b'{"event_id":"e1"', "utf-8"), (b"\xc3", "base64")]
)
def test_cut_body_is_raw_under_the_digest_of_the_whole(beginning: bytes, encoding: str) -> None:
    """Of an oversized body the digest and the size are those of the whole."""
    digest = hashlib.sha256(b"whole").hexdigest()

    result = read(record(beginning, 40_000_000, digest))

    assert result.event_id == f"sha256:{digest}"
    assert result.event_date == date(1970, 1, 1)
    assert result.table is None
    assert result.raw["unrouted_reason"] == "too_large"
    assert (result.raw["body_bytes"], result.raw["body_sha256"]) == (40_000_000, digest)
    assert result.raw["body_encoding"] == encoding
    assert bytes_of(result.raw) == beginning
    assert result.raw["key_fingerprint"] == "0123abcd"


def test_cut_body_without_a_digest_is_known_by_what_is_left() -> None:
    """A record that lost the digest is still kept, under that of its beginning."""
    result = read(record(b"abc", 40_000_000))

    assert result.event_id == "sha256:" + hashlib.sha256(b"abc").hexdigest()


def test_reread_equals_read_but_for_the_signing_key() -> None:
    """A stored body gives the same rows again; which key signed it is not known then."""
    first = read(record(GOOD))

    again = reread(GOOD, RECEIVED_AT, None)

    assert again.raw == first.raw | {"key_fingerprint": None}
    assert (again.table, again.typed) == (first.table, first.typed)


@pytest.mark.parametrize("body", [GOOD, GOOD.replace(b"email", b"pigeon")])
def test_reread_keeps_the_table_that_took_the_event(body: bytes) -> None:
    """A table that took an event keeps it, whatever the routing says now."""
    result = reread(body, RECEIVED_AT, "webhook_sms_events")

    assert result.table == "webhook_sms_events"
    assert result.raw["target_table"] == "webhook_sms_events"
    assert result.raw["unrouted_reason"] is None
    assert result.typed is not None
    assert result.typed["recipient"] == "person1@example.com"


def test_reread_for_a_table_that_is_not_ours_is_raw() -> None:
    """A table that this version does not know takes nothing."""
    result = reread(GOOD, RECEIVED_AT, "webhook_pigeon_events")

    assert (result.event_id, result.table, result.typed) == ("e1", None, None)
    assert result.raw["unrouted_reason"] == "unknown_table"


@pytest.mark.parametrize("body", [b"\xff", b"no", b"[]", b"{}", b"[" * 50_000])
def test_reread_of_an_unreadable_body_stays_raw(body: bytes) -> None:
    """Naming a table makes no unreadable body readable."""
    result = reread(body, RECEIVED_AT, "webhook_email_events")

    assert result.table is None
    assert result.raw["unrouted_reason"] == read(record(body)).raw["unrouted_reason"]


def test_unknown_fields_are_named_at_every_level() -> None:
    """Fields without a column are reported as dot paths, in the order of the body."""
    result = changed(
        extra=1, data={"new_field": {"a": 1}, "identifiers": {"id": "1", "phone": None}}
    )

    assert result.unknown_fields == ("data.new_field", "data.identifiers.phone", "extra")
    assert result.table == "webhook_email_events"


def test_unknown_fields_are_at_most_twenty() -> None:
    """Twenty paths are all reported; of more, nineteen and one for the others."""
    twenty = changed(data={f"f{n}": n for n in range(20)}).unknown_fields
    many = changed(data={f"f{n}": n for n in range(21)}).unknown_fields

    assert twenty == tuple(f"data.f{n}" for n in range(20))
    assert many == (*twenty[:19], "data.(other)")


@pytest.mark.parametrize(
    "key", ["person1@example.com", "a b", "ü", "a\n", "x" * 60, "\ud800", '"', "(other)"]
)
def test_unknown_fields_with_odd_names_are_not_repeated(key: str) -> None:
    """A name that is long or could be personal is counted as another."""
    result = changed(data={key: 1, f"{key}{key}": 2, "plain": 3})

    assert result.unknown_fields == ("data.plain", "data.(other)")


def test_repr_shows_no_row() -> None:
    """The `repr` of a reading holds neither of its rows."""
    assert "person1" not in repr(read(record(GOOD)))


class FailsOnce(bytes):
    """A body whose first decoding fails as our own code might."""

    failed = False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Fail once."""
        if not self.failed:
            self.failed = True
            raise ZeroDivisionError("person1@example.com")
        return super().decode(encoding, errors)


def test_fault_while_opening_gives_a_raw_row() -> None:
    """A fault of ours before the id is known keeps the body under its digest."""
    result = reread(FailsOnce(GOOD), RECEIVED_AT, None)

    assert result.raw["unrouted_reason"] == "internal_error: ZeroDivisionError"
    assert result.event_id == "sha256:" + hashlib.sha256(GOOD).hexdigest()
    assert bytes_of(result.raw) == GOOD


class FaultyHandler:
    """A handler with a fault."""

    def row(self, *_: object) -> NoReturn:
        """Fail."""
        raise KeyError("person1@example.com")


def test_fault_in_a_handler_keeps_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours after the id is known changes no key, and names its type only."""
    faulty = dict(HANDLERS_BY_TABLE) | {"webhook_email_events": FaultyHandler()}
    monkeypatch.setattr(decoding, "HANDLERS_BY_TABLE", faulty)

    result = read(record(GOOD))

    assert (result.event_id, result.event_date) == ("e1", date(2023, 11, 14))
    assert (result.table, result.typed) == (None, None)
    assert result.raw["target_table"] is None
    assert result.raw["unrouted_reason"] == "internal_error: KeyError"
