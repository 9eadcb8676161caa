"""The receiver: each case of its table of answers, in the order of the table, and what it costs."""

from __future__ import annotations

import io
import re
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from core.webhooks.signature import SignatureCheck, SigningKey
from databricks_app.errors import InboxError
from databricks_app.events.record import Record
from databricks_app.ingest.body import CUT_BYTES
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.ingest.receiver import Answer, WebhookReceiver
from databricks_app.runtime.metrics import Metrics
from databricks_app.settings import Settings

BODY = b'{"event_id":"e1","data":{"recipient":"ada@example.com"}}'
FINGERPRINT = "651bf3b7"  # of test_signing_key
MIB = 1 << 20
NUMBERS = b"".join(b"%07d\n" % n for n in range(MIB))

Sign = Callable[..., dict[str, str]]


class Source:
    """A request's stream, as a server gives it: pieces of any size, or a broken connection."""

    def __init__(self, body: bytes, piece: int = MIB, error: Exception | None = None) -> None:
        self._rest = io.BytesIO(body)
        self._piece = piece
        self._error = error
        self.taken = 0

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes; at the end raise the error, if there is one."""
        data = self._rest.read(min(size, self._piece))
        self.taken += len(data)
        if not data and size and self._error is not None:
            raise self._error
        return data


@dataclass
class Room:
    """A receiver over a real inbox, and ways to look at what it did."""

    settings: Settings
    inbox: LocalInbox
    now: Callable[[], float]

    def __post_init__(self) -> None:
        self.metrics = Metrics()
        self.receiver = WebhookReceiver(self.settings, self.inbox, self.metrics, self.now)

    def set(self, **fields: Any) -> None:
        """Begin anew with other settings."""
        self.settings = replace(self.settings, **fields)
        self.__post_init__()

    def post(
        self,
        body: bytes | Source,
        headers: dict[str, str],
        length: int | str | None = -1,
        query: str = "",
    ) -> Answer:
        """Put a request to the receiver; its Content-Length is the body's unless given."""
        if isinstance(body, bytes):
            length = len(body) if length == -1 else length
            body = Source(body)
        environ: dict[str, Any] = {"wsgi.input": body, "QUERY_STRING": query}
        if length not in (None, -1):
            environ["CONTENT_LENGTH"] = str(length)
        for name, value in headers.items():
            environ["HTTP_" + name.upper().replace("-", "_")] = value
        return self.receiver.answer(environ)

    def begun(self, headers: dict[str, str], *pieces: bytes) -> SignatureCheck:
        """A check that was fed with the pieces of a body."""
        signature, timestamp = (
            headers[f"X-CIO-{name}"].encode() for name in ("Signature", "Timestamp")
        )
        check = self.receiver.begin(signature, timestamp, None)
        assert isinstance(check, SignatureCheck)
        for piece in pieces:
            check.update(piece)
        return check

    def stored(self) -> list[Record]:
        """What the inbox holds, read as the loader reads it; ends the inbox."""
        self.inbox.close()
        batches = SegmentReader(self.settings.inbox_dir).batches(10**9, 10**12)
        return [record for batch in batches for record in batch.records]

    def rejected(self) -> dict[tuple[str, str], float]:
        """The refusals counted, by reason and key."""
        return {
            (sample.labels["reason"], sample.labels["key"]): sample.value
            for family in self.metrics.rejected.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        }

    def accepted(self) -> float:
        """The events counted as accepted under the key."""
        labels = {"key": FINGERPRINT}
        return self.metrics.registry.get_sample_value("ciolake_accepted_events_total", labels) or 0


@pytest.fixture
def room(settings: Settings, inbox: LocalInbox, now: Callable[[], float]) -> Room:
    """A receiver with the shared settings, inbox and clock."""
    return Room(settings, inbox, now)


def test_a_signed_body_is_stored_as_received(room: Room, sign: Sign) -> None:
    """Answered 200, kept byte by byte with all that was known when it came, and counted."""
    body = b"\x00\xff not JSON, not text \r\n"

    answer = room.post(body, sign(body))

    assert answer == Answer(200)
    received_at = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert room.stored() == [Record(body, received_at, "1700000000", FINGERPRINT, len(body))]
    assert room.accepted() == 1
    assert room.metrics.registry.get_sample_value("ciolake_accepted_bytes_total") == len(body)
    assert room.metrics.registry.get_sample_value("ciolake_append_seconds_count") == 1
    assert room.rejected() == {}


def test_the_record_is_on_the_disk_when_the_answer_is_given(room: Room, sign: Sign) -> None:
    """At the moment of the 200 the segment holds the body, before anything is closed."""
    room.post(BODY, sign(BODY))

    files = [path.read_bytes() for path in room.settings.inbox_dir.iterdir()]
    assert any(BODY in data for data in files)


def test_the_same_event_again_is_stored_again(room: Room, sign: Sign) -> None:
    """The receiver does not know what it has seen: repeats are 200 and dropped by the lake."""
    assert room.post(BODY, sign(BODY)) == room.post(BODY, sign(BODY)) == Answer(200)
    assert len(room.stored()) == 2


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"\xff\xfe", b"[" * 50_000])
def test_what_the_body_says_decides_nothing(room: Room, sign: Sign, body: bytes) -> None:
    """Verified is enough: nothing of the content can be refused."""
    assert room.post(body, sign(body)) == Answer(200)
    assert [record.body for record in room.stored()] == [body]


def test_every_active_key_is_accepted_and_counted_under_its_fingerprint(
    room: Room, sign: Sign
) -> None:
    """During a rotation both keys work, and it can be seen which one is used."""
    old, new = SigningKey.from_text("test_signing_key"), SigningKey.from_text("schüssel")
    room.set(signing_keys=(old, new))

    assert room.post(BODY, sign(BODY, key=old)) == Answer(200)
    assert room.post(BODY, sign(BODY, key=new)) == Answer(200)

    assert [record.key_fingerprint for record in room.stored()] == ["651bf3b7", "2ea55cc6"]


@pytest.mark.parametrize("keys", [(), None])
def test_without_a_key_everything_is_503(
    room: Room, sign: Sign, keys: tuple[SigningKey, ...] | None
) -> None:
    """No key never means that everything is accepted; the signature is not even looked at."""
    room.set(signing_keys=keys)

    answers = [room.post(BODY, sign(BODY)), room.post(BODY, {}), room.post(b"", {}, 10**18)]

    assert answers == [Answer(503, "no_key")] * 3
    assert room.rejected() == {("no_key", ""): 3}
    assert "CIO_WEBHOOK_SIGNING_KEYS" in (room.receiver.trouble() or "")
    assert room.stored() == []


@pytest.mark.parametrize("missing", [["X-CIO-Signature"], ["X-CIO-Timestamp"], None])
def test_a_missing_header_is_401(room: Room, sign: Sign, missing: list[str] | None) -> None:
    """Whichever is missing; the body is not read."""
    headers = sign(BODY)
    source = Source(BODY)

    answer = room.post(
        source, {name: headers[name] for name in headers if missing and name not in missing}
    )

    assert answer == Answer(401, "missing_header")
    assert source.taken == 0
    assert room.rejected() == {("missing_header", ""): 1}


@pytest.mark.parametrize("name", ["X-CIO-Signature", "X-CIO-Timestamp"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda value: f"{value},{value}", id="doubled"),
        pytest.param(lambda value: f"{value}, {value}", id="doubled-with-blank"),
        pytest.param(lambda value: f"{value},", id="doubled-with-nothing"),
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: "\xe9" * 64, id="latin-1"),
        pytest.param(lambda _: "\u0661" * 64, id="beyond-latin-1"),
        pytest.param(lambda _: "a" * 10_240, id="10-kB"),
    ],
)
def test_a_malformed_header_is_401(
    room: Room, sign: Sign, name: str, change: Callable[[str], str]
) -> None:
    """A header sent twice arrives joined by a comma: that is malformed as well."""
    headers = sign(BODY)

    answer = room.post(BODY, {**headers, name: change(headers[name])})

    assert answer == Answer(401, "malformed_header")
    assert room.rejected() == {("malformed_header", ""): 1}


def in_query(headers: dict[str, str]) -> str:
    """Return the query string in which a relay writes both."""
    return urlencode(
        {
            "cio_signature": headers["X-CIO-Signature"],
            "cio_timestamp": headers["X-CIO-Timestamp"],
        }
    )


def test_the_signature_is_taken_from_the_query_string_where_that_was_chosen(
    room: Room, sign: Sign
) -> None:
    """Only where neither header came, and only if each stands there once."""
    query = in_query(sign(BODY))
    assert room.post(BODY, {}, query=query).status == 401
    room.set(is_signature_in_query=True)

    assert room.post(BODY, {}, query=query).status == 200
    assert room.post(BODY, {}, query=f"{query}&{query}").status == 401
    assert room.post(BODY, {}, query="&".join("abcdefghi")).status == 401
    assert room.post(BODY, sign(BODY, at=1), query=query).status == 401
    assert room.post(BODY + b" ", {}, query=query).status == 401


def test_a_wrong_signature_is_401(room: Room, sign: Sign) -> None:
    """Another key, another body, another time: nothing is stored."""
    other = SigningKey.from_text("another_signing_key")
    headers = [sign(BODY, key=other), sign(b"{}"), {**sign(BODY), "X-CIO-Timestamp": "1700000001"}]

    answers = [room.post(BODY, one) for one in headers]

    assert answers == [Answer(401, "wrong_signature")] * 3
    assert room.rejected() == {("wrong_signature", ""): 3}
    assert room.stored() == []


def test_during_set_up_the_unverified_can_be_503(room: Room, sign: Sign) -> None:
    """With CIO_UNVERIFIED_STATUS=503 the sender repeats sooner; nothing else changes."""
    room.set(unverified_status=503)

    assert room.post(BODY, {}) == Answer(503, "missing_header")
    assert room.post(BODY, sign(b"{}")) == Answer(503, "wrong_signature")
    assert room.post(BODY, {**sign(BODY), "X-CIO-Timestamp": "x"}).status == 503
    assert room.stored() == []


@pytest.mark.parametrize("age", [300, -300])
def test_the_edges_of_the_window_are_inside(room: Room, sign: Sign, age: int) -> None:
    """300 s either way are accepted."""
    assert room.post(BODY, sign(BODY, at=1_700_000_000 - age)) == Answer(200)


@pytest.mark.parametrize("age", [301, -301])
@pytest.mark.parametrize("unverified_status", [401, 503])
def test_a_stale_timestamp_is_401(room: Room, sign: Sign, age: int, unverified_status: int) -> None:
    """Rightly signed and outside the window: refused, counted under the key and by its age."""
    room.set(unverified_status=unverified_status)

    answer = room.post(BODY, sign(BODY, at=1_700_000_000 - age))

    assert answer == Answer(401, "stale_timestamp", FINGERPRINT)
    assert room.rejected() == {("stale_timestamp", FINGERPRINT): 1}
    assert room.metrics.stale_total() == 1
    name = "ciolake_stale_timestamp_age_seconds_bucket"
    is_ahead = {"le": "-300.0"}
    assert room.metrics.registry.get_sample_value(name, is_ahead) == (age < 0)
    assert room.stored() == []


def test_a_stale_timestamp_is_accepted_where_that_was_chosen(room: Room, sign: Sign) -> None:
    """With CIO_STALE_TIMESTAMPS=accept it is stored, and counted all the same."""
    room.set(stale_timestamps="accept")

    answer = room.post(BODY, sign(BODY, at=1_600_000_000))

    assert answer == Answer(200)
    assert room.rejected() == {}
    assert room.metrics.stale_total() == 1
    assert [record.timestamp for record in room.stored()] == ["1600000000"]


def test_accepting_the_stale_does_not_accept_the_unverified(room: Room, sign: Sign) -> None:
    """The policy is about the window alone."""
    room.set(stale_timestamps="accept")

    headers = {**sign(BODY), "X-CIO-Timestamp": "1600000000"}
    assert room.post(BODY, headers) == Answer(401, "wrong_signature")


def test_the_first_stale_timestamp_is_a_warning(room: Room, sign: Sign) -> None:
    """It is loud once and says what to do; the rest is counted."""
    with capture_logs() as lines:
        for _ in range(3):
            room.post(BODY, sign(BODY, at=1_600_000_000))

    (line,) = lines
    assert line["log_level"] == "warning"
    assert line["age_seconds"] == 100_000_000
    assert line["key"] == FINGERPRINT
    assert "CIO_STALE_TIMESTAMPS" in line["advice"]


@pytest.mark.parametrize("size", [MIB, MIB - 1])
def test_a_body_within_the_limit_is_kept_whole(room: Room, sign: Sign, size: int) -> None:
    """The limit itself is inside."""
    room.set(max_body_bytes=MIB)
    body = bytes(size)

    assert room.post(Source(body, piece=70_000), sign(body), size) == Answer(200)
    (record,) = room.stored()
    assert (record.body, record.body_bytes, record.body_sha256) == (body, size, None)


@pytest.mark.parametrize("piece", [MIB, 7000])
@pytest.mark.parametrize("size", [MIB + 1, 8 * MIB])
@pytest.mark.parametrize("is_length_known", [True, False])
def test_a_larger_body_is_kept_as_its_beginning_with_size_and_digest(
    room: Room, sign: Sign, size: int, piece: int, is_length_known: bool
) -> None:
    """Past the limit 200 is the answer and the first 64 KiB are kept, however it arrives."""
    room.set(max_body_bytes=MIB)
    body = NUMBERS[:size]

    length = size if is_length_known else None
    answer = room.post(Source(body, piece), sign(body), length)

    assert answer == Answer(200)
    (record,) = room.stored()
    assert record.body == body[:CUT_BYTES]
    assert record.body_bytes == size
    assert record.body_sha256 == sha256(body).hexdigest()
    assert record.is_cut


def test_a_body_over_a_small_limit_is_cut_there(room: Room, sign: Sign) -> None:
    """A limit below 64 KiB holds as well: what is over it is never taken for whole."""
    room.set(max_body_bytes=1024)
    body = bytes(1025)

    room.post(body, sign(body))

    (record,) = room.stored()
    assert (len(record.body), record.body_bytes, record.is_cut) == (1024, 1025, True)


def test_a_larger_body_is_verified_to_its_last_byte(room: Room, sign: Sign) -> None:
    """What is not kept is part of the signature too."""
    room.set(max_body_bytes=MIB)
    body = bytes(2 * MIB)

    assert room.post(body[:-1] + b"x", sign(body)) == Answer(401, "wrong_signature")
    assert room.stored() == []


def test_a_body_over_eight_times_the_limit_is_413_unread(room: Room, sign: Sign) -> None:
    """Where the length is announced nothing is read."""
    room.set(max_body_bytes=1024)
    source = Source(bytes(8193))

    assert room.post(source, sign(bytes(8193)), 8193) == Answer(413, "too_large")
    assert source.taken == 0
    assert room.rejected() == {("too_large", ""): 1}


def test_a_body_that_grows_over_eight_times_the_limit_is_413(room: Room, sign: Sign) -> None:
    """Where it is not announced reading ends there."""
    room.set(max_body_bytes=1024)
    body = bytes(100_000)
    source = Source(body, piece=1024)

    assert room.post(source, sign(body), None) == Answer(413, "too_large")
    assert source.taken == 9 * 1024
    assert room.stored() == []


def test_an_unsigned_request_of_any_size_is_401(room: Room) -> None:
    """The headers are checked before the size, as the table says."""
    assert room.post(b"", {}, 10**12) == Answer(401, "missing_header")


def test_reading_a_large_body_holds_no_more_than_the_limit(room: Room, sign: Sign) -> None:
    """A body eight times the limit passes through in pieces and is not gathered."""
    limit = 4 * MIB
    room.set(max_body_bytes=limit)
    body = bytes(8 * limit)
    headers = sign(body)
    source = Source(body)

    tracemalloc.start()
    try:
        answer = room.post(source, headers, len(body))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert answer == Answer(200)
    assert peak < limit + 3 * MIB


def test_a_body_that_ends_early_is_408(room: Room, sign: Sign) -> None:
    """Shorter than announced: the sender has gone; nothing is stored, whatever is signed."""
    part = BODY[:-10]

    assert room.post(Source(part), sign(part), len(BODY)) == Answer(408, "incomplete")
    assert room.rejected() == {("incomplete", ""): 1}
    assert room.stored() == []


@pytest.mark.parametrize("length", [len(BODY), None])
def test_a_broken_connection_is_408(room: Room, sign: Sign, length: int | None) -> None:
    """A read that fails is an incomplete request."""
    source = Source(BODY[:10], error=ConnectionResetError())

    assert room.post(source, sign(BODY), length) == Answer(408, "incomplete")


def test_no_more_is_read_than_was_announced(room: Room, sign: Sign) -> None:
    """What follows belongs to the next request; a server's stream may wait for more for ever."""
    source = Source(BODY + b"POST /next", error=RuntimeError("asked for more"))

    assert room.post(source, sign(BODY), len(BODY)) == Answer(200)
    assert source.taken == len(BODY)


@pytest.mark.parametrize("length", [None, "", "abc", "-5", "1e3", "9" * 25, "\u0661"])
def test_without_a_usable_length_the_body_is_read_to_its_end(
    room: Room, sign: Sign, length: str | None
) -> None:
    """A chunked request has none; one that is no number decides nothing."""
    assert room.post(BODY, sign(BODY), length) == Answer(200)
    assert [record.body for record in room.stored()] == [BODY]


def test_a_full_inbox_is_503(room: Room, sign: Sign) -> None:
    """At the limit of CIO_INBOX_MAX_BYTES; the receiver says so."""
    room.inbox.close()
    room.inbox = LocalInbox(room.settings.inbox_dir, max_bytes=10)
    room.set()
    assert room.post(BODY, sign(BODY)) == Answer(200)

    assert room.post(BODY, sign(BODY)) == Answer(503, "inbox_full", FINGERPRINT)
    assert room.rejected() == {("inbox_full", FINGERPRINT): 1}
    assert "CIO_INBOX_MAX_BYTES" in (room.receiver.trouble() or "")
    assert len(room.stored()) == 1


@contextmanager
def stuck(folder: Path) -> Iterator[LocalInbox]:
    """An inbox whose committer waits, as for a disk, until the end of the block."""
    go_on = Event()

    def clock() -> float:
        go_on.wait(20)
        return 1_700_000_000.0

    inbox = LocalInbox(folder, clock=clock)
    try:
        yield inbox
    finally:
        go_on.set()
        inbox.close()


def test_an_inbox_that_does_not_store_in_time_is_503(room: Room, sign: Sign) -> None:
    """Past CIO_APPEND_DEADLINE_SECONDS, before the sender gives up by itself."""
    with stuck(room.settings.inbox_dir) as room.inbox:
        room.set(append_deadline_seconds=0.05)

        assert room.post(BODY, sign(BODY)) == Answer(503, "inbox_timeout", FINGERPRINT)
        assert room.rejected() == {("inbox_timeout", FINGERPRINT): 1}


def test_a_stopping_receiver_is_503(room: Room, sign: Sign) -> None:
    """Once the inbox is closed."""
    room.inbox.close()

    assert room.post(BODY, sign(BODY)) == Answer(503, "stopping", FINGERPRINT)
    assert room.receiver.trouble() == "the receiver is stopping"


def test_a_failing_disk_is_503(room: Room, sign: Sign) -> None:
    """A real error of the file system, here of a folder that is gone."""
    room.settings.inbox_dir.rmdir()

    assert room.post(BODY, sign(BODY)) == Answer(503, "inbox_error", FINGERPRINT)
    room.settings.inbox_dir.mkdir()
    assert room.post(BODY, sign(BODY)) == Answer(200)


def test_an_unforeseen_fault_is_503_and_logged_without_its_text(room: Room, sign: Sign) -> None:
    """A 500 would stall the feed for an hour."""
    source = Source(BODY[:3], error=RuntimeError("secret text"))

    with capture_logs() as lines:
        answer = room.post(source, sign(BODY), None)

    assert answer == Answer(503, "exception")
    (line,) = lines
    assert (line["event"], line["error"]) == ("request_failed", "RuntimeError")
    assert re.fullmatch(r"test_receiver\.py:\d+", line["at"])
    assert "secret" not in str(line)
    assert room.rejected() == {("exception", ""): 1}


def test_every_step_answers_an_unforeseen_fault(room: Room, sign: Sign) -> None:
    """An event loop that calls them one by one gets an answer from each, counted once."""

    def gone() -> bytes:
        raise RuntimeError("secret text")

    check = room.begun(sign(BODY), BODY)
    record = room.receiver.examine(room.begun(sign(BODY), BODY), lambda: BODY, len(BODY))
    assert isinstance(record, Record)

    answers = [
        room.receiver.examine(check, gone, len(BODY)),
        room.receiver.complete((), (), InboxError("the disk refused")),
        room.receiver.store(replace(record, timestamp="\xe9")),
    ]

    assert [answer.status for answer in answers if isinstance(answer, Answer)] == [503] * 3
    assert sum(room.rejected().values()) == 3


def test_an_answer_is_given_where_counting_fails(room: Room) -> None:
    """The files of the metrics are on a disk too; the log says that a count is missing."""

    class Uncountable:
        """A counter that cannot grow."""

        def labels(self, *_: str) -> Any:
            """Raise as a full disk does."""
            raise OSError(28, "no space left")

    room.metrics.rejected = Uncountable()  # type: ignore[assignment]

    with capture_logs() as lines:
        answer = room.post(BODY, {})

    assert answer == Answer(401, "missing_header")
    assert [line["event"] for line in lines] == ["request_refused", "refusal_not_counted"]


def test_a_body_is_examined_from_its_head_on(room: Room, sign: Sign) -> None:
    """The head decides where it can; the rest is as if all of it had come at once."""
    headers = sign(BODY)
    assert room.receiver.begin(None, b"1", None) == Answer(401, "missing_header")
    check = room.begun(headers, BODY[:5], BODY[5:])

    record = room.receiver.examine(check, lambda: BODY[:4], len(BODY), "digest")

    assert isinstance(record, Record)
    assert (record.body, record.body_bytes, record.body_sha256) == (BODY[:4], len(BODY), "digest")
    assert record.timestamp == headers["X-CIO-Timestamp"]
    assert room.rejected() == {("missing_header", ""): 1}


def test_the_receiver_has_no_trouble_by_itself(room: Room) -> None:
    """With a key and a working disk nothing is refused."""
    assert room.receiver.trouble() is None


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["X-CIO-Signature", "X-CIO-Timestamp", "Content-Type", "Expect"]),
        st.text(max_size=80),
    ),
    st.binary(max_size=200),
    st.none() | st.text(max_size=20) | st.integers(-10, 300),
)
def test_nothing_unverified_is_stored_or_raises(
    room: Room, headers: dict[str, str], body: bytes, length: int | str | None
) -> None:
    """Any headers, any body, any length: refused, for a reason that is counted."""
    before = sum(room.rejected().values())

    answer = room.post(body, headers, length)

    assert answer.status in {401, 408, 413}
    assert sum(room.rejected().values()) == before + 1
    assert list(room.settings.inbox_dir.iterdir()) == []
