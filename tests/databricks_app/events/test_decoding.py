"""Reading: the raw row has the exact bytes, and the typed row follows the route."""

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
    """The bytes of the body of a raw row."""
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
def test_raw_row_has_the_exact_bytes(body: bytes, encoding: str) -> None:
    """The body is text if it is UTF-8, else base64."""
    raw = read(record(body)).raw

    assert raw["body_encoding"] == encoding
    assert bytes_of(raw) == body
    assert raw["body_bytes"] == len(body)


def test_unrouted_event_has_a_raw_row_with_the_reason() -> None:
    """An event of an unknown object type is only in the raw table."""
    result = changed(object_type="carrier_pigeon", data={"new": 1})

    assert (result.table, result.typed) == (None, None)
    assert result.raw["target_table"] is None
    assert result.raw["unrouted_reason"] == "unknown_object_type"
    assert type(result.raw["unrouted_reason"]) is str
    assert result.raw["object_type"] == "carrier_pigeon"
    assert result.unknown_fields == ()


def test_raw_row_of_an_event_without_an_id_has_its_other_facts() -> None:
    """Object type, metric and date."""
    result = changed(event_id=None)

    assert result.event_id == result.raw["event_id"]
    assert result.raw["unrouted_reason"] == "no_event_id"
    assert (result.raw["object_type"], result.raw["metric"]) == ("email", "sent")
    assert result.event_date == date(2023, 11, 14)


@pytest.mark.parametrize(
    ("beginning", "encoding"), [(b'{"event_id":"e1"', "utf-8"), (b"\xc3", "base64")]
)
def test_cut_body_is_a_raw_row_with_the_digest_of_the_whole(
    beginning: bytes, encoding: str
) -> None:
    """Digest and size are those of the whole body."""
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


def test_cut_body_without_a_digest_has_the_digest_of_its_beginning() -> None:
    """A record without the digest of the whole body is still stored."""
    result = read(record(b"abc", 40_000_000))

    assert result.event_id == "sha256:" + hashlib.sha256(b"abc").hexdigest()


def test_reread_equals_read_except_the_signing_key() -> None:
    """A stored body gives the same rows; its signing key is not known."""
    first = read(record(GOOD))

    again = reread(GOOD, RECEIVED_AT, None)

    assert again.raw == first.raw | {"key_fingerprint": None}
    assert (again.table, again.typed) == (first.table, first.typed)


@pytest.mark.parametrize("body", [GOOD, GOOD.replace(b"email", b"pigeon")])
def test_reread_keeps_the_table_of_the_event(body: bytes) -> None:
    """An event stays in its table even if the routing has changed."""
    result = reread(body, RECEIVED_AT, "webhook_sms_events")

    assert result.table == "webhook_sms_events"
    assert result.raw["target_table"] == "webhook_sms_events"
    assert result.raw["unrouted_reason"] is None
    assert result.typed is not None
    assert result.typed["recipient"] == "person1@example.com"


def test_reread_for_an_unknown_table_is_a_raw_row() -> None:
    """It has the reason `unknown_table`."""
    result = reread(GOOD, RECEIVED_AT, "webhook_pigeon_events")

    assert (result.event_id, result.table, result.typed) == ("e1", None, None)
    assert result.raw["unrouted_reason"] == "unknown_table"


def test_reread_of_an_unreadable_body_is_a_raw_row() -> None:
    """With the same reason as before, also if a table is given."""
    bodies = [b"\xff", b"no", b"[]", b"{}", b"[" * 50_000]

    results = [reread(body, RECEIVED_AT, "webhook_email_events") for body in bodies]

    assert [one.table for one in results] == [None] * len(bodies)
    reasons = [one.raw["unrouted_reason"] for one in results]
    assert reasons == [read(record(body)).raw["unrouted_reason"] for body in bodies]


def test_unknown_fields_are_found_at_every_level() -> None:
    """Fields without a column are dot paths, in the order of the body."""
    result = changed(
        extra=1, data={"new_field": {"a": 1}, "identifiers": {"id": "1", "phone": None}}
    )

    assert result.unknown_fields == ("data.new_field", "data.identifiers.phone", "extra")
    assert result.table == "webhook_email_events"


def test_unknown_fields_are_at_most_twenty() -> None:
    """Of 21 paths there are nineteen and one for the others."""
    twenty = changed(data={f"f{n}": n for n in range(20)}).unknown_fields
    many = changed(data={f"f{n}": n for n in range(21)}).unknown_fields

    assert twenty == tuple(f"data.f{n}" for n in range(20))
    assert many == (*twenty[:19], "data.(other)")


def test_unknown_fields_with_odd_names_are_not_repeated() -> None:
    """A long name, or one that could be personal data, is `data.(other)`."""
    keys = ("person1@example.com", "a b", "ü", "a\n", "x" * 60, "\ud800", '"', "(other)")

    found = {key: changed(data={key: 1, key * 2: 2, "plain": 3}).unknown_fields for key in keys}

    assert found == dict.fromkeys(keys, ("data.plain", "data.(other)"))


def test_repr_shows_no_row() -> None:
    """The `repr` of a reading has neither of its rows."""
    assert "person1" not in repr(read(record(GOOD)))


class FailsOnce(bytes):
    """A body whose first decoding fails with an unforeseen error."""

    failed = False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Fail once."""
        if not self.failed:
            self.failed = True
            raise ZeroDivisionError("person1@example.com")
        return super().decode(encoding, errors)


def test_a_bug_before_the_id_is_known_gives_a_raw_row() -> None:
    """The body is kept with its digest as id."""
    result = reread(FailsOnce(GOOD), RECEIVED_AT, None)

    assert result.raw["unrouted_reason"] == "internal_error: ZeroDivisionError"
    assert result.event_id == "sha256:" + hashlib.sha256(GOOD).hexdigest()
    assert bytes_of(result.raw) == GOOD


class FailingHandler:
    """A handler with a bug."""

    def row(self, *_: object) -> NoReturn:
        """Fail."""
        raise KeyError("person1@example.com")


def test_a_bug_in_a_handler_gives_a_raw_row_with_the_same_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reason has only the type of the error."""
    failing = dict(HANDLERS_BY_TABLE) | {"webhook_email_events": FailingHandler()}
    monkeypatch.setattr(decoding, "HANDLERS_BY_TABLE", failing)

    result = read(record(GOOD))

    assert (result.event_id, result.event_date) == ("e1", date(2023, 11, 14))
    assert (result.table, result.typed) == (None, None)
    assert result.raw["target_table"] is None
    assert result.raw["unrouted_reason"] == "internal_error: KeyError"
